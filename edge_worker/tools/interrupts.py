"""Ending a tool: by Ctrl-C, by a service manager, or by closing the terminal, always the same way."""

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
    """Run what is inside until Ctrl-C, SIGTERM or SIGHUP, which end it as if it had come to its end."""

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
