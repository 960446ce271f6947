"""The base class of all messages, and types of values that several messages share."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from edge_worker.common.timestamps import RFC3339_UTC

MAX_DETAIL = 500  # characters: decoders and brokers can be verbose


def _printable(value: object) -> object:
    """Truncate an explanation, and replace lone surrogates, which UTF-8 cannot encode."""
    return value[:MAX_DETAIL].encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _without_additional_properties(schema: dict[str, Any]) -> None:
    """Let the schema accept fields that later versions add."""
    schema.pop("additionalProperties", None)


Detail = Annotated[str, BeforeValidator(_printable)]
"""An explanation for people, truncated to :data:`MAX_DETAIL` characters."""
Time = Annotated[str, Field(pattern=RFC3339_UTC, json_schema_extra={"format": "date-time"})]
Count = Annotated[int, Field(ge=0)]
Quantity = Annotated[float, Field(ge=0)]
Score = Annotated[float, Field(ge=0, le=1)]


class Message(BaseModel):
    """A message or a part of one: frozen, without unknown fields, NaN or infinity."""

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
        """Return what :meth:`to_json` writes, as JSON values."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
