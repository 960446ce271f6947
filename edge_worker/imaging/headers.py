"""Parser of image headers, without decoding: format, size, orientation, and whether the file is complete.

Everything here takes linear time at worst and no memory for pixels, so it is safe on hostile bytes. Standard library
only. The format is detected from the content, never from a name or a declared type.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_worker.common.errors import DecodeError
from edge_worker.common.image_formats import IMAGE_FORMATS
from edge_worker.imaging import png
from edge_worker.imaging.exif import UPRIGHT, orientation_of
from edge_worker.imaging.other_formats import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# JPEG segments before the image data, and chunks of a WebP file: ordinary files have some dozens.
MAX_SEGMENTS = 4096
# Each scan of a progressive JPEG decodes the whole image again; encoders write about ten, an attacker thousands.
MAX_SCANS = 200


@dataclass(frozen=True, slots=True)
class Header:
    """Contents of an image header.

    Attributes:
        format: one of :data:`FORMATS`.
        width, height: of the stored pixels, before *orientation* is applied.
        orientation: EXIF, 1 to 8.
        alpha: pixels may be transparent.
        data_end: position of the end marker of a JPEG.
        coding: features of a JPEG that decoders may not support, such as ``lossless`` or ``12-bit``.
        fault: what is wrong with the file; empty if it is complete.
    """

    format: str
    width: int
    height: int
    orientation: int = UPRIGHT
    alpha: bool = False
    data_end: int = 0
    coding: str = ""
    fault: str = ""


def read_header(payload: bytes) -> Header:
    """Read the header of a JPEG, PNG, WebP or BMP file.

    Raises:
        DecodeError: ``unsupported`` for anything else, ``undecodable`` if the header itself is missing or broken.
    """
    if not payload:
        raise DecodeError("undecodable", "the payload is empty")
    for signature, read in _READERS.items():
        if payload.startswith(signature):
            return _read(read, payload)
    raise DecodeError("unsupported", f"{describe(payload)}; accepted are {', '.join(sorted(FORMATS))}")


def _read(read: Callable[[bytes], Header], payload: bytes) -> Header:
    try:
        header = read(payload)
    except struct.error as error:
        raise DecodeError("undecodable", "the file ends inside its header") from error
    if header.width <= 0 or header.height <= 0:
        raise DecodeError("undecodable", f"the header says {header.width}x{header.height} pixels")
    return header


# --- JPEG (ITU-T T.81, annex B) -----------------------------------------------------------------------------------

_SOF_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE_MARKERS = frozenset(range(0xD0, 0xD9)) | {0x01}
_RARE_CODINGS = {
    "lossless": frozenset({0xC3, 0xC7, 0xCB, 0xCF}),
    "hierarchical": frozenset({0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF}),
    "arithmetic-coded": frozenset(range(0xC9, 0xD0)) - {0xCC},
}
_USUAL_BITS = 8
_APP1, _SOS, _EOI, _SOF_LS = 0xE1, 0xDA, 0xD9, 0xF7
# Stray bytes between segments, which some cameras write, are skipped, as libjpeg does.
_MARKER = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)
# The same after image data, in which 0xFF may be followed by zeros and standalone markers.
_AFTER_DATA = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd7]", re.DOTALL)


def _read_jpeg(payload: bytes) -> Header:
    size, orientation, position, coding = (0, 0), 0, 2, ""
    for _ in range(MAX_SEGMENTS):
        marker, position = _next_marker(payload, position)
        if marker in _STANDALONE_MARKERS:
            continue
        (length,) = struct.unpack_from(">H", payload, position)
        if marker in _SOF_MARKERS:
            size, coding = struct.unpack_from(">HH", payload, position + 3), _coding(marker, payload[position + 2])
        elif marker == _APP1 and payload.startswith(b"Exif\0\0", position + 2):
            orientation = orientation or orientation_of(payload[position + 2 : position + length])  # the first counts
        elif marker == _SOF_LS:
            raise DecodeError("unsupported", "JPEG-LS is not supported: send baseline JPEG")
        elif marker == _SOS:
            if size[1] and not size[0]:
                raise DecodeError("unsupported", "JPEG with its height behind the data (DNL) is not supported")
            header = Header("jpeg", size[1], size[0], orientation or UPRIGHT, coding=coding)
            return _check_scans(header, payload, position)
        position += length
    raise DecodeError("undecodable", f"more than {MAX_SEGMENTS} JPEG segments before the image")


def _coding(marker: int, bits: int) -> str:
    """Return the features that decoders may not support, from the frame header's *marker* and *bits* per sample."""
    kinds = [name for name, markers in _RARE_CODINGS.items() if marker in markers]
    return " ".join([*([f"{bits}-bit"] if bits != _USUAL_BITS else []), *kinds])


def _next_marker(payload: bytes, position: int) -> tuple[int, int]:
    """Return the next marker after *position*, and the start of its segment."""
    if (found := _MARKER.search(payload, position)) is None:
        raise DecodeError("undecodable", f"no JPEG segment from byte {position} on")
    return found[1][0], found.end()


def _check_scans(header: Header, payload: bytes, position: int) -> Header:
    """Set ``data_end`` or ``fault`` of *header*; the first scan starts at *position*.

    Walks from scan to scan as a decoder does, because a segment between them may contain end markers. Bytes after the
    end are tolerated: many cameras pad their images.
    """
    scans = 1
    for _ in range(MAX_SEGMENTS):
        data = position + int.from_bytes(payload[position : position + 2], "big")
        if (found := _AFTER_DATA.search(payload, data)) is None:
            return replace(header, fault="the JPEG is cut short: it has no end marker")
        marker, position = payload[found.end() - 1], found.end()
        if marker == _EOI:
            return replace(header, data_end=found.start())
        scans += marker == _SOS
        if scans > MAX_SCANS:
            return replace(header, fault=f"the JPEG has more than {MAX_SCANS} scans")
    return replace(header, fault=f"the JPEG has more than {MAX_SEGMENTS} segments between its scans")


# --- PNG (3rd edition) --------------------------------------------------------------------------------------------

# Colour types (section 11.2.1) with an alpha channel.
_PNG_ALPHA_TYPES = frozenset({4, 6})


def _read_png(payload: bytes) -> Header:
    if payload[12:16] != b"IHDR":  # a decoder would skip other chunks and look for it further on
        raise DecodeError("undecodable", "the PNG does not begin with its header")
    width, height, _depth, color_type = struct.unpack_from(">IIBB", payload, 16)
    orientation, alpha, fault = UPRIGHT, color_type in _PNG_ALPHA_TYPES, ""
    try:
        for chunk in png.chunks(payload):
            alpha |= chunk.kind == b"tRNS"
            if chunk.kind == b"eXIf":
                orientation = orientation_of(bytes(chunk.data))
    except ValueError as error:
        fault = str(error)
    return Header("png", width, height, orientation, alpha, fault=fault)


# --- WebP (RFC 9649) ----------------------------------------------------------------------------------------------

_VP8X_ALPHA = 0x10


def _read_webp(payload: bytes) -> Header:
    riff_size, form, kind = struct.unpack_from("<I4s4s", payload, 4)
    if form != b"WEBP":
        raise DecodeError("unsupported", f"a RIFF file of form {form!r}, not WebP")
    width, height, alpha = _webp_canvas(payload, kind)
    missing = 8 + riff_size - len(payload)
    fault = f"the WebP is cut short: {missing} bytes are missing" if missing > 0 else ""
    return Header("webp", width, height, _webp_orientation(payload), alpha, fault=fault)


def _webp_canvas(payload: bytes, kind: bytes) -> tuple[int, int, bool]:
    """Return width, height and whether pixels may be transparent, from the first chunk (its data start at byte 20)."""
    if kind == b"VP8X":
        flags, width, height = struct.unpack_from("<I3s3s", payload, 20)
        return int.from_bytes(width, "little") + 1, int.from_bytes(height, "little") + 1, bool(flags & _VP8X_ALPHA)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", payload, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", payload, 26)
        return width & 0x3FFF, height & 0x3FFF, False
    raise DecodeError("undecodable", f"a WebP file that starts with a chunk {kind!r}")


def _webp_orientation(payload: bytes) -> int:
    position = 12
    for _ in range(MAX_SEGMENTS):
        if position + 8 > len(payload):
            break
        kind, length = struct.unpack_from("<4sI", payload, position)
        if kind == b"EXIF":
            return orientation_of(payload[position + 8 : position + 8 + length])
        position += 8 + length + length % 2
    return UPRIGHT


# --- BMP (BITMAPCOREHEADER, and BITMAPINFOHEADER with its successors) -----------------------------------------------

_BMP_CORE_HEADER = 12
_BMP_HEADER_SIZES = frozenset({_BMP_CORE_HEADER, 40, 52, 56, 64, 108, 124})
_BMP_RAW_COMPRESSIONS = frozenset({0, 3})  # BI_RGB and BI_BITFIELDS: rows of known length


def _read_bmp(payload: bytes) -> Header:
    pixels_at, header_size = struct.unpack_from("<II", payload, 10)
    if header_size not in _BMP_HEADER_SIZES:
        raise DecodeError("unsupported", f"starts with BM, but {header_size} is no size of a BMP header")
    if header_size == _BMP_CORE_HEADER:
        width, height, _planes, depth = struct.unpack_from("<HHHH", payload, 18)
        compression = 0
    else:
        width, height, _planes, depth, compression = struct.unpack_from("<iiHHI", payload, 18)
    height = abs(height)  # negative: rows from top to bottom
    row = (width * depth + 31) // 32 * 4
    missing = pixels_at + row * height - len(payload) if compression in _BMP_RAW_COMPRESSIONS else 0
    return Header(
        "bmp", width, height, fault=f"the BMP is cut short: {missing} bytes are missing" if missing > 0 else ""
    )


_READERS: Mapping[bytes, Callable[[bytes], Header]] = {
    b"\xff\xd8\xff": _read_jpeg,
    png.SIGNATURE: _read_png,
    b"RIFF": _read_webp,
    b"BM": _read_bmp,
}

FORMATS = frozenset(IMAGE_FORMATS)
"""Every format that can be read."""
