"""Our walk through a file agrees with decoders: what they read we read, and what we refuse we name."""

from __future__ import annotations

import io
import random
import struct
import warnings
from collections import Counter

import cv2
import numpy as np
import pytest
from images import encoded, photo
from PIL import Image, ImageOps

from edge_worker.common.errors import DecodeError
from edge_worker.common.image_formats import DecodeLimits
from edge_worker.imaging import png
from edge_worker.imaging.decoder import decode
from edge_worker.imaging.exif import orientation_of
from edge_worker.imaging.headers import FORMATS, read_header

LIMITS = DecodeLimits(16_000_000, 25_000_000, FORMATS)
MUTATIONS = 400  # of each file
ON_PURPOSE = ("cut short", "no size of a BMP header")
"""Half of a frame, which decoders fill up with grey, is refused; so are BMP headers that only OpenCV guesses at."""

TRANSPARENT = Image.fromarray(photo(90, 60)).convert("RGBA")
TRANSPARENT.putpixel((3, 3), (1, 2, 3, 4))


def tiff(order: str, kind: int, *values: int) -> bytes:
    """An EXIF block with an orientation of this TIFF type in this byte order, of one value or more."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    numbers = struct.pack(order + INTEGERS[kind] * len(values), *values)
    stored, behind = (numbers.ljust(4, b"\0"), b"") if len(numbers) <= 4 else (struct.pack(order + "I", 26), numbers)
    return head + struct.pack(order + "HHHI", 1, 0x0112, kind, len(values)) + stored + bytes(4) + behind


INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}
TURNED = {"exif": b"Exif\0\0" + tiff(">", 3, 6)}

FILES = {
    "jpeg": encoded(photo(90, 60), "JPEG"),
    "progressive": encoded(photo(90, 60), "JPEG", progressive=True),
    "png": encoded(photo(90, 60), "PNG"),
    "webp": encoded(photo(90, 60), "WEBP"),
    "lossless-webp": encoded(photo(90, 60), "WEBP", lossless=True),
    "bmp": encoded(photo(90, 60), "BMP"),
    "jpeg-exif": encoded(photo(90, 60), "JPEG", **TURNED),
    "png-exif": encoded(photo(90, 60), "PNG", dpi=(72, 72), **TURNED),
    "png-palette": encoded(TRANSPARENT.convert("RGB").quantize(16), "PNG", transparency=1),
    "webp-exif": encoded(photo(90, 60), "WEBP", **TURNED),
    "webp-alpha": encoded(TRANSPARENT, "WEBP"),
    "bmp-grey": encoded(TRANSPARENT.convert("L"), "BMP"),
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
    """The size of the image that we read as it is stored, or None and why we do not."""
    try:
        decode(data, LIMITS)
    except DecodeError as error:
        return None, error.detail
    header = read_header(data)
    return (header.width, header.height), ""


@pytest.mark.parametrize("name", FILES)
def test_what_a_decoder_reads_we_read_and_what_we_refuse_we_name(name: str) -> None:
    """Hundreds of odd files of each format; the seed is fixed, so a failure can be repeated."""
    rng = random.Random(name)  # noqa: S311 - to be repeated, not to be secret
    outcomes = Counter[bool]()
    for number in range(MUTATIONS):
        data = mutated(FILES[name], rng)
        read, (size, refusal) = by_opencv(data), by_us(data)
        outcomes[size is not None] += 1
        if size is None:
            named_on_purpose = any(words in refusal for words in ON_PURPOSE)
            assert refusal, number
            assert read is None or named_on_purpose, (number, refusal, read)
        else:
            assert size == read, number
    assert min(outcomes[True], outcomes[False]) > MUTATIONS // 50, outcomes  # both ways have been tried


@pytest.mark.parametrize("name", FILES)
def test_what_pillow_reads_we_read_unless_opencv_cannot(name: str) -> None:
    """Of files that only Pillow reads, each refusal says what is wrong, and no size differs from Pillow's."""
    rng = random.Random(name + " for Pillow")  # noqa: S311 - to be repeated, not to be secret
    for number in range(MUTATIONS):
        data = mutated(FILES[name], rng)
        seen, (size, refusal) = by_pillow(data), by_us(data)
        if seen is not None and size is None:
            assert by_opencv(data) is None or any(words in refusal for words in ON_PURPOSE), (number, refusal)
        elif seen is not None:
            assert size == seen, number


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", INTEGERS)
def test_mutated_exif_blocks_are_read_as_pillow_reads_them(kind: int, order: str) -> None:
    """The same orientation, and upright where it finds none."""
    rng = random.Random(f"{kind}{order}")  # noqa: S311 - to be repeated, not to be secret
    for number in range(MUTATIONS):
        block = bytearray(tiff(order, kind, rng.randint(0, 9)))
        for _ in range(rng.randrange(3)):
            block[rng.randrange(len(block))] = rng.choice([0, 1, 3, 4, 8, 255, rng.randrange(256)])
        assert orientation_of(bytes(block)) == orientation_by_pillow(bytes(block)), (number, bytes(block))


def orientation_by_pillow(block: bytes) -> int:
    """The orientation that Pillow reads; upright where it reads none, or none that exists."""
    exif = Image.Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exif.load(block)
            value = exif.get(0x0112, 1)
    except Exception:  # noqa: BLE001 - it raises whatever its reader does
        return 1
    if isinstance(value, bytes):  # BYTEs, which Pillow leaves as they are
        value = value[0] if value else 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


@pytest.mark.parametrize("before", [0xDB, 0xC0, 0xC4, 0xDA])
@pytest.mark.parametrize("stray", [b"\0", b"\xff", b"\xff\0\xff", b"garbage \0\xff\0"])
def test_stray_bytes_between_jpeg_segments_are_skipped(before: int, stray: bytes) -> None:
    """Webcams leave some there; libjpeg goes on to the next marker."""
    place = FILES["jpeg"].index(bytes([0xFF, before]))
    odd = FILES["jpeg"][:place] + stray + FILES["jpeg"][place:]
    assert (decode(odd, LIMITS) == decode(FILES["jpeg"], LIMITS)).all()


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", INTEGERS)
def test_orientation_is_read_by_its_type(format_: str, order: str, kind: int) -> None:
    """A SHORT as the standard wants it, or another integer as some writers have it, in both byte orders."""
    payload = encoded(photo(90, 60), format_, exif=b"Exif\0\0" + tiff(order, kind, 6))
    assert read_header(payload).orientation == 6
    assert decode(payload, LIMITS).shape == (90, 60, 3)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", INTEGERS)
def test_of_several_orientations_the_first_counts(kind: int, order: str) -> None:
    """They stand where the tag says: in the entry if they fit, otherwise behind the directory."""
    assert [orientation_of(tiff(order, kind, 8, *[3] * more)) for more in range(5)] == [8] * 5
    assert orientation_of(tiff(order, kind)) == 1


def segment(marker: int, content: bytes) -> bytes:
    """A segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", range(1, 9))
def test_an_image_is_turned_as_pillow_turns_it_wherever_its_orientation_stands(value: int, order: str) -> None:
    """Behind other segments, before or behind the pixels, with the prefix or without it."""
    exif, rest = b"Exif\0\0" + tiff(order, 3, value), FILES["jpeg"][2:]
    xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>")
    icc = segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(40))
    end = len(FILES["png"]) - 12
    files = [
        *(b"\xff\xd8" + before + segment(0xE1, exif) + rest for before in (b"", xmp, icc, xmp + icc, b"\xff\xff\xff")),
        *(b"\xff\xd8" + segment(0xE1, exif) + behind + rest for behind in (xmp, segment(0xE1, TURNED["exif"]))),
        FILES["png"][:end] + png.chunk(b"eXIf", exif[6:]) + FILES["png"][end:],
        *(encoded(photo(90, 60), "WEBP", lossless=True, exif=block) for block in (exif, exif[6:])),
    ]
    for number, file in enumerate(files):
        expected = ImageOps.exif_transpose(Image.open(io.BytesIO(file))).convert("RGB")
        difference = decode(file, LIMITS).astype(int) - np.asarray(expected).astype(int)
        assert np.abs(difference).mean() < 2, number


def test_the_first_exif_block_of_a_jpeg_counts_and_a_prefix_in_a_png_is_skipped() -> None:
    """As other readers do."""
    block = b"Exif\0\0" + tiff("<", 3, 8)
    second = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    place = FILES["jpeg-exif"].index(b"\xff\xdb")
    assert read_header(FILES["jpeg-exif"][:place] + second + FILES["jpeg-exif"][place:]).orientation == 6
    prefixed = FILES["png"][:33] + png.chunk(b"eXIf", block) + FILES["png"][33:]
    assert read_header(prefixed).orientation == 8


def test_an_ancillary_png_chunk_with_a_wrong_checksum_is_left_out() -> None:
    """Decoders warn and go on; what the damaged chunk says does not count."""
    end = FILES["png-exif"].index(b"eXIf") + 4 + len(TURNED["exif"]) - 6
    damaged = FILES["png-exif"][:end] + bytes(4) + FILES["png-exif"][end + 4 :]
    assert read_header(damaged).orientation == 1
    assert decode(damaged, LIMITS).shape == (60, 90, 3)


def test_the_checksum_of_the_end_of_a_png_does_not_count() -> None:
    """Nothing is in it, and decoders have the whole image by then."""
    assert (decode(FILES["png"][:-4] + b"junk", LIMITS) == decode(FILES["png"], LIMITS)).all()


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
        (b" \r\n/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP", "base64"),
        (b'"/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP=="', "base64"),
        (b"FFD8FFE000104A46494600010101", "hexadecimal"),
        (b"DATA:image/jpeg,%FF%D8%FF", "data URL"),
        (b"<html><body>401", "HTML"),
        (b"\xef\xbb\xbf\n<!doctype html>", "HTML"),
        (b"rtsp://camera.example/stream", "an address"),
        (b"\r\n--boundary\r\nContent-Type: image/jpeg\r\n\r\n" + FILES["jpeg"], "multipart"),
        (b"Content-Type: image/jpeg\r\n\r\n" + FILES["jpeg"], "multipart"),
        (b"II+\0\x08\0\0\0", "TIFF"),
        (b"\xff\x4f\xff\x51\0\x2f", "JPEG 2000"),
        (b"PK\3\4\x14\0", "ZIP"),
        (b"HTTP/1.0 200 OK\r\n\r\n" + FILES["jpeg"], "HTTP response"),
        (b"\0\0\0\1\x67\x42\0\x1f", "video stream"),
        (b"P6\n64 48\n255\n", "PPM"),
        (b"\0" + FILES["jpeg"], "starts at byte 1:"),
        (b"\xff\xd8\0" + FILES["jpeg"][2:], "stray bytes"),
    ],
)
def test_a_payload_of_another_kind_is_called_by_its_name(data: bytes, word: str) -> None:
    """Its sender learns what it sent, and what to send instead."""
    with pytest.raises(DecodeError, match=word) as caught:
        read_header(data)
    assert caught.value.reason == "unsupported"


@pytest.mark.parametrize(
    ("marker", "bits", "word"), [(0xC3, 8, "lossless"), (0xC1, 12, "12-bit"), (0xC5, 8, "hier"), (0xF7, 8, "JPEG-LS")]
)
def test_a_jpeg_that_no_decoder_here_reads_is_unsupported(marker: int, bits: int, word: str) -> None:
    """It is whole; calling it damaged would send its owner looking for a fault."""
    data = bytearray(FILES["jpeg"])
    place = data.index(b"\xff\xc0")
    data[place + 1], data[place + 4] = marker, bits
    with pytest.raises(DecodeError, match=word) as caught:
        decode(bytes(data), LIMITS)
    assert caught.value.reason == "unsupported"


def test_a_jpeg_whose_height_follows_its_data_is_unsupported() -> None:
    """Scanners that count lines as they go write such files; decoders take none."""
    data = bytearray(FILES["jpeg"])
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 7] = b"\0\0"
    with pytest.raises(DecodeError, match="DNL") as caught:
        decode(bytes(data), LIMITS)
    assert caught.value.reason == "unsupported"
