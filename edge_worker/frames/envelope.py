"""The JSON envelope around an image: ``{"image": base64, "frame_id"?, "captured_at"?}``. Standard library only.

Input is untrusted: each limit is checked before the step it protects.
"""

from __future__ import annotations

import base64
import codecs
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_worker.common.errors import DecodeError
from edge_worker.common.timestamps import in_utc

if TYPE_CHECKING:
    from typing import NoReturn

MAX_FRAME_ID = 128
"""Characters of a frame id."""

# Each value of a JSON document costs up to 200 bytes of objects, and nesting costs stack; neither bracket occurs in
# base64 (a data: URL has one comma), so counting these characters bounds both before the parser runs.
MAX_STRUCTURE = 1000

_LEADING = b" \t\r\n"
_TO_BASE64 = str.maketrans("-_", "+/", " \t\r\n")  # from URL-safe base64, and without white space
_DATA_URL = re.compile(r"\s*data:[^,]{0,200};base64,", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Envelope:
    """Content of an envelope: the image, and the sender's id if given."""

    image: bytes
    frame_id: str | None


def is_envelope(payload: bytes) -> bool:
    """Whether *payload* is an envelope: it starts with a brace, as no image format does."""
    return payload[:64].removeprefix(codecs.BOM_UTF8).lstrip(_LEADING).startswith(b"{")


def open_envelope(payload: bytes, max_payload_bytes: int) -> Envelope:
    """Parse an envelope. Other keys are ignored; ``captured_at``, too: a frame is not rejected for a wrong one.

    The base64 text may be URL-safe, have line breaks, or be a ``data:`` URL.

    Raises:
        DecodeError: ``too_big`` if *payload* exceeds *max_payload_bytes*, otherwise ``undecodable``; the detail names
            the key and what is expected.
    """
    if len(payload) > max_payload_bytes:
        raise DecodeError("too_big", f"{len(payload)} bytes; at most {max_payload_bytes} are accepted")
    fields = _parse(payload)
    if "image" not in fields:
        _refuse('the envelope has no "image"')
    frame_id = fields.get("frame_id")
    return Envelope(_image(fields["image"]), None if frame_id is None else checked_frame_id(frame_id))


def identity_in(payload: bytes, max_payload_bytes: int) -> tuple[str | None, object]:
    """Read ``frame_id`` of an envelope, None if missing or invalid, and ``captured_at``, unchecked.

    The rest is not checked, so that the error message for an invalid envelope has the sender's id.
    """
    try:
        fields = _parse(payload) if len(payload) <= max_payload_bytes else {}
    except DecodeError:
        fields = {}
    return usable_frame_id(fields.get("frame_id")), fields.get("captured_at")


def usable_frame_id(value: object) -> str | None:
    """Return a sender's frame id; None if it is missing, or :func:`checked_frame_id` refuses it."""
    try:
        return None if value is None else checked_frame_id(value)
    except DecodeError:
        return None


def checked_frame_id(value: object) -> str:
    """Return a sender's frame id; it must have 1 to 128 printable characters.

    Raises:
        DecodeError: ``undecodable``.
    """
    if not isinstance(value, str):
        _refuse(f"frame_id must be a string, not {_json_type(value)}")
    if not (0 < len(value) <= MAX_FRAME_ID and value.isprintable()):
        _refuse(f"frame_id must be 1 to {MAX_FRAME_ID} printable characters, not {value[:40]!r} ({len(value)})")
    return value


def utc_timestamp(value: object) -> str:
    """Return a sender's time of capture in UTC: RFC 3339 with any offset, or seconds to nanoseconds since 1970.

    Raises:
        ValueError: it is neither, or such a time does not exist; the message says which.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"must be a time like 2026-01-31T12:00:00Z, not {_json_type(value)}")  # noqa: TRY004 - one error
    return in_utc(str(value))


def _parse(payload: bytes) -> dict[str, Any]:
    if sum(payload.count(character) for character in (b"{", b"[", b",")) > MAX_STRUCTURE:
        _refuse("the envelope has too many values")
    try:
        fields = json.loads(payload.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        _refuse(f"the envelope is not UTF-8: byte {error.start}")
    except (ValueError, RecursionError) as error:
        _refuse(f"the envelope is not valid JSON: {error!s:.100}")
    if not isinstance(fields, dict):
        _refuse(f"the envelope must be an object, not {_json_type(fields)}")
    return fields


def _image(value: object) -> bytes:
    if not isinstance(value, str):
        _refuse(f'"image" must be a base64 string, not {_json_type(value)}')
    prefix = _DATA_URL.match(value)
    text = (value[prefix.end() :] if prefix else value).translate(_TO_BASE64)
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        _refuse(f'"image" is not base64: {error}')


def _json_type(value: object) -> str:
    """Return the JSON name of a value's type."""
    return {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}.get(
        type(value), "a number"
    )


def _refuse(detail: str) -> NoReturn:
    raise DecodeError("undecodable", detail)
