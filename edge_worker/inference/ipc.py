"""Messages between the worker and its model processes: a JSON header and binary blobs on a socket pair.

On the wire: length of the header (4 bytes, big endian), the header (ASCII JSON; its ``blobs`` are the lengths of the
blobs), the blobs. Nothing is pickled, because the model process handles untrusted bytes. Limits are checked before
memory is allocated.
"""

from __future__ import annotations

import json
import struct
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from edge_worker.common.errors import EdgeWorkerError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

_PREFIX = struct.Struct("!I")
_READ_BYTES = 1 << 18  # more than a Unix socket holds by default
_MAX_HEADER_BYTES = 64_000_000  # a hundred candidates of an 8000x8000 image with their run lengths take less
# 9 MB of invalid labels took 14 GB as objects before they were rejected. A hundred persons with 59 parts each, and all
# their run lengths, make 130,000 values.
_MAX_VALUES = 300_000
# Counting these bounds the number of values: each value follows one of them, except the first of an object, and of a
# list that is not itself first in a list. Run lengths contain none of these characters but the bracket, rarely twice.
_BEFORE_VALUES = (",", "{", "[[", "[ ", "[\t", "[\n", "[\r")

_GONE = "the other end is gone"

_T = TypeVar("_T")
Message = tuple[dict[str, Any], tuple[bytes, ...]]


class ProtocolError(EdgeWorkerError):
    """The peer sent something that is not a valid message, or one beyond the limits."""


class Channel:
    """One end of the connection. Not thread-safe."""

    def __init__(self, sock: socket.socket, *, max_blob_bytes: int) -> None:
        """Take ownership of *sock*; reject messages whose blobs exceed *max_blob_bytes* in total."""
        self._socket = sock
        self._max_blob_bytes = max_blob_bytes
        self._outbox: deque[memoryview] = deque()
        self._inbox = bytearray()
        self._header: tuple[dict[str, Any], list[int]] | None = None  # of the message arriving, with its blobs' sizes

    def send(self, header: dict[str, Any], *blobs: bytes) -> None:
        """Send one message; raises as :meth:`post` and :meth:`flush` do."""
        self.post(header, *blobs)
        self.flush()

    def post(self, header: dict[str, Any], *blobs: bytes) -> None:
        """Prepare one message, to be sent by :meth:`flush`.

        Raises:
            ValueError: the header contains NaN or an infinity.
            ProtocolError: the header is larger than the other end would accept.
        """
        whole = {**header, "blobs": [len(blob) for blob in blobs]}
        text = json.dumps(whole, allow_nan=False, separators=(",", ":")).encode()
        _check_header_size(len(text))
        self._outbox.extend(memoryview(part) for part in (_PREFIX.pack(len(text)) + text, *blobs))

    def flush(self, timeout: float | None = None) -> None:
        """Send what was posted.

        Raises:
            TimeoutError: not sent within *timeout* seconds; the next call continues.
            EOFError: the other end is gone.
        """
        until = _deadline(timeout)
        while self._outbox:
            sent = self._waiting(until, lambda: self._socket.send(self._outbox[0]))
            rest = self._outbox.popleft()[sent:]
            if rest:
                self._outbox.appendleft(rest)

    def receive(self, timeout: float | None = None) -> Message:
        """Receive one message.

        Raises:
            TimeoutError: not complete within *timeout* seconds; the received part is kept for the next call.
            EOFError: the other end is gone.
            ProtocolError: not a valid message, or beyond the limits.
        """
        until = _deadline(timeout)
        while (message := self._take()) is None:
            arrived = self._waiting(until, lambda: self._socket.recv(_READ_BYTES))
            if not arrived:
                raise EOFError(_GONE)
            self._inbox += arrived
        return message

    def close(self) -> None:
        """Close this end; the peer gets EOFError."""
        self._socket.close()

    def _waiting(self, until: float | None, transfer: Callable[[], _T]) -> _T:
        """Perform one *transfer* on the socket before the monotonic time *until*."""
        left = None if until is None else until - monotonic()
        if left is not None and left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        try:
            return transfer()
        except ConnectionError as error:
            raise EOFError(_GONE) from error

    def _take(self) -> Message | None:
        """Remove and return the message at the head of the inbox, if it is complete."""
        if self._header is None:
            self._header = self._take_header()
        if self._header is None:
            return None
        header, sizes = self._header
        if len(self._inbox) < sum(sizes):
            return None
        self._header = None
        return header, tuple(self._cut(size) for size in sizes)

    def _take_header(self) -> tuple[dict[str, Any], list[int]] | None:
        """Remove and return the header at the head of the inbox and its blobs' sizes, if it is complete."""
        if len(self._inbox) < _PREFIX.size:
            return None
        (length,) = _PREFIX.unpack_from(self._inbox)
        _check_header_size(length)
        if len(self._inbox) < _PREFIX.size + length:
            return None
        self._cut(_PREFIX.size)
        header = _parse(self._cut(length))
        return header, self._sizes(header.pop("blobs", None))

    def _sizes(self, sizes: object) -> list[int]:
        if not isinstance(sizes, list) or not all(type(size) is int and size >= 0 for size in sizes):
            raise ProtocolError(f"blobs must be a list of sizes, not {sizes!r:.100}")
        if sum(sizes) > self._max_blob_bytes:
            raise ProtocolError(f"{sum(sizes)} bytes of blobs; at most {self._max_blob_bytes} are taken")
        return sizes

    def _cut(self, size: int) -> bytes:
        """Remove and return *size* bytes from the head of the inbox."""
        part = bytes(memoryview(self._inbox)[:size])
        del self._inbox[:size]
        return part


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else monotonic() + timeout


def _check_header_size(size: int) -> None:
    if size > _MAX_HEADER_BYTES:
        raise ProtocolError(f"a header of {size} bytes; at most {_MAX_HEADER_BYTES} are taken")


def _parse(text: bytes) -> dict[str, Any]:
    """Parse the header, which must be a JSON object."""
    try:
        header = json.loads(_with_few_values(text.decode("ascii")), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"the header is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise ProtocolError("the header is not a JSON object")
    return header


def _with_few_values(text: str) -> str:
    """Return *text* if it has at most ``_MAX_VALUES`` values, which bounds the memory of the parsed objects."""
    if sum(map(text.count, _BEFORE_VALUES)) > _MAX_VALUES:
        raise ProtocolError(f"a header of more than {_MAX_VALUES} values")
    return text


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
