"""What we tell nodes that join a group: that all frames which reached us before their status are answered."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from edge_worker.messages import CaughtUpMessage
from edge_worker.mqtt.message import Outgoing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from edge_worker.frames.queue import FrameQueue


@dataclass(frozen=True, slots=True)
class _Status:
    """The first status that came of a node in its run ``session``, and when: monotonic seconds."""

    session: str
    at: float


_Statuses = dict[str, _Status]
"""Of one node, by link."""


class CatchingUp:
    """The nodes that joined and wait to hear that we have caught up. Safe to call from any thread."""

    def __init__(
        self,
        node: str,
        topic: str,
        links: Collection[str],
        frame_queue: FrameQueue,
        *,
        publish: Callable[[Outgoing], object],
        is_standby: Callable[[], bool],
    ) -> None:
        """Speak for *node* on *topic*, unless another worker does; the frames of all groups come by *links*."""
        self._node, self._topic, self._links = node, topic, frozenset(links)
        self._frame_queue, self._publish, self._is_standby = frame_queue, publish, is_standby
        self._joining: dict[str, _Statuses] = {}
        self._lock = Lock()

    def joined(self, node: str, session: str, link: str, at: float) -> None:
        """Note that the status of *node* came by *link* *at* that time.

        The first one counts: between it and a repetition are frames that the node itself answers, once it was told.
        """
        with self._lock:
            statuses = self._joining.get(node, {})
            if link not in statuses or statuses[link].session != session:
                self._joining[node] = statuses | {link: _Status(session, at)}

    @property
    def pending(self) -> bool:
        """Whether somebody waits for frames that we have."""
        return bool(self._waiting())

    def send(self) -> None:
        """Tell those for whom nothing older is left here."""
        for node, statuses in self._waiting().items():
            if all(self._frame_queue.has_settled(link, status.at) for link, status in statuses.items()):
                self._send(node, statuses)

    def _waiting(self) -> dict[str, _Statuses]:
        """Return those whose run is known from all links: only then it is known which frames are older."""
        if self._is_standby():
            return {}
        with self._lock:
            return {node: statuses for node, statuses in self._joining.items() if self._are_of_one_run(statuses)}

    def _are_of_one_run(self, statuses: _Statuses) -> bool:
        return statuses.keys() == self._links and len({status.session for status in statuses.values()}) == 1

    def _send(self, node: str, statuses: _Statuses) -> None:
        with self._lock:
            if self._joining.get(node) != statuses:
                return  # it was told, or joins anew
            del self._joining[node]
        [session] = {status.session for status in statuses.values()}
        message = CaughtUpMessage(node=self._node, joined=node, session=session)
        self._publish(Outgoing(self._topic, message.to_json(), content_type="application/json", must_arrive=True))
