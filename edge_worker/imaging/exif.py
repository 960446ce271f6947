"""Reader of the EXIF orientation tag. Standard library only."""

from __future__ import annotations

import struct

UPRIGHT = 1
"""Orientation of an image that is stored as displayed."""

_ORIENTATION_TAG = 0x0112
_ENTRY_SIZE = 12
# TIFF type of an integer → its struct code. The standard prescribes a SHORT (3); writers use all the others, too.
_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}
_PREFIX = b"Exif\0\0"  # belongs to JPEG; some writers leave it in PNG and WebP
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}


def orientation_of(tiff: bytes) -> int:
    """Return the orientation (1 to 8; EXIF 2.32, section 4.6.4) in an EXIF block, with or without its prefix.

    1 (upright) if the block is damaged or the value invalid: a broken tag is no reason to refuse an image.
    """
    tiff = tiff.removeprefix(_PREFIX)
    order = _BYTE_ORDERS.get(tiff[:4])
    if order is None:
        return UPRIGHT
    try:
        value = _orientation_entry(tiff, order)
    except struct.error:
        return UPRIGHT
    return value if 1 <= value <= 8 else UPRIGHT  # noqa: PLR2004 - the range of the tag


def _orientation_entry(tiff: bytes, order: str) -> int:
    """Return the orientation tag from the first image file directory."""
    (directory,) = struct.unpack_from(order + "I", tiff, 4)
    (count,) = struct.unpack_from(order + "H", tiff, directory)
    for index in range(count):
        entry = directory + 2 + index * _ENTRY_SIZE
        tag, kind, values = struct.unpack_from(order + "HHI", tiff, entry)
        if tag == _ORIENTATION_TAG and kind in _INTEGERS:
            return _first_value(tiff, order, entry + 8, order + _INTEGERS[kind], values)
    return UPRIGHT


def _first_value(tiff: bytes, order: str, place: int, code: str, values: int) -> int:
    """Return the first of *values* values: stored at *place* if they fit into 4 bytes, else at the offset there."""
    size = struct.calcsize(code) * values
    if size > 4:  # noqa: PLR2004 - bytes for values in an entry
        (place,) = struct.unpack_from(order + "I", tiff, place)
    return int(struct.unpack_from(code, tiff, place)[0]) if 0 < size <= len(tiff) - place else UPRIGHT
