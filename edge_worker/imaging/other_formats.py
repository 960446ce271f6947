"""Detection of unsupported formats, so that an error message can say what the payload is."""

from __future__ import annotations

import re

_JPEG = b"\xff\xd8\xff"

# Where a signature stands, the signature, and what it is the beginning of.
_STRANGERS = (
    (0, b"GIF8", "a GIF"),
    (4, b"ftypavi", "an AVIF"),
    (4, b"ftyphe", "a HEIC"),
    (4, b"ftypmif1", "a HEIF"),
    (4, b"ftyp", "an MP4 or HEIF file"),
    (0, b"II*\0", "a TIFF"),
    (0, b"MM\0*", "a TIFF"),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000"),
    (0, b"\xff\x0a", "a JPEG XL"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL"),
    (0, b"%PDF", "a PDF"),
    (0, b"<svg", "an SVG"),
    (0, b"<?xml", "an XML file"),
    (0, b"<!DOCTYPE", "an HTML page: does the camera's address need a login?"),
    (0, b"<html", "an HTML page: does the camera's address need a login?"),
    (0, b"HTTP/", "an HTTP response: send its body alone"),
    (0, b"--", "a multipart body: send the part that holds the image"),
    (0, b"data:", 'a data URL: send the file itself, or {"image": "data:…"}'),
    (0, b"\x1f\x8b", "gzip data"),
    (0, b"\0\0\0\1", "a video stream (H.264 or H.265): send single images"),
    (0, b"P5", "a PGM"),
    (0, b"P6", "a PPM"),
    (0, _JPEG[:2], "a JPEG with stray bytes behind its start marker"),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file it stands for"),
)
_BASE64 = re.compile(rb"[A-Za-z0-9+/_\r\n-]{16,}={0,2}\s*")
_LOOK = 4096  # bytes


def describe(payload: bytes) -> str:
    """Say what *payload* seems to be, and what to send instead where that is known."""
    known = next((name for at, signature, name in _STRANGERS if payload.startswith(signature, at)), "")
    if known:
        return known
    if (start := payload.find(_JPEG, 0, _LOOK)) > 0:
        return f"a JPEG that starts at byte {start} only: send it without what stands before"
    if _BASE64.fullmatch(payload[:_LOOK]):
        return 'base64 text: send the file itself, or {"image": "<base64>"}'
    return f"an unknown format that starts with {payload[:12]!r}"
