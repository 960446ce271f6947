"""Bodies of requests: read into memory, within a limit and a deadline; nothing is written to disk."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from edge_worker.common.errors import DecodeError
from edge_worker.frames.envelope import open_envelope
from edge_worker.gateway.forms import FormPart, FormReader, Parts
from edge_worker.gateway.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

BODY_S: Final = 30.0
_JSON_OVERHEAD: Final = 4096


def media_type(request: Request) -> str:
    """Return the media type of the body in lower case; empty if none is given."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_image(kind: str) -> bool:
    """Whether a body of this media type is taken for an image."""
    return kind.startswith("image/") or kind == "application/octet-stream"


async def read_body(request: Request, limit: int) -> bytes:
    """Read the body of *request*, in at most :data:`BODY_S` seconds.

    Raises:
        Problem: ``too_big``, before more than *limit* bytes were read; ``body_timeout``.
    """
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > limit:
        raise Problem("too_big", f"{announced} bytes; at most {limit} are taken")
    try:
        return await asyncio.wait_for(_read(request, limit), BODY_S)
    except TimeoutError:
        raise Problem("body_timeout", f"the body did not arrive within {BODY_S:g} s") from None


async def _read(request: Request, limit: int) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise Problem("too_big", f"more than {limit} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


async def read_image(request: Request, limit: int) -> tuple[bytes, str]:
    """Read the image of *request*: the body itself, the form's part ``image``, or the JSON's base64; and its type.

    Raises:
        Problem: ``unsupported``, ``bad_request``, or as :func:`read_body`.
    """
    kind = media_type(request)
    if is_image(kind):
        return _not_empty(await read_body(request, limit)), kind
    if kind == "multipart/form-data":
        image = image_of(await read_form(request, limit))
        return image.content, image.content_type
    if kind == "application/json":
        return _from_json(await read_body(request, limit * 4 // 3 + _JSON_OVERHEAD)), "application/octet-stream"
    raise Problem("unsupported", "the body should be image/*, multipart/form-data with a part image, or JSON")


def _not_empty(image: bytes) -> bytes:
    if not image:
        raise Problem("bad_request", "the image is empty")
    return image


def _from_json(body: bytes) -> bytes:
    try:
        return _not_empty(open_envelope(body, len(body)).image)
    except DecodeError as error:
        raise Problem("bad_request", error.detail) from error


async def read_form(request: Request, limit: int) -> list[FormPart]:
    """Read a form.

    Raises:
        Problem: ``bad_request``, or as :func:`read_body`.
    """
    parts = Parts()
    reader = FormReader(request.headers.get("content-type", ""), parts)
    reader.write(await read_body(request, limit + 64 * 1024))
    reader.finish()
    return parts.parts


def image_of(form: Sequence[FormPart]) -> FormPart:
    """Find the image of a form.

    Raises:
        Problem: ``bad_request``: there is none, it is empty, or there are several.
    """
    images = [part for part in form if part.name == "image"]
    if not images:
        raise Problem("bad_request", "the form has no part named image")
    if len(images) > 1:
        raise Problem("bad_request", "the form has several parts named image: POST /api/v1/jobs takes many")
    _not_empty(images[0].content)
    return images[0]
