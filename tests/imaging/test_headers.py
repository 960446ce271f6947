from __future__ import annotations

import re
import struct
from dataclasses import replace
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from images import encoded, photo, with_orientation
from PIL import Image

from edge_worker.common.errors import DecodeError
from edge_worker.common.image_formats import IMAGE_FORMATS, DecodeLimits
from edge_worker.imaging import png
from edge_worker.imaging.decoder import MAX_SIDE, check
from edge_worker.imaging.exif import UPRIGHT, orientation_of
from edge_worker.imaging.headers import FORMATS, MAX_SCANS, read_header

LIMITS = DecodeLimits(max_payload_bytes=1_000_000, max_pixels=1_000_000, formats=FORMATS)
KINDS = tuple(name.upper() for name in IMAGE_FORMATS)


def _bomb(kind: str, width: int, height: int) -> bytes:
    """Make a file of a few bytes whose header promises an image of *width* by *height*."""
    if kind == "PNG":
        ihdr = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        return png.SIGNATURE + struct.pack(">I", 13) + ihdr + struct.pack(">I", crc32(ihdr))
    if kind == "BMP":
        return b"BM" + struct.pack("<IIIIiiHHI", 60, 0, 54, 40, width, height, 1, 24, 0) + bytes(24)
    if kind == "WEBP":
        size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        return b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + size
    return b"\xff\xd8\xff\xc0\0\x11\x08" + struct.pack(">HH", height, width) + b"\3" + bytes(9) + b"\xff\xda\0\2"


def _refusal(payload: bytes, limits: DecodeLimits = LIMITS) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        check(payload, limits)
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(90, 60), (1, 1), (8000, 2)])
def test_size_and_format_are_read(kind: str, size: tuple[int, int]) -> None:
    """The header tells format and size of every kind of file, and that it is whole."""
    header = check(encoded(photo(*size), kind), LIMITS)
    assert (header.format, header.width, header.height) == (kind.lower(), *size)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP", "JPEG"])
def test_a_bomb_is_refused_on_its_header(kind: str) -> None:
    """50000x50000 pixels are refused as too many, although the file is also cut short."""
    refusal = _refusal(_bomb(kind, 50_000, 50_000))
    assert refusal.reason == "too_many_pixels"
    assert "50000x50000" in refusal.detail


@pytest.mark.parametrize("kind", KINDS)
def test_the_pixel_limit_is_exact(kind: str) -> None:
    """An image of exactly as many pixels passes, one more does not."""
    payload = encoded(photo(90, 60), kind)
    assert check(payload, DecodeLimits(10**6, 90 * 60, FORMATS))
    assert _refusal(payload, DecodeLimits(10**6, 90 * 60 - 1, FORMATS)).reason == "too_many_pixels"


def test_an_image_without_end_in_one_direction_is_refused() -> None:
    """Few pixels, but a side that no JPEG can have: what is drawn over it could not be sent."""
    limits = DecodeLimits(10**6, 10**6, FORMATS)
    for width, height in ((MAX_SIDE + 1, 1), (1, MAX_SIDE + 1)):
        refusal = _refusal(encoded(Image.new("L", (width, height)), "PNG"), limits)
        assert refusal.reason == "too_many_pixels"
        assert str(MAX_SIDE) in refusal.detail
    assert check(encoded(Image.new("L", (MAX_SIDE, 1)), "PNG"), limits).width == MAX_SIDE


@pytest.mark.parametrize("kind", KINDS)
def test_formats_can_be_left_out(kind: str) -> None:
    """A format that the limits do not name is unsupported, and the detail says which are accepted."""
    others = FORMATS - {kind.lower()}
    refusal = _refusal(encoded(photo(), kind), DecodeLimits(10**6, 10**6, others))
    assert refusal.reason == "unsupported"
    assert ", ".join(sorted(others)) in refusal.detail


@pytest.mark.parametrize(
    "payload",
    [
        b"GIF89a" + bytes(50),
        b"II*\0" + bytes(50),
        b"hello, world",
        b"RIFF\x10\0\0\0WAVEfmt ",
        b"BMW drives by, hello",
        b"\0" * 40,
    ],
)
def test_other_content_is_unsupported(payload: bytes) -> None:
    """What is no JPEG, PNG, WebP or BMP file is unsupported, whatever it is."""
    assert _refusal(payload).reason == "unsupported"


def test_an_empty_payload_is_undecodable() -> None:
    """Nothing is not an image."""
    assert _refusal(b"").reason == "undecodable"


def test_size_is_checked_before_anything_else() -> None:
    """Too long a payload is refused without being looked at."""
    assert _refusal(b"x" * 11, DecodeLimits(10, 10**6, FORMATS)).reason == "too_big"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kept", [0.01, 0.1, 0.5, 0.9, 0.999])
def test_a_cut_file_is_undecodable(kind: str, kept: float) -> None:
    """However much of it is missing, a file that ends too early is found out without decoding it."""
    payload = encoded(photo(300, 200), kind)
    assert _refusal(payload[: max(12, int(len(payload) * kept))]).reason == "undecodable"


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_image() -> None:
    """A camera's JPEG holds a small JPEG with an end marker of its own; cut behind it, the file is still cut."""
    block = b"Exif\0\0" + encoded(photo(16, 16), "JPEG")
    cut = encoded(photo(300, 200), "JPEG", exif=block)[:-300]
    assert b"\xff\xd9" in cut
    assert _refusal(cut).reason == "undecodable"


def test_a_size_that_a_decoder_would_not_see_does_not_count() -> None:
    """A header in front of the one that decoders take is no way around the limits."""
    harmless, image = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0), encoded(photo(90, 60), "PNG")
    hidden = png.SIGNATURE + png.chunk(b"tEXt", harmless) + image[len(png.SIGNATURE) :]
    assert _refusal(hidden).reason == "undecodable"
    small, large = (encoded(photo(size, size), "JPEG")[2:] for size in (8, 90))
    skipped = b"\xff\0" + struct.pack(">H", 2 + len(large)) + large  # no segment to a decoder: it finds what is inside
    assert _refusal(b"\xff\xd8" + skipped + small, replace(LIMITS, max_pixels=90 * 90 - 1)).reason == "too_many_pixels"


def test_an_end_marker_in_a_comment_is_not_the_end_of_the_image() -> None:
    """Scans behind a comment that holds one are counted, and their end is the image's."""
    payload = encoded(photo(90, 60), "JPEG", progressive=True)
    scans = [found.start() for found in re.finditer(b"\xff\xda", payload)]
    commented = payload[: scans[1]] + b"\xff\xfe\0\4\xff\xd9" + payload[scans[1] :]
    assert check(commented, LIMITS).data_end == len(commented) - 2
    endless = commented[:-2] + payload[scans[-1] : -2] * MAX_SCANS + b"\xff\xd9"
    assert "scans" in _refusal(endless).detail
    assert "segments" in _refusal(commented[:-2] + b"\xff\xfe\0\2" * 5000 + b"\xff\xd9").detail


def test_bytes_behind_the_end_do_not_matter() -> None:
    """Cameras that pad their images are tolerated."""
    for kind in KINDS:
        assert check(encoded(photo(), kind) + bytes(100), LIMITS)


def test_endless_headers_are_refused() -> None:
    """Files made of nothing but empty segments or scans cost little and are refused."""
    image = encoded(photo(), "JPEG")
    assert _refusal(image[:2] + b"\xff\xfe\0\2" * 200_000 + image[2:]).reason == "undecodable"
    assert _refusal(b"\xff\xd8" + b"\xff" * 900_000).reason == "undecodable"
    assert "scans" in _refusal(image[:-2] + b"\xff\xda\0\2" * (MAX_SCANS + 1) + image[-2:]).detail


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_orientation_is_read(kind: str, value: int) -> None:
    """EXIF says how to turn an image in all three formats that have it."""
    assert read_header(encoded(photo(), kind, exif=with_orientation(value))).orientation == value


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders(order: str) -> None:
    """EXIF comes in both byte orders; a value outside 1 to 8 means upright."""
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, 1)
    for value, expected in ((6, 6), (0, UPRIGHT), (9, UPRIGHT)):
        assert orientation_of(start + struct.pack(order + "HHIHH", 0x0112, 3, 1, value, 0)) == expected


@given(st.binary(max_size=60))
def test_broken_exif_means_upright(junk: bytes) -> None:
    """No EXIF block, however broken, is a reason to refuse an image."""
    for block in (junk, b"II*\0" + junk, b"MM\0*\0\0\0\x08" + junk):
        assert 1 <= orientation_of(block) <= 8


def test_alpha_is_seen() -> None:
    """The header says whether pixels may be transparent, by channel or by palette."""
    rgba = Image.fromarray(photo()).convert("RGBA")
    rgba.putpixel((0, 0), (1, 2, 3, 4))
    palette = rgba.convert("RGB").quantize(8)
    assert read_header(encoded(rgba, "PNG")).alpha
    assert read_header(encoded(rgba.convert("LA"), "PNG")).alpha
    assert read_header(encoded(palette, "PNG", transparency=1)).alpha
    assert read_header(encoded(rgba, "WEBP")).alpha
    assert read_header(encoded(rgba, "WEBP", lossless=True)).alpha
    for kind in KINDS:
        assert not read_header(encoded(photo(), kind)).alpha


@given(st.binary(max_size=100), st.sampled_from([b"", b"\xff\xd8\xff", png.SIGNATURE, b"RIFF\x40\0\0\0WEBP", b"BM"]))
def test_any_bytes_have_a_header_or_are_refused(junk: bytes, start: bytes) -> None:
    """No other exception comes out, whatever the bytes."""
    assert _outcome(start + junk) in {"allowed", "undecodable", "unsupported", "too_many_pixels"}


def _outcome(payload: bytes) -> str:
    try:
        header = check(payload, LIMITS)
    except DecodeError as error:
        return error.reason
    return "allowed" if 0 < header.width * header.height <= LIMITS.max_pixels else "over the limit"
