"""Signals as orders to the main loop: a handler only puts an order into a queue."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING

from edge_worker.common.platforms import signals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from queue import SimpleQueue
    from types import FrameType


class Order(Enum):
    """An order to the main loop."""

    CHECK = "check what has changed"
    RELOAD = "read the configuration again"
    STOP = "stop"
    RESTART = "stop, to be started again at once"


@contextmanager
def signals_as_orders(orders: SimpleQueue[Order], *, ends_process: bool = False) -> Iterator[None]:
    """Turn SIGTERM and SIGINT into orders to stop, SIGUSR1 into one to restart, SIGHUP into one to reload.

    The old handlers are restored afterwards, unless the process then ends (*ends_process*): another signal would only
    change the exit code. During a stop, a second signal to stop ends the process at once, by that signal:
    unacknowledged frames will be redelivered. Orders go into a queue because a SimpleQueue is reentrant; the lock of an
    Event could be held by the interrupted code.
    """
    stopping = False

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        if stopping:
            _end_by(number)
        stopping = True
        orders.put(Order.RESTART if number in to_restart else Order.STOP)

    def reload(_number: int, _frame: FrameType | None) -> None:
        orders.put(Order.RELOAD)

    to_restart = signals("SIGUSR1")
    stoppers = (*signals("SIGTERM", "SIGINT"), *to_restart)
    handlers = dict.fromkeys(stoppers, stop) | dict.fromkeys(signals("SIGHUP"), reload)
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if ends_process else handler)


def _end_by(number: int) -> None:
    """End this process by signal *number*, so that its parent can tell this from an exit.

    For systemd, an end by SIGTERM or SIGINT is clean and exit code 143 a failure; a shell shows 143 for both.
    The kernel does not deliver such signals to process 1 of a container, which exits instead.
    """
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)
