from __future__ import annotations

import base64
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_worker.common.errors import DecodeError
from edge_worker.frames.envelope import MAX_FRAME_ID, Envelope, identity_in, is_envelope, open_envelope, utc_timestamp

LIMIT = 100_000


def _json(**fields: object) -> bytes:
    return json.dumps({"image": "aGVsbG8=", **fields}).encode()


def _refusal(payload: bytes) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        open_envelope(payload, LIMIT)
    return caught.value


def test_the_image_comes_back() -> None:
    """The image alone makes an envelope; id and time are optional, other keys are ignored."""
    assert open_envelope(b' \n{"image": "aGVsbG8="}', LIMIT) == Envelope(b"hello", None)
    full = _json(frame_id="cam-1/17", captured_at="2026-01-31T12:00:00+01:00", exposure=[1, {"iso": 100}])
    assert open_envelope(full, LIMIT) == Envelope(b"hello", "cam-1/17")
    assert open_envelope(_json(frame_id=None, captured_at=None), LIMIT) == Envelope(b"hello", None)


def test_a_wrong_time_costs_no_frame() -> None:
    """Nobody can tell when such an image was taken; it is parsed all the same."""
    assert open_envelope(_json(captured_at="yesterday"), LIMIT).image


@pytest.mark.parametrize(
    "text", ["data:image/jpeg;base64,aGVsbG8/", " DATA:;charset=utf-8;BASE64,aGVsbG8/", "aGVs\r\nbG8/\n", "aGVsbG8_"]
)
def test_what_browsers_and_mail_tools_write_is_base64_too(text: str) -> None:
    """A data: URL, broken lines and the URL-safe alphabet are understood."""
    assert open_envelope(_json(image=text), LIMIT).image == b"hello?"


def test_a_byte_order_mark_is_skipped() -> None:
    """Windows tools write one before UTF-8."""
    payload = b"\xef\xbb\xbf" + _json()
    assert is_envelope(payload)
    assert open_envelope(payload, LIMIT).image == b"hello"


@given(
    st.binary(max_size=300), st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=MAX_FRAME_ID)
)
def test_any_image_and_printable_id_survive(image: bytes, frame_id: str) -> None:
    """Bytes and ids come out as they went in."""
    opened = open_envelope(_json(image=base64.b64encode(image).decode(), frame_id=frame_id), LIMIT)
    assert (opened.image, opened.frame_id) == (image, frame_id)


@pytest.mark.parametrize(
    ("payload", "detail"),
    [
        (b'{"image": "aGVs', "not valid JSON"),
        (b'{"image": "aGVsbG8="} trailing', "not valid JSON"),
        (b'{"frame_id": "1"}', 'no "image"'),
        (b'{"image": 17}', "base64 string, not a number"),
        (b'{"image": null}', "base64 string, not null"),
        (b'{"image": "not base64!"}', "not base64"),
        (b'{"image": "aGVsbG8"}', "not base64"),
        (b'{"image": "\xff"}', "not UTF-8"),
        (b'["image"]', "must be an object, not an array"),
        (_json(frame_id=17), "string, not a number"),
        (_json(frame_id=True), "string, not a boolean"),
        (_json(frame_id=""), "1 to 128 printable"),
        (_json(frame_id="x" * 129), "1 to 128 printable"),
        (_json(frame_id="a\nb"), "1 to 128 printable"),
        (b'{"image": "", "frame_id": "\\ud800"}', "1 to 128 printable"),
    ],
)
def test_what_is_wrong_is_said(payload: bytes, detail: str) -> None:
    """Every malformed envelope is undecodable, and the detail names the key and what is expected."""
    refusal = _refusal(payload)
    assert refusal.reason == "undecodable"
    assert detail in refusal.detail


@pytest.mark.parametrize(
    ("payload", "identity"),
    [
        (_json(frame_id="a", captured_at="2026-01-31T12:00:00+01:00"), ("a", "2026-01-31T12:00:00+01:00")),
        (_json(image="!", frame_id="a"), ("a", None)),
        (_json(frame_id="a", captured_at="today"), ("a", "today")),
        (_json(frame_id=7, captured_at="2026-01-31T12:00:00Z"), (None, "2026-01-31T12:00:00Z")),
        (b'{"frame_id": "a"', (None, None)),
        (_json(frame_id="a", note="x" * LIMIT), (None, None)),
    ],
)
def test_who_sent_a_damaged_envelope_can_be_told(payload: bytes, identity: tuple[str | None, object]) -> None:
    """Its id where it can be read, and its time as it stands; only too large a one is not looked into."""
    assert identity_in(payload, LIMIT) == identity


def test_times_are_taken_in_several_forms() -> None:
    """RFC 3339 with any offset, seconds and milliseconds since 1970."""
    forms = ("2026-01-31T13:00:00+01:00", "2026-01-31T07:00:00-0500", 1769860800, "1769860800.0", 1769860800000)
    assert {utc_timestamp(form) for form in forms} == {"2026-01-31T12:00:00Z"}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (True, "a time like"),
        ([], "not an array"),
        ("yesterday", "a time like"),
        (float("inf"), "a time like"),
        ("2026-01-31T12:00:00", "with Z or an offset"),
        ("2026-02-31T12:00:00Z", "is a time that does not exist"),
        ("0001-01-01T00:00:00+23:00", "is a time that does not exist"),
    ],
)
def test_what_is_wrong_with_a_time_is_said(value: object, problem: str) -> None:
    """Also what would be a guess: a time without an offset."""
    with pytest.raises(ValueError, match=problem):
        utc_timestamp(value)


def test_size_is_checked_first() -> None:
    """A payload over the limit is not even looked at."""
    assert _refusal(b"{" * (LIMIT + 1)).reason == "too_big"


@pytest.mark.parametrize(
    "bomb", [b"[" * 50_000, b'{"a":' * 15_000, b"[" + b"0," * 40_000 + b"0]", b'{"a":' + b"9" * 90_000 + b"}"]
)
def test_json_bombs_are_refused(bomb: bytes) -> None:
    """Depth, number of values and endless numbers cost neither stack nor memory nor time."""
    assert _refusal(bomb).reason == "undecodable"


@given(st.binary(max_size=80))
def test_any_bytes_are_an_envelope_or_undecodable(junk: bytes) -> None:
    """No other exception comes out, whatever the bytes."""
    for payload in (junk, b"{" + junk, b'{"image": "' + junk + b'"}'):
        assert _outcome(payload) in {"opened", "undecodable"}


def _outcome(payload: bytes) -> str:
    try:
        open_envelope(payload, LIMIT)
    except DecodeError as error:
        return error.reason
    return "opened"


@pytest.mark.parametrize("payload", [b"{}", b" \t\r\n{", b"{" + b"x" * 100])
def test_a_brace_makes_an_envelope(payload: bytes) -> None:
    """Content decides; blanks before the brace do not matter."""
    assert is_envelope(payload)


@pytest.mark.parametrize("payload", [b"", b"   ", b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"BM", b"[1]"])
def test_images_are_no_envelopes(payload: bytes) -> None:
    """No image is taken for an envelope."""
    assert not is_envelope(payload)


def test_the_worker_process_may_import_it() -> None:
    """Neither envelopes, headers nor PNG texts bring a numeric library into the process."""
    imports = "import sys, edge_worker.frames.envelope, edge_worker.imaging.headers, edge_worker.imaging.png"
    code = f"{imports}; print({{'numpy', 'cv2', 'PIL'}} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "set()\n"
