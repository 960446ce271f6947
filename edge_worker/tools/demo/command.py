"""``edge-worker demo``: a broker, a camera, the worker and a recorder, without any setup.

The worker is started as ``edge-worker run -c FILE``, and FILE is left beside the results: the demo shows what runs in
service. All connections are over loopback.
"""

from __future__ import annotations

import json
import select
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

import yaml

from edge_worker.common.addresses import without_login
from edge_worker.common.deadline import Deadline
from edge_worker.common.errors import EdgeWorkerError
from edge_worker.common.topics import Template
from edge_worker.config import Config, load
from edge_worker.frames.frame import content_id
from edge_worker.m2fp.directory import BUILTIN, builtin_names, open_directory
from edge_worker.messages import StatusMessage
from edge_worker.mqtt.events import Arrived
from edge_worker.mqtt.message import Incoming, Subscription
from edge_worker.tools.client import Client
from edge_worker.tools.demo import web
from edge_worker.tools.demo.children import Child, Children
from edge_worker.tools.demo.recording import Recording
from edge_worker.tools.interrupts import until_interrupted
from edge_worker.tools.sources import open_source
from edge_worker.tools.watch import Results

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


CAMERA = "demo"
# Timeouts, seconds: until the broker listens, the model is loaded and compiled, and the first result arrives.
BROKER_S, ONLINE_S, FIRST_RESULT_S = 20.0, 300.0, 60.0
# Scores of the light model between 0.1 (the published threshold) and this are fragments of persons: see its card.
SCORE_THRESHOLD = 0.5
# Models to choose from, the better one first.
MODELS = ("m2fp-lite", "seeded")


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Options of the demo.

    *seconds* 0: until interrupted; *fps* None: the source's own rate; *model* None: the best bundled one; *web*: also
    start the gateway.
    """

    source: str
    seconds: float
    out: Path
    fps: float | None = None
    model: str | None = None
    web: bool = False


def run(options: DemoOptions) -> int:
    """Record for the requested seconds from the first result on; returns the exit code: 0 only if there were results.

    Raises:
        EdgeWorkerError: the source cannot be read, or a process failed: the message ends with its log.
    """
    open_source(options.source)
    model = options.model or BUILTIN + next(name for name in MODELS if name in builtin_names())
    directory = open_directory(model)
    options.out.mkdir(parents=True, exist_ok=True)
    recording = Recording(options.out, options.seconds)
    recording.say(f"model {directory.name}" + (f": {directory.warning}" if directory.warning else ""))
    with until_interrupted(), Children(options.out) as children:
        _record(options, model, children, recording)
    if not recording.tally.frames:
        raise EdgeWorkerError(f"no result came; the logs are in {options.out}")
    recording.conclude(directory.name, directory.warning)
    return 0


def _record(options: DemoOptions, model: str, children: Children, recording: Recording) -> None:
    """Start the processes one by one, each when the previous is ready, and record."""
    port = web.start_broker(children, options.out) if options.web else _embedded_broker(children)
    file = _write_config(options.out, port=port, model=model, more=web.SECTIONS if options.web else {})
    config = load(file, {})
    stage = _Stage(config, recording)
    with Client(config, role="recorder", subscriptions=stage.subscriptions) as client:
        client.wait_connected()
        worker = children.start("worker", "edge_worker", "run", "-c", str(file))
        stage.play(client, [worker], until=lambda: stage.state in {"online", "degraded"}, within_s=ONLINE_S)
        if stage.state == "degraded":
            raise worker.failure("the worker cannot start to work")
        if options.web:
            recording.say(f"the page: {web.start_gateway(children, file)}")
        camera = children.start("camera", "edge_worker", *_camera_arguments(options, file))
        recording.say(f"the camera shows {without_login(options.source)}")
        stage.play(client, [worker, camera], until=lambda: recording.tally.frames > 0, within_s=FIRST_RESULT_S)
        stage.play(client, [worker, camera], until=lambda: 0.0 < options.seconds <= recording.elapsed_s)


def _camera_arguments(options: DemoOptions, file: Path) -> list[str]:
    rate = [] if options.fps is None else ["--fps", str(options.fps)]
    return ["camera", options.source, "--camera", CAMERA, "--loop", "-c", str(file), *rate]


def _write_config(out: Path, *, port: int, model: str, more: Mapping[str, Any]) -> Path:
    """Write the worker's configuration; the embedded broker supports only MQTT 3.1.1, the gateway's one MQTT 5."""
    config = {
        "node": {"id": "demo"},
        "mqtt": {"host": "127.0.0.1", "port": port, "protocol": "auto" if more else "3.1.1"},
        "model": {"path": model, "score_threshold": SCORE_THRESHOLD},
        "output": {"overlay": {"enabled": True}},
        "ops": {"log": {"format": "console"}},
        **more,
    }
    file = out / "edge_worker.yaml"
    comment = "# Written by `edge-worker demo`: what the worker of the demo ran with.\n"
    file.write_text(comment + yaml.safe_dump(config, sort_keys=False))
    return file


def _embedded_broker(children: Children) -> int:
    """Start the broker and return the port that it reports.

    Raises:
        EdgeWorkerError: it did not start.
    """
    broker = children.start("broker", "edge_worker.tools.demo.broker", "--port", "0", answers=True)
    output = broker.process.stdout
    answer = output.readline() if output and select.select([output], [], [], BROKER_S)[0] else b""
    if not answer:
        raise broker.failure("the broker did not start")
    return int(json.loads(answer)["port"])


class _Stage:
    """Passes messages to the recording, and tracks the worker's state."""

    def __init__(self, config: Config, recording: Recording) -> None:
        self._recording = recording
        self._results = Results(config, on_result=recording.result, on_error=recording.error)
        self._frames = Template(config.cameras[0].topic, node=config.node.id)
        self._status = Template(config.node.status_topic, node=config.node.id).format()
        self.state = ""

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """Return the topics of results, frames and the worker's status."""
        own = (Subscription(self._frames.filter, qos=0), Subscription(self._status, qos=1))
        return (*self._results.subscriptions, *own)

    def play(self, client: Client, cast: list[Child], *, until: Callable[[], bool], within_s: float = inf) -> None:
        """Process messages *until* a condition holds.

        Raises:
            EdgeWorkerError: one of the processes *cast* ended, or the condition did not hold *within_s* seconds.
        """
        deadline = Deadline(within_s)
        while not until():
            for child in cast:
                child.check()
            if deadline.expired:
                raise cast[0].failure(f"gave up after {within_s:.0f} s; the worker is {self.state or 'silent'}")
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
        """Report a new state; while the model loads, only the details of the status change."""
        if status.state != self.state:
            self._recording.say(f"the worker is {status.state}" + (f": {status.detail}" if status.detail else ""))
        self.state = status.state
