"""``edge-worker camera``: publish images, a video, a stream or the drawn scene as a camera would."""

from __future__ import annotations

import itertools
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edge_worker.common.addresses import without_login
from edge_worker.common.timestamps import rfc3339
from edge_worker.common.topics import Template, is_publishable
from edge_worker.errors import EdgeWorkerError, ResultTooLarge
from edge_worker.mqtt.events import Outgoing, Published
from edge_worker.tools.client import Client
from edge_worker.tools.interrupts import until_interrupted
from edge_worker.tools.sources import Shot, Source, open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge_worker.config import Config

# Frames with QoS 1 on their way to the broker at a time; the camera waits for it beyond that.
MAX_IN_FLIGHT = 20


@dataclass(frozen=True, slots=True)
class CameraOptions:
    """What to publish: *fps* None is the source's own rate; *loop* begins again at the end of files."""

    source: str
    camera: str
    fps: float | None = None
    loop: bool = False
    qos: Literal[0, 1] = 0


def run(config: Config, options: CameraOptions) -> int:
    """Publish until the source ends or Ctrl-C; returns the exit code.

    Raises:
        EdgeWorkerError: the source cannot be read, the camera's name is none, or the broker refuses us.
    """
    source = open_source(options.source)
    fps = options.fps or source.fps
    topic = _topic(config, options.camera)
    limits = config.mqtt.model_copy(update={"max_result_mb": config.limits.max_payload_mb})
    with Client(config.model_copy(update={"mqtt": limits}), role="camera") as client:
        publisher = _Publisher(client, topic, options.qos)
        with until_interrupted():
            client.wait_connected()
            sys.stderr.write(f"{without_login(options.source)} → {topic}, {fps:g} frames/s\n")
            for shot in paced(repeated(source, fps, loop=options.loop), fps):
                publisher.publish(shot)
            publisher.settle(0)
    publisher.settle(MAX_IN_FLIGHT)  # what the goodbye still took along
    sys.stderr.write(f"{publisher.published} frames published\n")
    return 0


def _topic(config: Config, camera: str) -> str:
    """Give the topic that the worker expects frames of *camera* on.

    Raises:
        EdgeWorkerError: the name cannot stand in a topic.
    """
    template = Template(config.cameras[0].topic, node=config.node.id)
    topic = template.format(camera=camera)
    if not camera or not is_publishable(topic) or template.match(topic) != camera:
        raise EdgeWorkerError(f"{camera!r} cannot be a camera's name: it is one level of a topic, without /, + and #")
    return topic


def repeated(source: Source, fps: float, *, loop: bool) -> Iterator[Shot]:
    """Give the shots of *source*, over and over if *loop*.

    Raises:
        EdgeWorkerError: a pass over the source gave nothing, so that repeating it would give nothing for ever.
    """
    while True:
        empty = True
        for shot in source.shots(fps):
            empty = False
            yield shot
        if not loop:
            return
        if empty:
            raise EdgeWorkerError("the source has no more frames")


def paced(
    shots: Iterator[Shot],
    fps: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Shot]:
    """Give *shots* at *fps* by the *clock*; what came late is not made up for by a burst.

    A shot is asked for when its time has come, so that one of a live stream is fresh.
    """
    due = clock()
    for shot in shots:
        yield shot
        now = clock()
        due = max(due + 1.0 / fps, now)
        sleep(due - now)


class _Publisher:
    """Publishes shots under one topic, numbered."""

    def __init__(self, client: Client, topic: str, qos: Literal[0, 1]) -> None:
        self._client, self._topic, self._qos = client, topic, qos
        run = f"{int(time.time()):x}"
        self._ids = (f"{run}-{number:06d}" for number in itertools.count(1))
        self._in_flight: set[int] = set()
        self.published = 0

    def publish(self, shot: Shot) -> None:
        """Publish *shot* with its id and time (which reach the worker with MQTT 5 only)."""
        message = Outgoing(
            self._topic,
            shot.payload,
            self._qos,
            content_type=shot.content_type,
            properties={"frame-id": next(self._ids), "captured-at": rfc3339(shot.captured_at)},
            must_arrive=self._qos == 1,
        )
        try:
            self._in_flight.add(self._client.publish(message))
        except ResultTooLarge as error:
            sys.stderr.write(f"a frame of {len(shot.payload)} bytes is left out: {error}\n")
        self.settle(MAX_IN_FLIGHT)

    def settle(self, at_most: int) -> None:
        """Count what has reached the broker, and wait until no more than *at_most* frames are on their way to it."""
        while True:
            crowded = len(self._in_flight) > at_most
            event = self._client.next(timeout_s=1.0 if crowded else 0.0)
            if isinstance(event, Published):
                self._in_flight.discard(event.publication)
                self.published += event.ok
            elif event is None and not crowded:
                return
