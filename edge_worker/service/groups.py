"""Cameras divided among the nodes of a group: which frames are ours, and what happens to the others.

Every node receives every frame. Its owner by rendezvous hashing answers it, and says so; in ``every`` mode the others
leave it unacknowledged until then, so that a frame is in a broker's queue as long as nobody has answered it.
Nodes join a group by the link that the frames come by: everything before a node's status there is older than its
subscription. They leave it by the control link, where nothing delays the news, and are members again with their next
status among the frames. docs/architecture.md says why.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
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
from edge_worker.messages import AnsweredMessage, CaughtUpMessage
from edge_worker.service.catching_up import CatchingUp
from edge_worker.service.joining import Joining
from edge_worker.service.links import ANSWERS, CONTROL, link_name
from edge_worker.service.peers import Members, Peers, PeerStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_worker.config import Config
    from edge_worker.config.cameras import SplitConfig
    from edge_worker.frames.frame import Frame
    from edge_worker.frames.queue import FrameQueue
    from edge_worker.mqtt.message import Incoming, Outgoing
    from edge_worker.service.joining import Place

UNANSWERED_S: Final = 600.0
"""A frame that its owner has not answered for this long goes to the next member, and so on: better twice than never."""
_MAX_ANSWER_BYTES: Final = 2048
"""A node's name has 64 characters at most, a camera's and a frame's have 128; thousands are remembered."""
_CATCHING_UP_S: Final = 0.1
"""Between two checks of whether a node that joined can be told that we caught up."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Arrival:
    """What decides whose a frame is: when it came, who the other members were then, and whether we were one."""

    place: Place
    camera: str
    at: float
    members: Members
    others: frozenset[str]
    is_member: bool


class Groups:
    """The groups of one worker. Safe to call from any thread."""

    def __init__(
        self,
        config: Config,
        frame_queue: FrameQueue,
        *,
        announce: Callable[[Frame], None],
        session: str,
        publish: Callable[[Outgoing], object],
        is_standby: Callable[[], bool] = lambda: False,
    ) -> None:
        """*announce* tells the other nodes once more that a frame is answered; *session* names this run of ours.

        *is_standby* says whether another worker runs under our node id, and answers our frames.
        """
        self._node, self._session, self._frame_queue = config.node.id, session, frame_queue
        self._announce, self._is_standby = announce, is_standby
        self._splits = [camera.split for camera in config.cameras]
        self._auto = {split.group for split in self._splits if split is not None and split.members == "auto"}
        self._keeps = [camera.keeps_for_others for camera in config.cameras]
        self._status = _any_node(config.node.status_topic)
        self._peers = Peers(settle_s=settle_s(config), grace_s=config.mqtt.keepalive_s)
        self._members: dict[Place, Members] = {}
        self._joining = Joining(limit_s=UNANSWERED_S)
        self._frame_links = {link_name(camera) for camera in config.cameras if camera.keeps_for_others}
        answered_topic = Template(config.node.answered_topic, node=self._node).format()
        self._catching_up = CatchingUp(
            self._node, answered_topic, self._frame_links, frame_queue, publish=publish, is_standby=is_standby
        )
        self._logged_members: dict[str, frozenset[str]] = {}
        self._lock = Lock()

    # -- frames -------------------------------------------------------------------------------------------------------

    def arrive(self, frame: Frame) -> None:
        """Take in a frame that arrived: it is queued, held for its owner, or left out. Called by the router."""
        split = self._splits[frame.source]
        if split is None:
            self._frame_queue.arrive(frame)
        elif self._keeps[frame.source] and frame.delivery is not None:
            claim = partial(self._is_ours, self._arrival((frame.delivery.link, split.group), frame))
            if self._frame_queue.arrive(frame, claim) is Verdict.DONE and claim(time.monotonic()):
                self._announce(frame)  # a node started since does not know the first answer
        elif self._is_for_us(frame, split):
            self._frame_queue.arrive(frame)
        else:
            self._frame_queue.dismiss(frame.delivery)

    def _is_for_us(self, frame: Frame, split: SplitConfig) -> bool:
        """Whether a frame that is not kept for others is ours."""
        if split.members == "auto":
            return self._is_ours(self._arrival((CONTROL, split.group), frame), time.monotonic())
        return ranking(frame.camera, split.members)[0] == self._node and not self._is_standby()

    def _arrival(self, place: Place, frame: Frame) -> _Arrival:
        with self._lock:
            members = self._members.setdefault(place, Members())
            others = frozenset[str]() if self._joining.is_in_past(place[0]) else members.nodes
            is_member = not self._joining.is_outside(place[0])
            if is_member:
                self._joining.joined(place, others, frame.arrived)
            return _Arrival(place, frame.camera, frame.arrived, members, others, is_member)

    def _is_ours(self, arrival: _Arrival, now: float) -> bool:
        """Whether a frame is for us to answer, now that its owners may be gone."""
        place = arrival.place
        with self._lock:
            present = self._present(place[1], frozenset() if arrival.members.forgotten else arrival.others, now)
            must_wait = bool(self._present(place[1], self._joining.awaited(place, now), now))
        turn = int((now - arrival.at) / UNANSWERED_S)  # of its owners, one after the other
        counts = arrival.is_member or not present or turn > 0
        owners = ranking(arrival.camera, {*present, self._node} if counts else present)
        return owners[turn % len(owners)] == self._node and (turn > 0 or not (must_wait or self._is_standby()))

    def _present(self, group: str, nodes: frozenset[str], now: float) -> frozenset[str]:
        return nodes - self._peers.gone(group, nodes, now)

    # -- events -------------------------------------------------------------------------------------------------------

    def take(self, link: str, message: Incoming) -> bool:
        """Take a message of another node; False where it is none. Called by the router."""
        if not self._auto:
            return False
        if link == ANSWERS:
            if len(message.payload) <= _MAX_ANSWER_BYTES:
                self._take_answer(message.payload)
            return True
        node = self._status.match(message.topic)
        if node is None or (node == self._node and link == CONTROL):
            return False
        status = PeerStatus.read(message.payload, self._auto)
        if message.retained or status.session == self._session:
            with self._lock:
                self._joining.reached_present(link)
        if node != self._node:
            self._take_status(link, node, status, message.arrived)
        elif status.state == "online" and status.session == self._session:
            with self._lock:
                self._joining.announced(link)
        return True

    def connected(self, link: str, *, session_present: bool) -> None:
        """Take note that *link* is connected; without a session the statuses of all members are yet to come."""
        with self._lock:
            if not session_present:
                self._forget(link)
            if link == CONTROL:
                self._peers.reconnected(time.monotonic())
            elif link in self._frame_links and session_present:
                self._joining.resumed(link)
            elif link in self._frame_links:
                self._joining.began(link)

    def _forget(self, link: str) -> None:
        for place in [place for place in self._members if place[0] == link]:
            self._members.pop(place).forgotten = True

    def disconnected(self, link: str) -> None:
        """Take note that *link* is not connected."""
        if link == CONTROL:
            with self._lock:
                self._peers.disconnected(time.monotonic())

    def must_publish_status(self, link: str) -> bool:
        """Whether to publish our status now, since *link*, which has subscribed, has a new session."""
        with self._lock:
            return self._joining.is_outside(link)

    def due_in_s(self) -> float:
        """Return when :meth:`update` has something to do, in seconds; infinite if nothing is foreseen."""
        with self._lock:
            due_s = self._peers.due_in_s(time.monotonic())
        return min(due_s, _CATCHING_UP_S) if self._catching_up.pending else due_s

    def update(self) -> None:
        """Take over what belonged to nodes that are gone. To be called every second or so, and when it is due."""
        if not self._auto:
            return
        self._frame_queue.claim_held()
        self._catching_up.send()
        for group in sorted(self._auto):
            self._update_members(group)

    def _update_members(self, group: str) -> None:
        """Let the nodes that are gone leave, until they join again; log who the members are, if that has changed."""
        with self._lock:
            now, places = time.monotonic(), [place for place in self._members if place[1] == group]
            for members in [self._members[place] for place in places if place[0] != CONTROL]:
                members.nodes = self._present(group, members.nodes, now)
            joined = frozenset[str]().union(*(self._members[place].nodes for place in places))
            present = self._present(group, joined, now) | {self._node}
        if self._logged_members.get(group) != present:
            self._logged_members[group] = present
            _log.info(log_events.GROUP_MEMBERS, group=group, members=sorted(present))

    def _take_status(self, link: str, node: str, status: PeerStatus, arrived: float) -> None:
        with self._lock:
            if link == CONTROL:
                self._peers.heard(node, status, time.monotonic())
            for group in self._auto:
                members = self._members.setdefault((link, group), Members())
                members.take(node, status, group, may_leave=link == CONTROL)
            if link != CONTROL and status.state == "online" and status.groups:
                self._peers.joined(node, time.monotonic())
                self._catching_up.joined(node, status.session, link, arrived)
        if link == CONTROL:
            self.update()
        else:
            self._catching_up.send()

    def _take_answer(self, payload: bytes) -> None:
        try:
            answer = AnsweredMessage.model_validate_json(payload)
        except ValidationError:
            self._take_caught_up(payload)
            return
        if answer.node != self._node or self._is_standby():
            self._frame_queue.answered(answer.camera, answer.frame_id)
            self._catching_up.send()

    def _take_caught_up(self, payload: bytes) -> None:
        try:
            caught_up = CaughtUpMessage.model_validate_json(payload)
        except ValidationError:
            return
        if (caught_up.joined, caught_up.session) == (self._node, self._session):
            with self._lock:
                self._joining.caught_up(caught_up.node)
            self._frame_queue.claim_held()


def _any_node(topic: str) -> Template:
    """A template for the topics of all nodes, where the name in a topic is the node's."""
    return Template(topic.replace("{node}", "{camera}"))
