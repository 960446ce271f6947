"""Descriptions for the OpenAPI document of what FastAPI cannot derive: bodies that the routes read themselves."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

Schema = dict[str, Any]
BINARY: Final[Schema] = {"type": "string", "format": "binary"}


def body(content: Mapping[str, Schema]) -> dict[str, Any]:
    """Describe the body of a request: the schema of each media type that it may have."""
    described = {media_type: {"schema": schema} for media_type, schema in content.items()}
    return {"requestBody": {"required": True, "content": described}}


def with_image(image: Schema = BINARY, **others: Schema) -> Schema:
    """Describe a form, or a JSON object, whose member ``image`` is required; *others* are not."""
    return {"type": "object", "required": ["image"], "properties": {"image": image, **others}}


def file(*media_types: str, description: str = "The file.") -> dict[str, Any]:
    """Describe a response that is a file; JSON is described by its model, if at all."""
    content = {one: {} if one == "application/json" else {"schema": BINARY} for one in media_types}
    return {"description": description, "content": content}


def name_models(document: dict[str, Any], models: Sequence[str]) -> None:
    """List the *models* of the configuration wherever *document* has ``?model``."""
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    for parameter in (one for operation in operations for one in operation.get("parameters", ())):
        if (parameter["in"], parameter["name"]) == ("query", "model"):
            parameter["schema"] = {"type": "string", "enum": list(models)}
