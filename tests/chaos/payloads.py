"""Hostile payloads without end: the same seed and number give the same one again."""

from __future__ import annotations

import struct
import zlib
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

from images import one_of_each_kind

from chaos.bombs import BOMBS
from chaos.envelopes import enveloped, malformed

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PAYLOAD: Final = 200_000
"""Bytes that the receiver of these accepts; some have more."""
MAX_PIXELS: Final = 1_000_000
"""Likewise for pixels."""

_PNG, _RIFF = b"\x89PNG\r\n\x1a\n", b"RIFF"
_HEADER = 96  # where formats keep sizes and types: half of all changes are made there
_ODD_NUMBERS: Final = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
_WIDTHS: Final = ("<B", "<H", ">H", "<I", ">I")


class Payload(NamedTuple):
    """What is sent, and a word for what was done to make it."""

    kind: str
    content: bytes


def payload(seed: int, number: int) -> Payload:
    """Make the payload of this *number*."""
    random = Random(f"{seed} {number}")  # noqa: S311 - to be repeated, not to be secret
    kind = random.choices(list(_KINDS), [share for share, _ in _KINDS.values()])[0]
    return Payload(kind, _KINDS[kind][1](random))


def repaired(content: bytes) -> bytes:
    """Make checksums and lengths right again, so that what was changed inside gets past them."""
    if content.startswith(_PNG):
        return _with_checksums(content)
    if content.startswith(_RIFF) and len(content) >= 8:
        return _RIFF + struct.pack("<I", len(content) - 8) + content[8:]
    return content


def _with_checksums(png: bytes) -> bytes:
    parts, place = [_PNG], len(_PNG)
    while place + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, place)
        body = png[place + 4 : place + 8 + length]
        parts.append(struct.pack(">I", max(len(body) - 4, 0)) + body + struct.pack(">I", zlib.crc32(body)))
        place += 12 + length
    return b"".join(parts)


# -- what is done to good images -------------------------------------------------------------------------------------


def _place(random: Random, data: bytearray) -> int:
    return random.randrange(min(len(data), _HEADER) if random.random() < 0.5 else len(data))


def _change_bit(random: Random, data: bytearray) -> None:
    data[_place(random, data)] ^= 1 << random.randrange(8)


def _change_byte(random: Random, data: bytearray) -> None:
    data[_place(random, data)] = random.randrange(256)


def _put_odd_number(random: Random, data: bytearray) -> None:
    form = random.choice(_WIDTHS)
    number = random.choice(_ODD_NUMBERS) & ((1 << 8 * struct.calcsize(form)) - 1)
    place = _place(random, data)
    data[place : place + struct.calcsize(form)] = struct.pack(form, number)


def _cut_out(random: Random, data: bytearray) -> None:
    place = _place(random, data)
    del data[place : place + random.randint(1, 40)]


def _repeat(random: Random, data: bytearray) -> None:
    place = _place(random, data)
    data[place:place] = data[place : place + random.randint(1, 200)] * random.randint(1, 20)


def _insert_noise(random: Random, data: bytearray) -> None:
    place = _place(random, data)
    data[place:place] = random.randbytes(random.randint(1, 30))


def _splice(random: Random, data: bytearray) -> None:
    other = random.choice(one_of_each_kind())
    begin = random.randrange(len(other))
    data[_place(random, data) :] = other[begin:]


def _cut_off(random: Random, data: bytearray) -> None:
    del data[_place(random, data) :]


_CHANGES: Final[tuple[Callable[[Random, bytearray], None], ...]] = (
    *(_change_bit, _change_byte, _put_odd_number, _put_odd_number),
    *(_cut_out, _repeat, _insert_noise, _splice, _cut_off),
)


def mutated(random: Random, content: bytes) -> bytes:
    """Change *content* in one to six ways; half of the results have their checksums repaired."""
    data = bytearray(content)
    for _ in range(random.randint(1, 6)):
        if data:
            random.choice(_CHANGES)(random, data)
    return repaired(bytes(data)) if random.random() < 0.5 else bytes(data)


def _mutated_image(random: Random) -> bytes:
    return mutated(random, random.choice(one_of_each_kind()))


def _bomb(random: Random) -> bytes:
    return random.choice(BOMBS)(random)


def _noise(random: Random) -> bytes:
    """Anything at all, behind the first bytes of some format or none; now and then more than is accepted."""
    start = random.choice(
        [b"", b"{", b"\xff\xd8\xff", _PNG, b"RIFF\0\0\0\0WEBPVP8 ", b"BM", b"GIF89a", b"II*\0", b"<svg"]
    )
    size = MAX_PAYLOAD + random.randrange(100) if random.random() < 0.02 else random.randrange(300)
    return start + random.randbytes(size)


# Kind → share of all payloads, and how one is made.
_KINDS: Final[dict[str, tuple[int, Callable[[Random], bytes]]]] = {
    "good": (2, lambda random: random.choice(one_of_each_kind())),
    "mutated": (60, _mutated_image),
    "bomb": (8, _bomb),
    "noise": (5, _noise),
    "mutated in an envelope": (10, lambda random: enveloped(random, _mutated_image(random))),
    "bomb in an envelope": (2, lambda random: enveloped(random, _bomb(random))),
    "malformed envelope": (13, lambda random: malformed(random, random.choice(one_of_each_kind()))),
}
