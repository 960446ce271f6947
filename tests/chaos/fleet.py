"""Several workers that share the cameras of one broker, where one or two are lost or added, or the broker restarts."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from signal import SIGCONT, SIGSTOP
from typing import TYPE_CHECKING, Any, Final

from brokers import Proxy

from chaos.account import balance
from chaos.fleet_traffic import CAMERAS, EVERYBODY, Audience, Crowd
from chaos.row import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from brokers import Mosquitto
    from workers import WorkerProcess

    from chaos.lab import Lab

KEEPALIVE_S: Final = 5
"""The shortest that there is; a killed worker's connection ends with it."""
HUNG_KEEPALIVE_S: Final = 6
"""The shortest for which a hung worker's cameras move in time, on a broker that looks for silence every six seconds."""
SHARE: Final = 0.10
SHARED: Final = {"share_group": "parsers"}
SPLIT: Final = {"split": {"group": "parsers", "members": "auto"}}


class Fleet:
    """Workers by node id, on one broker, with one way to share its cameras."""

    def __init__(self, lab: Lab, way: dict[str, Any], keepalive_s: int = KEEPALIVE_S) -> None:
        """Start the broker, and who watches."""
        self.lab, self.way, self.keepalive_s = lab, way, keepalive_s
        self.broker: Mosquitto = lab.running_broker()
        self.audience = lab.enter(Audience(self.broker.port))
        self.crowd = lab.enter(Crowd(self.broker.port))
        self.workers: dict[str, WorkerProcess] = {}
        self.networks: dict[str, Proxy] = {}
        """Between the broker and those workers that do not reach it directly."""
        self._again = 0
        self._owners: dict[tuple[str, ...], dict[str, str]] = {}
        """Who answered the newest frame of each camera, by who was there."""

    def start(self, *nodes: str) -> None:
        """Start workers of these names, and wait until each is online and the others know."""
        known = len(self.audience.statuses)
        for node in nodes:
            if node not in self.workers:
                self.workers[node] = self._worker(node)
            self.workers[node].start()
        self.wait_online(*nodes, after=known)

    def wait_online(self, *nodes: str, after: int) -> None:
        """Wait until each of *nodes* says that it is online, not among the first *after* statuses."""
        for node in nodes:
            self.audience.wait_state("online", pid=self.workers[node].pid, after=after)

    def _worker(self, node: str) -> WorkerProcess:
        network = self.networks.get(node)
        return self.lab.worker(
            network.port if network else self.broker.port,
            node={"id": node},
            mqtt={
                "keepalive_s": self.keepalive_s,
                "will_delay_s": 0,
                "connack_timeout_s": 3.0,
                "reconnect": {"min_s": 0.1, "max_s": 0.5},
            },
            cameras=[{"topic": "cameras/{camera}/frame", "delivery": "every", **self.way}],
            model={"path": "builtin:seeded", "short_side": 32, "engine": "onnxruntime"},
            threads={"inference": 1},
        )

    def round(self, name: str, among: int) -> None:
        """Have every camera send frames, wait for the answers, and require that *among* workers had equal parts.

        The parts are of one frame of each camera. Divided cameras must be where they were with the same workers.
        """
        began = time.monotonic()
        self.crowd.offer(self.lab.times)
        self.crowd.offer(1, EVERYBODY)
        self.audience.wait_all(self.crowd.accepted())
        rate = (self.lab.times * len(CAMERAS) + len(EVERYBODY)) / (time.monotonic() - began)
        owners = self.audience.owners()
        shares = Counter(owners.values())
        fair = len(EVERYBODY) / among
        unfair = max(abs(count - fair) for count in shares.values()) / fair
        self.lab.require(len(shares) == among and unfair <= SHARE, f"{name}: shares are {dict(shares)}")
        if self.way is SPLIT:
            earlier = self._owners.setdefault(tuple(sorted(shares)), owners)
            moved = sum(owner != earlier[camera] for camera, owner in owners.items())
            self.lab.require(not moved, f"{name}: {moved} cameras are not with whom they were before")
        again = self._answered_again() - self._again
        self._again += again
        self.lab.measure(name, f"{rate:.0f} frames/s, at most {unfair:.1%} off the fair share, {again} answered again")

    def lose(self, how: str, lost: Sequence[str], lose: Callable[[str], object]) -> float:
        """Lose workers amid frames, all of which must be answered, and their cameras move within 2 × keepalive.

        Returns seconds until all were answered.
        """
        owners = self.audience.owners()
        self.crowd.offer(self.lab.times)
        self.audience.wait_result()
        for node in lost:
            lose(node)
        gone, limit = time.monotonic(), 2 * self.keepalive_s
        self.audience.wait_all(self.crowd.accepted())
        answered, moved = time.monotonic() - gone, self.audience.moved_after_s(gone, owners, lost)
        self.lab.require(moved <= limit, f"{how}: cameras moved after {moved:.1f} s")
        self.lab.measure(
            how, f"cameras moved after {moved:.1f} s, all answered after {answered:.1f} s (limit {limit} s)"
        )
        return answered

    def kill(self, *nodes: str) -> None:
        """Kill workers amid frames, all of which must be answered within 2 × keepalive."""
        answered = self.lose(f"{len(nodes)} killed", nodes, lambda node: self.workers[node].kill())
        self.lab.require(
            answered <= 2 * self.keepalive_s, f"the frames of the killed were answered after {answered:.1f} s"
        )

    def _answered_again(self) -> int:
        seen = [self.audience.seen(camera) for camera in EVERYBODY]
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

    def require_order(self) -> None:
        """Require that every frame was answered, and those of each camera in their order."""
        displaced = self.close_books()
        self.lab.require(displaced == 0, f"a camera's answers are {displaced} places out of order")


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
    fleet.kill("two")
    fleet.round("two left", 2)
    fleet.start("two", "four")
    fleet.round("the killed one back, one added", 4)
    _restart_the_broker(fleet)
    fleet.round("broker restarted", 4)
    fleet.require_order()


def split_two_lost(lab: Lab) -> None:
    """Divide the cameras among four, and lose two at once: one hangs and one is cut off, then both die."""
    fleet = Fleet(lab, SPLIT, HUNG_KEEPALIVE_S)
    network = fleet.networks["three"] = lab.enter(Proxy(fleet.broker.port))
    fleet.start("one", "two", "three", "four")
    fleet.round("four workers", 4)
    fleet.lose(
        "one frozen, one cut off",
        ["two", "three"],
        lambda node: network.swallow(True) if node == "three" else fleet.workers[node].signal(SIGSTOP),
    )
    fleet.round("two lost", 2)
    known = len(fleet.audience.statuses)
    fleet.workers["two"].signal(SIGCONT)
    network.swallow(False)
    fleet.wait_online("two", "three", after=known)
    fleet.round("both back", 4)
    fleet.kill("two", "three")
    fleet.require_order()


def _restart_the_broker(fleet: Fleet) -> None:
    """Stop the broker amid frames, and start it again."""
    known = len(fleet.audience.statuses)
    fleet.crowd.offer(fleet.lab.times)
    fleet.audience.wait_result()
    fleet.broker.stop()
    fleet.audience.wait_cut_off()
    fleet.broker.start()
    fleet.audience.ready()
    fleet.wait_online(*fleet.workers, after=known)
    fleet.audience.wait_all(fleet.crowd.accepted())


_FAULT: Final = "three workers {way}, 1,200 cameras: one killed, one added, the killed one back, the broker restarted"

ROWS: Final = (
    Row(
        name="fleet-shared",
        fault=_FAULT.format(way="in a `share_group`"),
        required="every frame answered, those of the killed one when it is back; each worker within ±10 % of its fair "
        "share",
        run=shared,
        short=1,
        full=5,
        unit="frames a camera and phase (of 300; one of the others)",
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
        unit="frames a camera and phase (of 300; one of the others)",
        alone=True,
    ),
    Row(
        name="fleet-two-lost",
        fault="four workers with `split`, 1,200 cameras, two lost at once: one stopped by SIGSTOP and one whose "
        "network swallows everything, until both are back; both killed",
        required="every frame answered, those of killed ones within 2 × keepalive; the lost ones' cameras move within "
        "2 × keepalive; each camera's answers in order; each worker within ±10 % of its fair share",
        run=split_two_lost,
        short=1,
        full=5,
        unit="frames a camera and phase (of 300; one of the others)",
        alone=True,
    ),
)
