"""Files whole or not at all, and directories that take none."""

from __future__ import annotations

import resource
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from edge_worker.files import problem_with, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def full_disk(max_bytes: int) -> Iterator[None]:
    """Let no file grow past *max_bytes*, as on a disk that has no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """In a directory that was not there; drafts are gone."""
    file = tmp_path / "new" / "file"
    for content in (b"longer", b"short"):
        write_whole(file, content)
        assert file.read_bytes() == content
    assert [found.name for found in file.parent.iterdir()] == ["file"]


def test_a_full_disk_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    """What was there stays."""
    file = tmp_path / "file"
    write_whole(file, b"old")
    with full_disk(1000), pytest.raises(OSError, match="too large"):
        write_whole(file, bytes(10_000))
    assert file.read_bytes() == b"old"
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_drafts_of_killed_writers_do_not_pile_up(tmp_path: Path) -> None:
    """Whoever writes the file next removes them; those of other files are none of its business."""
    for name in ("file8x2k.part", "file_0az.part", "other.part"):
        (tmp_path / name).write_bytes(b"half")
    write_whole(tmp_path / "file.json", b"whole")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["file.json", "other.part"]


def test_a_directory_is_tried_before_it_is_needed(tmp_path: Path) -> None:
    """Made if need be, and left empty; what is wrong with it is said in the system's words."""
    assert problem_with(tmp_path / "new") is None
    assert [*(tmp_path / "new").iterdir()] == []
    (tmp_path / "file").touch()
    assert problem_with(tmp_path / "file") == "File exists"
    with full_disk(1000):
        assert problem_with(tmp_path / "new") == "File too large"
