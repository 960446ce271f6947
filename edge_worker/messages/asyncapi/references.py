"""References inside the document, and MQTT bindings."""

from __future__ import annotations

from typing import Any, Final

_BINDING_VERSION: Final = "0.2.0"  # of AsyncAPI's MQTT bindings


def mqtt(binding: dict[str, Any]) -> dict[str, Any]:
    """What *binding* says of a server, an operation or a message under MQTT."""
    return {"mqtt": {**binding, "bindingVersion": _BINDING_VERSION}}


def ref(*path: str) -> dict[str, str]:
    """A reference to what stands at *path* in the document."""
    return {"$ref": "#/" + "/".join(path)}
