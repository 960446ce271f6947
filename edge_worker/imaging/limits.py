"""Limits on images, checked by their headers before anything is decoded. Standard library only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_worker.common.errors import DecodeError
from edge_worker.imaging.headers import read_header

if TYPE_CHECKING:
    from edge_worker.common.image_formats import DecodeLimits
    from edge_worker.imaging.headers import Header

# libjpeg writes no longer sides, so an overlay of a longer frame could not be sent; and the network, whose input is at
# most some dozens of times as long as wide, would return masks of dozens of rows for a row of a million pixels.
MAX_SIDE = 65_500


def check(payload: bytes, limits: DecodeLimits) -> Header:
    """Check that an image is within *limits* and complete; return its header.

    Raises:
        DecodeError: with reason ``too_big``, ``unsupported``, ``too_many_pixels`` or ``undecodable``, checked in this
            order: a decompression bomb is reported as such even if it is truncated.
    """
    if len(payload) > limits.max_payload_bytes:
        raise DecodeError("too_big", f"{len(payload)} bytes; at most {limits.max_payload_bytes} are accepted")
    header = read_header(payload)
    if header.format not in limits.formats:
        raise DecodeError(
            "unsupported", f"{header.format} is not among the accepted formats ({', '.join(sorted(limits.formats))})"
        )
    size = f"{header.width}x{header.height}"
    if header.width * header.height > limits.max_pixels:
        raise DecodeError("too_many_pixels", f"{size} pixels; at most {limits.max_pixels} are accepted")
    if max(header.width, header.height) > MAX_SIDE:
        raise DecodeError("too_many_pixels", f"{size} pixels; at most {MAX_SIDE} on a side are accepted")
    if header.fault:
        raise DecodeError("undecodable", header.fault)
    return header
