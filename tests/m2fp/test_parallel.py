"""Independent pieces of work in threads."""

from __future__ import annotations

from threading import Barrier

import pytest

from edge_worker.m2fp.parallel import InThreads


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("length", [0, 1, 2, 50])
def test_results_come_in_order(count: int, length: int) -> None:
    """As from map, whoever did the work."""
    threads = InThreads(count)
    assert list(threads(str, range(length))) == [str(item) for item in range(length)]
    threads.close()


def test_threads_work_at_the_same_time() -> None:
    """Two items that wait for each other are both done."""
    together, threads = Barrier(2, timeout=20), InThreads(2)
    assert sorted(threads(lambda _: together.wait(), range(2))) == [0, 1]
    threads.close()


def test_an_error_is_raised() -> None:
    """What goes wrong with one item is not lost."""
    threads = InThreads(2)
    with pytest.raises(ZeroDivisionError):
        threads(lambda item: 1 // item, range(9))
    threads.close()
