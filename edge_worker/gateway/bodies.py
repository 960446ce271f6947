"""Bodies of requests: read in memory, against a limit and a deadline; nothing is written to disk."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from edge_worker.errors import DecodeError
from edge_worker.frames.envelope import open_envelope
from edge_worker.gateway.problems import Problem

if TYPE_CHECKING:
    from starlette.requests import Request

BODY_S: Final = 30.0
MAX_PARTS: Final = 256
_JSON_OVERHEAD: Final = 4096


@dataclass(slots=True)
class FormPart:
    """One part of a form."""

    name: str
    filename: str
    content_type: str
    content: bytes


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
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith("image/") or kind == "application/octet-stream":
        return _not_empty(await read_body(request, limit)), kind
    if kind == "multipart/form-data":
        parts = {part.name: part for part in await read_form(request, limit)}
        if "image" not in parts:
            raise Problem("bad_request", "the form has no part named image")
        return _not_empty(parts["image"].content), parts["image"].content_type
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
    _, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise Problem("bad_request", "the form names no boundary")
    collected = _Collector()
    body = await read_body(request, limit + 64 * 1024)
    try:
        parser = MultipartParser(boundary, collected.callbacks())  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise Problem("bad_request", f"the form cannot be read: {error}") from error
    return collected.parts


@dataclass(slots=True)
class _Collector:
    """Takes what the parser finds."""

    parts: list[FormPart] = field(default_factory=list)
    _headers: dict[str, str] = field(default_factory=dict)
    _name: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _content: bytearray = field(default_factory=bytearray)

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header,
            "on_part_data": lambda data, start, end: self._content.extend(data[start:end]),
            "on_part_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.parts) >= MAX_PARTS:
            raise FormParserError(f"more than {MAX_PARTS} parts")
        self._headers, self._content = {}, bytearray()

    def _header(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = self._value.decode("latin-1")
        self._name, self._value = bytearray(), bytearray()

    def _end(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", ""))
        name, filename = (options.get(key, b"").decode("utf-8", "replace") for key in (b"name", b"filename"))
        content_type = self._headers.get("content-type", "application/octet-stream")
        self.parts.append(FormPart(name, filename[:200], content_type, bytes(self._content)))
