"""``edge-worker camera``: publish images, a video, a stream or the rendered scene as a camera would."""

from __future__ import annotations

import itertools
import math
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edge_worker.common.addresses import without_login
from edge_worker.common.errors import EdgeWorkerError, ResultTooLarge
from edge_worker.common.timestamps import rfc3339
from edge_worker.common.topics import Template, is_publishable
from edge_worker.mqtt.events import Connected, Disconnected, Published
from edge_worker.mqtt.message import Outgoing
from edge_worker.tools.client import Client
from edge_worker.tools.interrupts import until_interrupted
from edge_worker.tools.sources import SILENCE_S, Shot, Source, open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge_worker.config import Config

# Maximum number of QoS 1 frames in flight; beyond that the camera waits for the broker.
MAX_IN_FLIGHT = 20
# A broker that ends this many connections in a row, each this soon (seconds), does so because of the frames.
MAX_BRIEF, BRIEF_S = 4, 5.0


@dataclass(frozen=True, slots=True)
class CameraOptions:
    """What to publish: *fps* None is the source's own rate; *loop* starts files over at their end.

    *topic* may contain ``{camera}`` and ``{node}``; None is that of the first camera section. *qos* None is that of the
    section that matches the topic. A live source is given up after *silence_s* without a frame.
    """

    source: str
    camera: str
    topic: str | None = None
    fps: float | None = None
    loop: bool = False
    qos: Literal[0, 1] | None = None
    silence_s: float = SILENCE_S


def run(config: Config, options: CameraOptions) -> int:
    """Publish until the source ends or Ctrl-C; returns the exit code.

    Raises:
        EdgeWorkerError: the source cannot be read, the topic is invalid, or the broker refuses us or the topic.
    """
    source = open_source(options.source, silence_s=options.silence_s)
    fps = options.fps or source.fps
    topic, qos = _destination(config, options)
    limits = config.mqtt.model_copy(update={"max_result_mb": config.limits.max_payload_mb})
    with Client(config.model_copy(update={"mqtt": limits}), role="camera") as client:
        publisher = _Publisher(client, topic, qos)
        with until_interrupted():
            client.wait_connected()
            sys.stderr.write(f"{without_login(options.source)} → {topic}, {fps:g} frames/s\n")
            for shot in paced(repeated(source, fps, loop=options.loop), fps):
                publisher.publish(shot)
            publisher.settle(0)
    publisher.settle(math.inf)  # count what was confirmed while disconnecting
    sys.stderr.write(f"{publisher.published} frames published\n")
    return 0


def _destination(config: Config, options: CameraOptions) -> tuple[str, Literal[0, 1]]:
    """Return topic and QoS to publish with; warn if no worker of this configuration reads such frames.

    Raises:
        EdgeWorkerError: the camera's name or the topic is invalid.
    """
    topic = _topic(config.cameras[0].topic if options.topic is None else options.topic, options.camera, config.node.id)
    takers = (one for one in config.cameras if Template(one.topic, node=config.node.id).match(topic) is not None)
    section = next(takers, None)
    if section is None:
        sys.stderr.write(f"warning: no section of `cameras` takes {topic}: is it for a worker configured elsewhere?\n")
    elif section.reply_prefix is not None:
        sys.stderr.write(f"warning: {topic} takes requests, and those without a Response Topic are not parsed\n")
    qos = options.qos if options.qos is not None else section.qos if section else 0
    return topic, qos


def _topic(text: str, camera: str, node: str) -> str:
    """Fill in the topic template *text*.

    Raises:
        EdgeWorkerError: it is not a topic with at most one ``{camera}``, or *camera* is not a topic level.
    """
    try:
        template = Template(text, node=node)
    except ValueError as error:
        raise EdgeWorkerError(f"--topic: {error}") from error
    topic = template.format(camera=camera)
    if "{camera}" in text and (not camera or template.match(topic) != camera):
        raise EdgeWorkerError(f"{camera!r} cannot be a camera's name: it is one level of a topic, without /, + and #")
    if not is_publishable(topic) or topic.startswith("$") or "{command}" in text or "{person}" in text:
        raise EdgeWorkerError(f"--topic: {text!r} cannot be published to")
    return topic


def repeated(source: Source, fps: float, *, loop: bool) -> Iterator[Shot]:
    """Yield the shots of *source*, repeatedly if *loop*.

    Raises:
        EdgeWorkerError: a pass over the source yielded nothing, so repeating it would never end.
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
    """Yield *shots* at *fps* by the *clock*; late ones are not followed by a burst.

    A shot is taken only when it is due, so that one of a live stream is fresh.
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
        self._connected_at, self._brief = -math.inf, 0
        self.published = 0

    def publish(self, shot: Shot) -> None:
        """Publish *shot* with its id and time, which reach the worker only with MQTT 5."""
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

    def settle(self, at_most: float) -> None:
        """Count the frames that reached the broker, and wait until at most *at_most* are in flight."""
        while True:
            crowded = len(self._in_flight) > at_most
            event = self._client.next(timeout_s=1.0 if crowded else 0.0)
            if isinstance(event, Published):
                self._in_flight.discard(event.publication)
                self.published += event.ok
            elif isinstance(event, Connected):
                self._connected_at = time.monotonic()
            elif isinstance(event, Disconnected):
                self._count_brief_connection()
            elif event is None and not crowded:
                return

    def _count_brief_connection(self) -> None:
        """Count the connection that just ended if it was brief.

        Raises:
            EdgeWorkerError: there were too many in a row: the only sign by which an old broker refuses QoS 0 frames.
        """
        self._brief = self._brief + 1 if time.monotonic() - self._connected_at < BRIEF_S else 0
        if self._brief >= MAX_BRIEF:
            raise EdgeWorkerError(
                f"the broker ended {self._brief} connections in a row soon after they began: "
                f"publishing to {self._topic} is refused, it seems: see its access list and log"
            )
