"""Which libraries are taken for our kernels."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from edge_worker.m2fp.kernels import loader
from edge_worker.m2fp.kernels.loader import (
    KERNELS,
    WITHOUT,
    describe_kernels,
    load_kernel,
    loaded_kernels,
    source_digest,
)

SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_kernel_can_be_gone_without(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named in the environment it is as if it had not been built; the others stay as they are."""
    others = set(KERNELS) - {kernel}
    built = {other for other in others if load_kernel(other) is not None}
    monkeypatch.setenv(WITHOUT, f"{kernel},another")
    assert load_kernel(kernel) is None
    assert {other for other in others if load_kernel(other) is not None} == built


def compile_library(file: Path, code: str) -> None:
    """Compile *code* into the library *file*."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    source = file.with_suffix(".c")
    source.write_text(code)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", file, source], check=True)


@pytest.mark.parametrize(
    ("name", "code", "taken"),
    [
        (f"_masks{SUFFIX}", f'const char kernel_source[17] = "{source_digest()}";', True),
        (f"_masks{SUFFIX}", 'const char kernel_source[17] = "0123456789abcdef";', False),
        (f"_masks{SUFFIX}", "int nothing;", False),
        ("_masks.cpython-39-x86_64-linux-gnu.so", f'const char kernel_source[17] = "{source_digest()}";', False),
    ],
    ids=["of these sources", "of others", "from before there was a digest", "of another Python"],
)
def test_only_a_library_of_this_python_and_these_sources_is_taken(
    *, name: str, code: str, taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another checkout or interpreter left behind would compute something else, or crash."""
    source_digest()
    monkeypatch.setattr(loader, "_PACKAGE", tmp_path)
    compile_library(tmp_path / name, code)
    assert (load_kernel("masks") is not None) == taken


def test_a_file_that_is_no_library_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A half-written one, say: the work is done without it."""
    source_digest()
    monkeypatch.setattr(loader, "_PACKAGE", tmp_path)
    (tmp_path / f"_masks{SUFFIX}").write_bytes(b"no library")
    assert load_kernel("masks") is None


def test_the_digest_changes_with_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte in one header is enough."""
    before = source_digest()
    for file in Path(loader.__file__).parent.glob("*.[ch]"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(loader, "_PACKAGE", tmp_path)
    assert source_digest.__wrapped__() == before
    (tmp_path / "vector.h").write_bytes((tmp_path / "vector.h").read_bytes() + b" ")
    assert source_digest.__wrapped__() != before


def test_no_kernel_is_said_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any kernel the worker is right and slow: the description says none, and what to install."""
    monkeypatch.setenv(WITHOUT, ",".join(KERNELS))
    assert loaded_kernels() == ()
    assert describe_kernels(loaded_kernels()).startswith(f"none (not {', '.join(KERNELS)}: slower;")


def test_a_missing_kernel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not load is missing from the list and named in the description."""
    monkeypatch.setenv(WITHOUT, "gemm")
    assert "gemm" not in loaded_kernels()
    assert "gemm" in describe_kernels(loaded_kernels()).partition("not ")[2]


def test_all_kernels_need_no_remedy() -> None:
    """Where all load, their names are all there is to say."""
    assert describe_kernels(KERNELS) == ", ".join(KERNELS)
