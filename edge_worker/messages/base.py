"""What all messages share: strictness, canonical JSON, times, and text that came from outside."""

import re
from datetime import datetime, timezone
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
MAX_DETAIL = 500  # characters: decoders and brokers can be wordy
_OUR_TIME = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"


def rfc3339(epoch_s: float) -> str:
    """Return the time *epoch_s* (seconds since 1970, UTC) as ``2026-03-31T12:00:00.000Z``."""
    moment = datetime.fromtimestamp(epoch_s, tz=timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_rfc3339(text: str) -> float | None:
    """Return the seconds since 1970 that *text* means, or ``None`` where it is no RFC 3339 time with a time zone."""
    written = _RFC3339.fullmatch(text)
    if written is None:
        return None
    day, time, fraction, zone = written.groups()
    offset = "+00:00" if zone in "Zz" else zone
    try:
        return datetime.fromisoformat(f"{day}T{time}{offset}").timestamp() + float(f"0.{fraction or 0}")
    except (ValueError, OverflowError):
        return None


def _canonical_time(value: object) -> object:
    """Write a sender's time as ours; leave out one that cannot be read: its frame is worth an answer all the same."""
    if not isinstance(value, str):
        return value
    epoch_s = parse_rfc3339(value)
    return None if epoch_s is None else rfc3339(epoch_s)


def _encodable(value: object) -> object:
    """Replace lone surrogates: JSON can carry them in, but UTF-8 cannot carry them out."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _without_additional_properties(schema: dict[str, Any]) -> None:
    """Let readers' schemas accept the fields that later versions add."""
    schema.pop("additionalProperties", None)


def _shortened(value: object) -> object:
    return value[:MAX_DETAIL] if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_encodable)]
"""Text from outside."""
Detail = Annotated[Text, BeforeValidator(_shortened)]
"""An explanation for people, cut to :data:`MAX_DETAIL` characters."""
Time = Annotated[str, Field(pattern=_OUR_TIME, json_schema_extra={"format": "date-time"})]
SenderTime = Annotated[Time | None, BeforeValidator(_canonical_time)]
Count = Annotated[int, Field(ge=0)]
Quantity = Annotated[float, Field(ge=0)]
Score = Annotated[float, Field(ge=0, le=1)]


class Message(BaseModel):
    """A message or a part of one: frozen, without unknown fields, without NaN or infinity."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        populate_by_name=True,
        protected_namespaces=(),
        use_attribute_docstrings=True,
        json_schema_extra=_without_additional_properties,
    )

    def to_json(self) -> bytes:
        """Return compact JSON in UTF-8; fields without a value are left out."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()

    def to_values(self) -> dict[str, JsonValue]:
        """Return what :meth:`to_json` writes, as plain values."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
