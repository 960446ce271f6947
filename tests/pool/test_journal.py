"""What is written down of the frames in work, and what the next worker reads."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from edge_worker.pool.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path

SHA, OTHER = "ab" * 32, "cd" * 32


def test_a_worker_that_ends_leaves_its_frames_in_work(tmp_path: Path) -> None:
    """One for each slot; the next one reads them once, and the one after it none."""
    journal = Journal(tmp_path / "new", 2)
    with journal.entry(0, SHA), journal.entry(1, OTHER):
        journal.close()  # as the kernel does for a killed process
    after = Journal(tmp_path / "new", 1)
    assert after.left == (SHA, OTHER)
    after.close()
    assert Journal(tmp_path / "new", 1).left == ()


def test_one_end_of_a_worker_is_one_whatever_was_in_how_many_slots(tmp_path: Path) -> None:
    """Two cameras may show the same black image."""
    journal = Journal(tmp_path, 2)
    with journal.entry(0, SHA), journal.entry(1, SHA):
        journal.close()
    assert Journal(tmp_path, 2).left == (SHA,)


def test_a_frame_that_is_done_leaves_nothing(tmp_path: Path) -> None:
    """However it ended: with a result or with an error."""
    journal = Journal(tmp_path, 1)
    with journal.entry(0, SHA):
        pass
    with suppress(ValueError), journal.entry(0, OTHER):
        int("an error")
    journal.close()
    assert Journal(tmp_path, 1).left == ()


def test_two_workers_do_not_read_each_other(tmp_path: Path) -> None:
    """The second one of a directory is told, and goes on without."""
    first = Journal(tmp_path, 1)
    with first.entry(0, SHA):
        with capture_logs() as said:
            second = Journal(tmp_path, 1)
        with second.entry(0, OTHER):
            assert second.left == ()
        first.close()
    assert Journal(tmp_path, 1).left == (SHA,)
    assert "another worker uses it" in said[0]["problem"]


def test_a_directory_that_cannot_be_used_costs_a_warning(tmp_path: Path) -> None:
    """Frames are worked on all the same."""
    (tmp_path / "file").touch()
    with capture_logs() as said, Journal(tmp_path / "file" / "state", 1).entry(0, SHA):
        pass
    assert ["Not a directory" in line["problem"] for line in said] == [True]


def test_a_disk_that_fills_up_costs_one_warning(tmp_path: Path) -> None:
    """The journal ends, the work goes on."""
    journal = Journal(tmp_path, 1)
    assert journal._descriptor is not None
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, journal._descriptor)
    os.close(full)
    with capture_logs() as said, journal.entry(0, SHA), journal.entry(0, OTHER):
        pass
    assert ["No space left on device" in line["problem"] for line in said] == [True]


def test_without_a_directory_there_is_no_journal() -> None:
    """Nothing is kept, nothing is said."""
    with Journal(None, 1).entry(0, SHA):
        pass
