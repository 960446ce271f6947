"""Images: bytes to arrays and back. Limits are checked on the header, before a pixel takes memory.

OpenCV decodes everything. Pillow was compared: it clips 16-bit grey to white and is a millisecond slower on a 1280x720
JPEG, and on CMYK the two differ by one level. What OpenCV leaves out is done here: transparency, the same EXIF turning
for all formats, and detecting a JPEG whose data end before the image does.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import DEFLATED, MAX_WBITS, Z_RLE

import cv2
import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

from edge_worker.common.errors import DecodeError
from edge_worker.imaging import png
from edge_worker.imaging.limits import DecodeLimits, check

try:  # the extra "fast": 0.3 of the time
    from zlib_ng.zlib_ng import compressobj
except ImportError:
    from zlib import compressobj  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from edge_worker.imaging.arrays import LabelMap, RgbImage
    from edge_worker.imaging.headers import Header
    from edge_worker.imaging.palette import Palette

__all__ = [
    "DecodeLimits",
    "Reduced",
    "decode",
    "decode_reduced",
    "encode_jpeg",
    "encode_jpeg_within",
    "encode_png_palette",
    "encode_rgb_png",
    "silence_decoder",
]

_SMALLEST_SIDE = 32  # pixels; a smaller image is useless

_READ_RGB = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
# By reduction. OpenCV tells grey from colour by other bits.
_READ_REDUCED: Mapping[int, int] = {
    1: _READ_RGB,
    2: _READ_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: _READ_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: _READ_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_8,
}
_READ_AS_STORED = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION

# EXIF orientation → how to turn the stored pixels: first swap rows and columns (or not), then cv2.flip with this code.
_TURNS: Mapping[int, tuple[bool, int | None]] = {
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

    A broken frame gets an error message; a camera could flood the log with such lines.
    """
    silent = 0
    (getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel)(silent)  # OpenCV 5 moved the function


class Reduced(NamedTuple):
    """An image, RGB uint8, and the width and height that it has in full."""

    image: RgbImage
    width: int
    height: int


def decode(payload: bytes, limits: DecodeLimits) -> RgbImage:
    """Decode a JPEG, PNG, WebP or BMP file into RGB uint8 H×W×3, turned as its EXIF orientation says.

    16-bit samples become 8-bit and grey becomes RGB; transparent pixels are blended with black, since what is stored
    under them may be anything; of an animation the first frame is taken.

    Raises:
        DecodeError: ``too_big``, ``too_many_pixels``, ``unsupported`` (neither of these formats, or one that *limits*
            leave out) or ``undecodable`` (empty, cut short, damaged). Nothing else, whatever the bytes.
    """
    return decode_reduced(payload, limits, lambda _width, _height: 1).image


def decode_reduced(payload: bytes, limits: DecodeLimits, reduction: Callable[[int, int], int]) -> Reduced:
    """Decode as :func:`decode`, a JPEG at a part of its size, which takes a third of the time.

    *reduction* gets the image's width and height in full and returns by what they may be divided: 1, 2, 4 or 8.
    libjpeg leaves out the high frequencies of each block; sizes are rounded up.
    """
    header = check(payload, limits)
    width, height = (header.height, header.width) if _TURNS[header.orientation][0] else (header.width, header.height)
    scale = reduction(width, height) if header.format == "jpeg" else 1
    return Reduced(_turned(_stored(payload, header, scale), header.orientation), width, height)


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
    if header.format == "jpeg" and _grey_corner(image, 8 // scale) and _runs_dry(payload, header.data_end):
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


def _turned(image: RgbImage, orientation: int) -> RgbImage:
    transpose, flip = _TURNS[orientation]
    turned = cv2.transpose(image) if transpose else image
    return np.asarray(turned if flip is None else cv2.flip(turned, flip), np.uint8)


# --- JPEGs that end too early -------------------------------------------------------------------------------------
# Where the data run dry before an end marker (a camera or proxy that closes what it cut), the decoder fills the rest of
# the image with the grey of a block without coefficients and says nothing. Two steps find that out at no cost for most
# images: the lower right corner is of such a grey; and bytes added before the end marker change the image, which they
# cannot if it is whole.
# Pillow does the second, at an eighth of the size: unlike OpenCV it keeps quiet about the added bytes.
# A progressive JPEG that lacks its last passes is a whole image with less detail, and is taken.

_ADDED = bytes(range(1, 255))
_GREYS = range(60, 132)  # 128, in CMYK 64, give or take what conversions round


def _grey_corner(image: RgbImage, side: int) -> bool:
    corner = image[-side:, -side:]
    return int(corner[0, 0, 0]) in _GREYS and bool((corner == corner[0, 0, 0]).all())


def _runs_dry(payload: bytes, data_end: int) -> bool:
    try:
        return _eighth(payload) != _eighth(payload[:data_end] + _ADDED + payload[data_end:])
    except Exception:  # noqa: BLE001 - Pillow raises whatever it meets; what OpenCV could read then stands
        return False


def _eighth(payload: bytes) -> bytes:
    with JpegImageFile(io.BytesIO(payload)) as reduced:
        reduced.draft("RGB", (1, 1))
        return reduced.tobytes()


# --- encoders -----------------------------------------------------------------------------------------------------

_INDEXED, _TRUECOLOR = 3, 2
_FILTER_UP = 2
# zlib's tables then fit a core's cache better than at its default, 8, and runs get codes of their own more often: on
# label maps 1.2 times as fast, and a little smaller. 9 is slower still.
_MEMORY_LEVEL = 6


def encode_png_palette(label_map: LabelMap, palette: Palette) -> bytes:
    """Encode a label map as a PNG in palette mode: pixel value = class index, palette = class colours.

    Raises:
        ValueError: the map holds an index that has no colour.
    """
    if label_map.size and (highest := int(label_map.max())) >= len(palette):
        raise ValueError(f"class index {highest} in a label map of {len(palette)} classes")
    return _png(label_map, _INDEXED, png.chunk(b"PLTE", palette.rgb.tobytes()))


def encode_rgb_png(image: RgbImage) -> bytes:
    """Encode RGB uint8 H×W×3 as a PNG. Meant for coloured label maps; photographs become large."""
    return _png(image, _TRUECOLOR)


def encode_jpeg(image: RgbImage, quality: int) -> bytes:
    """Encode RGB uint8 H×W×3 as a JPEG of *quality* 1 to 100."""
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, quality))
    return encoded.tobytes()


def encode_jpeg_within(image: RgbImage, quality: int, max_bytes: int | None) -> bytes | None:
    """Encode as a JPEG, halving width and height until the file has at most *max_bytes* (None: no limit).

    Returns:
        The JPEG; None if it is still too large at ``_SMALLEST_SIDE`` pixels.
    """
    while True:
        encoded = encode_jpeg(image, quality)
        if max_bytes is None or len(encoded) <= max_bytes:
            return encoded
        width, height = image.shape[1] // 2, image.shape[0] // 2
        if min(width, height) < _SMALLEST_SIDE:
            return None
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _png(samples: npt.NDArray[np.uint8], color_type: int, palette: bytes = b"") -> bytes:
    """Write a PNG of 8-bit samples, H×W or H×W×3.

    Rows are stored as differences to the row above (filter Up), mostly zeros in a flat map, and zlib looks for runs of
    one byte only. On label maps of 1280x720 with one to four persons this is the fastest of those tried and gives the
    smallest files, 3 to 11 kB: without the filter 3 to 19 kB, with zlib's ordinary level 1 8 to 34 kB.
    """
    rows = samples.reshape(len(samples), -1)
    filtered = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = _FILTER_UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    compressor = compressobj(1, DEFLATED, MAX_WBITS, _MEMORY_LEVEL, Z_RLE)
    data = compressor.compress(filtered.data) + compressor.flush()
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 8, color_type, 0, 0, 0)
    ihdr, idat = png.chunk(b"IHDR", header), png.chunk(b"IDAT", data)
    return b"".join((png.SIGNATURE, ihdr, palette, idat, png.chunk(b"IEND", b"")))
