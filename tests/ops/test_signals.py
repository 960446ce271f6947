"""Signals become orders, and only while somebody takes orders."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from queue import SimpleQueue

import pytest

from edge_worker.ops.signals import Order, signals_as_orders


@pytest.mark.parametrize(
    ("number", "order"),
    [
        (signal.SIGTERM, Order.STOP),
        (signal.SIGINT, Order.STOP),
        (signal.SIGUSR1, Order.RESTART),
        (signal.SIGHUP, Order.RELOAD),
    ],
)
def test_a_signal_is_an_order(number: signal.Signals, order: Order) -> None:
    """The handler only puts it into the queue."""
    orders: SimpleQueue[Order] = SimpleQueue()
    before = signal.getsignal(number)
    with signals_as_orders(orders):
        os.kill(os.getpid(), number)
        assert orders.get(timeout=30) is order
    assert signal.getsignal(number) is before


TWICE = """
import os, signal
from queue import SimpleQueue
from edge_worker.ops.signals import signals_as_orders
with signals_as_orders(SimpleQueue()):
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
"""


def test_the_second_signal_to_stop_forces() -> None:
    """An operator who asks twice does not want to wait for a frame; who started us sees that it was the signal."""
    assert subprocess.run([sys.executable, "-c", TWICE], check=False).returncode == -signal.SIGINT


def test_the_first_process_of_a_container_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel spares it its own signals; it exits with the code that a shell would show."""
    exits: list[int] = []
    monkeypatch.setattr(os, "_exit", exits.append)
    with signals_as_orders(SimpleQueue()):
        signal.raise_signal(signal.SIGTERM)
        monkeypatch.setattr(os, "kill", lambda _pid, _number: None)
        signal.raise_signal(signal.SIGTERM)
    assert exits == [128 + signal.SIGTERM]


def test_a_second_signal_that_comes_when_all_is_done_changes_nothing() -> None:
    """An idle worker stops in a moment: the second Ctrl-C may find the interpreter ending, whose exit code stays 0."""
    program = (
        "import os, signal\n"
        "from queue import SimpleQueue\n"
        "from edge_worker.ops.signals import signals_as_orders\n"
        "with signals_as_orders(SimpleQueue(), ends_process=True):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
