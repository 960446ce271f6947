"""What we tell nodes that join a group: that all frames which reached us before their status are answered."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from edge_worker.messages import CaughtUpMessage
from edge_worker.mqtt.message import Outgoing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from edge_worker.frames.queue import FrameQueue


@dataclass(frozen=True, slots=True)
class _JoiningNode:
    """A node that joined, in its run *session*, and when its status came (monotonic seconds), by link."""

    node: str
    session: str
    arrivals: Mapping[str, float]


class CatchingUp:
    """The nodes that joined and wait to hear that we have caught up. Safe to call from any thread."""

    def __init__(
        self,
        node: str,
        topic: str,
        links: Collection[str],
        frame_queue: FrameQueue,
        publish: Callable[[Outgoing], object],
    ) -> None:
        """Speak for *node* on *topic*; the frames of all groups come by *links*."""
        self._node, self._topic, self._links = node, topic, frozenset(links)
        self._frame_queue, self._publish = frame_queue, publish
        self._joining: dict[str, _JoiningNode] = {}
        self._lock = Lock()

    def joined(self, node: str, session: str, link: str, at: float) -> None:
        """Note that the status of *node* came by *link* *at* that time."""
        with self._lock:
            known = self._joining.get(node)
            arrivals = known.arrivals if known is not None and known.session == session else {}
            self._joining[node] = _JoiningNode(node, session, {**arrivals, link: at})

    @property
    def pending(self) -> bool:
        """Whether somebody waits for frames that we have."""
        return bool(self._waiting())

    def send(self) -> None:
        """Tell those for whom nothing older is left here."""
        for joining in self._waiting():
            if all(self._frame_queue.has_settled(link, at) for link, at in joining.arrivals.items()):
                self._send(joining)

    def _waiting(self) -> tuple[_JoiningNode, ...]:
        """Return those whose status came by all links: only then it is known which frames are older."""
        with self._lock:
            return tuple(one for one in self._joining.values() if one.arrivals.keys() == self._links)

    def _send(self, joining: _JoiningNode) -> None:
        with self._lock:
            if self._joining.get(joining.node) != joining:
                return  # it was told, or joins anew
            del self._joining[joining.node]
        message = CaughtUpMessage(node=self._node, joined=joining.node, session=joining.session)
        self._publish(Outgoing(self._topic, message.to_json(), content_type="application/json", must_arrive=True))
