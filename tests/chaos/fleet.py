"""Several workers that share the cameras of one broker: one is killed, one is added, the broker is restarted."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import paho.mqtt.client as paho
from brokers import wait_until
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from chaos.account import balance
from chaos.camera import RECONNECT_S, SUCCESS, image
from chaos.consumer import Consumer
from chaos.row import Row

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from brokers import Mosquitto
    from workers import WorkerProcess

    from chaos.lab import Lab

KEEPALIVE_S: Final = 5
"""The shortest that there is: a lost node's cameras must have moved after twice this."""
CAMERAS: Final = tuple(f"camera-{number}" for number in range(300))
IMAGES: Final = tuple(image(number) for number in range(8))
"""Few, so that most results come from the workers' caches: what is tried out is who answers, not how fast."""
SHARE: Final = 0.10
SHARED: Final = {"share_group": "parsers"}
SPLIT: Final = {"split": {"group": "parsers", "members": "auto"}}
PATIENCE_S: Final = 60.0


class Crowd:
    """All cameras on one connection, in QoS 1 over a session that outlives connections; each frame has its id."""

    def __init__(self, port: int) -> None:
        """Connect to the broker on *port*, now or when it is there."""
        self.offered: dict[str, list[str]] = defaultdict(list)
        self._sent: dict[int, tuple[str, str]] = {}
        self._reasons: dict[int, int] = {}
        self._paho = paho.Client(CallbackAPIVersion.VERSION2, client_id="crowd", protocol=MQTTProtocolVersion.MQTTv5)
        self._paho.on_publish = lambda _client, _data, mid, reason, _more: self._reasons.update({mid: reason.value})
        self._paho.reconnect_delay_set(RECONNECT_S, RECONNECT_S)  # type: ignore[arg-type]  # fractions work
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 86_400
        self._paho.connect_async("127.0.0.1", port, clean_start=False, properties=properties)
        self._paho.loop_start()

    def offer(self, rounds: int) -> None:
        """Have every camera send so many frames, one after the other."""
        for _ in range(rounds):
            for camera in CAMERAS:
                number = len(self.offered[camera])
                properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
                properties.UserProperty = [("frame-id", f"{camera}-{number}")]
                payload = IMAGES[number % len(IMAGES)]
                sent = self._paho.publish(f"cameras/{camera}/frame", payload, 1, properties=properties)
                self.offered[camera].append(f"{camera}-{number}")
                self._sent[sent.mid] = (camera, f"{camera}-{number}")

    def accepted(self) -> dict[str, list[str]]:
        """Wait until the broker has answered for every frame; returns those that it took on for somebody, by camera."""
        wait_until(lambda: len(self._reasons) >= len(self._sent), "the broker has all frames", PATIENCE_S)
        accepted: dict[str, list[str]] = defaultdict(list)
        for mid, (camera, frame_id) in self._sent.items():
            if self._reasons[mid] == SUCCESS:
                accepted[camera].append(frame_id)
        return accepted

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._paho.disconnect()
        self._paho.loop_stop()


class Audience(Consumer):
    """A consumer that also notes which worker was the first to answer a frame."""

    def __init__(self, port: int) -> None:
        """Connect to the broker on *port*."""
        self.first: dict[tuple[str, str], str] = {}
        super().__init__(port)

    def _take_result(self, camera: str, kind: str, message: paho.MQTTMessage) -> None:
        super()._take_result(camera, kind, message)
        if kind == "labels":
            properties = dict(getattr(message.properties, "UserProperty", ()))
            self.first.setdefault((camera, properties["frame-id"]), properties["node"])

    def order(self, camera: str) -> list[str]:
        """The frames of *camera* in the order of their first answers."""
        with self._changed:
            return [frame_id for name, frame_id in self.first if name == camera]

    def shares(self, frames: dict[str, list[str]]) -> Counter[str]:
        """How many of *frames* each worker was the first to answer."""
        with self._changed:
            return Counter(
                node
                for camera, frame_ids in frames.items()
                for frame_id in frame_ids
                if (node := self.first.get((camera, frame_id)))
            )

    def wait_all(self, frames: dict[str, list[str]]) -> None:
        """Wait until each of *frames* is answered, as long as answers keep coming."""
        wanted = {(camera, frame_id) for camera, frame_ids in frames.items() for frame_id in frame_ids}
        seen, moved = -1, time.monotonic()
        while (now := len(wanted & self.first.keys())) < len(wanted):
            if now > seen:
                seen, moved = now, time.monotonic()
            assert time.monotonic() - moved < PATIENCE_S, f"{len(wanted) - now} of {len(wanted)} frames have no answer"
            time.sleep(0.05)


class Fleet:
    """Workers by node id, on one broker, with one way to share its cameras."""

    def __init__(self, lab: Lab, way: dict[str, Any]) -> None:
        """Start the broker, and who watches."""
        self.lab, self.way = lab, way
        self.broker: Mosquitto = lab.running_broker()
        self.audience = lab.enter(Audience(self.broker.port))
        self.crowd = lab.enter(Crowd(self.broker.port))
        self.workers: dict[str, WorkerProcess] = {}
        self._again = 0

    def start(self, *nodes: str) -> None:
        """Start workers of these names, and wait until each is online and the others know."""
        known = len(self.audience.statuses)
        for node in nodes:
            if node not in self.workers:
                self.workers[node] = self._worker(node)
            self.workers[node].start()
        for node in nodes:
            self.audience.wait_state("online", pid=self.workers[node].pid, after=known)

    def _worker(self, node: str) -> WorkerProcess:
        return self.lab.worker(
            self.broker.port,
            node={"id": node},
            mqtt={"keepalive_s": KEEPALIVE_S, "will_delay_s": 0, "reconnect": {"min_s": 0.1, "max_s": 0.5}},
            cameras=[{"topic": "cameras/{camera}/frame", "delivery": "every", **self.way}],
            model={"path": "builtin:seeded", "short_side": 32, "engine": "onnxruntime"},
        )

    def round(self, name: str, among: int) -> None:
        """Have every camera send its frames, wait for the answers, and require that *among* workers had equal parts."""
        earlier = {camera: len(frame_ids) for camera, frame_ids in self.crowd.offered.items()}
        began = time.monotonic()
        self.crowd.offer(self.lab.times)
        self.audience.wait_all(self.crowd.accepted())
        took = time.monotonic() - began
        new = {camera: ids[earlier.get(camera, 0) :] for camera, ids in self.crowd.offered.items()}
        shares = self.audience.shares(new)
        fair = sum(shares.values()) / among
        unfair = max((abs(count - fair) for count in shares.values()), default=fair) / fair
        self.lab.require(len(shares) == among and unfair <= SHARE, f"{name}: shares are {dict(shares)}")
        rate, again = sum(shares.values()) / took, self._answered_again() - self._again
        self._again += again
        self.lab.measure(name, f"{rate:.0f} frames/s, at most {unfair:.1%} off the fair share, {again} answered again")

    def _answered_again(self) -> int:
        seen = [self.audience.seen(camera) for camera in CAMERAS]
        return sum(max(0, answers.count - 1) for frames in seen for answers in frames.values())

    def close_books(self) -> int:
        """Require that every frame was answered; returns how far answers are from their place at most."""
        accepted, displaced, totals = self.crowd.accepted(), 0, Counter[str]()
        with suppress(AssertionError):  # who is missing, the account says
            self.audience.wait_all(accepted)
        for camera, offered in self.crowd.offered.items():
            account = balance(camera, offered, accepted[camera], self.audience.seen(camera))
            for problem in account.problems():
                self.lab.require(False, problem)
            totals.update({"frames accepted": account.accepted, "lost": len(account.lost)})
            totals["answered again"] += account.repeated
            order = self.audience.order(camera)
            sent = sorted(order, key=lambda frame_id: int(frame_id.rsplit("-", 1)[1]))
            displaced = max([displaced, *(abs(order.index(one) - place) for place, one in enumerate(sent))])
        for figure in ("frames accepted", "lost", "answered again"):
            self.lab.count(figure, totals[figure])
        self.lab.measure("places that an answer is from its own at most", displaced)
        return displaced


def shared(lab: Lab) -> None:
    """Share the frames by a group of the broker's: what was given to an absent member waits for it."""
    fleet = Fleet(lab, SHARED)
    fleet.start("one", "two", "three")
    fleet.round("three workers", 3)
    fleet.crowd.offer(lab.times)
    fleet.audience.wait_result()
    fleet.workers["two"].kill()
    fleet.crowd.offer(lab.times)
    fleet.start("two", "four")
    fleet.audience.wait_all(fleet.crowd.accepted())
    fleet.round("one killed and back, one added", 4)
    _restart_the_broker(fleet)
    fleet.round("broker restarted", 4)
    fleet.close_books()


def split(lab: Lab) -> None:
    """Divide the cameras: those of the dead belong to others, those of the new one come to it."""
    fleet = Fleet(lab, SPLIT)
    fleet.start("one", "two", "three")
    fleet.round("three workers", 3)
    fleet.crowd.offer(lab.times)
    fleet.audience.wait_result()
    fleet.workers["two"].kill()
    gone = time.monotonic()
    fleet.audience.wait_all(fleet.crowd.accepted())
    took = time.monotonic() - gone
    lab.require(took <= 2 * KEEPALIVE_S, f"the frames of the killed one were answered after {took:.1f} s")
    lab.measure("all answered after the kill", f"{took:.1f} s (2 × keepalive: {2 * KEEPALIVE_S} s)")
    fleet.round("one killed", 2)
    fleet.start("two", "four")
    fleet.round("the killed one back, one added", 4)
    _restart_the_broker(fleet)
    fleet.round("broker restarted", 4)
    displaced = fleet.close_books()
    lab.require(displaced == 0, f"a camera's answers are {displaced} places out of order")


def _restart_the_broker(fleet: Fleet) -> None:
    """Stop the broker amid frames, and start it again."""
    known = len(fleet.audience.statuses)
    fleet.crowd.offer(fleet.lab.times)
    fleet.audience.wait_result()
    fleet.broker.stop()
    fleet.audience.wait_cut_off()
    fleet.broker.start()
    fleet.audience.ready()
    for worker in fleet.workers.values():
        fleet.audience.wait_state("online", pid=worker.pid, after=known)
    fleet.audience.wait_all(fleet.crowd.accepted())


_FAULT: Final = "three workers {way}, 300 cameras: one killed, one added, the killed one back, the broker restarted"

ROWS: Final = (
    Row(
        name="fleet-shared",
        fault=_FAULT.format(way="in a `share_group`"),
        required="every frame answered, those of the killed one when it is back; each worker within ±10 % of its fair "
        "share",
        run=shared,
        short=1,
        full=5,
        unit="frames a camera and phase",
        alone=True,
    ),
    Row(
        name="fleet-split",
        fault=_FAULT.format(way="with `split`"),
        required="every frame answered, those of the killed one by the others within 2 × keepalive; each camera's "
        "answers in order; each worker within ±10 % of its fair share",
        run=split,
        short=1,
        full=5,
        unit="frames a camera and phase",
        alone=True,
    ),
)
