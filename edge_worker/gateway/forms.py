"""Forms (``multipart/form-data``), read piece by piece; a sink takes their parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from edge_worker.gateway.problems import Problem

MAX_PARTS: Final = 256
MAX_NAME: Final = 200  # characters of a file's name that are kept


class Sink(Protocol):
    """Takes the parts of a form, one after the other."""

    def begin(self, name: str, filename: str, content_type: str) -> None:
        """Begin a part."""

    def write(self, data: bytes) -> None:
        """Append to its content."""

    def end(self) -> None:
        """Complete it."""


class FormReader:
    """Reads a form and gives its parts to a sink; at most 256 parts, unless another limit is given."""

    def __init__(self, content_type: str, sink: Sink, max_parts: int = MAX_PARTS) -> None:
        """Read the boundary in *content_type*.

        Raises:
            Problem: ``bad_request``, as in the other methods: it is not a form.
        """
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise Problem("bad_request", "the form names no boundary")
        self._sink, self._left, self._headers = sink, max_parts, dict[str, str]()
        self._name, self._value = bytearray(), bytearray()
        self._complete = False
        callbacks: Any = {  # the parser's own type is not exported
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header,
            "on_headers_finished": self._headers_finished,
            "on_part_data": lambda data, start, end: self._sink.write(data[start:end]),
            "on_part_end": self._sink.end,
            "on_end": self._end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)
        except FormParserError as error:
            raise _unreadable(error) from error

    def write(self, data: bytes) -> None:
        """Read more of the form; exceptions of the sink pass through."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise _unreadable(error) from error

    def finish(self) -> None:
        """Require that the form is complete."""
        try:
            self._parser.finalize()
        except FormParserError as error:
            raise _unreadable(error) from error
        if not self._complete:
            raise Problem("bad_request", "the form ends before its last boundary")

    def _end(self) -> None:
        self._complete = True

    def _begin(self) -> None:
        if self._left <= 0:
            raise FormParserError("it has too many parts")
        self._left -= 1
        self._headers = {}

    def _header(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = self._value.decode("latin-1")
        self._name, self._value = bytearray(), bytearray()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", ""))
        name, filename = (options.get(key, b"").decode("utf-8", "replace") for key in (b"name", b"filename"))
        self._sink.begin(name, filename[:MAX_NAME], self._headers.get("content-type", "application/octet-stream"))


def _unreadable(error: FormParserError) -> Problem:
    return Problem("bad_request", f"the form cannot be read: {error}")


@dataclass(slots=True)
class FormPart:
    """One part of a form."""

    name: str
    filename: str
    content_type: str
    content: bytes = b""


@dataclass(slots=True)
class Parts:
    """The sink that keeps all parts in memory."""

    parts: list[FormPart] = field(default_factory=list)
    _content: list[bytes] = field(default_factory=list)

    def begin(self, name: str, filename: str, content_type: str) -> None:
        """Begin a part."""
        self.parts.append(FormPart(name, filename, content_type))
        self._content = []

    def write(self, data: bytes) -> None:
        """Keep *data*."""
        self._content.append(data)

    def end(self) -> None:
        """Put the part together."""
        self.parts[-1].content = b"".join(self._content)
