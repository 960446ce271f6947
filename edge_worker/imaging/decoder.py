"""Image files to arrays. Limits are checked on the header, before memory for pixels is allocated.

OpenCV decodes everything. Pillow was compared: it clips 16-bit grey to white and is a millisecond slower on a 1280x720
JPEG, and on CMYK the two differ by one level. This module adds what OpenCV lacks: transparency, EXIF orientation for
all formats, and detection of a truncated JPEG.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

from edge_worker.common.errors import DecodeError
from edge_worker.imaging import png
from edge_worker.imaging.headers import read_header

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from edge_worker.common.image_formats import DecodeLimits
    from edge_worker.imaging.arrays import RgbImage
    from edge_worker.imaging.headers import Header

# libjpeg cannot write longer sides, so an overlay of a longer frame could not be sent. And the network, whose input is
# at most some dozens of times as long as wide, would return masks of dozens of rows for a row of a million pixels.
MAX_SIDE = 65_500

_READ_RGB = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
# By reduction. IMREAD_REDUCED_GRAYSCALE_* stands for the reduction only: other bits choose between grey and colour.
_READ_REDUCED: Mapping[int, int] = {
    1: _READ_RGB,
    2: _READ_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: _READ_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: _READ_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_8,
}
_READ_AS_STORED = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION

# EXIF orientation → how to turn the stored pixels: whether to transpose them first, then the code for cv2.flip.
_ORIENTATIONS: Mapping[int, tuple[bool, int | None]] = {
    1: (False, None),
    2: (False, 1),
    3: (False, -1),
    4: (False, 0),
    5: (True, None),
    6: (True, 1),
    7: (True, -1),
    8: (True, 0),
}


def silence_decoder() -> None:
    """Disable OpenCV's messages about broken images on standard error, process-wide.

    A broken frame is answered by an error message anyway, and a camera could flood the log with such lines.
    """
    silent = 0
    (getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel)(silent)  # OpenCV 5 moved the function


class Reduced(NamedTuple):
    """An image, RGB uint8 H×W×3, perhaps reduced, and its full width and height."""

    image: RgbImage
    width: int
    height: int


def read_file(file: Path, limits: DecodeLimits) -> bytes:
    """Read an image file; a video in its place must not fill the memory.

    Raises:
        OSError: it cannot be read.
        DecodeError: ``too_big``.
    """
    with file.open("rb") as stream:
        content = stream.read(limits.max_payload_bytes + 1)
    if len(content) > limits.max_payload_bytes:
        raise DecodeError("too_big", f"more than {limits.max_payload_bytes} bytes, the most that is accepted")
    return content


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


def decode(payload: bytes, limits: DecodeLimits) -> RgbImage:
    """Decode a JPEG, PNG, WebP or BMP file into RGB uint8 H×W×3, turned according to its EXIF orientation.

    16-bit samples become 8-bit and grey becomes RGB. Transparent pixels are blended with black, since their stored
    colours may be anything. Of an animation, the first frame is decoded.

    Raises:
        DecodeError: ``too_big``, ``too_many_pixels``, ``unsupported`` (none of these formats, or one that *limits*
            exclude) or ``undecodable`` (empty, truncated, damaged). Nothing else, whatever the bytes.
    """
    return decode_reduced(payload, limits, lambda _width, _height: 1).image


def decode_reduced(payload: bytes, limits: DecodeLimits, reduction: Callable[[int, int], int]) -> Reduced:
    """Decode like :func:`decode`, but a JPEG at reduced size, which takes a third of the time.

    *reduction* gets the full width and height and returns the divisor: 1, 2, 4 or 8. libjpeg leaves out the high
    frequencies of each block; sizes are rounded up.
    """
    header = check(payload, limits)
    transposed, _flip = _ORIENTATIONS[header.orientation]
    width, height = (header.height, header.width) if transposed else (header.width, header.height)
    scale = reduction(width, height) if header.format == "jpeg" else 1
    return Reduced(_oriented(_stored(payload, header, scale), header.orientation), width, height)


def _stored(payload: bytes, header: Header, scale: int) -> RgbImage:
    """Decode the pixels as they are stored, the sides of a JPEG divided by *scale*."""
    # OpenCV 5.0 crashes on some animated PNGs; without the animation it decodes the same first image.
    data = png.still(payload) if header.format == "png" else payload
    try:
        image = _on_black(_native(data, _READ_AS_STORED)) if header.alpha else _native(data, _READ_REDUCED[scale])
    except DecodeError as error:
        if header.coding:
            raise DecodeError("unsupported", f"{header.coding} JPEG is not supported: send baseline") from error
        raise
    if image.shape[:2] != (-(-header.height // scale), -(-header.width // scale)):
        raise DecodeError("undecodable", f"the {header.format} header and data disagree on the size of the image")
    if header.format == "jpeg" and _grey_corner(image, 8 // scale) and _is_truncated(payload, header.data_end):
        raise DecodeError("undecodable", "the JPEG is cut short: its data end before the image does")
    return image


def _native(payload: bytes, flags: int) -> npt.NDArray[Any]:
    try:
        image = cv2.imdecode(np.frombuffer(payload, np.uint8), flags)
    except (cv2.error, MemoryError) as error:
        raise DecodeError("undecodable", f"the decoder failed: {error}") from error
    if image is None:
        raise DecodeError("undecodable", "the image data are damaged")
    return image


def _on_black(stored: npt.NDArray[Any]) -> RgbImage:
    """Convert an array of OpenCV (grey, BGR or BGRA; 8 or 16 bits) to RGB; transparent pixels become black."""
    shallow = cv2.convertScaleAbs(stored, alpha=1 / 257) if stored.dtype == np.uint16 else stored
    if shallow.ndim == 2:  # noqa: PLR2004 - grey with a transparent grey level, which OpenCV does not report
        return np.asarray(cv2.cvtColor(shallow, cv2.COLOR_GRAY2RGB), np.uint8)
    rgba = cv2.cvtColor(shallow, cv2.COLOR_BGRA2RGBA if shallow.shape[2] == 4 else cv2.COLOR_BGR2RGBA)  # noqa: PLR2004
    opacity = cv2.cvtColor(np.ascontiguousarray(rgba[..., 3]), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.multiply(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), opacity, scale=1 / 255), np.uint8)


def _oriented(image: RgbImage, orientation: int) -> RgbImage:
    transpose, flip = _ORIENTATIONS[orientation]
    turned = cv2.transpose(image) if transpose else image
    return np.asarray(turned if flip is None else cv2.flip(turned, flip), np.uint8)


# --- truncated JPEGs ----------------------------------------------------------------------------------------------
# Where the data end too early but an end marker follows (a camera or proxy that truncated the file wrote one), the
# decoder silently fills the rest of the image with the grey of a block without coefficients. Two tests detect that, at
# no cost for most images: the lower right corner has such a grey; and bytes inserted before the end marker change the
# image, which they cannot if it is complete.
# Pillow does the second, at an eighth of the size: unlike OpenCV it does not complain about the inserted bytes.
# A progressive JPEG that lacks its last scans is a complete image with less detail, and is accepted.

_ADDED = bytes(range(1, 255))
_GREYS = range(60, 132)  # 128, or 64 in CMYK, plus or minus rounding by conversions


def _grey_corner(image: RgbImage, side: int) -> bool:
    corner = image[-side:, -side:]
    return int(corner[0, 0, 0]) in _GREYS and bool((corner == corner[0, 0, 0]).all())


def _is_truncated(payload: bytes, data_end: int) -> bool:
    try:
        return _eighth(payload) != _eighth(payload[:data_end] + _ADDED + payload[data_end:])
    except Exception:  # noqa: BLE001 - Pillow may raise anything; OpenCV's image is then accepted
        return False


def _eighth(payload: bytes) -> bytes:
    with JpegImageFile(io.BytesIO(payload)) as reduced:
        reduced.draft("RGB", (1, 1))
        return reduced.tobytes()
