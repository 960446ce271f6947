"""How pip comes to a Python that has none."""

from __future__ import annotations

import hashlib
import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "fetch_pip.py"
WHEEL = b"not really a wheel"
DIGEST = hashlib.sha256(WHEEL).hexdigest()


def page(*links: str) -> bytes:
    return "".join(f'<a href="{link}">x</a><br/>\n' for link in links).encode()


def link(version: str, digest: str = DIGEST) -> str:
    return f"../../packages/pip-{version}-py3-none-any.whl#sha256={digest}"


def fetch(monkeypatch: pytest.MonkeyPatch, index_page: bytes) -> tuple[list[str], list[list[object]]]:
    """Run the script against an index that consists of one page; return what it asked for, and what it ran."""
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example/simple/")
    names = runpy.run_path(str(SCRIPT))
    asked: list[str] = []
    ran: list[list[object]] = []

    def get(url: str) -> bytes:
        asked.append(url)
        return index_page if url.endswith("/pip/") else WHEEL

    world = names["main"].__globals__
    monkeypatch.setitem(world, "get", get)
    monkeypatch.setattr(world["subprocess"], "run", lambda command, check: ran.append([*command, check]))
    names["main"]()
    return asked, ran


def test_the_newest_wheel_is_fetched_and_installs_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """By version, not by place or spelling; source archives and pre-releases are passed over."""
    sdist = f"../../packages/pip-99.0.tar.gz#sha256={DIGEST}"
    asked, ran = fetch(monkeypatch, page(link("9.0.3"), link("26.1"), link("25.3"), link("27.0rc1"), sdist))
    assert asked == ["https://index.example/simple/pip/", "https://index.example/packages/pip-26.1-py3-none-any.whl"]
    assert "--no-index" in ran[0]


def test_an_altered_wheel_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not have the index's SHA-256 is not executed."""
    with pytest.raises(SystemExit, match="nothing was installed"):
        fetch(monkeypatch, page(link("26.1", digest="0" * 64)))


def test_an_index_without_pip_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the index, and another way."""
    with pytest.raises(SystemExit, match=r"https://index\.example/simple/pip/ offers no wheel .*apt-get"):
        fetch(monkeypatch, page())
