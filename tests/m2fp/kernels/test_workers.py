"""Threads that share the work of one operation."""

from __future__ import annotations

import time
from threading import Barrier, Event, Lock, get_ident

import pytest

from edge_worker.m2fp.kernels.workers import Workers


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("length", [1, 7, 100])
def test_everything_is_done_once(count: int, length: int) -> None:
    """Pieces cover the whole length, each place in one of them."""
    done, lock = [0] * length, Lock()

    def work(begin: int, end: int) -> None:
        with lock:
            done[begin:end] = [one + 1 for one in done[begin:end]]

    Workers(count).share(work, length)
    assert done == [1] * length


def test_pieces_are_of_a_size_that_is_worth_it() -> None:
    """None is smaller than asked for, but for the last, as long as every thread has one."""
    sizes: list[int] = []
    Workers(2).share(lambda begin, end: sizes.append(end - begin), 100, least=24)
    assert sorted(sizes) == [25, 25, 25, 25]
    sizes.clear()
    Workers(2).share(lambda begin, end: sizes.append(end - begin), 100, least=1000)
    assert sorted(sizes) == [50, 50]


def test_every_thread_takes_part_every_time() -> None:
    """Each of three pieces waits until the others have begun: threads that waited for work are all woken."""
    workers, together = Workers(3), Barrier(3)
    for _ in range(5):
        seen: set[int] = set()

        def work(begin: int, end: int, seen: set[int] = seen) -> None:
            del begin, end
            together.wait(timeout=10)
            seen.add(get_ident())

        workers.share(work, 3, least=1)
        assert len(seen) == 3


def test_a_failure_comes_after_all_have_stopped() -> None:
    """What work raises is raised, and nobody goes on with arrays that may be gone then, whoever failed first."""
    workers = Workers(3)
    for _ in range(10):
        running, finished = Barrier(3), Event()

        def work(begin: int, end: int, running: Barrier = running, finished: Event = finished) -> None:
            del end
            running.wait(timeout=10)
            if begin < 2:
                raise MemoryError
            time.sleep(0.05)
            finished.set()

        with pytest.raises(MemoryError):
            workers.share(work, 3)
        assert finished.is_set()
