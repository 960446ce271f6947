"""The worker's retained messages about itself: its state, and the model it runs; and how the state is judged."""

from __future__ import annotations

import json
import time
from threading import Lock
from typing import TYPE_CHECKING

import structlog

from edge_worker.common import log_events
from edge_worker.mqtt.events import Outgoing, Will
from edge_worker.service.lifecycle import Judgement, Lifecycle, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_worker.inference.types import ModelCardFacts
    from edge_worker.messages import Message
    from edge_worker.mqtt.events import Incoming, LinkStatus
    from edge_worker.pool import PoolState
    from edge_worker.service.stats import Reporter

_JSON = "application/json"
_MAX_STATUS_BYTES = 65_535  # of a will, which is what may contradict us

_log = structlog.get_logger(__name__)


def judge(present: State, pool: PoolState, links: Mapping[str, LinkStatus]) -> Judgement:
    """Judge by its parts which state a running worker is in.

    Until it was online for the first time it is loading rather than degraded, unless something has failed.
    """
    trouble = "; ".join(f"{name}: {link.trouble}" for name, link in links.items() if link.trouble)
    if not pool.ready:
        reason, failed = ("model_loading", False) if pool.loading else ("model_restarting", True)
        detail = pool.detail
    elif not all(link.connected for link in links.values()):
        reason, detail, failed = "disconnected", trouble, bool(trouble)
    elif not all(link.subscribed for link in links.values()):
        reason, detail, failed = "subscribing", trouble, bool(trouble)
    elif rivals := "; ".join(f"{name}: {link.rival}" for name, link in links.items() if link.rival):
        reason, detail, failed = "contested", rivals, True
    elif withheld := "; ".join(f"{name}: {link.withheld}" for name, link in links.items() if link.withheld):
        reason, detail, failed = "refused", f"the broker refuses messages: {withheld}", True
    else:
        return Judgement(State.ONLINE)
    first = present in {State.STARTING, State.LOADING}
    return Judgement(State.LOADING if first and not failed else State.DEGRADED, reason, detail)


class NodeStatus:
    """Keeps the retained status and model card on the broker true. Safe to call from any thread."""

    def __init__(
        self,
        reporter: Reporter,
        *,
        status_topic: str,
        model_topic: str,
        publish: Callable[[Outgoing], object],
        on_change: Callable[[Judgement], None],
    ) -> None:
        """*on_change* is told every change of state, after it was published; *publish* must not call back."""
        self._reporter = reporter
        self._status_topic, self._model_topic = status_topic, model_topic
        self._publish, self._on_change = publish, on_change
        self._lock = Lock()  # held from reading to publishing: what is published last is what is true last
        self._since = time.time()
        self._card: ModelCardFacts | None = None
        self._lifecycle = Lifecycle(self._changed)

    @property
    def present(self) -> Judgement:
        """The present state, and why."""
        return self._lifecycle.present

    @property
    def state(self) -> State:
        """The present state."""
        return self.present.state

    def will(self) -> Will:
        """What the broker is to say when this worker is lost."""
        lost = self._reporter.status(Judgement(State.OFFLINE, "lost"), self._since)
        return Will(self._status_topic, lost.to_json())

    def move(self, judgement: Judgement) -> None:
        """Enter a state, and say so if that is news."""
        self._lifecycle.move(judgement)

    def show(self, card: ModelCardFacts) -> bool:
        """Publish *card* unless it is shown already; returns whether it was news."""
        with self._lock:
            news, self._card = card != self._card, card
        if news:
            self._publish_card()
        return news

    def repeat(self) -> None:
        """Publish all again: the broker may have forgotten, or told others that we are lost."""
        self._publish_status()
        self._publish_card()

    def contradicts(self, message: Incoming) -> bool | None:
        """Whether *message* says that this worker, which is alive, is offline; None where it is no status of ours.

        What the broker had retained when we subscribed is of an earlier time, and replaced as soon as we are heard.
        """
        if message.topic != self._status_topic:
            return None
        if message.retained or len(message.payload) > _MAX_STATUS_BYTES:
            return False
        try:
            said = json.loads(message.payload)
        except (ValueError, RecursionError):
            said = None
        says_offline = isinstance(said, dict) and said.get("state") == State.OFFLINE.value
        return says_offline and self.state is not State.OFFLINE

    def _changed(self, old: Judgement, new: Judgement) -> None:
        if new.state is not old.state:
            self._since = time.time()
        _log.info(log_events.STATE, old=old.state.value, new=new.state.value, reason=new.reason, detail=new.detail)
        self._publish_status()
        self._on_change(new)

    def _publish_status(self) -> None:
        with self._lock:
            self._retain(self._status_topic, self._reporter.status(self.present, self._since))

    def _publish_card(self) -> None:
        with self._lock:
            if self._card is not None:
                self._retain(self._model_topic, self._reporter.card(self._card))

    def _retain(self, topic: str, message: Message) -> None:
        self._publish(Outgoing(topic, message.to_json(), retain=True, content_type=_JSON))
