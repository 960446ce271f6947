"""The worker's retained messages about itself: its state, and the model it runs; and how the state is judged."""

from __future__ import annotations

import math
import time
from collections import deque
from threading import Lock
from typing import TYPE_CHECKING

import structlog

from edge_worker.common import log_events
from edge_worker.mqtt.message import Outgoing, Will
from edge_worker.service.duplicate_nodes import ASK_S, DuplicateNodes
from edge_worker.service.lifecycle import Judgement, Lifecycle, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_worker.inference.types import ModelCardFacts
    from edge_worker.messages import Message
    from edge_worker.mqtt.message import Incoming
    from edge_worker.mqtt.status import LinkStatus
    from edge_worker.pool import PoolState
    from edge_worker.service.stats import Reporter

_JSON = "application/json"
RESTORE_S = 5.0  # between two attempts to restore our status: two workers of one name must not flood the broker
_REMEMBERED = 8  # statuses of our own whose echo may still be on its way
_ECHO_S = 30.0

_log = structlog.get_logger(__name__)


def judge(
    present: State,
    pool: PoolState,
    links: Mapping[str, LinkStatus],
    duplicate_nodes: str = "",
    *,
    is_standby: bool = False,
) -> Judgement:
    """Judge by its parts which state a running worker is in.

    *duplicate_nodes* tells of other workers with its node id, *is_standby* whether it leaves its cameras to one of
    them. Until it was online for the first time it is loading rather than degraded, unless something has failed.
    """
    trouble = "; ".join(f"{name}: {link.trouble}" for name, link in links.items() if link.trouble)
    if not pool.ready:
        reason, failed = ("model_loading", False) if pool.loading else ("model_restarting", True)
        detail = pool.detail
    elif not all(link.connected for link in links.values()):
        reason, detail, failed = "disconnected", trouble, bool(trouble)
    elif not all(link.subscribed for link in links.values()):
        reason, detail, failed = "subscribing", trouble, bool(trouble)
    elif conflicts := "; ".join(f"{name}: {link.conflict}" for name, link in links.items() if link.conflict):
        reason, detail, failed = "contested", conflicts, True
    elif is_standby:
        reason, detail, failed = "contested", duplicate_nodes, True
    elif withheld := "; ".join(f"{name}: {link.withheld}" for name, link in links.items() if link.withheld):
        reason, detail, failed = "refused", f"the broker refuses messages: {withheld}", True
    else:
        return Judgement(State.ONLINE, "contested", duplicate_nodes) if duplicate_nodes else Judgement(State.ONLINE)
    first = present in {State.STARTING, State.LOADING}
    return Judgement(State.LOADING if first and not failed else State.DEGRADED, reason, detail)


class NodeStatus:
    """Keeps the retained status and model card on the broker up to date. Safe to call from any thread."""

    def __init__(
        self,
        reporter: Reporter,
        *,
        status_topic: str,
        model_topic: str,
        retain: bool = True,
        publish: Callable[[Outgoing], object],
        on_change: Callable[[Judgement], None],
    ) -> None:
        """*on_change* is told every change of state, after it was published; *publish* must not call back."""
        self._reporter = reporter
        self._status_topic, self._model_topic = status_topic, model_topic
        self._retains, self._publish, self._on_change = retain, publish, on_change
        self._published: deque[tuple[bytes, float]] = deque(maxlen=_REMEMBERED)
        self._restored_at, self._must_restore = -math.inf, False
        self._will = b""
        self._duplicate_nodes = DuplicateNodes(reporter.node, reporter.session)
        self._warned_at = self._asked_at = -math.inf
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

    @property
    def duplicate_nodes(self) -> str:
        """Description of other workers with our node id; empty while there are none."""
        return self._duplicate_nodes.explanation(time.monotonic())

    def is_standby(self) -> bool:
        """Whether another worker with our node id goes on instead of this one, which then leaves the topic to it."""
        return self._duplicate_nodes.is_standby(time.monotonic())

    def will(self) -> Will:
        """The last will: what the broker publishes when this worker is lost."""
        lost = self._reporter.status(Judgement(State.OFFLINE, "lost"), self._since)
        self._will = lost.to_json()
        return Will(self._status_topic, self._will, retain=self._retains)

    def move(self, judgement: Judgement) -> None:
        """Enter a state, and publish it if it is new."""
        self._lifecycle.move(judgement)

    def show(self, card: ModelCardFacts) -> bool:
        """Publish *card* unless it is shown already; returns whether it was new."""
        with self._lock:
            changed, self._card = card != self._card, card
        if changed:
            self._publish_card()
        return changed

    def repeat(self) -> None:
        """Publish all again: the broker may have forgotten, or told others that we are lost."""
        self._publish_status()
        self._publish_card()

    def restore(self, found: bytes) -> None:
        """Publish all again because the topic holds *found* instead; not more often than every ``RESTORE_S``.

        It is logged as often at most: somebody may overwrite it many times a second. Our own will is not logged:
        Mosquitto publishes it to us when it stops. Of several workers with our name, one keeps the topic.
        """
        now, known = time.monotonic(), self.duplicate_nodes
        is_duplicate = self._duplicate_nodes.heard(found, now)
        if is_duplicate and self.duplicate_nodes != known and now - self._warned_at >= RESTORE_S:
            self._warned_at = now
            _log.warning(log_events.NODE_ID_TAKEN, detail=self.duplicate_nodes, standby=self.is_standby())
        if self.is_standby():
            return
        if found != self._will and not is_duplicate and not self._must_restore:
            _log.warning(log_events.STATUS_CONTRADICTED)
        self._must_restore = True
        self.restore_when_due()

    def restore_when_due(self) -> None:
        """Publish what :meth:`restore` had to put off; on standby, ask whether the other is still there."""
        now = time.monotonic()
        if self._duplicate_nodes.is_standby(now) and now - self._asked_at >= ASK_S:
            self._asked_at = now
            self._publish_status()
        if self._must_restore and now - self._restored_at >= RESTORE_S:
            self._must_restore, self._restored_at = False, now
            self.repeat()

    def contradicts(self, message: Incoming) -> bool | None:
        """Whether *message* leaves something else on our status topic than our latest; None if it is on another topic.

        A will that came late, another program, or somebody who deleted what is retained. What the broker had retained
        when we subscribed is older, and replaced as soon as our own arrives.
        """
        if message.topic != self._status_topic:
            return None
        if message.retained or self.state is State.OFFLINE:
            return False
        with self._lock:
            earlier = [payload for payload, at in self._published if time.monotonic() - at < _ECHO_S]
            latest = self._published[-1][0] if self._published else b""
        return message.payload != latest and message.payload not in earlier

    def _changed(self, old: Judgement, new: Judgement) -> None:
        if new.state is not old.state:
            self._since = time.time()
        _log.info(log_events.STATE, old=old.state.value, new=new.state.value, reason=new.reason, detail=new.detail)
        if not self.is_standby():
            self._publish_status()
        self._on_change(new)

    def _publish_status(self) -> None:
        with self._lock:
            status = self._reporter.status(self.present, self._since)
            self._published.append((status.to_json(), time.monotonic()))
            self._retain(self._status_topic, status)

    def _publish_card(self) -> None:
        with self._lock:
            if self._card is not None:
                self._retain(self._model_topic, self._reporter.card(self._card))

    def _retain(self, topic: str, message: Message) -> None:
        self._publish(Outgoing(topic, message.to_json(), retain=self._retains, content_type=_JSON))
