"""The quarantine and its file."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from edge_worker.pool.quarantine import Quarantine

if TYPE_CHECKING:
    from pathlib import Path

SHA = "ab" * 32


def test_two_deaths_in_a_row_are_the_verdict() -> None:
    """One is bad luck; the verdict names how it ended the last time."""
    quarantine = Quarantine(None)
    quarantine.died(SHA, "ended by SIGSEGV")
    assert quarantine.verdict(SHA) is None
    quarantine.died(SHA, "ended by SIGABRT")
    assert "2 times under this payload: ended by SIGABRT" in (quarantine.verdict(SHA) or "")
    assert quarantine.verdict("cd" * 32) is None


def test_many_deaths_of_the_worker_itself_are_a_verdict_too(tmp_path: Path) -> None:
    """Not two: a worker that is killed again and again meets the same frame first at each start."""
    for _ in range(19):
        Quarantine(tmp_path).died_with_worker(SHA)
    assert Quarantine(tmp_path).verdict(SHA) is None
    Quarantine(tmp_path).died(SHA, "killed")
    assert Quarantine(tmp_path).verdict(SHA) is None
    Quarantine(tmp_path).died_with_worker(SHA)
    assert "the worker ended 20 times" in (Quarantine(tmp_path).verdict(SHA) or "")
    Quarantine(tmp_path).survived(SHA)
    assert Quarantine(tmp_path).verdict(SHA) is None


def test_survival_clears_an_earlier_death(tmp_path: Path) -> None:
    """In memory and in the file."""
    quarantine = Quarantine(tmp_path)
    quarantine.died(SHA, "killed")
    quarantine.survived(SHA)
    quarantine.died(SHA, "killed")
    assert quarantine.verdict(SHA) is None
    quarantine.survived(SHA)
    Quarantine(tmp_path).died(SHA, "killed")
    assert Quarantine(tmp_path).verdict(SHA) is None


def test_it_outlives_the_worker(tmp_path: Path) -> None:
    """Deaths under one worker count for the next, and the directory is made if need be."""
    for _ in range(2):
        Quarantine(tmp_path / "new").died(SHA, "killed")
    assert Quarantine(tmp_path / "new").verdict(SHA)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["quarantine.json"]


def test_it_is_bounded(tmp_path: Path) -> None:
    """After a thousand payloads the one that died longest ago is forgotten."""
    deaths = {"count": 2, "detail": "killed"}
    entries = {SHA: deaths} | {f"{number:064x}": deaths for number in range(999)}
    (tmp_path / "quarantine.json").write_text(json.dumps({"payloads": entries}))
    quarantine = Quarantine(tmp_path)
    assert quarantine.verdict(SHA)
    quarantine.died(f"{999:064x}", "killed")
    assert quarantine.verdict(SHA) is None
    assert len(json.loads((tmp_path / "quarantine.json").read_text())["payloads"]) == 1000


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"payloads": []}',
        b'{"payloads": {"ab": 3}}',
        b'{"payloads": {"ab": {"count": 1e999, "detail": ""}}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_is_replaced(tmp_path: Path, content: bytes) -> None:
    """It costs its entries and a warning, no more."""
    (tmp_path / "quarantine.json").write_bytes(content)
    quarantine = Quarantine(tmp_path)
    for _ in range(2):
        quarantine.died(SHA, "killed")
    assert Quarantine(tmp_path).verdict(SHA)


def test_more_than_it_ever_held_is_not_taken_over(tmp_path: Path) -> None:
    """Who altered the file shall not fill the memory; the newest stand last."""
    deaths = {"count": 2, "detail": "killed"}
    entries = {f"{number:064x}": deaths for number in range(2000)} | {SHA: deaths}
    (tmp_path / "quarantine.json").write_text(json.dumps({"payloads": entries}))
    quarantine = Quarantine(tmp_path)
    assert (quarantine.verdict(f"{0:064x}"), len(quarantine._deaths)) == (None, 1000)
    assert quarantine.verdict(SHA)


@pytest.mark.timeout(10)
def test_what_has_no_end_is_not_read(tmp_path: Path) -> None:
    """A worker that waits for a pipe in its place, or reads a device or a file of gigabytes, never starts."""
    file = tmp_path / "quarantine.json"
    os.mkfifo(file)
    assert Quarantine(tmp_path).verdict(SHA) is None
    file.unlink()
    file.symlink_to("/dev/zero")
    assert Quarantine(tmp_path).verdict(SHA) is None
    file.unlink()
    with file.open("wb") as stream:
        stream.truncate(1 << 40)
    assert Quarantine(tmp_path).verdict(SHA) is None


def test_a_directory_that_cannot_be_written_leaves_the_memory(tmp_path: Path) -> None:
    """The quarantine works as long as the worker lives."""
    (tmp_path / "file").write_text("not a directory")
    quarantine = Quarantine(tmp_path / "file" / "state")
    for _ in range(2):
        quarantine.died(SHA, "killed")
    assert quarantine.verdict(SHA)
