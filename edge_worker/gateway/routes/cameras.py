"""Cameras: what was seen last, live streams, and the events of all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from edge_worker.gateway.cameras import Camera, content_type
from edge_worker.gateway.limits import ConcurrencyLimit
from edge_worker.gateway.problems import Problem, documented
from edge_worker.gateway.routes.dependencies import HubDep

STILL_S = 5.0  # an image is sent again after this, so that a client that has gone is noticed
File = Literal["frame.jpg", "colormap.png", "overlay.jpg", "labels.json"]
Name = Annotated[str, Path(min_length=1, max_length=256)]
_ANY_IMAGE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {"image/*": {}, "application/json": {}}},
    **documented(404),
}


router = APIRouter(tags=["cameras"])


@router.get("/cameras", responses=documented())
async def cameras(hub: HubDep) -> list[dict[str, Any]]:
    """All cameras seen since the gateway started, at most 64."""
    return hub.cameras.values()


@router.get("/cameras/{camera}/latest/{file}", responses=_ANY_IMAGE, response_class=Response)
async def latest(hub: HubDep, camera: Name, file: File) -> Response:
    """The newest frame, map, overlay or labels of a camera; the frame in the format that the camera sent."""
    found = hub.cameras.get(camera)
    if file == "labels.json":
        return Response(_or_not_found(found.labels), media_type="application/json")
    image = _or_not_found(found.images.get(file.partition(".")[0], b""))
    return Response(image, media_type=content_type(image))


@router.get("/cameras/{camera}/stream.mjpeg", responses=documented(404), response_class=StreamingResponse)
async def stream(hub: HubDep, camera: Name) -> Response:
    """The overlays of a camera as they come, or its frames where there are no overlays."""
    return _LimitedStream(_parts(hub.cameras.get(camera)), hub.streams, "multipart/x-mixed-replace; boundary=frame")


@router.get("/events", responses=documented(), response_class=StreamingResponse)
async def events(hub: HubDep) -> Response:
    """Server-sent events: labels and errors of cameras; status, model and stats of workers."""
    return _LimitedStream(hub.listen(), hub.listeners, "text/event-stream")


def _or_not_found(content: bytes) -> bytes:
    if not content:
        raise Problem("not_found", "none has been seen yet; overlays need output.overlay.enabled")
    return content


class _LimitedStream(StreamingResponse):
    """Keeps a slot while it is sent, even if the client leaves before anything arrives."""

    def __init__(self, content: AsyncIterator[str | bytes], limit: ConcurrencyLimit, media_type: str) -> None:
        super().__init__(content, media_type=media_type, headers={"X-Accel-Buffering": "no"})
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._limit.slot():
            await super().__call__(scope, receive, send)


async def _parts(camera: Camera) -> AsyncIterator[bytes]:
    while True:
        changed = camera.changed
        image = camera.images.get("overlay") or camera.images.get("frame", b"")
        if image:
            kind = content_type(image).encode()
            yield b"--frame\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s\r\n" % (kind, len(image), image)
        with suppress(TimeoutError):
            await asyncio.wait_for(changed.wait(), STILL_S)
