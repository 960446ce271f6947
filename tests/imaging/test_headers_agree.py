"""Our walk through a file agrees with decoders: what they read we read, and what we refuse we name."""

from __future__ import annotations

import io
import random
import struct
import warnings
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from images import encoded, photo
from PIL import Image

from edge_worker.errors import DecodeError
from edge_worker.imaging.codec import decode
from edge_worker.imaging.headers import FORMATS, DecodeLimits, read_header

if TYPE_CHECKING:
    from collections.abc import Callable

LIMITS = DecodeLimits(16_000_000, 25_000_000, FORMATS)
MUTATIONS = 600  # of each file
ON_PURPOSE = "cut short"
"""What decoders fill up with grey, we refuse: half of a frame is none."""

FILES = {
    "jpeg": encoded(photo(90, 60), "JPEG"),
    "progressive": encoded(photo(90, 60), "JPEG", progressive=True),
    "png": encoded(photo(90, 60), "PNG"),
    "webp": encoded(photo(90, 60), "WEBP"),
    "lossless-webp": encoded(photo(90, 60), "WEBP", lossless=True),
    "bmp": encoded(photo(90, 60), "BMP"),
}


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Change, insert, remove or append some bytes, mostly among the headers."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(2, min(len(out), 700))
        match rng.randrange(5):
            case 0:
                out[place] = rng.randrange(256)
            case 1:
                out[place] ^= 1 << rng.randrange(8)
            case 2:
                out[place:place] = bytes(rng.choice([0, 255, rng.randrange(256)]) for _ in range(rng.randint(1, 6)))
            case 3:
                del out[place : place + rng.randint(1, 4)]
            case 4:
                out += rng.randbytes(rng.randint(1, 20))
    return bytes(out)


def by_pillow(data: bytes) -> tuple[int, int] | None:
    """The size of the image that Pillow reads; None where it reads none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=["JPEG", "PNG", "WEBP", "BMP"])
            image.load()
    except Exception:  # noqa: BLE001 - it raises whatever its decoders do
        return None
    return image.size


def by_opencv(data: bytes) -> tuple[int, int] | None:
    """The size of the image that OpenCV reads; None where it reads none."""
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None
    return None if image is None else (image.shape[1], image.shape[0])


def by_us(data: bytes) -> tuple[tuple[int, int] | None, str]:
    """The size of the image that we read, or None and why we do not."""
    try:
        height, width, _ = decode(data, LIMITS).shape
    except DecodeError as error:
        return None, error.detail
    return (width, height), ""


@pytest.mark.parametrize("name", FILES)
def test_what_both_decoders_read_we_read(name: str) -> None:
    """Hundreds of odd files of each format; the seed is fixed, so a failure can be repeated."""
    rng = random.Random(name)  # noqa: S311 - to be repeated, not to be secret
    for number in range(MUTATIONS):
        data = mutated(FILES[name], rng)
        sizes = {by_pillow(data), by_opencv(data)}
        size, refusal = by_us(data)
        if size is None:
            assert None in sizes or len(sizes) > 1 or ON_PURPOSE in refusal, (number, refusal, sizes)
        else:
            assert by_opencv(data) == size, number


@pytest.mark.parametrize("before", [0xDB, 0xC0, 0xC4, 0xDA])
@pytest.mark.parametrize("stray", [b"\0", b"\xff", b"\xff\0\xff", b"garbage \0\xff\0"])
def test_stray_bytes_between_jpeg_segments_are_skipped(before: int, stray: bytes) -> None:
    """Webcams leave some there; libjpeg goes on to the next marker."""
    place = FILES["jpeg"].index(bytes([0xFF, before]))
    odd = FILES["jpeg"][:place] + stray + FILES["jpeg"][place:]
    assert (decode(odd, LIMITS) == decode(FILES["jpeg"], LIMITS)).all()


def tiff(order: str, kind: int, value: int) -> bytes:
    """An EXIF block with an orientation of this type in this byte order."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    number = struct.pack(order + ("HH" if kind == 3 else "I"), *((value, 0) if kind == 3 else (value,)))
    return head + struct.pack(order + "HHHI", 1, 0x0112, kind, 1) + number + bytes(4)


def with_exif(kind: str, block: bytes) -> bytes:
    exif = b"Exif\0\0" + block
    writers: dict[str, Callable[[], bytes]] = {
        "jpeg": lambda: encoded(photo(90, 60), "JPEG", exif=exif),
        "png": lambda: encoded(photo(90, 60), "PNG", exif=exif),
        "webp": lambda: encoded(photo(90, 60), "WEBP", exif=exif),
    }
    return writers[kind]()


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("type_", [3, 4])
def test_orientation_is_read_by_its_type(kind: str, order: str, type_: int) -> None:
    """A SHORT as the standard wants it, or a LONG as some writers have it, in both byte orders."""
    assert read_header(with_exif(kind, tiff(order, type_, 6))).orientation == 6


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"GIF89a....", "GIF"),
        (b"\0\0\0\x1cftypavif....", "AVIF"),
        (b"\0\0\0\x1cftypheic....", "HEIC"),
        (b"--boundary\r\nContent-Type: image/jpeg\r\n\r\n", "multipart"),
        (b"data:image/jpeg;base64,/9j/4AAQ", "data URL"),
        (b"/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP", "base64"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
        (b"<html><body>401", "HTML"),
    ],
)
def test_a_payload_of_another_kind_is_called_by_its_name(data: bytes, word: str) -> None:
    """Its sender learns what it sent, and what to send instead."""
    with pytest.raises(DecodeError, match=word) as caught:
        read_header(data)
    assert caught.value.reason == "unsupported"


@pytest.mark.parametrize(("marker", "bits", "word"), [(0xC3, 8, "lossless"), (0xC1, 12, "12-bit")])
def test_a_jpeg_that_no_decoder_here_reads_is_unsupported(marker: int, bits: int, word: str) -> None:
    """It is whole; calling it damaged would send its owner looking for a fault."""
    data = bytearray(FILES["jpeg"])
    place = data.index(b"\xff\xc0")
    data[place + 1], data[place + 4] = marker, bits
    with pytest.raises(DecodeError, match=word) as caught:
        decode(bytes(data), LIMITS)
    assert caught.value.reason == "unsupported"
