"""What pins the files of a checkpoint."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from edge_worker.common.errors import CheckpointError
from edge_worker.m2fp.checksums import read_sums, write_sums

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = "0123456789abcdef" * 4


def test_what_is_written_is_read_and_checked_by_sha256sum(tmp_path: Path) -> None:
    """No tool of our own is needed to pin, or to check what is pinned."""
    (tmp_path / "weights").write_bytes(b"abc")
    output = subprocess.run(["sha256sum", "weights"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    write_sums(tmp_path, {"weights": output.split()[0]})
    assert (tmp_path / "SHA256SUMS").read_text() == output
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path, check=True, capture_output=True)
    assert read_sums(tmp_path) == {"weights": output.split()[0]}


def test_nothing_is_pinned_where_there_is_no_list(tmp_path: Path) -> None:
    """A checkpoint may come without."""
    assert read_sums(tmp_path) == {}


@pytest.mark.parametrize("line", ["nonsense", f"{DIGEST}  ../other/weights", f"{DIGEST[:-1]}  weights", "\xff\xfe"])
def test_another_list_is_refused(tmp_path: Path, line: str) -> None:
    """With its line; a list that pins nothing would be worse than none."""
    (tmp_path / "SHA256SUMS").write_text(f"{DIGEST}  good\n{line}\n", encoding="latin-1")
    with pytest.raises(CheckpointError, match="SHA256SUMS"):
        read_sums(tmp_path)
