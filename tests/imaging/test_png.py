from __future__ import annotations

import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from edge_worker.imaging import png


def _image(info: PngImagePlugin.PngInfo | None = None) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (3, 2), (10, 20, 30)).save(file, "PNG", pnginfo=info)
    return file.getvalue()


IMAGE = _image()
KEYWORDS = st.text("abcdefghijklmnopqrstuvwxyz-é", min_size=1, max_size=79)
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(st.dictionaries(KEYWORDS, VALUES, max_size=4))
def test_any_text_comes_back(texts: dict[str, str]) -> None:
    """What is written is what is read, whatever the language."""
    assert png.read_text(png.with_text(IMAGE, texts)) == texts


def test_other_readers_see_the_texts_and_the_same_image() -> None:
    """Pillow, which checks every checksum, finds the texts and the pixels."""
    written = png.with_text(IMAGE, {"frame-id": "abc", "camera": "Küche", "note": "日本"})
    with Image.open(io.BytesIO(written)) as image:
        image.load()
        assert image.info == {"frame-id": "abc", "camera": "Küche", "note": "日本"}
        assert image.getpixel((2, 1)) == (10, 20, 30)


def test_a_text_of_the_same_keyword_is_replaced() -> None:
    """There is one value per keyword, the last written; other texts stay, wherever they stood."""
    info = PngImagePlugin.PngInfo()
    for keyword, value, compressed in (("a", "old", False), ("b", "kept", False), ("c", "old", True)):
        info.add_text(keyword, value, zip=compressed)
    info.add_itxt("d", "old ☂")
    written = png.with_text(_image(info), {"a": "1", "c": "2", "d": "3"})
    assert png.read_text(written) == {"a": "1", "b": "kept", "c": "2", "d": "3"}
    assert [found.kind for found in png.chunks(written)].count(b"zTXt") == 0


def test_texts_stand_right_after_the_header() -> None:
    """A reader that stops at the image's data has seen them."""
    kinds = [found.kind for found in png.chunks(png.with_text(IMAGE, {"a": "x", "b": "☂"}))]
    assert kinds == [b"IHDR", b"tEXt", b"iTXt", b"IDAT", b"IEND"]


@pytest.mark.parametrize("keyword", ["", "x" * 80, " x", "a\nb", "日本"])
def test_bad_keywords_are_refused(keyword: str) -> None:
    """What PNG does not allow as a keyword is never written."""
    with pytest.raises(ValueError, match=r"keyword|latin-1"):
        png.with_text(IMAGE, {keyword: "x"})


def test_a_nul_in_a_value_is_refused() -> None:
    """A NUL would end the text."""
    with pytest.raises(ValueError, match="NUL"):
        png.with_text(IMAGE, {"a": "x\0y"})


def test_damage_is_reported() -> None:
    """Cut files, wrong checksums and other formats raise ValueError that says what is wrong."""
    flipped = IMAGE[:20] + b"\1" + IMAGE[21:]
    for broken, message in (
        (b"GIF89a", "signature"),
        (IMAGE[:-12], "before its IEND"),
        (IMAGE[:-14], "inside a chunk"),
        (flipped, "IHDR.*checksum"),
        (png.SIGNATURE + png.chunk(b"tEXt", b"") * (png.MAX_CHUNKS + 1), "more than"),
    ):
        with pytest.raises(ValueError, match=message):
            png.read_text(broken)


def test_still_keeps_the_image_and_nothing_else() -> None:
    """The rest of an animation and all metadata are gone, the first image is the same."""
    file = io.BytesIO()
    frames = [Image.new("L", (4, 4), value) for value in (50, 100)]
    frames[0].save(file, "PNG", save_all=True, append_images=frames[1:])
    reduced = png.still(png.with_text(file.getvalue(), {"a": "b"}))
    assert {found.kind for found in png.chunks(reduced)} == {b"IHDR", b"IDAT", b"IEND"}
    with Image.open(io.BytesIO(reduced)) as image:
        assert image.getpixel((0, 0)) == 50


@given(st.binary(max_size=64))
def test_any_bytes_are_walked_or_refused(junk: bytes) -> None:
    """Walking never fails in another way than with ValueError."""
    for data in (junk, IMAGE[:33] + junk, IMAGE[:-12] + junk):
        with suppress(ValueError):
            assert list(png.chunks(data))[-1].kind == b"IEND"
