"""The composition root: one connection to the broker and what uses it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, Final

from edge_worker.gateway.broker import Broker
from edge_worker.gateway.cameras import Cameras
from edge_worker.gateway.jobs.jobs import Jobs
from edge_worker.gateway.limits import ConcurrencyLimit
from edge_worker.gateway.nodes import Nodes
from edge_worker.gateway.requests import Requests
from edge_worker.gateway.security import Secrets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from edge_worker.config import Config
    from edge_worker.mqtt.message import Incoming

MAX_FORMS: Final = 16
MAX_STREAMS: Final = 16
MAX_LISTENERS: Final = 32
MAX_EVENTS: Final = 200  # waiting for one listener; past that the oldest are dropped
HEARTBEAT_S: Final = 10.0


class Hub:
    """What the routes use. Belongs to the event loop."""

    def __init__(self, config: Config, environ: Mapping[str, str]) -> None:
        """Build everything; nothing is connected yet.

        Raises:
            ConfigError: a secret cannot be read.
        """
        self.config, self.secrets, self.started = config, Secrets.read(config.gateway), time.monotonic()
        self.broker = Broker(config, environ)
        self.requests = Requests(config, self.broker)
        self.nodes = Nodes(config, self.broker)
        self.cameras = Cameras(config)
        self.jobs = Jobs(config.gateway, environ, self.requests, self.require)
        self.forms = ConcurrencyLimit(MAX_FORMS, "forms are being received")
        self.streams = ConcurrencyLimit(MAX_STREAMS, "clients watch cameras")
        self.listeners = ConcurrencyLimit(MAX_LISTENERS, "clients listen to events")
        self._queues: set[asyncio.Queue[str]] = set()
        self.responses: dict[int, int] = {}
        """Responses since the start, by status."""
        self.broker.on_message, self.broker.on_published = self._message, self.requests.published
        self.nodes.on_change = self.cameras.on_change = self._send_event
        self.nodes.on_lost = self.requests.repeat

    async def start(self) -> None:
        """Start connecting, and continue the jobs."""
        parts = (self.requests, self.nodes, self.cameras)
        self.broker.start([one for part in parts for one in part.subscriptions()])
        await self.jobs.start()

    async def stop(self) -> None:
        """Leave the jobs for the next start, and say goodbye to the broker."""
        await self.jobs.stop()
        await asyncio.to_thread(self.broker.stop)

    def require(self) -> None:
        """Require that an image could be parsed now.

        Raises:
            Problem: ``no_broker`` or ``no_worker``, raised at once by retained statuses.
        """
        self.broker.require()
        self.nodes.require()

    def _message(self, message: Incoming) -> None:
        _ = self.requests.take(message) or self.cameras.take(message) or self.nodes.take(message)

    def _send_event(self, kind: str, name: str, values: dict[str, Any]) -> None:
        text = f"event: {kind}\ndata: {json.dumps({'name': name, **values})}\n\n"
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(text)

    async def listen(self) -> AsyncIterator[str]:
        """Yield server-sent events, and comments while nothing happens, so that a dead connection is noticed."""
        queue: asyncio.Queue[str] = asyncio.Queue(MAX_EVENTS)
        self._queues.add(queue)  # here, not before: a generator whose client has gone at once never starts
        try:
            yield "retry: 2000\n\n"
            while True:
                try:
                    yield await asyncio.wait_for(queue.get(), HEARTBEAT_S)
                except TimeoutError:
                    yield ": nothing new\n\n"
        finally:
            self._queues.discard(queue)
