"""Cameras: what was seen last, live streams, and the events of all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from fastapi.responses import Response, StreamingResponse

from edge_worker.gateway.cameras import Camera, content_type
from edge_worker.gateway.hub import Hub
from edge_worker.gateway.problems import Problem, documented

STILL_S = 5.0  # an image is sent again after this, so that a client that has gone is noticed
MAX_STREAMS = 16
File = Literal["frame.jpg", "colormap.png", "overlay.jpg", "labels.json"]
Name = Annotated[str, Path(min_length=1, max_length=256)]
_ANY_IMAGE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {"image/*": {}, "application/json": {}}},
    **documented(404),
}


def router(hub: Hub) -> APIRouter:
    """Give the routes."""
    routes = APIRouter(tags=["cameras"])
    streams: set[object] = set()

    @routes.get("/cameras", responses=documented())
    async def cameras() -> list[dict[str, Any]]:
        """All cameras seen since the gateway started, at most 64."""
        return hub.cameras.values()

    @routes.get("/cameras/{camera}/latest/{file}", responses=_ANY_IMAGE, response_class=Response)
    async def latest(camera: Name, file: File) -> Response:
        """The newest frame, map, overlay or labels of a camera; the frame in the format that the camera sent."""
        found = hub.cameras.get(camera)
        if file == "labels.json":
            return Response(_there(found.labels), media_type="application/json")
        image = _there(found.images.get(file.partition(".")[0], b""))
        return Response(image, media_type=content_type(image))

    @routes.get("/cameras/{camera}/stream.mjpeg", responses=documented(404), response_class=StreamingResponse)
    async def stream(camera: Name) -> Response:
        """The overlays of a camera as they come, or its frames where there are no overlays."""
        found, key = hub.cameras.get(camera), object()
        if len(streams) >= MAX_STREAMS:
            raise Problem("too_many_requests", f"{MAX_STREAMS} streams are open already")
        streams.add(key)
        return StreamingResponse(_parts(found, streams, key), media_type="multipart/x-mixed-replace; boundary=frame")

    @routes.get("/events", responses=documented(), response_class=StreamingResponse)
    async def events() -> Response:
        """Server-sent events: labels and errors of cameras; status, model and stats of workers."""
        return StreamingResponse(hub.listen(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    return routes


def _there(content: bytes) -> bytes:
    if not content:
        raise Problem("not_found", "none has been seen yet; overlays need output.overlay.enabled")
    return content


async def _parts(camera: Camera, streams: set[object], key: object) -> AsyncIterator[bytes]:
    try:
        while True:
            changed = camera.changed
            image = camera.images.get("overlay") or camera.images.get("frame", b"")
            if image:
                kind = content_type(image).encode()
                yield b"--frame\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s\r\n" % (kind, len(image), image)
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), STILL_S)
    finally:
        streams.discard(key)
