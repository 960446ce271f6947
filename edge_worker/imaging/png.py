"""Reading and writing of PNG chunks, and of text in them (PNG specification, 3rd edition, sections 5 and 11).

Standard library only: the worker process, which imports no numpy, writes a frame's identity into encoded maps.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SIGNATURE = b"\x89PNG\r\n\x1a\n"

# Reading is linear in the number of chunks, and a hostile file may consist of empty ones. Encoders write chunks of
# 8 KiB or more, so this many allow 80 MiB of ordinary PNG.
MAX_CHUNKS = 10_000

# Length and kind before a chunk's data, checksum after it.
_HEAD = struct.Struct(">I4s")
_CRC = struct.Struct(">I")
_IHDR_END = len(SIGNATURE) + _HEAD.size + 13 + _CRC.size
_IMAGE_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_ANCILLARY_BIT = 0x20  # set if the first letter of a kind is in lower case
# Keywords are 1 to 79 bytes long.
_MAX_KEYWORD = 79


class Chunk(NamedTuple):
    """One chunk: its four-letter ``kind``, its ``data``, and its position in the file (``start`` to ``end``)."""

    kind: bytes
    data: memoryview
    start: int
    end: int


def chunks(png: bytes) -> Iterator[Chunk]:
    """Iterate over the chunks of a PNG file, including IEND.

    Ancillary chunks with a wrong checksum are skipped, as decoders do. That of IEND, which is empty, is not checked.

    Raises:
        ValueError: the file ends early, the checksum of a critical chunk is wrong, or there are more than
            ``MAX_CHUNKS`` chunks. The chunks before the error have been yielded by then.
    """
    view, position = memoryview(png), len(SIGNATURE)
    if not png.startswith(SIGNATURE):
        raise ValueError("no PNG signature")
    for _ in range(MAX_CHUNKS):
        found = _chunk_at(view, position)
        if _is_sound(view, found):
            yield found
        if found.kind == b"IEND":
            return
        position = found.end
    raise ValueError(f"more than {MAX_CHUNKS} PNG chunks")


def _chunk_at(view: memoryview, start: int) -> Chunk:
    data_start = start + _HEAD.size
    if data_start > len(view):
        raise ValueError("PNG ends before its IEND chunk")
    length, kind = _HEAD.unpack_from(view, start)
    data_end = data_start + length
    if data_end + _CRC.size > len(view):
        raise ValueError("PNG ends inside a chunk")
    return Chunk(kind, view[data_start:data_end], start, data_end + _CRC.size)


def _is_sound(view: memoryview, found: Chunk) -> bool:
    """Return whether the checksum of a chunk is right; raises ValueError if a critical chunk is damaged."""
    end = found.end - _CRC.size
    if found.kind == b"IEND":
        return True
    sound = bool(zlib.crc32(view[found.start + 4 : end]) == _CRC.unpack_from(view, end)[0])
    if not (sound or found.kind[0] & _ANCILLARY_BIT):
        raise ValueError(f"PNG chunk {found.kind.decode('latin-1')!r} has a wrong checksum")
    return sound


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return one chunk as bytes: length, *kind*, *data*, checksum."""
    return b"".join((_HEAD.pack(len(data), kind), data, _CRC.pack(zlib.crc32(data, zlib.crc32(kind)))))


def still(png: bytes) -> bytes:
    """Return a PNG file with only the chunks that its image needs: no animation, no metadata.

    Raises:
        ValueError: as :func:`chunks`.
    """
    return SIGNATURE + b"".join(png[found.start : found.end] for found in chunks(png) if found.kind in _IMAGE_CHUNKS)


def with_text(png: bytes, texts: Mapping[str, str]) -> bytes:
    """Return a PNG file with *texts* inserted after its header, replacing texts with the same keywords.

    A value is written as tEXt if it is Latin-1, otherwise as iTXt (UTF-8); :func:`read_text` returns it unchanged.

    Raises:
        ValueError: *png* is not a complete PNG file, or a keyword is not 1 to 79 printable Latin-1 characters without
            spaces at its ends, or a value contains a NUL.
    """
    kept, done = [], _IHDR_END
    for found in chunks(png):
        if _keyword(found) in texts:
            kept.append(png[done : found.start])
            done = found.end
    written = [_text_chunk(keyword, value) for keyword, value in texts.items()]
    return b"".join((png[:_IHDR_END], *written, *kept, png[done:]))


def read_text(png: bytes) -> dict[str, str]:
    """Return the texts of a PNG file by keyword, except compressed ones.

    Raises:
        ValueError: *png* is not a complete PNG file.
    """
    return {
        keyword: value for found in chunks(png) if (keyword := _keyword(found)) and (value := _value(found)) is not None
    }


def _text_chunk(keyword: str, value: str) -> bytes:
    if not (0 < len(keyword) <= _MAX_KEYWORD and keyword.isprintable() and keyword == keyword.strip()):
        raise ValueError(f"{keyword!r} cannot be a PNG keyword: 1 to {_MAX_KEYWORD} printable characters are needed")
    if "\0" in value:
        raise ValueError(f"the PNG text {keyword!r} holds a NUL")
    name = keyword.encode("latin-1") + b"\0"
    try:
        return chunk(b"tEXt", name + value.encode("latin-1"))
    except UnicodeEncodeError:
        # Flags: not compressed; language and translated keyword empty.
        return chunk(b"iTXt", name + b"\0\0" + b"\0\0" + value.encode())


def _keyword(found: Chunk) -> str:
    """Return the keyword of a text chunk, "" for chunks of other kinds."""
    if found.kind not in (b"tEXt", b"zTXt", b"iTXt"):
        return ""
    return bytes(found.data[: _MAX_KEYWORD + 1]).partition(b"\0")[0].decode("latin-1")


def _value(found: Chunk) -> str | None:
    """Return the value of a text chunk, None for a compressed or malformed one."""
    rest = bytes(found.data).partition(b"\0")[2]
    if found.kind == b"tEXt":
        return rest.decode("latin-1")
    if found.kind == b"iTXt" and rest.startswith(b"\0"):
        return rest[2:].split(b"\0", 2)[-1].decode("utf-8", errors="replace")
    return None
