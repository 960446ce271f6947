from __future__ import annotations

import io
import resource
import struct
import zlib
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from images import CIHP, PHOTOS, encoded, one_of_each_kind, photo, with_orientation
from PIL import Image, ImageOps

from edge_worker.common.errors import DecodeError
from edge_worker.common.image_formats import DecodeLimits
from edge_worker.imaging import png
from edge_worker.imaging.decoder import decode, decode_reduced
from edge_worker.imaging.headers import FORMATS
from edge_worker.imaging.palette import Palette

if TYPE_CHECKING:
    from edge_worker.imaging.arrays import RgbImage

LIMITS = DecodeLimits(max_payload_bytes=10_000_000, max_pixels=1_000_000, formats=FORMATS)
PALETTE = Palette.for_classes(CIHP)


def _refusal(payload: bytes, scale: int = 1) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        decode_reduced(payload, LIMITS, lambda _width, _height: scale)
    return caught.value


def _close(image: RgbImage, expected: RgbImage, levels: float = 0) -> bool:
    """Tell whether the images are of one shape and differ by at most so many levels anywhere."""
    assert image.dtype == np.uint8
    assert image.shape == expected.shape
    return bool(np.abs(image.astype(int) - expected.astype(int)).max() <= levels)


def _read_by_pillow(payload: bytes) -> RgbImage:
    with Image.open(io.BytesIO(payload)) as image:
        return np.asarray(image.convert("RGB"))


def _rgba() -> RgbImage:
    alpha = np.linspace(0, 255, 90).round().astype(np.uint8)
    return np.dstack([photo(), np.broadcast_to(alpha, (60, 90))])


def _on_black(rgba: RgbImage) -> RgbImage:
    return np.asarray(np.round(rgba[..., :3] * (rgba[..., 3:] / 255.0)), np.uint8)


# --- decoding: what is accepted ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True})])
@pytest.mark.parametrize("size", [(90, 60), (1, 1), (8000, 2), (2, 8000)])
def test_lossless_formats_come_back_exactly(kind: str, options: dict[str, bool], size: tuple[int, int]) -> None:
    """PNG, BMP and lossless WebP give the very pixels, in RGB order, at odd sizes too."""
    assert _close(decode(encoded(photo(*size), kind, **options), LIMITS), photo(*size))


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1}, {"optimize": True}]
)
@pytest.mark.parametrize("size", [(90, 60), (1, 1), (8000, 2)])
def test_jpegs_look_like_pillows(options: dict[str, int], size: tuple[int, int]) -> None:
    """Baseline and progressive JPEGs give what another decoder gives, but for rounding."""
    payload = encoded(photo(*size), "JPEG", quality=90, **options)
    assert _close(decode(payload, LIMITS), _read_by_pillow(payload), levels=2)


@pytest.mark.parametrize("mode", ["1", "L", "P"])
@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_grey_palette_and_one_bit(mode: str, kind: str) -> None:
    """Images of one channel become RGB."""
    payload = encoded(Image.fromarray(photo()).convert(mode), kind)
    assert _close(decode(payload, LIMITS), _read_by_pillow(payload))


def test_grey_jpeg() -> None:
    """A grey JPEG becomes RGB with three equal channels."""
    image = decode(encoded(Image.fromarray(photo()).convert("L"), "JPEG"), LIMITS)
    assert (image[..., 0] == image[..., 2]).all()


def test_cmyk_jpeg_has_its_colours() -> None:
    """A CMYK JPEG, inverted as Adobe writes it, looks like the RGB image it was made from."""
    payload = encoded(Image.fromarray(photo()).convert("CMYK"), "JPEG", quality=95)
    assert _close(decode(payload, LIMITS), _read_by_pillow(payload), levels=4)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_become_eight(channels: int) -> None:
    """16-bit PNGs keep their brightness: 65535 is white, and half of it is half grey."""
    deep = np.round(np.linspace(0, 65535, 90 * 60 * channels)).astype(np.uint16).reshape(60, 90, channels)
    payload = cv2.imencode(".png", deep)[1].tobytes()
    expected = np.round(deep / 257).astype(np.uint8)
    rgb = expected.repeat(3, axis=2) if channels == 1 else expected[..., 2::-1]
    assert _close(
        decode(payload, LIMITS), rgb if channels < 4 else _on_black(np.dstack([rgb, expected[..., 3]])), levels=1
    )


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True, "exact": True})])
def test_transparent_pixels_are_blended_with_black(kind: str, options: dict[str, bool]) -> None:
    """What is stored under transparent pixels does not show."""
    assert _close(decode(encoded(_rgba(), kind, **options), LIMITS), _on_black(_rgba()), levels=1)


def test_grey_with_alpha_and_transparent_palette() -> None:
    """The same holds for grey images and for palettes with transparent entries."""
    grey = Image.fromarray(_rgba()).convert("LA")
    assert _close(decode(encoded(grey, "PNG"), LIMITS), _on_black(np.asarray(grey.convert("RGBA"))), levels=1)
    payload = encoded(Image.fromarray(photo()).quantize(8), "PNG", transparency=bytes([0, 100, 255]))
    with Image.open(io.BytesIO(payload)) as image:
        assert _close(decode(payload, LIMITS), _on_black(np.asarray(image.convert("RGBA"))), levels=1)


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_images_are_turned_as_exif_says(kind: str, value: int) -> None:
    """All eight orientations, in all formats that have them, come out as Pillow shows them."""
    payload = encoded(photo(), kind, quality=95, exif=with_orientation(value))
    with Image.open(io.BytesIO(payload)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert _close(decode(payload, LIMITS), expected, levels=2)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_taken(kind: str) -> None:
    """Animated PNG and WebP files are images; later frames do not show."""
    frames = [Image.fromarray(photo()), Image.new("RGB", (90, 60), "red")]
    payload = encoded(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
    assert _close(decode(payload, LIMITS), photo())


@pytest.mark.parametrize("size", [(90, 60), (1, 1), (3, 9)])
def test_interlaced_png(size: tuple[int, int]) -> None:
    """Adam7, PNG's interlacing, is understood."""
    assert _close(decode(_adam7(photo(*size)), LIMITS), photo(*size))


def _adam7(image: RgbImage) -> bytes:
    """Encode RGB as an interlaced PNG (PNG specification, section 8.2), which neither Pillow nor OpenCV can."""
    origins = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    passes = [image[y::down, x::right] for y, x, down, right in origins]
    rows = b"".join(b"\0" + row.tobytes() for sparse in passes if sparse.size for row in sparse)
    header = struct.pack(">IIBBBBB", image.shape[1], image.shape[0], 8, 2, 0, 0, 1)
    return _png_file(header, zlib.compress(rows))


def _png_file(header: bytes, rows: bytes) -> bytes:
    parts = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    return png.SIGNATURE + b"".join(png.chunk(kind, data) for kind, data in parts)


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_a_jpeg_at_a_part_of_its_size(scale: int, orientation: int, options: dict[str, object]) -> None:
    """It is the mean of the whole image's pixels, turned alike, and its full size is told."""
    payload = encoded(photo(240, 160), "JPEG", quality=95, exif=with_orientation(orientation), **options)
    whole = decode(payload, LIMITS)
    height, width = whole.shape[:2]
    reduced = decode_reduced(payload, LIMITS, lambda *size: scale if size == (width, height) else 0)
    assert (reduced.width, reduced.height) == (width, height)
    mean = cv2.resize(whole, (width // scale, height // scale), interpolation=cv2.INTER_AREA)
    assert np.abs(reduced.image.astype(int) - mean).mean() < 2
    assert reduced.image.shape == mean.shape


def test_only_a_jpeg_is_reduced() -> None:
    """Of other formats and of odd sizes nothing is lost at the border."""
    assert decode_reduced(encoded(photo(), "PNG"), LIMITS, lambda _width, _height: 2).image.shape == (60, 90, 3)
    odd = decode_reduced(encoded(photo(91, 61), "JPEG"), LIMITS, lambda _width, _height: 2)
    assert (odd.image.shape, odd.width, odd.height) == ((31, 46, 3), 91, 61)


# --- decoding: what is refused -------------------------------------------------------------------------------------


def test_a_bomb_takes_no_memory() -> None:
    """A small PNG that unpacks to 1.2 GB is refused before anything is unpacked."""
    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(bytes(2501)) for _ in range(20_000)) + packer.flush()
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refusal = _refusal(_png_file(header, rows))
    assert refusal.reason == "too_many_pixels"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # kB


@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"restart_marker_rows": 2}, {"subsampling": 0}])
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("scale", [1, 8])
def test_a_jpeg_that_runs_dry_before_its_end(options: dict[str, int], kept: float, mode: str, scale: int) -> None:
    """An image cut in transfer and closed with an end marker is refused, not parsed with a grey half."""
    payload = encoded(Image.fromarray(photo(640, 480)).convert(mode), "JPEG", **options)
    stump = payload[: int(len(payload) * kept)].rstrip(b"\xff") + b"\xff\xd9"
    refusal = _refusal(stump, scale)
    assert refusal.reason == "undecodable"
    assert "cut short" in refusal.detail


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}, {"restart_marker_rows": 2}])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_flat_images_are_not_taken_for_cut_ones(options: dict[str, int], level: int) -> None:
    """A dark night, or a frame whose lower half is one grey, is an image like others."""
    flat = photo(320, 240)
    flat[120:] = level
    for image in (flat, np.full_like(flat, level)):
        assert _close(decode(encoded(image, "JPEG", quality=95, **options), LIMITS), image, levels=40)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
def test_a_header_that_lies_about_the_size(kind: str) -> None:
    """An image whose header and data disagree comes out as undecodable or at the header's size, never at another."""
    payload = bytearray(encoded(photo(), kind))
    position = {"JPEG": payload.find(b"\xff\xc0") + 5, "PNG": 20, "WEBP": 28, "BMP": 22}[kind]
    payload[position : position + 2] = b"\0\x10"
    outcome = _outcome(bytes(payload))
    assert outcome in {"undecodable", "too_many_pixels"} if isinstance(outcome, str) else outcome.shape[1] <= 0x1000


def _outcome(payload: bytes) -> RgbImage | str:
    """Return the image, or the reason for refusing it."""
    try:
        return decode(payload, LIMITS)
    except DecodeError as error:
        return error.reason


def _image_or_refusal(payload: bytes) -> None:
    outcome = _outcome(payload)
    if isinstance(outcome, str):
        assert outcome in {"undecodable", "unsupported", "too_many_pixels"}
    else:
        assert outcome.dtype == np.uint8
        assert outcome.ndim == 3
        assert outcome.shape[2] == 3
        assert outcome.flags.c_contiguous


@given(st.binary(max_size=200))
def test_any_bytes_are_an_image_or_refused(junk: bytes) -> None:
    """Nothing but an array or a DecodeError comes out, whatever the bytes."""
    _image_or_refusal(junk)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_mutated_images_are_images_or_refused(data: st.DataObject) -> None:
    """The same for real images with bytes changed, cut out, put in, and cut off."""
    payload = bytearray(data.draw(st.sampled_from(one_of_each_kind())))
    places = st.integers(0, len(payload) - 1) | st.integers(0, 80)
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=8)):
        payload[place] = value
    place, length, inserted = data.draw(st.tuples(places, st.integers(0, 20), st.binary(max_size=20)))
    payload[place : place + length] = inserted
    cut = data.draw(st.just(len(payload)) | places)
    _image_or_refusal(bytes(payload[:cut]))


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="no photos beside the repository")
def test_photos_are_read_and_their_stumps_are_refused() -> None:
    """Real photographs decode as in Pillow; cut anywhere, with or without an end marker put on, they are refused."""
    for path in sorted(PHOTOS.glob("*.jpg"))[:20]:
        payload = path.read_bytes()
        assert _close(decode(payload, LIMITS), _read_by_pillow(payload), levels=3)
        half = payload[: len(payload) // 2].rstrip(b"\xff")
        assert _refusal(half).reason == _refusal(half + b"\xff\xd9").reason == "undecodable"
