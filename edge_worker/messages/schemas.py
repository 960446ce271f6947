"""The JSON Schemas of all messages, made from the models."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from edge_worker.messages.base import Message
from edge_worker.messages.commands import COMMANDS, CommandResponse
from edge_worker.messages.node import (
    AnsweredMessage,
    CaughtUpMessage,
    ModelCard,
    SettingsMessage,
    StatsMessage,
    StatusMessage,
)
from edge_worker.messages.results import ErrorMessage, LabelsMessage

MESSAGES: Mapping[str, type[Message]] = {
    "labels": LabelsMessage,
    "error": ErrorMessage,
    "status": StatusMessage,
    "model": ModelCard,
    "stats": StatsMessage,
    "settings": SettingsMessage,
    "answered": AnsweredMessage,
    "caught-up": CaughtUpMessage,
    "response": CommandResponse,
    **{f"request-{name}": model for name, model in COMMANDS.items()},
}
"""All messages, by the names of their schemas."""

_Field = core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField


class _AsWritten(GenerateJsonSchema):
    """Schemas of what :meth:`Message.to_json` writes: fields without a value are left out, never null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def field_is_required(self, field: _Field, total: bool) -> bool:  # noqa: ARG002, FBT001 - the base's signature
        return not _is_nullable(field["schema"])

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - the base's signature
        return False


def _is_nullable(schema: Any) -> bool:  # noqa: ANN401 - core schemas are nested dictionaries of many types
    while schema["type"] != "nullable" and isinstance(schema.get("schema"), dict):
        schema = schema["schema"]
    return bool(schema["type"] == "nullable")


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schemas (draft 2020-12) of all messages, by the names in :data:`MESSAGES`."""
    return {name: _schema(model) for name, model in MESSAGES.items()}


def components() -> dict[str, Any]:
    """Return the schemas of all messages and of their parts by class name, as AsyncAPI's ``components/schemas``."""
    _, shared = models_json_schema(
        [(model, "serialization") for model in MESSAGES.values()],
        schema_generator=_AsWritten,
        ref_template="#/components/schemas/{model}",
    )
    return {name: _as_draft_7(schema) for name, schema in shared["$defs"].items()}


def write(folder: Path) -> None:
    """Write every schema to ``NAME.schema.json`` in *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (folder / f"{name}.schema.json").write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")


def _schema(model: type[Message]) -> dict[str, Any]:
    schema = model.model_json_schema(mode="serialization", schema_generator=_AsWritten)
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema}


def _as_draft_7(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """Rewrite what differs in draft 7, AsyncAPI's JSON Schema: tuples, and keys beside a reference."""
    if isinstance(schema, list):
        return [_as_draft_7(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    values = {"items" if key == "prefixItems" else key: _as_draft_7(value) for key, value in schema.items()}
    if "$ref" in values and len(values) > 1:
        values["allOf"] = [{"$ref": values.pop("$ref")}]
    return values
