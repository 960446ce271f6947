"""Images parsed by the workers: publishes requests, reassembles their replies, and bounds both."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from edge_worker.common.topics import Template
from edge_worker.gateway.limits import ConcurrencyLimit
from edge_worker.gateway.problems import Problem
from edge_worker.inference.outputs import KINDS
from edge_worker.messages import ErrorMessage, LabelsMessage
from edge_worker.mqtt.message import Incoming, Outgoing, Subscription

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_worker.config import CameraConfig, Config
    from edge_worker.gateway.broker import Broker
    from edge_worker.mqtt.events import Published

CAMERA: Final = "web"
"""The camera's name in the topics of requests and in their results."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of an image."""

    images: frozenset[str] = frozenset({"colormap"})
    masks: bool = False
    score_threshold: float | None = None

    def properties(self) -> dict[str, str]:
        """Return the user properties that say so."""
        threshold = {} if self.score_threshold is None else {"score-threshold": str(self.score_threshold)}
        return {"outputs": ",".join(sorted(self.images)), "masks": "rle" if self.masks else "none", **threshold}


@dataclass(frozen=True, slots=True)
class Parsed:
    """The results of one image; ``json`` is the labels message as it came."""

    json: bytes
    images: dict[str, bytes]

    def labels(self) -> LabelsMessage:
        """Read the labels message."""
        return LabelsMessage.model_validate_json(self.json)


@dataclass(slots=True)
class _Pending:
    make: Callable[..., Outgoing]
    result: asyncio.Future[Parsed]
    expires: float
    images: dict[str, bytes] = field(default_factory=dict)
    publications: set[int] = field(default_factory=set)


class Requests:
    """Requests in flight. Belongs to the event loop."""

    def __init__(self, config: Config, broker: Broker) -> None:
        """Use the camera sections of *config* that take requests; their share groups name the models."""
        self._broker = broker
        sections = [camera for camera in config.cameras if camera.reply_prefix is not None]
        self._sections: dict[str, CameraConfig] = {camera.share_group or "default": camera for camera in sections}
        self._node, self._timeout_s = config.node.id, config.gateway.timeout_s
        self._max_bytes = config.limits.max_payload_bytes
        self._pending: dict[bytes, _Pending] = {}
        self.in_flight = ConcurrencyLimit(config.gateway.max_in_flight, "images are being parsed")
        """Images being received or parsed; take a slot before reading the body."""
        self.timed_out = self.repeated = 0

    @property
    def models(self) -> tuple[str, ...]:
        """The names that ``?model`` takes, the default first."""
        return tuple(self._sections)

    @property
    def max_bytes(self) -> int:
        """Largest size of an image."""
        return min(self._max_bytes, self._broker.max_packet() - 1024)

    def subscriptions(self) -> tuple[Subscription, ...]:
        """The subscription to the replies."""
        return tuple(Subscription(topic, 1) for topic in {self._reply_topic(one) for one in self._sections.values()})

    async def parse(
        self, image: bytes, content_type: str, wanted: Wanted, *, model: str | None = None, camera: str = CAMERA
    ) -> Parsed:
        """Get *image* parsed, as a frame of *camera*.

        Raises:
            Problem: no broker, an error of the worker's, or no result in time.
        """
        self._broker.require()
        section, key = self.section(model), secrets.token_bytes(16)
        make = partial(
            Outgoing,
            topic=Template(section.topic, node=self._node).format(camera=camera),
            payload=image,
            content_type=content_type,
            properties={"frame-id": key.hex(), **wanted.properties()},
            response_topic=self._reply_topic(section),
            correlation=key,
        )
        result = asyncio.get_running_loop().create_future()
        pending = self._pending[key] = _Pending(make, result, expires=time.monotonic() + self._timeout_s)
        try:
            self._publish(pending)
            return await asyncio.wait_for(pending.result, self._timeout_s)
        except TimeoutError:
            self.timed_out += 1
            raise Problem("timeout", f"no worker gave a result within {self._timeout_s:g} s") from None
        finally:
            del self._pending[key]

    def take(self, message: Incoming) -> bool:
        """Take a reply; False where *message* is none."""
        if message.correlation is None or message.topic not in map(self._reply_topic, self._sections.values()):
            return False
        pending = self._pending.get(message.correlation)
        if pending is None or pending.result.done():
            return True
        kind = message.properties.get("kind", "")
        if kind == "labels":
            pending.result.set_result(Parsed(message.payload, pending.images))
        elif kind == "error":
            pending.result.set_exception(_problem(message.payload))
        elif kind in KINDS:
            pending.images[kind] = message.payload
        return True

    def published(self, event: Published) -> None:
        """Note the end of a publication; a request that the broker refused, or that had no subscriber, has failed."""
        if event.ok and not event.unmatched:
            return
        for pending in self._pending.values():
            if event.publication in pending.publications and not pending.result.done():
                pending.result.set_exception(_problem_of(event))

    def repeat(self) -> None:
        """Publish open requests again: a worker was lost, and with it the requests that it had.

        A worker that has a request already knows it by its id.
        """
        for pending in tuple(self._pending.values()):
            if not pending.result.done() and len(pending.publications) == 1:
                self.repeated += 1
                self._publish(pending)

    def _publish(self, pending: _Pending) -> None:
        left = max(1, math.ceil(pending.expires - time.monotonic()))
        message = pending.make(expiry_s=left)
        pending.publications.add(message.publication)
        self._broker.publish(message)

    def section(self, model: str | None) -> CameraConfig:
        """Return the section of a model; None: the default.

        Raises:
            Problem: ``invalid``: there is no such model.
        """
        if not self._sections:
            raise Problem("no_worker", "no camera section of the configuration has a reply_prefix: see docs/gateway.md")
        name = self.models[0] if model is None else model
        if name not in self._sections:
            raise Problem("invalid", f"no such model: there are {', '.join(self.models)}")
        return self._sections[name]

    def _reply_topic(self, section: CameraConfig) -> str:
        return f"{section.reply_prefix}{self._broker.client_id}"


def _problem_of(event: Published) -> Problem:
    if event.unmatched:
        return Problem("no_worker", "no worker is online that takes these requests: nobody subscribes to their topic")
    return Problem("refused", f"the broker did not take the image: {event.reason}")


def _problem(payload: bytes) -> Problem:
    """Read an error message; a worker newer than this gateway may have reasons that it does not know."""
    try:
        error = ErrorMessage.model_validate_json(payload)
    except ValueError:
        return Problem("model_error", "the worker sent an error that cannot be read")
    return Problem(error.reason, error.detail)
