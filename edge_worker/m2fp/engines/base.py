"""The engine protocol and its building blocks."""

from __future__ import annotations

import importlib.util
from collections import OrderedDict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_worker.m2fp.types import FloatArray, Logits

Shape = tuple[int, int]
T = TypeVar("T")


@dataclass(frozen=True)
class EngineOptions:
    """Options of an engine.

    Attributes:
        precision: a precision that the engine offers on this CPU.
        threads: threads per inference; None leaves it to the engine.
        cache_directory: cache for compiled networks; None disables it.
        shapes: number of input shapes that stay compiled. With more shapes in use, networks are compiled or loaded
            repeatedly.
        trial: input shape for trying an engine in a subprocess before it is used; None: no trial.
    """

    precision: str
    threads: int | None
    cache_directory: Path | None
    shapes: int = 4
    trial: Shape | None = None

    def to_wire(self) -> dict[str, Any]:
        """Return JSON values."""
        cache = self.cache_directory
        return {**asdict(self), "cache_directory": None if cache is None else str(cache)}

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> EngineOptions:
        """Restore options from :meth:`to_wire`, without ``trial``: the subprocess that reads them makes none."""
        cache = wire["cache_directory"]
        return cls(**{**wire, "cache_directory": None if cache is None else Path(cache), "trial": None})


class Compilable(Protocol):
    """A loaded network, compiled for each shape of its input."""

    def is_compiled(self, shape: Shape) -> bool:
        """Return whether the network is compiled for this input shape (height, width)."""

    def compile(self, shape: Shape) -> None:
        """Compile for this input shape (height, width); do nothing if already compiled."""

    def close(self) -> None:
        """Release all resources; the network must not be used afterwards."""


class Network(Compilable, Protocol):
    """A network with any outputs."""

    def run(self, tensor: FloatArray) -> Sequence[FloatArray]:
        """Return the outputs for one input, float32 1×C×H×W."""


class Engine(Compilable, Protocol):
    """Runs the network that parses frames."""

    def threads(self) -> int | None:
        """Return the threads per inference as reported once a shape is compiled; None if the library does not say."""

    def infer(self, tensor: FloatArray) -> Logits:
        """Run the network on normalised RGB, float32 1×3×H×W, H and W multiples of 32."""


class AnyShape:
    """Mixin for engines that accept any input shape without compiling."""

    def is_compiled(self, shape: Shape) -> bool:
        """Return True."""
        del shape
        return True

    def compile(self, shape: Shape) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing: the engine holds only memory."""


class ShapeCache(Generic[T]):
    """LRU cache of compiled networks by input shape."""

    def __init__(self, compile_shape: Callable[[Shape], T], limit: int) -> None:
        """Compile missing shapes (height, width) with *compile_shape*; keep at most *limit*."""
        self._compile = compile_shape
        self._limit = limit
        self._compiled: OrderedDict[Shape, T] = OrderedDict()

    def __contains__(self, shape: Shape) -> bool:
        """Return whether the network is compiled for *shape*."""
        return shape in self._compiled

    def newest(self) -> T | None:
        """Return the most recently used network; None if there is none."""
        return next(reversed(self._compiled.values()), None)

    def get(self, shape: Shape) -> T:
        """Return the network for *shape*, compiling it if needed."""
        if shape in self._compiled:
            self._compiled.move_to_end(shape)
            return self._compiled[shape]
        while len(self._compiled) >= self._limit:  # evict before compiling: never exceed the limit
            self._compiled.popitem(last=False)
        self._compiled[shape] = self._compile(shape)
        return self._compiled[shape]

    def clear(self) -> None:
        """Drop all networks."""
        self._compiled.clear()


def shape_of(tensor: FloatArray) -> Shape:
    """Return height and width of an input, 1×3×H×W."""
    return tensor.shape[2], tensor.shape[3]


def is_installed(*modules: str) -> bool:
    """Return whether all *modules* can be found, without importing them."""
    return all(importlib.util.find_spec(module) is not None for module in modules)
