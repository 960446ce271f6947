"""Gets the images of jobs parsed, a few at a time, beside those that clients wait for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from edge_worker.common import log_events
from edge_worker.gateway.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_worker.gateway.jobs.database import Waiting
    from edge_worker.gateway.jobs.disk import Disk
    from edge_worker.gateway.jobs.store import Store
    from edge_worker.gateway.requests import Parsed, Requests

CAMERA: Final = "jobs"
"""The camera's name in their topics: a worker takes turns among cameras, so jobs do not hold up ``web``."""

RETRY_S: Final = 1.0
DISK_RETRY_S: Final = 30.0  # what a full disk does not take is parsed again each time
MAX_TRIES: Final = 3
_TRANSIENT: Final = frozenset({"no_worker", "no_broker"})  # waited for, however long it takes
_UNANSWERED: Final = frozenset({"timeout", "refused"})  # tried again a few times
_FILES: Final = {"colormap": "colormap.png", "overlay": "overlay.jpg"}
_log = structlog.get_logger(__name__)


class Runner:
    """Takes images from the store and puts results into it. Belongs to the event loop."""

    def __init__(self, store: Store, disk: Disk, requests: Requests, require: Callable[[], None]) -> None:
        """Parse the images of *store* by *requests* while *require* raises no problem."""
        self._store, self._disk, self._requests, self._require = store, disk, requests, require
        self._busy: set[tuple[str, int]] = set()
        self._wakeup, self._take_lock = asyncio.Event(), asyncio.Lock()

    def wake(self) -> None:
        """Look for a new job."""
        self._wakeup.set()

    async def work(self) -> None:
        """Parse one image after the other, for ever; several may do so at once."""
        while True:
            try:
                await self._one()
            except Problem as problem:  # no worker, or a disk that fails: the image waits
                await asyncio.sleep(DISK_RETRY_S if problem.reason == "no_storage" else RETRY_S)

    async def _one(self) -> None:
        image, content = await self._take()
        try:
            self._require()
            await self._answer(image, content)
        finally:
            self._busy.discard(image.key)

    async def _take(self) -> tuple[Waiting, bytes]:
        async with self._take_lock:
            while True:
                self._wakeup.clear()
                taken = await self._disk.run(self._store.next, self._busy.copy())
                if taken is not None:
                    self._busy.add(taken[0].key)
                    return taken
                await self._wakeup.wait()

    async def _answer(self, image: Waiting, content: bytes) -> None:
        try:
            parsed = await self._requests.parse(
                content, image.content_type, image.wanted, model=image.model, camera=CAMERA
            )
        except Problem as problem:
            await self._failed(image, problem)
        except Exception:  # noqa: BLE001 - logged; the other images go on
            _log.exception(log_events.GATEWAY_JOBS, problem="a defect of the gateway")
            await self._disk.run(self._store.fail, image, "model_error", "a defect of the gateway; its log says more")
        else:
            await self._disk.run(self._store.keep, image, _files(parsed))

    async def _failed(self, image: Waiting, problem: Problem) -> None:
        if problem.reason in _TRANSIENT:
            raise problem
        if problem.reason in _UNANSWERED and image.tries + 1 < MAX_TRIES:
            await self._disk.run(self._store.tried, image)
        else:
            await self._disk.run(self._store.fail, image, problem.reason, problem.detail)


def _files(parsed: Parsed) -> dict[str, bytes]:
    images = {_FILES[kind]: image for kind, image in parsed.images.items() if kind in _FILES}
    return {"labels.json": parsed.json, **images}
