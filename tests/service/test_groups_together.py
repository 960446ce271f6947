"""Several nodes of a group, on a broker that serves their sessions at any pace: nothing is lost or overtaken."""

from __future__ import annotations

import json
import time
from collections import deque
from random import Random
from typing import TYPE_CHECKING, Final

import pytest
from samples import make_frame, make_incoming

from edge_worker.config import Config
from edge_worker.frames.frame import Delivery
from edge_worker.frames.queue import FrameQueue
from edge_worker.mqtt.ack_order import AckOrder
from edge_worker.service.groups import Groups

if TYPE_CHECKING:
    from edge_worker.mqtt.message import Outgoing

SPLIT, CONTROL, ANSWERS = "split-20", "control", "answers"
WINDOW, FRAMES, CAMERAS, STEP_S = 20, 300, 7, 0.01
CHANGES: Final = 0.03
"""Of nodes, for each frame."""
REPEATS: Final = 0.05
"""Of statuses, for each frame: as after a reconnect."""
GIVEN_UP_S: Final = 300.0
"""Less than the ten minutes after which a frame goes to somebody else anyway."""


class Session:
    """What a broker keeps for one link of a node: messages that wait, and those on their way.

    They are of topic, payload, and whether that was retained.
    """

    def __init__(self) -> None:
        """Begin empty."""
        self.waiting: deque[tuple[str, bytes, bool]] = deque()
        self.sent: dict[int, tuple[str, bytes, bool]] = {}
        self.order, self._mid = AckOrder(), 0

    def next(self) -> tuple[int, str, bytes, bool] | None:
        """Send the next message, if the window has room."""
        if not self.waiting or len(self.sent) >= WINDOW:
            return None
        self._mid += 1
        self.sent[self._mid] = self.waiting.popleft()
        self.order.arrived(self._mid)
        return (self._mid, *self.sent[self._mid])

    def acknowledge(self, mid: int) -> None:
        """Forget what may be acknowledged now."""
        for due in self.order.settle(mid):
            del self.sent[due]

    def cut(self) -> None:
        """Put what was on its way before what waits."""
        self.waiting.extendleft(reversed(self.sent.values()))
        self.sent, self.order = {}, AckOrder()


class Node:
    """A worker without a model; what it answers, the fleet notes."""

    def __init__(self, fleet: Fleet, name: str, run: int) -> None:
        """Connect, with the sessions that the broker has of that name."""
        self.fleet, self.name, self.session = fleet, name, f"{name}-{run}"
        camera = {"delivery": "every", "split": {"group": "g"}}
        config = {"node": {"id": name}, "mqtt": {"host": "h"}, "cameras": [camera]}
        self.config = Config.model_validate_json(json.dumps(config))
        self.sessions = fleet.sessions[name]
        self.queue = FrameQueue(self.config.cameras, lambda delivery: self.sessions[SPLIT].acknowledge(delivery.mid))
        self.groups = Groups(
            self.config,
            self.queue,
            announce=lambda frame: fleet.answered(self, frame.camera, frame.frame_id),
            session=self.session,
            publish=self._publish,
        )

    def _publish(self, message: Outgoing) -> None:
        self.fleet.publish(message.topic, message.payload, ANSWERS)

    def status(self, state: str) -> bytes:
        """The status message of a *state*."""
        return json.dumps({"state": state, "groups": ["g"], "session": self.session}).encode()

    def step(self, random: Random) -> None:
        """Take a message of one link, or answer a frame, or look around."""
        match random.choice([SPLIT, SPLIT, CONTROL, ANSWERS, "answer", "answer", "look"]):
            case "answer":
                self._answer()
            case "look":
                self.groups.update()
            case link:
                self._receive(link)

    def _answer(self) -> None:
        if (frame := self.queue.take(0.0)) is not None:
            self.queue.finish(frame, "processed")
            self.fleet.answered(self, frame.camera, frame.frame_id)
            self.queue.replied(frame, ())

    def _receive(self, link: str) -> None:
        session = self.sessions[link]
        if (message := session.next()) is None:
            return
        mid, topic, payload, retained = message
        now = time.monotonic()
        if topic.startswith("cameras/"):
            frame = make_frame(
                topic.split("/")[1],
                frame_id=payload.decode(),
                sender_id=True,
                arrived=now,
                delivery=Delivery(SPLIT, 1, mid),
            )
            self.groups.arrive(frame)
        else:
            self.groups.take(link, make_incoming(topic, payload, retained=retained, arrived=now))
            session.acknowledge(mid)


class Fleet:
    """A broker, its nodes, and who answered which frame when."""

    def __init__(self, random: Random) -> None:
        """Begin without nodes."""
        self.random, self.nodes = random, dict[str, Node]()
        self.sessions: dict[str, dict[str, Session]] = {}
        self.retained: dict[str, bytes] = {}
        self.answers: dict[str, list[int]] = {}
        self._runs = 0

    def publish(self, topic: str, payload: bytes, *links: str) -> None:
        """Give a message to all sessions of these *links*; none waits for a control link that is not there."""
        for name, sessions in self.sessions.items():
            for link in links:
                if link != CONTROL or name in self.nodes:
                    sessions[link].waiting.append((topic, payload, False))

    def say(self, node: Node, state: str) -> None:
        """Publish the status of *node*, retained."""
        topic = f"edge-worker/{node.name}/status"
        self.retained[topic] = node.status(state)
        self.publish(topic, self.retained[topic], SPLIT, CONTROL)

    def start(self, name: str) -> None:
        """Start a node, which hears of the others, and is online a little later."""
        is_known = name in self.sessions
        sessions = self.sessions.setdefault(name, {link: Session() for link in (SPLIT, ANSWERS)})
        sessions[CONTROL] = Session()
        self._runs += 1
        node = self.nodes[name] = Node(self, name, self._runs)
        for link in (SPLIT, CONTROL):
            sessions[link].waiting.extend((topic, payload, True) for topic, payload in self.retained.items())
            node.groups.connected(link, session_present=is_known and link == SPLIT)
        self.say(node, "loading")
        self.run(self.random.randrange(200))
        self.say(node, "online")

    def kill(self, name: str) -> None:
        """Kill a node: its will is published, its sessions stay."""
        node = self.nodes.pop(name)
        for link in (SPLIT, ANSWERS):
            node.sessions[link].cut()
        self.say(node, "offline")

    def change(self, name: str) -> None:
        """Start a node, or kill b; a has had all frames, and c is new."""
        if name not in self.nodes:
            self.start(name)
        elif name == "b":
            self.kill(name)

    def answered(self, node: Node, camera: str, frame_id: str) -> None:
        """Note an answer, and tell the others."""
        if int(frame_id) not in self.answers.setdefault(camera, []):
            self.answers[camera].append(int(frame_id))
        content = {"schema": "edge-worker.answered/1", "node": node.name, "camera": camera, "frame_id": frame_id}
        self.publish(f"edge-worker/{node.name}/answered", json.dumps(content).encode(), ANSWERS)

    def run(self, steps: int) -> None:
        """Let any node do something, so many times."""
        for _ in range(steps):
            CLOCK[0] += STEP_S
            if self.nodes:
                self.random.choice([*self.nodes.values()]).step(self.random)


CLOCK = [0.0]


@pytest.mark.parametrize("seed", range(20))
def test_answers_are_complete_and_in_order_whoever_comes_and_goes(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Nodes that never were there, and such that come back to their sessions, while the others are behind."""
    monkeypatch.setattr(time, "monotonic", lambda: CLOCK[0])
    random = Random(seed)  # noqa: S311 - to be repeated
    fleet = Fleet(random)
    fleet.start("a")
    fleet.start("b")
    for number in range(FRAMES):
        fleet.publish(f"cameras/{number % CAMERAS}/frame", str(number).encode(), SPLIT)
        fleet.run(random.randrange(8))
        if random.random() < CHANGES:
            fleet.change(random.choice("bc"))
        if random.random() < REPEATS and fleet.nodes:
            fleet.say(random.choice([*fleet.nodes.values()]), "online")
    for name in "ab":
        if name not in fleet.nodes:
            fleet.start(name)
    began = CLOCK[0]
    while sum(map(len, fleet.answers.values())) < FRAMES and CLOCK[0] - began < GIVEN_UP_S:
        fleet.run(100)
    assert sum(map(len, fleet.answers.values())) == FRAMES
    assert all(numbers == sorted(numbers) for numbers in fleet.answers.values())
