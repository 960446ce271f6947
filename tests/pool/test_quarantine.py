"""The quarantine and its file."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from edge_worker.common.sealed import SealedFile
from edge_worker.pool import quarantine as module
from edge_worker.pool.quarantine import Quarantine

if TYPE_CHECKING:
    from pathlib import Path

SHA = "ab" * 32


def _written(directory: Path, *payloads: str) -> None:
    """Write a quarantine in which each of *payloads* has died twice."""
    file = SealedFile(directory / "quarantine.json", module._SCHEMA, "payloads", module._deaths)
    file.write({sha: {"count": 2, "detail": "killed", "with_worker": 0} for sha in payloads})


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
    _written(tmp_path, SHA, *(f"{number:064x}" for number in range(999)))
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
        b'{"schema": "edge-worker.quarantine/1", "payloads": {}}',
        b'{"schema": "edge-worker.quarantine/2", "payloads": []}',
        b'{"schema": "edge-worker.quarantine/2", "payloads": {"ab": 3}}',
        b'{"schema": "edge-worker.quarantine/2", "payloads": {"ab": {"count": 1e999, "detail": ""}}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_is_set_aside(tmp_path: Path, content: bytes) -> None:
    """It costs its entries and one warning with the place where it is kept; the next start has nothing to say."""
    (tmp_path / "quarantine.json").write_bytes(content)
    with capture_logs() as logs:
        quarantine = Quarantine(tmp_path)
    assert [(line["event"], line["kept"]) for line in logs] == [("quarantine file is damaged", 0)]
    assert str(tmp_path / "quarantine.json.damaged") in logs[0]["problem"]
    assert (tmp_path / "quarantine.json.damaged").read_bytes() == content
    for _ in range(2):
        quarantine.died(SHA, "killed")
    with capture_logs() as logs:
        assert Quarantine(tmp_path).verdict(SHA)
    assert logs == []


def test_a_changed_byte_costs_the_entry_that_it_is_in(tmp_path: Path) -> None:
    """Wherever it is: no payload gets a verdict that was not its own, and nothing is lost in silence."""
    other = "cd" * 32
    _written(tmp_path, SHA, other)
    file = tmp_path / "quarantine.json"
    whole = file.read_bytes()
    for place in range(0, len(whole), 7):
        file.write_bytes(whole[:place] + bytes((whole[place] ^ 4,)) + whole[place + 1 :])
        with capture_logs() as logs:
            kept = Quarantine(tmp_path)._deaths
        assert kept.keys() <= {SHA, other}
        assert {deaths.count for deaths in kept.values()} <= {2}
        assert len(kept) == 2 or [line["event"] for line in logs] == ["quarantine file is damaged"]


def test_an_entry_may_be_deleted_by_hand(tmp_path: Path) -> None:
    """As docs/operations.md says; the others stay."""
    _written(tmp_path, SHA, "cd" * 32)
    file = tmp_path / "quarantine.json"
    document = json.loads(file.read_text())
    del document["payloads"][SHA]
    file.write_text(json.dumps(document))
    assert Quarantine(tmp_path)._deaths.keys() == {"cd" * 32}
    assert not (tmp_path / "quarantine.json.damaged").exists()


def test_a_directory_in_its_place_is_set_aside(tmp_path: Path) -> None:
    """Also where one was set aside before: deaths are written down again."""
    for _ in range(2):
        (tmp_path / "quarantine.json" / "in it").mkdir(parents=True)
        Quarantine(tmp_path).died(SHA, "killed")
        assert (tmp_path / "quarantine.json.damaged" / "in it").is_dir()
        (tmp_path / "quarantine.json").unlink()


def test_more_than_it_ever_held_is_not_taken_over(tmp_path: Path) -> None:
    """Who altered the file shall not fill the memory; the newest stand last."""
    _written(tmp_path, *(f"{number:064x}" for number in range(2000)), SHA)
    quarantine = Quarantine(tmp_path)
    assert (quarantine.verdict(f"{0:064x}"), len(quarantine._deaths)) == (None, 1000)
    assert quarantine.verdict(SHA)


@pytest.mark.timeout(60)
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
