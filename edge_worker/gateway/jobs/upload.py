"""The body of a new job: its images are written to disk as they arrive, within all limits."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, BinaryIO, Final

from edge_worker.gateway.bodies import BODY_S, is_image, media_type
from edge_worker.gateway.forms import FormReader
from edge_worker.gateway.jobs.database import Uploaded
from edge_worker.gateway.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from edge_worker.gateway.jobs.disk import Disk
    from edge_worker.gateway.jobs.store import Store

UPLOAD_S: Final = 600.0
_MORE_PARTS: Final = 16  # of a form, besides images


class Upload:
    """Writes the images of one job; a sink for forms. Belongs to the store's thread."""

    def __init__(self, store: Store, max_images: int, max_bytes: int) -> None:
        """Begin a job of at most *max_images* of *max_bytes* each."""
        self.job = store.begin()
        self.images: list[Uploaded] = []
        self._store, self._max_images, self._max_bytes = store, max_images, max_bytes
        self._file: BinaryIO | None = None
        self._head, self._size = ("", ""), 0

    def begin(self, name: str, filename: str, content_type: str) -> None:
        """Open a file for an image; parts of other names are skipped."""
        if name != "image":
            return
        if len(self.images) >= self._max_images:
            raise Problem("too_big", f"more than {self._max_images} images: gateway.jobs.max_images")
        path = self._store.upload(self.job, len(self.images) + 1)
        self._file = os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")
        self._head, self._size = (filename, content_type), 0

    def write(self, data: bytes) -> None:
        """Write more of it."""
        if self._file is None:
            return
        self._size += len(data)
        if self._size > self._max_bytes:
            raise Problem("too_big", f"image {len(self.images) + 1} has more than {self._max_bytes} bytes")
        self._store.reserve(self.job, len(data))
        self._file.write(data)

    def end(self) -> None:
        """Make sure that it is on the disk."""
        if self._file is None:
            return
        if not self._size:
            raise Problem("bad_request", f"image {len(self.images) + 1} is empty")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._close()
        self.images.append(Uploaded(*self._head, self._size))

    def abandon(self) -> None:
        """Delete what arrived."""
        self._close()
        self._store.abandon(self.job)

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()


async def receive(request: Request, upload: Upload, disk: Disk, max_images: int) -> None:
    """Read the body of *request* into *upload*, whose methods are called by *disk*.

    Raises:
        Problem: ``unsupported``, ``bad_request``, ``too_big``, ``too_many_requests``, ``body_timeout``.
    """
    kind = media_type(request)
    if kind == "multipart/form-data":
        form = FormReader(request.headers.get("content-type", ""), upload, max_images + _MORE_PARTS)
        await _each_chunk(request, disk, form.write)
        await disk.run(form.finish)
    elif is_image(kind):
        await disk.run(upload.begin, "image", "", kind)
        await _each_chunk(request, disk, upload.write)
        await disk.run(upload.end)
    else:
        raise Problem("unsupported", "the body should be multipart/form-data with parts image, or image/*")
    if not upload.images:
        raise Problem("bad_request", "the form has no part named image")


async def _each_chunk(request: Request, disk: Disk, write: Callable[[bytes], None]) -> None:
    """Write each chunk of the body; there is a time limit for each, and one for all."""
    now = asyncio.get_running_loop().time
    end = now() + UPLOAD_S
    try:
        async with asyncio.timeout(BODY_S) as timeout:
            async for chunk in request.stream():
                await disk.run(write, chunk)
                timeout.reschedule(min(now() + BODY_S, end))
    except TimeoutError:
        detail = f"no more of the body came within {BODY_S:g} s, or not all within {UPLOAD_S:g} s"
        raise Problem("body_timeout", detail) from None
