"""Times in messages: RFC 3339, in UTC. Pure, standard library only."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

RFC3339_UTC: Final = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$"
"""Pattern of the times returned here, for JSON Schema."""

_ANY_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d(?::?\d\d)?)", re.ASCII)
_EPOCH = re.compile(r"(?:\d{9,11}|(\d{12,14})|(\d{15,17})|(\d{18,20}))(?:\.\d+)?", re.ASCII)
"""Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by the number of digits."""
_MAX_LENGTH = 64  # characters; longer fractions of a second are a mistake or an attack


def rfc3339(epoch_s: float) -> str:
    """Format *epoch_s* (seconds since 1970, UTC) as ``2026-03-31T12:00:00.000Z``."""
    moment = datetime.fromtimestamp(epoch_s, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def in_utc(text: str) -> str:
    """Convert a time with any offset to UTC: ``2026-01-31T12:00:00+01:00`` → ``2026-01-31T11:00:00Z``.

    Seconds since 1970 are accepted, too, as are milli-, micro- and nanoseconds, and an offset without a colon.

    Raises:
        ValueError: it is not valid RFC 3339, or does not exist; the message says which.
    """
    return _read(text).replace(tzinfo=None).isoformat() + "Z"


def epoch_s(text: str) -> float:
    """Return the seconds since 1970 (UTC) of a time with any offset.

    Raises:
        ValueError: as :func:`in_utc`.
    """
    return _read(text).timestamp()


def _read(text: str) -> datetime:
    short = text if len(text) <= _MAX_LENGTH else ""
    if (epoch := _EPOCH.fullmatch(short)) is not None:
        return datetime.fromtimestamp(float(text) / 1000 ** (epoch.lastindex or 0), tz=UTC)
    parts = _ANY_RFC3339.fullmatch(short)
    if parts is None:
        raise ValueError(f"must be a time like 2026-01-31T12:00:00Z, with Z or an offset, not {text!r:.40}")
    day, time, fraction, offset = parts.groups(default="")
    offset = offset.upper()
    try:
        return datetime.fromisoformat(f"{day}T{time}.{fraction[:6]:0<6}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"is a time that does not exist: {text!r:.40}") from None
