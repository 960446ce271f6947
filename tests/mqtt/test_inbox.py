"""The links' reports on their way to the router: bounded, in order, and never a trap."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from brokers import wait_until
from samples import make_incoming

from edge_worker.mqtt.events import Arrived, Published
from edge_worker.mqtt.inbox import Inbox

if TYPE_CHECKING:
    from edge_worker.mqtt.events import LinkEvent

SOON_S = 30.0


def arrived(size: int) -> Arrived:
    return Arrived("link", make_incoming("t", b"x" * size))


def put_aside(inbox: Inbox, *events: LinkEvent) -> Thread:
    """Report *events* from another thread, as a link does."""

    def report() -> None:
        for event in events:
            inbox.put(event)

    thread = Thread(target=report, daemon=True)
    thread.start()
    return thread


def test_a_flood_waits_outside() -> None:
    """A message more than the limit keeps its link waiting until one was read; order is kept, nothing is lost."""
    inbox, flood = Inbox(max_unread_bytes=10_000), [arrived(size) for size in range(4_000, 4_030)]
    link = put_aside(inbox, *flood)
    link.join(0.2)
    assert link.is_alive(), "nothing held the flood up"
    assert [inbox.get() for _ in flood] == flood
    link.join(SOON_S)
    assert not link.is_alive()


def test_a_message_larger_than_the_limit_is_taken_alone() -> None:
    """It would else never come."""
    inbox = Inbox(max_unread_bytes=10)
    large = arrived(1_000)
    inbox.put(large)
    assert inbox.get() == large


def test_empty_messages_fill_it_too() -> None:
    """Their wrapping takes memory."""
    inbox = Inbox(max_unread_bytes=10_000)
    link = put_aside(inbox, *(arrived(0) for _ in range(1_000)))
    link.join(0.2)
    assert link.is_alive()


@pytest.mark.parametrize(
    "fields",
    [
        {"properties": {"key": "v" * 10_000}},
        {"properties": {"k" * 10_000: ""}},
        {"correlation": b"x" * 10_000},
        {"response_topic": "t" * 10_000},
        {"content_type": "\U0001f600" * 2_500},
    ],
)
def test_all_that_comes_with_a_message_fills_it(fields: dict[str, Any]) -> None:
    """A message without payload may bring megabytes of properties."""
    inbox = Inbox(max_unread_bytes=10_000)
    inbox.put(Arrived("link", make_incoming("t", **fields)))
    link = put_aside(inbox, arrived(0))
    link.join(0.2)
    assert link.is_alive()


def test_news_never_waits() -> None:
    """The router itself reports the end of publications: waiting for itself, it would wait for ever."""
    inbox, news = Inbox(max_unread_bytes=1), Published("link", 1, ok=True)
    message = arrived(100)
    inbox.put(message)
    inbox.put(news)
    assert [inbox.get(), inbox.get()] == [message, news]


def test_a_closed_inbox_is_read_to_its_end() -> None:
    """Then the reader ends, and no link waits for a reader that is gone."""
    inbox, message = Inbox(max_unread_bytes=1), arrived(100)
    inbox.put(message)
    link = put_aside(inbox, message)
    inbox.close()
    wait_until(lambda: not link.is_alive(), "the link goes on")
    assert [inbox.get(), inbox.get(), inbox.get()] == [message, message, None]
