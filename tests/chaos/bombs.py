"""Small files that ask for much memory or time, and such as have crashed decoders."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from typing import TYPE_CHECKING, Final

from images import encoded, photo
from PIL import Image

from edge_worker.imaging import png

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

_SIDES: Final = (1, 255, 1000, 4097, 16_383, 30_000, 65_535, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
_FLOOD: Final = (1, 100, 2000, 9_000)


def _png(width: int, height: int, *chunks: bytes, depth: int = 8, kind: int = 2, interlaced: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    return b"".join((png.SIGNATURE, png.chunk(b"IHDR", header), *chunks, png.chunk(b"IEND", b"")))


@cache
def _zeros(megabytes: int) -> bytes:
    """That many megabytes of nothing, compressed to a thousandth."""
    packer, piece = zlib.compressobj(9), bytes(1 << 20)
    return b"".join(packer.compress(piece) for _ in range(megabytes)) + packer.flush()


def _huge_png(random: Random) -> bytes:
    """Sides of the format's limits, with hardly any data."""
    data = png.chunk(b"IDAT", _zeros(1))
    depth, kind = random.choice([(1, 0), (8, 2), (16, 6), (8, 3)])
    width, height = random.choice(_SIDES), random.choice(_SIDES)
    return _png(width, height, data, depth=depth, kind=kind, interlaced=random.randrange(2))


def _overfull_png(random: Random) -> bytes:
    """An image within limits whose data go on for many times its size."""
    return _png(500, 500, png.chunk(b"IDAT", _zeros(random.choice([1, 16, 64]))))


def _png_with_packed_texts(random: Random) -> bytes:
    """Texts, a colour profile or EXIF that unpack to many megabytes."""
    kinds = {b"zTXt": b"a\0\0", b"iCCP": b"a\0\0", b"iTXt": b"a\0\1\0\0\0", b"eXIf": b""}
    kind = random.choice(list(kinds))
    packed = png.chunk(kind, kinds[kind] + _zeros(64))
    return _png(8, 8, *[packed] * random.choice([1, 3]), png.chunk(b"IDAT", zlib.compress(bytes(8 * 25))))


def _png_of_many_chunks(random: Random) -> bytes:
    """Empty pieces, by the thousand."""
    empty = png.chunk(random.choice([b"IDAT", b"tEXt", b"PLTE", b"fdAT", b"abCd"]), b"")
    return _png(8, 8, empty * random.choice(_FLOOD), png.chunk(b"IDAT", zlib.compress(bytes(8 * 25))))


def _animated_png(random: Random) -> bytes:
    """Frames larger than their image, beside it, or without end: the kind that crashes OpenCV 5.0."""
    side = random.choice(_SIDES)
    control = struct.pack(">IIIIIHHBB", 0, side, random.choice(_SIDES), random.choice(_SIDES), 0, 1, 1, 2, 2)
    frames = png.chunk(b"acTL", struct.pack(">II", random.choice(_SIDES), 0)) + png.chunk(b"fcTL", control)
    data = zlib.compress(bytes(8 * 25))
    more = png.chunk(b"fdAT", struct.pack(">I", 1) + data) * random.choice([0, 1, 50])
    return _png(8, 8, frames, png.chunk(b"IDAT", data), png.chunk(b"fcTL", control), more)


def _huge_jpeg(random: Random) -> bytes:
    """Sides that the data do not fill."""
    data = bytearray(encoded(photo(16, 16), "JPEG", progressive=random.random() < 0.5))
    frame = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    struct.pack_into(">HH", data, frame + 5, random.randrange(65_536), random.randrange(65_536))
    return bytes(data)


def _jpeg_of_many_scans(random: Random) -> bytes:
    """Every pass over the image costs as much as the whole image."""
    data = encoded(photo(500, 500), "JPEG", progressive=True, quality=20)
    scan = data.rfind(b"\xff\xda")
    return data[:scan] + data[scan:-2] * random.choice([2, 150, 250, 900]) + data[-2:]


def _jpeg_of_many_segments(random: Random) -> bytes:
    """Comments by the thousand, or fill bytes."""
    data = encoded(photo(16, 16), "JPEG")
    filler = random.choice([b"\xff\xfe\x00\x02", b"\xff", b"\xff\xe1\x00\x08Exif\0\0"])
    return data[:2] + filler * random.choice(_FLOOD) + data[2:]


def _huge_webp(random: Random) -> bytes:
    """A canvas of up to 2^48 pixels around a small image."""
    image = encoded(photo(16, 16), "WEBP")[12:]
    canvas = struct.pack("<I3s3s", random.randrange(256), random.randbytes(3), random.randbytes(3))
    body = b"WEBPVP8X" + struct.pack("<I", 10) + canvas + image * random.choice([1, 50])
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _huge_bmp(random: Random) -> bytes:
    """Sides of any sign, depths that do not exist, run lengths that lead out of the image."""
    side = struct.pack("<ii", *(random.choice(_SIDES) - (1 << 31) for _ in range(2)))
    depth, compression = random.choice([1, 4, 8, 16, 24, 32, 7]), random.randrange(5)
    if random.random() < 0.5:
        side = struct.pack("<ii", random.randint(1, 900), random.choice([-1, 1]) * random.randint(1, 900))
    rest = struct.pack("<HHIIiiII", 1, depth, compression, 0, 0, 0, random.choice([0, 256]), 0)
    start = b"BM" + struct.pack("<IHHI", 0, 0, 0, 54) + struct.pack("<I", 40)
    return start + side + rest + random.randbytes(random.randrange(4000))


def _slender(random: Random) -> bytes:
    """An image of one row or one column, as long as the limit on pixels allows, or longer."""
    length = random.choice([1, 2, 65_535, 999_999, 1_000_000, 1_000_001])
    width, height = (length, 1) if random.random() < 0.5 else (1, length)
    rows = (1 + width) * height
    return _png(width, height, png.chunk(b"IDAT", zlib.compress(bytes(rows))), kind=0)


def _other_format(random: Random) -> bytes:
    """Formats that the decoder would read if it were asked."""
    file = io.BytesIO()
    Image.fromarray(photo(16, 16)).save(file, random.choice(["GIF", "TIFF", "PPM", "TGA", "JPEG2000", "ICO"]))
    return file.getvalue()


BOMBS: Final[tuple[Callable[[Random], bytes], ...]] = (
    *(_huge_png, _overfull_png, _png_with_packed_texts, _png_of_many_chunks, _animated_png),
    *(_huge_jpeg, _jpeg_of_many_scans, _jpeg_of_many_segments),
    *(_huge_webp, _huge_bmp, _slender, _other_format),
)
