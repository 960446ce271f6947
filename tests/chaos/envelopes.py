"""JSON envelopes as nobody should write them."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

_ODD_VALUES: Final = (
    *("null", "true", "0", "-1", "1e999", "-0.0", "NaN", "Infinity", "1" * 5000, "[]", "{}", '""', '"\\ud800"'),
    *('"\\u0000"', '"a\\nb"', '"' + "x" * 70_000 + '"', '"../../etc/passwd"', '"\U0001f600"', '["", {"a": []}]'),
    *('"2026-02-30T25:61:61Z"', '"2026-01-31T12:00:00+99:99"', '"0000-00-00T00:00:00Z"', '"9999-12-31T23:59:59-23:59"'),
)
_KEYS: Final = ("image", "frame_id", "captured_at")


def enveloped(random: Random, content: bytes) -> bytes:
    """Put *content* into an envelope that is correct, or nearly."""
    text = base64.b64encode(content).decode()
    fields = {"image": random.choice(["", "data:image/png;base64,"]) + text}
    if random.random() < 0.5:
        fields["frame_id"] = f"camera-{random.randrange(1 << 32)}"
    if random.random() < 0.3:
        fields["captured_at"] = "2026-01-31T12:00:00+01:00"
    return random.choice([b"", b" \r\n\t"]) + json.dumps(fields).encode()


def malformed(random: Random, image: bytes) -> bytes:
    """Make an envelope with something wrong."""
    return random.choice(_FAULTS)(random, enveloped(random, image))


def _odd_value(random: Random, envelope: bytes) -> bytes:
    """A field of the wrong type, size or content, before or after the right one: the last of two counts."""
    field = f'"{random.choice(_KEYS)}": {random.choice(_ODD_VALUES)}'.encode("utf-8", "surrogatepass")
    inner = envelope.strip()[1:-1]
    return b"{" + b", ".join([field, inner] if random.random() < 0.5 else [inner, field]) + b"}"


def _changed_bytes(random: Random, envelope: bytes) -> bytes:
    data = bytearray(envelope)
    for _ in range(random.randint(1, 5)):
        data[random.randrange(len(data))] = random.choice([*b'{}[]":,\\', 0, 0x80, 0xFF, random.randrange(256)])
    return bytes(data)


def _cut_off(random: Random, envelope: bytes) -> bytes:
    return envelope[: random.randrange(1, len(envelope))]


def _deep(random: Random, envelope: bytes) -> bytes:
    depth = random.choice([10, 900, 1100, 90_000])
    return random.choice([b"[" * depth, b'{"a":' * depth, b'{"image":' + b"[" * depth + b"]" * depth + b"}", envelope])


def _wide(random: Random, envelope: bytes) -> bytes:
    count = random.choice([10, 900, 1100, 40_000])
    return b"{" + b",".join([b'"a":0'] * count) + b"," + envelope.strip()[1:]


def _other_text(random: Random, envelope: bytes) -> bytes:
    """Another encoding of the same text, or a byte order mark."""
    text = envelope.decode()
    return random.choice([text.encode("utf-16"), text.encode("utf-32"), b"\xef\xbb\xbf" + envelope, b"{\xc3\x28}"])


def _broken_base64(random: Random, envelope: bytes) -> bytes:
    wrong = random.choice([b"=", b"====", b"%", b"\\u0000", b"\\n", b"-_", "é".encode()])
    place = envelope.find(b'"image": "') + 10
    place += random.randrange(40)
    return envelope[:place] + wrong + envelope[place:]


_FAULTS: Final[tuple[Callable[[Random, bytes], bytes], ...]] = (
    *(_odd_value, _odd_value, _changed_bytes, _changed_bytes),
    *(_cut_off, _deep, _wide, _other_text, _broken_base64),
)
