"""Jobs on disk: the database, and the images and results beside it. Only one thread calls it."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from edge_worker.common.files import locked, write_whole
from edge_worker.common.timestamps import rfc3339
from edge_worker.gateway.jobs.database import Database, Order, Uploaded, Waiting
from edge_worker.gateway.jobs.documents import JobDocument, JobImage
from edge_worker.gateway.problems import Problem

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from edge_worker.config import JobsConfig

_DATABASE: Final = "jobs.sqlite3"
_FULL_S: Final = 60
_MAX_DETAIL: Final = 500


class Store:
    """A directory of jobs, bounded in their number and in bytes, uploads in progress among them.

    Methods raise ``OSError`` and ``sqlite3.Error`` where the disk fails.
    """

    def __init__(self, directory: Path, limits: JobsConfig) -> None:
        """Open *directory*, creating it if needed, and delete leftovers of killed uploads.

        Raises:
            BlockingIOError: another gateway uses it.
        """
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory, self._max_jobs, self._max_bytes = directory, limits.max_jobs, int(limits.max_mb * 1e6)
        self._uploads: dict[str, int] = {}  # bytes received so far
        self._lock = locked(directory / "lock", os.O_RDWR | os.O_CREAT)
        try:
            self._database = Database(directory / _DATABASE)
            self._tidy()
            self._stored = self._database.total_bytes()
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Release it."""
        self._database.close()
        os.close(self._lock)

    def _tidy(self) -> None:
        known = set(self._database.jobs())
        for folder in self._directory.iterdir():
            if folder.is_dir() and folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)
        for row in self._database.answered():
            self.upload(row["job"], row["number"]).unlink(missing_ok=True)

    # -- uploads

    def begin(self) -> str:
        """Make room for a new job; returns its id.

        Raises:
            Problem: ``too_many_requests``: the limit is reached.
        """
        if len(self._database.jobs()) + len(self._uploads) >= self._max_jobs:
            detail = f"{self._max_jobs} jobs are kept already: delete one, or wait until one expires"
            raise Problem("too_many_requests", detail, retry_after_s=_FULL_S)
        job = secrets.token_hex(16)
        (self._directory / job).mkdir(mode=0o700)
        self._uploads[job] = 0
        return job

    def upload(self, job: str, number: int) -> Path:
        """Where an image is kept until it is answered."""
        return self._directory / job / str(number)

    def reserve(self, job: str, size: int) -> None:
        """Take room for *size* more bytes of an upload.

        Raises:
            Problem: ``too_big``: it exceeds the limit of all jobs; ``too_many_requests``: there is no room now.
        """
        if self._uploads[job] + size > self._max_bytes:
            raise Problem("too_big", f"more than {self._max_bytes} bytes: gateway.jobs.max_mb")
        if not self._fits(size):
            detail = "there is no room for more images of jobs (gateway.jobs.max_mb): delete a job, or try again later"
            raise Problem("too_many_requests", detail, retry_after_s=_FULL_S)
        self._uploads[job] += size

    def commit(self, job: str, order: Order, images: Collection[Uploaded]) -> JobDocument:
        """Make an upload, whose files are on disk, a job."""
        _sync(self._directory / job)
        _sync(self._directory)
        self._database.add(job, order, images)
        self._stored += self._uploads.pop(job)
        return self.document(job)

    def abandon(self, job: str) -> None:
        """Delete an upload."""
        self._uploads.pop(job, None)
        shutil.rmtree(self._directory / job, ignore_errors=True)

    def _fits(self, size: int) -> bool:
        return self._stored + sum(self._uploads.values()) + size <= self._max_bytes

    # -- work

    def next(self, busy: Collection[tuple[str, int]]) -> tuple[Waiting, bytes] | None:
        """Return the next image and its bytes; None if none waits but those *busy*."""
        passed = set(busy)
        while (image := self._database.next(passed)) is not None:
            with suppress(FileNotFoundError):
                return image, self.upload(*image.key).read_bytes()
            self.fail(image, "no_storage", "the image is no longer on the disk")
            passed.add(image.key)  # in a damaged database it may go on waiting
        return None

    def tried(self, image: Waiting) -> None:
        """Note that nobody answered."""
        self._database.tried(image)

    def keep(self, image: Waiting, files: Mapping[str, bytes]) -> None:
        """Replace an image by its results, unless its job was deleted meanwhile."""
        folder, size = self._directory / image.job, sum(map(len, files.values()))
        if not folder.is_dir():
            return
        if not self._fits(size):
            self.fail(image, "too_big", "there is no room for the result: gateway.jobs.max_mb")
            return
        for name, content in files.items():
            write_whole(folder / f"{image.number}.{name}", content)
        _sync(folder)
        self._database.parsed(image, files, size)
        self._answered(image)

    def fail(self, image: Waiting, reason: str, detail: str) -> None:
        """Keep the reason why there are no results."""
        self._database.failed(image, reason, detail[:_MAX_DETAIL])
        self._answered(image)

    def _answered(self, image: Waiting) -> None:
        self.upload(*image.key).unlink(missing_ok=True)
        self._stored = self._database.total_bytes()

    def delete(self, job: str) -> None:
        """Delete a job and everything of it, its files first: on a full disk the database needs their room.

        Raises:
            Problem: ``not_found``, as in the methods below.
        """
        if self._database.times(job) is None:
            raise _unknown()
        shutil.rmtree(self._directory / job, ignore_errors=True)
        self._database.delete(job)
        self._stored = self._database.total_bytes()

    def expire(self, now: float) -> None:
        """Delete the jobs that have expired at epoch *now*."""
        for job in self._database.jobs(now):
            self.delete(job)

    # -- reports

    def document(self, job: str) -> JobDocument:
        """Describe a job."""
        times = self._database.times(job)
        if times is None:
            raise _unknown()
        images = [_image(row) for row in self._database.images(job)]
        count = {state: sum(image.state == state for image in images) for state in ("waiting", "parsed", "failed")}
        return JobDocument(
            id=job,
            state="running" if count["waiting"] else "done",
            created_at=rfc3339(times[0]),
            expires_at=rfc3339(times[1]),
            total=len(images),
            parsed=count["parsed"],
            failed=count["failed"],
            images=images,
        )

    def result(self, job: str, number: int, name: str) -> Path:
        """Where a file is kept, once it is there."""
        return self._directory / job / f"{number}.{name}"

    def read(self, job: str, number: int, name: str) -> bytes:
        """Read a result."""
        try:
            return self.result(job, number, name).read_bytes()
        except FileNotFoundError:
            raise Problem("not_found", "there is no such file, or not yet: the job's document lists them") from None


def _unknown() -> Problem:
    return Problem("not_found", "no such job; it may have expired")


def _image(row: sqlite3.Row) -> JobImage:
    names = ("number", "filename", "state", "reason", "detail")
    return JobImage(**{name: row[name] for name in names}, files=row["files"].split())


def _sync(directory: Path) -> None:
    """Write the names in *directory* to the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
