"""Acknowledgements leave in the order in which their messages came."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from links import EVERY, Client, Watched

from edge_worker.mqtt.ack_order import AckOrder

if TYPE_CHECKING:
    from collections.abc import Callable

    from brokers import Mosquitto

    from edge_worker.mqtt.message import Incoming


@given(st.permutations(range(1, 9)))
def test_whatever_is_settled_first_the_order_is_that_of_arrival(settled: list[int]) -> None:
    """Each as soon as all older ones are settled, and none is forgotten."""
    order = AckOrder()
    for mid in range(1, 9):
        order.arrived(mid)
    said: list[int] = []
    for count, mid in enumerate(settled, start=1):
        said += order.settle(mid)
        assert set(said) <= set(settled[:count])
        assert len(said) + 1 not in settled[:count]
    assert said == list(range(1, 9))


def test_a_number_is_used_again() -> None:
    """For a message that stands behind those which came meanwhile; and what never came is nobody's turn."""
    order = AckOrder()
    order.arrived(1)
    assert list(order.settle(1)) == [1]
    order.arrived(2)
    order.arrived(1)
    assert [*order.settle(1), *order.settle(7)] == []
    assert list(order.settle(2)) == [2, 1]


@pytest.mark.mosquitto
def test_a_broker_that_takes_acknowledgements_for_turns_keeps_the_order(
    make_mosquitto: Callable[..., Mosquitto], make_link: Callable[..., Watched]
) -> None:
    """Mosquitto before 2.0.13 swaps frames of one topic where acknowledgements are not in order."""
    broker = make_mosquitto("max_queued_messages 0")
    watched = make_link(broker.port, **{**EVERY, "receive_maximum": 20}, acks_in_order=True).ready()
    total, random = 4000, Random(1)  # noqa: S311 - to be repeated
    received: dict[str, list[int]] = {}
    unanswered: list[Incoming] = []
    with Client(broker.port) as camera:
        for number in range(total):
            camera._paho.publish(f"cameras/{number % 100}/frame", b"%d" % number, 1)
        while sum(map(len, received.values())) < total:
            while not unanswered or not watched._queue.empty():
                unanswered.append(watched.message())
                received.setdefault(unanswered[-1].topic, []).append(int(unanswered[-1].payload))
            for message in random.sample(unanswered, min(5, len(unanswered))):
                watched.acknowledge(message)
                unanswered.remove(message)
    assert all(numbers == sorted(numbers) for numbers in received.values())
