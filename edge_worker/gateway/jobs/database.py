"""The database of jobs. Call its methods only from the thread that made it; each change is one transaction."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from edge_worker.gateway.requests import Wanted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE job (id TEXT PRIMARY KEY, created REAL NOT NULL, expires REAL NOT NULL, model TEXT, wanted TEXT NOT NULL);
CREATE TABLE image (
    job TEXT NOT NULL REFERENCES job ON DELETE CASCADE, number INTEGER NOT NULL, filename TEXT NOT NULL,
    content_type TEXT NOT NULL, bytes INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'waiting', tries INTEGER NOT NULL
    DEFAULT 0, reason TEXT, detail TEXT, files TEXT NOT NULL DEFAULT '', PRIMARY KEY (job, number)
);
CREATE INDEX waiting ON image (number) WHERE state = 'waiting';
"""


@dataclass(frozen=True, slots=True)
class Order:
    """What a job should produce, and until when (epoch seconds) it is kept."""

    wanted: Wanted
    model: str | None
    created: float
    expires: float


@dataclass(frozen=True, slots=True)
class Uploaded:
    """An image as it came; its number is its place, from 1."""

    filename: str
    content_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """An image to be parsed, after ``tries`` attempts without an answer."""

    job: str
    number: int
    content_type: str
    tries: int
    wanted: Wanted
    model: str | None

    @property
    def key(self) -> tuple[str, int]:
        """Job and number, which identify it."""
        return self.job, self.number


class Database:
    """SQLite in WAL mode: what was reported as done survives a power cut."""

    def __init__(self, file: Path) -> None:
        """Open *file*, or make it, for its owner alone.

        Raises:
            OSError, sqlite3.Error: it cannot be used.
        """
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite gives its other files the same rights
        self._connection = sqlite3.connect(file)
        self._connection.row_factory = sqlite3.Row
        self._connection.text_factory = partial(str, encoding="utf-8", errors="replace")  # the disk may alter texts
        try:
            self._prepare()
        except sqlite3.Error:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._connection.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version = {_VERSION};COMMIT;")
        elif version != _VERSION:
            raise sqlite3.DatabaseError(f"it is of version {version}, not {_VERSION}: delete it")

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    def add(self, job: str, order: Order, images: Iterable[Uploaded]) -> None:
        """Add a job."""
        wanted = {**asdict(order.wanted), "images": sorted(order.wanted.images)}
        with self._connection as connection:
            connection.execute(
                "INSERT INTO job VALUES (?, ?, ?, ?, ?)",
                (job, order.created, order.expires, order.model, json.dumps(wanted)),
            )
            connection.executemany(
                "INSERT INTO image (job, number, filename, content_type, bytes) VALUES (?, ?, ?, ?, ?)",
                [(job, number, one.filename, one.content_type, one.size) for number, one in enumerate(images, 1)],
            )

    def delete(self, job: str) -> None:
        """Delete a job."""
        with self._connection as connection:
            connection.execute("DELETE FROM job WHERE id = ?", (job,))

    def jobs(self, expired_at: float = float("inf")) -> list[str]:
        """Return the ids of jobs expired at epoch *expired_at*; by default of all."""
        return [row["id"] for row in self._rows("SELECT id FROM job WHERE expires <= ?", expired_at)]

    def times(self, job: str) -> tuple[float, float] | None:
        """Return when a job was created and when it expires, epoch seconds."""
        rows = self._rows("SELECT created, expires FROM job WHERE id = ?", job)
        return next(((row["created"], row["expires"]) for row in rows), None)

    def images(self, job: str) -> Iterator[sqlite3.Row]:
        """Return the images of a job in their order."""
        return self._rows("SELECT * FROM image WHERE job = ? ORDER BY number", job)

    def answered(self) -> Iterator[sqlite3.Row]:
        """Return ``job`` and ``number`` of all images that no longer wait."""
        return self._rows("SELECT job, number FROM image WHERE state != 'waiting'")

    def total_bytes(self) -> int:
        """Bytes that all images and results take."""
        return int(next(self._rows("SELECT COALESCE(SUM(bytes), 0) AS total FROM image"))["total"])

    def next(self, busy: Collection[tuple[str, int]]) -> Waiting | None:
        """Return the next image that is not *busy*; jobs take turns, image by image."""
        rows = self._rows(
            "SELECT job, number, content_type, tries, wanted, model FROM image JOIN job ON job.id = job"
            " WHERE state = 'waiting' ORDER BY number, created LIMIT ?",
            len(busy) + 1,
        )
        row = next((row for row in rows if (row["job"], row["number"]) not in busy), None)
        return None if row is None else Waiting(**{**dict(row), "wanted": _wanted(row["wanted"])})

    def tried(self, image: Waiting) -> None:
        """Note that nobody answered."""
        self._change("tries = tries + 1", (), image)

    def parsed(self, image: Waiting, files: Iterable[str], size: int) -> bool:
        """Note the results; False if the image no longer waits, or its job was deleted."""
        return self._change("state = 'parsed', files = ?, bytes = ?", (" ".join(files), size), image)

    def failed(self, image: Waiting, reason: str, detail: str) -> bool:
        """Note the reason; returns as :meth:`parsed`."""
        return self._change("state = 'failed', reason = ?, detail = ?, bytes = 0", (reason, detail), image)

    def _change(self, what: str, values: tuple[object, ...], image: Waiting) -> bool:
        sql = f"UPDATE image SET {what} WHERE job = ? AND number = ? AND state = 'waiting'"  # noqa: S608 - our own text
        with self._connection as connection:
            return connection.execute(sql, (*values, *image.key)).rowcount > 0

    def _rows(self, sql: str, *values: object) -> Iterator[sqlite3.Row]:
        with closing(self._connection.execute(sql, values)) as cursor:
            return iter(cursor.fetchall())


def _wanted(text: str) -> Wanted:
    try:
        values = json.loads(text)
        return Wanted(frozenset(values["images"]), values["masks"], values["score_threshold"])
    except (ValueError, LookupError, TypeError) as error:
        raise sqlite3.DatabaseError("a job's row is damaged: delete the job, or the database") from error
