"""What an experiment has around it: a directory, brokers, workers, cameras and consumers; all end with it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, TypeVar

from brokers import Mosquitto
from workers import WorkerProcess

from chaos.camera import Camera
from chaos.consumer import Consumer
from chaos.row import Findings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path
    from random import Random
    from typing import Self

Part = TypeVar("Part")

UNLIMITED: Final = ("max_queued_messages 0", "max_queued_bytes 0")
"""A broker that drops nothing of its own accord: what is lost then was lost by somebody else."""

EVERY: Final = ({"topic": "cameras/{camera}/frame", "delivery": "every"},)


class Lab:
    """A context. ``random`` is seeded for this row, ``times`` says how often to repeat."""

    def __init__(self, directory: Path, random: Random, times: int) -> None:
        """Keep everything in *directory*, which exists."""
        self.directory, self.random, self.times = directory, random, times
        self.findings = Findings()
        self._stack = ExitStack()
        self._made = 0

    def broker(self, *lines: str, port: int = 0) -> Mosquitto:
        """Make a broker, which the caller starts; *lines* are added to its configuration."""
        broker = Mosquitto(self.place("broker"), [*UNLIMITED, *lines], port)
        self._stack.callback(broker.kill)
        return broker

    def running_broker(self, *lines: str) -> Mosquitto:
        """Make a broker and start it."""
        return self.broker(*lines).start()

    def worker(
        self,
        port: int,
        *,
        mqtt: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        **sections: Any,  # noqa: ANN401 - of the configuration
    ) -> WorkerProcess:
        """Make a worker for the broker on *port*, which the caller starts: node ``box``, a small random model.

        Cameras are in mode ``every``, and it waits as by default before it reconnects. *mqtt* adds keys to that
        section, *sections* replace whole ones.
        """
        settings = {
            "mqtt": {"host": "127.0.0.1", "port": port, **(mqtt or {})},
            "cameras": [*EVERY],
            "ops": {"stats_interval_s": 1.0},
            **sections,
        }
        return self._stack.enter_context(WorkerProcess(self.place("worker"), port, settings, environment or {}))

    def camera(self, port: int, name: str, **options: Any) -> Camera:  # noqa: ANN401 - as Camera
        """Make a camera that sends to the broker on *port*."""
        return self._stack.enter_context(Camera(port, name, **options))

    def consumer(self, port: int, client_id: str = "consumer") -> Consumer:
        """Make a consumer, known to the broker on *port* when this returns."""
        return self._stack.enter_context(Consumer(port, client_id))

    def enter(self, part: AbstractContextManager[Part]) -> Part:
        """Keep *part* open until the experiment ends."""
        return self._stack.enter_context(part)

    def require(self, holds: object, promise: str) -> None:
        """Note that *promise* did not hold, unless it did."""
        self.findings.require(holds, promise)

    def measure(self, name: str, value: object) -> None:
        """Keep a figure for the report."""
        self.findings.measure(name, value)

    def count(self, name: str, number: int) -> None:
        """Add to a figure of the report: of several experiments in one row the sum counts."""
        self.findings.count(name, number)

    def place(self, kind: str) -> Path:
        """Make a directory for something of this *kind*."""
        self._made += 1
        place = self.directory / f"{kind}-{self._made}"
        place.mkdir()
        return place

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
