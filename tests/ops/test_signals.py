"""Signals become orders, and only while somebody takes orders."""

from __future__ import annotations

import os
import signal
from queue import SimpleQueue

import pytest

from edge_worker.ops.signals import Order, signals_as_orders


@pytest.mark.parametrize(
    ("number", "order"),
    [(signal.SIGTERM, Order.STOP), (signal.SIGINT, Order.STOP), (signal.SIGHUP, Order.RELOAD)],
)
def test_a_signal_is_an_order(number: signal.Signals, order: Order) -> None:
    """The handler only puts it into the queue."""
    orders: SimpleQueue[Order] = SimpleQueue()
    before = signal.getsignal(number)
    with signals_as_orders(orders):
        os.kill(os.getpid(), number)
        assert orders.get(timeout=5) is order
    assert signal.getsignal(number) is before


def test_the_second_signal_to_stop_forces(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator who asks twice does not want to wait for a frame."""
    exits: list[int] = []
    monkeypatch.setattr(os, "_exit", exits.append)
    with signals_as_orders(SimpleQueue()):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    assert exits == [128 + signal.SIGINT]
