"""Jobs, as the rest of the gateway sees them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import structlog

from edge_worker.common import log_events
from edge_worker.gateway.jobs.archive import archive
from edge_worker.gateway.jobs.database import Order
from edge_worker.gateway.jobs.disk import Disk
from edge_worker.gateway.jobs.runner import Runner
from edge_worker.gateway.jobs.store import Store
from edge_worker.gateway.jobs.upload import Upload, receive
from edge_worker.gateway.limits import ConcurrencyLimit
from edge_worker.gateway.problems import Problem
from edge_worker.ops.directories import NO_HOME, state_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping

    from starlette.requests import Request

    from edge_worker.config import GatewayConfig
    from edge_worker.gateway.jobs.documents import JobDocument
    from edge_worker.gateway.requests import Requests, Wanted

MAX_UPLOADS: Final = 4
SWEEP_S: Final = 60.0
_FOLDER: Final = "gateway-jobs"
_log = structlog.get_logger(__name__)


def _log_failure(task: asyncio.Task[None]) -> None:
    """Log what ended a task that should run for ever."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error(log_events.GATEWAY_JOBS, problem="a defect of the gateway: restart it", exc_info=error)


class Jobs:
    """Kept in the state directory, and run while the gateway does. Belongs to the event loop."""

    def __init__(
        self, config: GatewayConfig, environ: Mapping[str, str], requests: Requests, require: Callable[[], None]
    ) -> None:
        """Parse images by *requests* while *require* raises no problem; nothing is opened yet."""
        self._config, self._requests, self._require = config.jobs, requests, require
        self._state, self._disk = state_directory(environ), Disk()
        self._store: Store | None = None
        self._runner: Runner | None = None
        self._disabled = Problem("forbidden", "jobs are switched off: gateway.jobs.max_jobs")
        self._tasks: set[asyncio.Task[None]] = set()
        self._uploads = ConcurrencyLimit(MAX_UPLOADS, "jobs are being uploaded")

    async def start(self) -> None:
        """Open the directory and continue the jobs in it; if that fails, log it and run without jobs."""
        if not self._config.max_jobs:
            return
        try:
            store = self._store = await self._disk.run(self._open)
        except Problem as problem:
            self._disabled = problem
            _log.warning(log_events.GATEWAY_JOBS, problem=problem.detail)
            return
        runner = self._runner = Runner(store, self._disk, self._requests, self._require)
        self._spawn(self._sweep(store))
        for _ in range(self._config.max_in_flight):
            self._spawn(runner.work())

    def _open(self) -> Store:
        if self._state is None:
            raise OSError(f"there is no state directory: {NO_HOME}")
        return Store(self._state / _FOLDER, self._config)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(_log_failure)
        self._tasks.add(task)

    async def stop(self) -> None:
        """Stop at once; images in work are parsed again after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._store is not None:
            await self._disk.run(self._store.close)
        await asyncio.to_thread(self._disk.close)

    async def _sweep(self, store: Store) -> None:
        while True:
            try:
                await self._disk.run(store.expire, time.time())
            except Problem as problem:
                _log.warning(log_events.GATEWAY_JOBS, problem=problem.detail)
            await asyncio.sleep(min(SWEEP_S, self._config.keep_s))

    def _opened(self) -> Store:
        """Return the store.

        Raises:
            Problem: ``forbidden`` or ``no_storage``, as in all methods below.
        """
        if self._store is None:
            # A new one: raised again, the same one would keep every traceback.
            raise Problem(self._disabled.reason, self._disabled.detail)
        return self._store

    async def create(self, request: Request, wanted: Wanted, model: str | None) -> JobDocument:
        """Accept the images of *request*.

        Raises:
            Problem: what is wrong with them, or with the model; ``too_many_requests``.
        """
        store = self._opened()
        self._requests.section(model)
        with self._uploads.slot():
            return await self._create(store, request, wanted, model)

    async def _create(self, store: Store, request: Request, wanted: Wanted, model: str | None) -> JobDocument:
        limit = self._config.max_images
        upload = await self._disk.run(Upload, store, limit, self._requests.max_bytes)
        try:
            await receive(request, upload, self._disk, limit)
            now = time.time()
            order = Order(wanted, model, created=now, expires=now + self._config.keep_s)
            document = await self._disk.run(store.commit, upload.job, order, upload.images)
        except BaseException:
            await self._disk.run(upload.abandon)
            raise
        if self._runner is not None:
            self._runner.wake()
        return document

    async def document(self, job: str) -> JobDocument:
        """Describe a job.

        Raises:
            Problem: ``not_found``, as in the methods below.
        """
        return await self._disk.run(self._opened().document, job)

    async def delete(self, job: str) -> None:
        """Cancel a job and delete everything of it."""
        await self._disk.run(self._opened().delete, job)

    async def read(self, job: str, number: int, name: str) -> bytes:
        """Read a result."""
        return await self._disk.run(self._opened().read, job, number, name)

    async def archive(self, job: str) -> Iterator[bytes]:
        """Return a ZIP of the results so far; to be iterated in another thread."""
        store, document = self._opened(), await self.document(job)
        files = [
            (f"{image.number:04}/{name}", store.result(job, image.number, name))
            for image in document.images
            for name in image.files
        ]
        return archive(document.model_dump_json().encode(), files)
