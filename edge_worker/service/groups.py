"""Cameras divided among the nodes of a group: which frames are ours, and what becomes of the others.

Every node receives every frame. Its owner by rendezvous hashing answers it, and tells so; in ``every`` mode the others
leave it unacknowledged until then, so that a frame is in a broker's queue as long as nobody has answered it.
Nodes join a group by the link that the frames come by: everything before a node's status there is older than its
subscription. They leave it by the control link, where nothing holds the news up. docs/architecture.md says why.
"""

from __future__ import annotations

import time
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Final

import structlog
from pydantic import ValidationError

from edge_worker.common import log_events
from edge_worker.common.topics import Template
from edge_worker.config.split import settle_s
from edge_worker.frames.acks import Verdict
from edge_worker.frames.rendezvous import ranking
from edge_worker.messages import AnsweredMessage
from edge_worker.service.links import ANSWERS, CONTROL
from edge_worker.service.peers import Peers, PeerStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_worker.config import Config
    from edge_worker.frames.frame import Frame
    from edge_worker.frames.queue import FrameQueue
    from edge_worker.mqtt.message import Incoming

UNANSWERED_S: Final = 600.0
"""A frame that its owner has not answered for so long goes to the next member, and so on: better twice than never."""

_NOBODY: Final[frozenset[str]] = frozenset()
_log = structlog.get_logger(__name__)


class Groups:
    """The groups of one worker. Safe to call from any thread."""

    def __init__(
        self,
        config: Config,
        frame_queue: FrameQueue,
        announce: Callable[[Frame], None],
        is_standby: Callable[[], bool] = lambda: False,
    ) -> None:
        """*announce* tells the other nodes once more that a frame is answered.

        *is_standby* says whether another worker runs under our node id, and answers our frames.
        """
        self._node, self._frame_queue, self._announce = config.node.id, frame_queue, announce
        self._is_standby = is_standby
        self._splits = [camera.split for camera in config.cameras]
        self._auto = {split.group for split in self._splits if split is not None and split.members == "auto"}
        self._keeps = [camera.keeps_for_others for camera in config.cameras]
        self._status = _any_node(config.node.status_topic)
        self._answered = _any_node(config.node.answered_topic)
        self._peers = Peers(settle_s=settle_s(config), grace_s=config.mqtt.keepalive_s)
        self._joined: dict[tuple[str, str], frozenset[str]] = {}  # the other members, by link and group
        self._told: dict[str, frozenset[str]] = {}
        self._lock = Lock()

    # -- frames -------------------------------------------------------------------------------------------------------

    def arrive(self, frame: Frame) -> None:
        """Take in a frame that arrived: it is queued, held for its owner, or left out. Called by the router."""
        split = self._splits[frame.source]
        if split is None:
            self._frame_queue.arrive(frame)
        elif self._keeps[frame.source]:
            link = frame.delivery.link if frame.delivery is not None else CONTROL
            with self._lock:
                members = self._joined.get((link, split.group), _NOBODY)
            claim = partial(self._is_ours, split.group, frame.camera, members, frame.arrived)
            if self._frame_queue.arrive(frame, claim) is Verdict.DONE and claim(time.monotonic()):
                self._announce(frame)  # a node that was started since knows nothing of the first of its name
        elif self._is_for_us(frame):
            self._frame_queue.arrive(frame)
        else:
            self._frame_queue.dismiss(frame.delivery)

    def _is_for_us(self, frame: Frame) -> bool:
        """Whether a frame that is not kept for others is ours."""
        split = self._splits[frame.source]
        if split is None or split.members == "auto":
            group = "" if split is None else split.group
            with self._lock:
                members = self._joined.get((CONTROL, group), _NOBODY)
            return self._is_ours(group, frame.camera, members, frame.arrived, time.monotonic())
        return ranking(frame.camera, split.members)[0] == self._node and not self._is_standby()

    def _is_ours(self, group: str, camera: str, members: frozenset[str], arrived: float, now: float) -> bool:
        """Whether a frame that *arrived* when there were these other *members* is ours: all owners are gone, if not."""
        with self._lock:
            present = members - self._peers.gone(group, members, now)
        owners = ranking(camera, {*present, self._node})
        turn = int((now - arrived) / UNANSWERED_S)
        return owners[turn % len(owners)] == self._node and (turn > 0 or not self._is_standby())

    # -- news ---------------------------------------------------------------------------------------------------------

    def take(self, link: str, message: Incoming) -> bool:
        """Take a message of another node; False where it is none. Called by the router."""
        if not self._auto:
            return False
        if link == ANSWERS:
            self._take_answer(message.payload)
            return True
        node = self._status.match(message.topic)
        if node is None or (node == self._node and link == CONTROL):
            return False
        if node != self._node:
            self._take_status(link, node, PeerStatus.read(message.payload))
        return True

    def connected(self, link: str, *, session_present: bool) -> None:
        """Take note that *link* is connected; without a session the statuses of all members are yet to come."""
        with self._lock:
            if not session_present:
                self._joined = {key: members for key, members in self._joined.items() if key[0] != link}
            if link == CONTROL:
                self._peers.reconnected(time.monotonic())

    def cut_off(self, link: str) -> None:
        """Take note that *link* is not connected."""
        if link == CONTROL:
            with self._lock:
                self._peers.cut_off(time.monotonic())

    def due_in_s(self) -> float:
        """Return when :meth:`look` has something to do, in seconds; infinite if nothing is foreseen."""
        with self._lock:
            return self._peers.due_in_s(time.monotonic())

    def look(self) -> None:
        """Take over what belonged to nodes that are gone. To be called every second or so, and when it is due."""
        if not self._auto:
            return
        self._frame_queue.claim_held()
        for group in sorted(self._auto):
            self._tell(group)

    def _tell(self, group: str) -> None:
        """Log who the members are, if that has changed."""
        with self._lock:
            joined = frozenset().union(*(members for (_, name), members in self._joined.items() if name == group))
            members = joined - self._peers.gone(group, joined, time.monotonic()) | {self._node}
        if self._told.get(group) != members:
            self._told[group] = members
            _log.info(log_events.GROUP_MEMBERS, group=group, members=sorted(members))

    def _take_status(self, link: str, node: str, status: PeerStatus) -> None:
        with self._lock:
            if link == CONTROL:
                self._peers.heard(node, status, time.monotonic())
            for group in self._auto:
                self._join_or_leave((link, group), node, status)
        if link == CONTROL:
            self.look()

    def _join_or_leave(self, key: tuple[str, str], node: str, status: PeerStatus) -> None:
        """Note whether *node* is a member from here on; one that is neither online nor offline stays what it was."""
        members = self._joined.get(key, _NOBODY)
        if status.state == "offline" or key[1] not in status.groups:
            self._joined[key] = members - {node}
        elif status.state == "online":
            self._joined[key] = members | {node}

    def _take_answer(self, payload: bytes) -> None:
        try:
            answer = AnsweredMessage.model_validate_json(payload)
        except ValidationError:
            return
        if answer.node != self._node or self._is_standby():
            self._frame_queue.answered(answer.camera, answer.frame_id)


def _any_node(topic: str) -> Template:
    """The topics of all nodes, whose one name in a topic is the node's."""
    return Template(topic.replace("{node}", "{camera}"))
