"""The phases of a worker's life, each to be entered and left at will."""

from __future__ import annotations

import os
import signal
import time
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from brokers import wait_until
from workers import START_S

from chaos.camera import image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from brokers import Mosquitto
    from workers import WorkerProcess

    from chaos.camera import Camera
    from chaos.consumer import Consumer
    from chaos.lab import Lab

STATS_S: Final = 0.2
"""Between two stats messages: they say when a frame is in work."""


@dataclass
class Stage:
    """Everything around the worker. Frames of ``door`` must be answered once, those of ``rough`` at least once."""

    lab: Lab
    broker: Mosquitto
    consumer: Consumer
    worker: WorkerProcess
    door: Camera
    rough: Camera
    stops_s: dict[str, list[float]] = field(default_factory=dict)
    forced: int = 0

    def start(self, until: str) -> None:
        """Start the worker and wait until its log has the event *until*."""
        seen = self.count(until)
        self.worker.start()
        wait_until(lambda: self.count(until) > seen, until, START_S)

    def online(self) -> None:
        """Start the worker and wait until it is online, and has done what the one before it left."""
        self.consumer.wait_state("online", pid=self.worker.start().pid)
        for camera in (self.door, self.rough):
            self.consumer.wait_answered(camera.name, camera.accepted)

    def hold_a_frame(self, camera: Camera) -> int:
        """Send a frame and stop the model process under it; returns the process."""
        model, sent = self.worker.model_pid(), time.monotonic()
        os.kill(model, signal.SIGSTOP)
        camera.send(image(self.lab.random.getrandbits(60)))
        self.consumer.wait(
            lambda: any(said.at > sent and said.content["total"]["in_work"] for said in self.consumer.stats[-3:]),
            "a frame is in work",
        )
        return model

    def parse_into_the_void(self, camera: Camera, cut: Callable[[], None]) -> None:
        """Have a frame parsed whose answer meets a broker that *cut* made unable to take it."""
        self.online()
        model, seen = self.hold_a_frame(camera), self.count("frame")
        cut()
        os.kill(model, signal.SIGCONT)
        wait_until(lambda: self.count("frame") > seen, "the frame is parsed", START_S)

    def wait_idle(self) -> None:
        """Wait until the worker has nothing to do: frames that were answered may still have come again."""
        since = time.monotonic()

        def is_idle() -> bool:
            fresh = [said.content["total"] for said in self.consumer.stats[-2:] if said.at > since + STATS_S]
            return bool(fresh) and not fresh[-1]["waiting"] + fresh[-1]["in_work"]

        self.consumer.wait(is_idle, "the worker is idle")

    def count(self, event: str) -> int:
        """How often *event* is in the worker's log."""
        return sum(line["event"] == event for line in self.worker.log()) if self.worker.log_file.exists() else 0

    def reopen(self) -> None:
        """Start the broker again, and wait until the consumer is back."""
        self.broker.start()
        self.consumer.ready()


Release: TypeAlias = "Callable[[], object]"
Phase: TypeAlias = "Callable[[Stage, Camera], AbstractContextManager[Release]]"
"""Brings the worker into a phase; what it yields lets the worker go on, once the signal has been seen."""


def nothing() -> None:
    """Let go on what was not held."""


@contextmanager
def before_connecting(stage: Stage, _camera: Camera) -> Iterator[Release]:
    """There is no broker."""
    stage.broker.stop()
    stage.start("link: unreachable")
    yield nothing
    stage.reopen()


@contextmanager
def loading(stage: Stage, _camera: Camera) -> Iterator[Release]:
    """The model is being loaded; the broker knows us by now."""
    stage.start("link: subscribed")
    yield nothing


@contextmanager
def idle(stage: Stage, _camera: Camera) -> Iterator[Release]:
    """Online, without work."""
    stage.online()
    yield nothing


@contextmanager
def mid_frame(stage: Stage, camera: Camera) -> Iterator[Release]:
    """The model process is at work on a frame."""
    stage.online()
    model = stage.hold_a_frame(camera)
    yield lambda: os.kill(model, signal.SIGCONT)


@contextmanager
def publishing(stage: Stage, camera: Camera) -> Iterator[Release]:
    """An answer is on its way to a broker that takes its time."""
    stage.parse_into_the_void(camera, stage.broker.freeze)
    yield stage.broker.thaw
    stage.broker.thaw()


@contextmanager
def broker_gone(stage: Stage, camera: Camera) -> Iterator[Release]:
    """An answer waits for a broker that was stopped."""
    stage.parse_into_the_void(camera, stage.broker.stop)
    yield nothing
    stage.reopen()


@contextmanager
def half_open(stage: Stage, camera: Camera) -> Iterator[Release]:
    """An answer waits for a broker that does nothing any more, behind connections that stand."""
    stage.parse_into_the_void(camera, stage.broker.freeze)
    yield nothing
    stage.broker.thaw()


REACHABLE: Final[tuple[Phase, ...]] = (loading, idle, mid_frame, publishing)
PHASES: Final[tuple[Phase, ...]] = (before_connecting, *REACHABLE, broker_gone, half_open)
HELD: Final[tuple[Phase, ...]] = (mid_frame, publishing, broker_gone, half_open)
"""Phases in which a stop cannot be finished before a second signal comes."""
