"""Detection of unsupported formats, so that an error message can say what the payload is."""

from __future__ import annotations

import re

_JPEG = b"\xff\xd8\xff"

# Offset of a signature, the signature, and what such a payload is.
_BINARY = (
    (0, b"GIF8", "a GIF"),
    (4, b"ftypavi", "an AVIF"),
    (4, b"ftyphe", "a HEIC"),
    (4, b"ftypmif1", "a HEIF"),
    (4, b"ftypmsf1", "a HEIF"),
    (4, b"ftyp", "an MP4 or HEIF file"),
    (0, b"II*\0", "a TIFF"),
    (0, b"MM\0*", "a TIFF"),
    (0, b"II+\0", "a TIFF"),
    (0, b"MM\0+", "a TIFF"),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000"),
    (0, b"\xff\x0a", "a JPEG XL"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL"),
    (0, b"%PDF", "a PDF"),
    (0, b"\x1f\x8b", "gzip data"),
    (0, b"\x28\xb5\x2f\xfd", "zstd data"),
    (0, b"PK\3\4", "a ZIP archive"),
    (0, b"\0\0\0\1", "a video stream (H.264 or H.265): send single images"),
    (0, b"\0\0\1\0", "an icon"),
    (0, b"\0\0\1", "a video stream (H.264 or H.265): send single images"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM video: send single images"),
    (0, b"P5", "a PGM"),
    (0, b"P6", "a PPM"),
    (0, _JPEG[:2], "a JPEG with stray bytes behind its start marker"),
)
_HTML = "an HTML page: does the camera's address need a login?"
_ADDRESS = "an address: send the image that is there"
# The same for text, in lower case, after any white space, quotes and byte order mark.
_TEXT = (
    (b"<svg", "an SVG"),
    (b"<?xml", "an XML file"),
    (b"<!doctype", _HTML),
    (b"<html", _HTML),
    (b"<head", _HTML),
    (b"<!--", _HTML),
    (b"http/", "an HTTP response: send its body alone"),
    (b"--", "a multipart body: send the part that holds the image"),
    (b"content-", "a part of a multipart body: send what follows its header"),
    (b"data:", 'a data URL: send the file itself, or {"image": "data:…"}'),
    (b"http:", _ADDRESS),
    (b"https:", _ADDRESS),
    (b"rtsp:", _ADDRESS),
    (b"version https://git-lfs", "a Git LFS pointer, not the file it stands for"),
)
_AROUND_TEXT = b"\xef\xbb\xbf \t\r\n\"'"
_LONGEST = 32  # more than any of these
_HEX = re.compile(rb"([0-9A-Fa-f]{2}){8,}[0-9A-Fa-f]?")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_\r\n-]{16,}={0,2}")
_LOOK = 4096  # bytes


def describe(payload: bytes) -> str:
    """Describe what *payload* seems to be, and what to send instead where that is known."""
    known = next((name for at, signature, name in _BINARY if payload.startswith(signature, at)), "")
    start = payload[:_LOOK]
    text = start.strip(_AROUND_TEXT)
    beginning = text[:_LONGEST].lower()
    known = known or next((name for signature, name in _TEXT if beginning.startswith(signature)), "")
    if known:
        return known
    if (place := start.find(_JPEG)) > 0:
        return f"a JPEG that starts at byte {place}: send it without the bytes before"
    if _HEX.fullmatch(text):
        return "hexadecimal text: send the file itself"
    if _BASE64.fullmatch(text):
        return 'base64 text: send the file itself, or {"image": "<base64>"}'
    return f"an unknown format that starts with {payload[:12]!r}"
