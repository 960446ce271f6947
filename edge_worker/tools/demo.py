"""``edge-worker demo``: a broker, a camera, the worker and a recorder, at once and with nothing to set up.

The worker is started as ``edge-worker run -c FILE``, with the FILE left beside the results: what the demo shows is what
runs in service. Everything talks over loopback.
"""

from __future__ import annotations

import json
import select
import time
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from edge_worker.config import load
from edge_worker.errors import EdgeWorkerError
from edge_worker.frames import content_id
from edge_worker.messages import StatusMessage
from edge_worker.mqtt.events import Arrived, Subscription
from edge_worker.mqtt.topics import Template
from edge_worker.tools.children import Children
from edge_worker.tools.client import Client
from edge_worker.tools.interrupts import until_interrupted
from edge_worker.tools.recording import Recording
from edge_worker.tools.sources import open_source
from edge_worker.tools.watch import Results

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import Popen

    from edge_worker.config import Config
    from edge_worker.mqtt.events import Incoming

CAMERA = "demo"
# Longest waits: for the broker to listen, for the model to be loaded and compiled, and then for the first result.
BROKER_S, ONLINE_S, FIRST_RESULT_S = 20.0, 300.0, 60.0
LOG_TAIL_LINES = 20
TRAINED, SEEDED = "builtin:m2fp-lite", "builtin:seeded"
SEEDED_WARNING = "its weights are random numbers, so its labels mean nothing"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What to show: *fps* None is the source's own rate, *model* None the best one that ships."""

    source: str
    seconds: float
    out: Path
    fps: float | None = None
    model: str | None = None


def run(options: DemoOptions) -> int:
    """Record for the seconds asked for, counted from the first result; returns the exit code: 0 only if results came.

    Raises:
        EdgeWorkerError: the source cannot be read, or a part of the demo failed: the message ends with its log.
    """
    open_source(options.source)
    model = options.model or default_model()
    options.out.mkdir(parents=True, exist_ok=True)
    recording = Recording(options.out, options.seconds)
    with until_interrupted(), Children() as children:
        _record(options, model, children, recording)
    if not recording.tally.frames:
        raise EdgeWorkerError(f"no result came; the logs are in {options.out}")
    recording.conclude(model)
    return 0


def default_model() -> str:
    """Name the trained light model if it is in the package, else the seeded one."""
    trained = Path(__file__).parents[1] / "models" / "m2fp-lite" / "configuration.json"
    return TRAINED if trained.is_file() else SEEDED


def _record(options: DemoOptions, model: str, children: Children, recording: Recording) -> None:
    """Start everything in turn, each when the one before is ready, and record."""
    out = options.out
    broker = children.start("edge_worker.tools.broker", ["--port", "0"], log=out / "broker.log", answers=True)
    file = _write_config(out, port=_port(broker, out / "broker.log"), model=model)
    config = load(file, {})
    results = Results(config, on_result=recording.result, on_error=recording.error)
    stage = _Stage(config, results, recording)
    with Client(config, role="recorder", subscriptions=stage.subscriptions) as client:
        client.wait_connected()
        worker = _Part(
            "the worker",
            children.start("edge_worker", ["run", "-c", str(file)], log=out / "worker.log"),
            out / "worker.log",
        )
        recording.say(f"the worker loads {model}" + (f": {SEEDED_WARNING}" if model == SEEDED else ""))
        stage.play(
            client, [worker], until=lambda: stage.online, within_s=ONLINE_S, waiting_for="the worker to be online"
        )
        camera = _Part(
            "the camera",
            children.start("edge_worker", _camera(options, file), log=out / "camera.log"),
            out / "camera.log",
        )
        recording.say(f"the camera shows {options.source}")
        parts = [worker, camera]
        stage.play(
            client, parts, until=lambda: bool(recording.tally.frames), within_s=FIRST_RESULT_S, waiting_for="a result"
        )
        stage.play(client, parts, until=lambda: recording.elapsed_s >= options.seconds)


def _camera(options: DemoOptions, file: Path) -> list[str]:
    rate = [] if options.fps is None else ["--fps", str(options.fps)]
    return ["camera", options.source, "--camera", CAMERA, "--loop", "-c", str(file), *rate]


def _write_config(out: Path, *, port: int, model: str) -> Path:
    """Write the worker's configuration; the embedded broker speaks MQTT 3.1.1 only."""
    config = {
        "node": {"id": "demo"},
        "mqtt": {"host": "127.0.0.1", "port": port, "protocol": "3.1.1"},
        "model": {"path": model},
        "output": {"overlay": {"enabled": True}},
        "ops": {"log": {"format": "console"}},
    }
    file = out / "edge_worker.yaml"
    file.write_text(
        "# Written by `edge-worker demo`: what the worker of the demo ran with.\n"
        + yaml.safe_dump(config, sort_keys=False)
    )
    return file


def _port(broker: Popen[bytes], log: Path) -> int:
    """Wait for the broker to say where it listens.

    Raises:
        EdgeWorkerError: it does not.
    """
    output = broker.stdout
    answer = output.readline() if output and select.select([output], [], [], BROKER_S)[0] else b""
    if not answer:
        raise _failure("the broker did not start", log)
    return int(json.loads(answer)["port"])


def _failure(problem: str, log: Path) -> EdgeWorkerError:
    tail = log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
    return EdgeWorkerError("\n".join([problem, f"the end of {log}:", *tail]))


@dataclass(frozen=True, slots=True)
class _Part:
    """A process of the demo that must not end before it."""

    name: str
    process: Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raise EdgeWorkerError with the end of its log if it has ended."""
        if self.process.poll() is not None:
            raise _failure(f"{self.name} ended with exit code {self.process.returncode}", self.log)


class _Stage:
    """Hands what is published to the recording, and knows whether the worker is online."""

    def __init__(self, config: Config, results: Results, recording: Recording) -> None:
        self._results, self._recording = results, recording
        self._frames = Template(config.cameras[0].topic, node=config.node.id)
        self._status = Template(config.node.status_topic, node=config.node.id).format()
        self._state = ""

    @property
    def online(self) -> bool:
        """Whether the worker takes frames."""
        return self._state == "online"

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """Results, frames and the worker's status."""
        own = (Subscription(self._frames.filter, qos=0), Subscription(self._status, qos=1))
        return (*self._results.subscriptions, *own)

    def play(
        self,
        client: Client,
        parts: list[_Part],
        *,
        until: Callable[[], bool],
        within_s: float = inf,
        waiting_for: str = "",
    ) -> None:
        """Take messages in *until* a condition holds.

        Raises:
            EdgeWorkerError: a part ended, or the condition did not come to hold *within_s* seconds.
        """
        end = time.monotonic() + within_s
        while not until():
            for part in parts:
                part.check()
            if time.monotonic() > end:
                raise _failure(f"waited {within_s:.0f} s for {waiting_for}", parts[0].log)
            event = client.next(timeout_s=0.2)
            if isinstance(event, Arrived):
                self._take(event.message)

    def _take(self, message: Incoming) -> None:
        camera = self._frames.match(message.topic)
        if camera is not None:
            self._recording.frame(content_id(camera, message.payload), message.payload)
        elif message.topic == self._status:
            self._follow(StatusMessage.model_validate_json(message.payload))
        else:
            self._results.take(message)

    def _follow(self, status: StatusMessage) -> None:
        """Tell of a new state; while the model loads only its details change."""
        if status.state != self._state:
            self._recording.say(f"the worker is {status.state}" + (f": {status.detail}" if status.detail else ""))
        self._state = status.state
