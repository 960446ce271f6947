"""Files whole or not at all, directories that take none, and locks."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_worker.common.files import content_of, locked, problem_with, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator


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
    (tmp_path / "file.part").mkdir()  # not ours, and no reason to write nothing
    write_whole(tmp_path / "file.json", b"whole")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["file.json", "file.part", "other.part"]


@pytest.mark.timeout(60)
def test_what_has_no_end_is_not_read(tmp_path: Path) -> None:
    """Pipes and devices are refused without waiting for them, large files without taking memory for them."""
    pipe, large = tmp_path / "pipe", tmp_path / "large"
    os.mkfifo(pipe)
    large.write_bytes(b"x" * 11)
    for file in (pipe, Path("/dev/zero")):
        with pytest.raises(ValueError, match="no ordinary file"):
            content_of(file, 10)
    with pytest.raises(ValueError, match="more than 10 bytes"):
        content_of(large, 10)
    assert content_of(large, 11) == b"x" * 11


def test_a_directory_is_tried_before_it_is_needed(tmp_path: Path) -> None:
    """Made if need be, and left empty; what is wrong with it is said in the system's words."""
    assert problem_with(tmp_path / "new") is None
    assert [*(tmp_path / "new").iterdir()] == []
    (tmp_path / "file").touch()
    assert problem_with(tmp_path / "file") == "File exists"
    with full_disk(1000):
        assert problem_with(tmp_path / "new") == "File too large"


def test_a_lock_is_held_until_its_descriptor_is_closed(tmp_path: Path) -> None:
    """By one at a time, on a file or a directory; the file is nobody else's to read."""
    file = tmp_path / "file"
    for path, flags in ((file, os.O_RDWR | os.O_CREAT), (tmp_path, os.O_RDONLY | os.O_DIRECTORY)):
        first = locked(path, flags)
        with pytest.raises(BlockingIOError):
            locked(path, flags)
        os.close(first)
        os.close(locked(path, flags))
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_lock_that_is_refused_leaves_nothing_open(tmp_path: Path) -> None:
    """Who tries again and again does not run out of descriptors."""
    holder = locked(tmp_path, os.O_RDONLY)
    descriptors = Path("/proc/self/fd")
    before = set(descriptors.iterdir())
    with pytest.raises(BlockingIOError):
        locked(tmp_path, os.O_RDONLY)
    assert set(descriptors.iterdir()) == before
    os.close(holder)


def test_a_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    """A program that outlives its starter must not hold what that held."""
    holder = locked(tmp_path, os.O_RDONLY)
    command = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False) as child:
        assert child.stdout is not None
        assert child.stdout.readline(), "running: the kernel closes what is not inherited after Popen has returned"
        os.close(holder)
        os.close(locked(tmp_path, os.O_RDONLY))
        child.kill()


def test_what_is_not_there_cannot_be_locked(tmp_path: Path) -> None:
    """It is not made unasked."""
    with pytest.raises(FileNotFoundError):
        locked(tmp_path / "file", os.O_RDWR)
