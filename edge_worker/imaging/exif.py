"""The one EXIF tag that matters here: how to turn a picture to see it as it was taken. Standard library only."""

from __future__ import annotations

import struct

UPRIGHT = 1
"""Orientation of a picture that needs no turning."""

_ORIENTATION_TAG = 0x0112
_ENTRY_SIZE = 12
_VALUES = {3: "H", 4: "I"}  # SHORT, as the standard wants it, and LONG, as some writers have it
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}


def orientation_of(tiff: bytes) -> int:
    """Return the orientation (1 to 8; EXIF 2.32, section 4.6.4) in an EXIF block that starts with its TIFF header.

    A block that is damaged, or says nothing sensible, means upright: a broken tag is no reason to refuse a picture.
    """
    order = _BYTE_ORDERS.get(tiff[:4])
    if order is None:
        return UPRIGHT
    try:
        value = _orientation_entry(tiff, order)
    except struct.error:
        return UPRIGHT
    return value if 1 <= value <= 8 else UPRIGHT  # noqa: PLR2004 - the range of the tag


def _orientation_entry(tiff: bytes, order: str) -> int:
    """Look the tag up in the first image file directory; its value, a SHORT or LONG, stands in the entry itself."""
    (directory,) = struct.unpack_from(order + "I", tiff, 4)
    (count,) = struct.unpack_from(order + "H", tiff, directory)
    for index in range(count):
        entry = directory + 2 + index * _ENTRY_SIZE
        tag, kind = struct.unpack_from(order + "HH", tiff, entry)
        if tag == _ORIENTATION_TAG and kind in _VALUES:
            return int(struct.unpack_from(order + _VALUES[kind], tiff, entry + 8)[0])
    return UPRIGHT
