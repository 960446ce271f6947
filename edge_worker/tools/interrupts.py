"""Ends a tool the same way on Ctrl-C, by a service manager, or when the terminal closes."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edge_worker.common.platforms import signals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


@contextmanager
def until_interrupted() -> Iterator[None]:
    """Leave the ``with`` block normally on Ctrl-C, SIGTERM or SIGHUP."""

    def interrupt(_signum: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {signum: signal.signal(signum, interrupt) for signum in signals("SIGTERM", "SIGHUP")}
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
