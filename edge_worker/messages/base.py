"""What all messages share: strictness, canonical JSON, and numbers that mean something."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from edge_worker.common.timestamps import RFC3339_UTC

MAX_DETAIL = 500  # characters: decoders and brokers can be wordy


def _printable(value: object) -> object:
    """Cut an explanation to size, and replace the lone surrogates that UTF-8 cannot carry."""
    return value[:MAX_DETAIL].encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _without_additional_properties(schema: dict[str, Any]) -> None:
    """Let readers' schemas accept the fields that later versions add."""
    schema.pop("additionalProperties", None)


Detail = Annotated[str, BeforeValidator(_printable)]
"""An explanation for people, cut to :data:`MAX_DETAIL` characters."""
Time = Annotated[str, Field(pattern=RFC3339_UTC, json_schema_extra={"format": "date-time"})]
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
