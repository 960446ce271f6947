"""Jobs on disk, where the disk says something else than was written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("fastapi", reason="the extra `web` is not installed")

from edge_worker.config import JobsConfig
from edge_worker.gateway.jobs.database import Order, Uploaded
from edge_worker.gateway.jobs.store import Store
from edge_worker.gateway.requests import Wanted

if TYPE_CHECKING:
    from pathlib import Path


def test_an_image_that_neither_can_be_read_nor_leaves_the_database_is_passed_over(tmp_path: Path) -> None:
    """A damaged database may keep a row as it is; the thread that all jobs need does not wait for it."""
    store = Store(tmp_path, JobsConfig())
    lost, whole = store.begin(), store.begin()
    for job in (lost, whole):
        store.upload(job, 1).write_bytes(b"image")
        order = Order(Wanted(), model=None, created=1.0 if job == lost else 2.0, expires=4e9)
        store.commit(job, order, [Uploaded("f", "image/jpeg", 5)])
    store.upload(lost, 1).unlink()
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite3")) as database:
        database.execute("CREATE TRIGGER stuck BEFORE UPDATE ON image BEGIN SELECT RAISE(IGNORE); END")
    taken = store.next(())
    assert taken is not None
    assert (taken[0].job, taken[1]) == (whole, b"image")
    store.close()


@pytest.mark.parametrize("wanted", [b"{", b"[]", b"\xff"])
def test_a_damaged_row_is_an_error_of_the_database(tmp_path: Path, wanted: bytes) -> None:
    """Which is told to whoever asks for jobs; nothing else is raised."""
    store = Store(tmp_path, JobsConfig())
    job = store.begin()
    store.upload(job, 1).write_bytes(b"image")
    store.commit(job, Order(Wanted(), model="m", created=1.0, expires=4e9), [Uploaded("f", "image/jpeg", 5)])
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite3")) as database, database:
        database.execute("UPDATE job SET wanted = CAST(? AS TEXT)", (wanted,))
    with pytest.raises(sqlite3.DatabaseError, match="damaged"):
        store.next(())
    store.close()
