"""Human parsing at the edge, over MQTT: camera frames in, coloured part maps and labels out, on a CPU."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_worker.api.parser import Parser, load_parser
    from edge_worker.api.parsing import Parsing
    from edge_worker.common.errors import (
        CheckpointError,
        ConfigError,
        DecodeError,
        EdgeWorkerError,
        EngineError,
        ModelError,
    )
    from edge_worker.m2fp.parser import ModelInfo
    from edge_worker.m2fp.postprocess.persons import Label, Part, Person, Unassigned
    from edge_worker.m2fp.types import Box, Instance, Region

__version__ = "0.1.0"

_HOMES = {
    "edge_worker.api.parser": ("Parser", "load_parser"),
    "edge_worker.api.parsing": ("Parsing",),
    "edge_worker.common.errors": (
        "CheckpointError",
        "ConfigError",
        "DecodeError",
        "EdgeWorkerError",
        "EngineError",
        "ModelError",
    ),
    "edge_worker.m2fp.parser": ("ModelInfo",),
    "edge_worker.m2fp.postprocess.persons": ("Label", "Part", "Person", "Unassigned"),
    "edge_worker.m2fp.types": ("Box", "Instance", "Region"),
}

__all__ = [
    "Box",
    "CheckpointError",
    "ConfigError",
    "DecodeError",
    "EdgeWorkerError",
    "EngineError",
    "Instance",
    "Label",
    "ModelError",
    "ModelInfo",
    "Parser",
    "Parsing",
    "Part",
    "Person",
    "Region",
    "Unassigned",
    "__version__",
    "load_parser",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: the package itself stays free of numeric libraries."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(__all__)
