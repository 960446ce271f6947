"""Human parsing at the edge, over MQTT: camera frames in, coloured part maps and labels out, on a CPU."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_worker.m2fp.parser import load_parser

__version__ = "0.1.0"
__all__ = ["__version__", "load_parser"]


def __getattr__(name: str) -> object:
    """Import :func:`load_parser` when it is first asked for: the package itself stays free of numeric libraries."""
    if name == "load_parser":
        return import_module("edge_worker.m2fp.parser").load_parser
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
