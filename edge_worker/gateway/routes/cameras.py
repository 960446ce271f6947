"""Cameras: what was seen last, live streams, and the events of all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from edge_worker.gateway.cameras import Camera, Cameras, content_type
from edge_worker.gateway.problems import Problem, documented
from edge_worker.gateway.routes.dependencies import TheHub

STILL_S = 5.0  # an image is sent again after this, so that a client that has gone is noticed
MAX_STREAMS = 16
File = Literal["frame.jpg", "colormap.png", "overlay.jpg", "labels.json"]
Name = Annotated[str, Path(min_length=1, max_length=256)]
_ANY_IMAGE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {"image/*": {}, "application/json": {}}},
    **documented(404),
}


router = APIRouter(tags=["cameras"])


@router.get("/cameras", responses=documented())
async def cameras(hub: TheHub) -> list[dict[str, Any]]:
    """All cameras seen since the gateway started, at most 64."""
    return hub.cameras.values()


@router.get("/cameras/{camera}/latest/{file}", responses=_ANY_IMAGE, response_class=Response)
async def latest(hub: TheHub, camera: Name, file: File) -> Response:
    """The newest frame, map, overlay or labels of a camera; the frame in the format that the camera sent."""
    found = hub.cameras.get(camera)
    if file == "labels.json":
        return Response(_there(found.labels), media_type="application/json")
    image = _there(found.images.get(file.partition(".")[0], b""))
    return Response(image, media_type=content_type(image))


@router.get("/cameras/{camera}/stream.mjpeg", responses=documented(404), response_class=StreamingResponse)
async def stream(hub: TheHub, camera: Name) -> Response:
    """The overlays of a camera as they come, or its frames where there are no overlays."""
    found = hub.cameras.get(camera)
    if hub.cameras.streams >= MAX_STREAMS:
        raise Problem("too_many_requests", f"{MAX_STREAMS} streams are open already")
    return _Stream(hub.cameras, found)


@router.get("/events", responses=documented(), response_class=StreamingResponse)
async def events(hub: TheHub) -> Response:
    """Server-sent events: labels and errors of cameras; status, model and stats of workers."""
    return StreamingResponse(hub.listen(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


def _there(content: bytes) -> bytes:
    if not content:
        raise Problem("not_found", "none has been seen yet; overlays need output.overlay.enabled")
    return content


class _Stream(StreamingResponse):
    """Motion JPEG; counted while it is sent, even if the client goes before the first image."""

    media_type = "multipart/x-mixed-replace; boundary=frame"

    def __init__(self, cameras: Cameras, camera: Camera) -> None:
        super().__init__(_parts(camera))
        self._cameras = cameras

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._cameras.streams += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._cameras.streams -= 1


async def _parts(camera: Camera) -> AsyncIterator[bytes]:
    while True:
        changed = camera.changed
        image = camera.images.get("overlay") or camera.images.get("frame", b"")
        if image:
            kind = content_type(image).encode()
            yield b"--frame\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s\r\n" % (kind, len(image), image)
        with suppress(TimeoutError):
            await asyncio.wait_for(changed.wait(), STILL_S)
