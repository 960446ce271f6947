"""What every engine is, and what it is made of."""

from __future__ import annotations

import importlib.util
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_worker.m2fp.types import FloatArray, Logits

Shape = tuple[int, int]
T = TypeVar("T")


@dataclass(frozen=True)
class EngineOptions:
    """How an engine is to run.

    Attributes:
        precision: one that the engine offers on this processor.
        threads: of one inference; None leaves it to the engine.
        cache_directory: where compiled networks are kept between runs; None keeps none.
        shapes: for which networks stay compiled. Frames of more shapes in turn compile, or load, again and again.
    """

    precision: str
    threads: int | None
    cache_directory: Path | None
    shapes: int = 4


class Engine(Protocol):
    """Runs one network."""

    def is_compiled(self, shape: Shape) -> bool:
        """Whether inputs of this height and width can be run at once."""
        ...

    def compile(self, shape: Shape) -> None:
        """Make ready for inputs of this height and width; nothing is done where that has been done."""
        ...

    def threads(self) -> int | None:
        """Threads of one inference, as the library says once a shape is compiled; None where it does not tell."""
        ...

    def infer(self, tensor: FloatArray) -> Logits:
        """Run a normalised RGB input, float32 1×3×H×W, H and W multiples of 32."""
        ...

    def close(self) -> None:
        """Give back what the engine holds; it is not used afterwards."""
        ...


class AnyShape:
    """An engine's part that has to do with shapes, where nothing is compiled for them."""

    def is_compiled(self, shape: Shape) -> bool:
        """Always."""
        del shape
        return True

    def compile(self, shape: Shape) -> None:
        """Nothing is to be done."""

    def close(self) -> None:
        """Nothing but memory is held."""


class ShapeCache(Generic[T]):
    """One compiled network per input shape, the least recently used dropped first."""

    def __init__(self, compile_shape: Callable[[Shape], T], limit: int) -> None:
        """Make what is missing by *compile_shape* (height, width); hold *limit* at most."""
        self._compile = compile_shape
        self._limit = limit
        self._compiled: OrderedDict[Shape, T] = OrderedDict()

    def __contains__(self, shape: Shape) -> bool:
        """Whether the network is compiled for *shape*."""
        return shape in self._compiled

    def newest(self) -> T | None:
        """The network used last; None before the first."""
        return next(reversed(self._compiled.values()), None)

    def get(self, shape: Shape) -> T:
        """The network compiled for *shape*."""
        if shape in self._compiled:
            self._compiled.move_to_end(shape)
            return self._compiled[shape]
        while len(self._compiled) >= self._limit:  # before compiling: never hold one more than the limit
            self._compiled.popitem(last=False)
        self._compiled[shape] = self._compile(shape)
        return self._compiled[shape]

    def clear(self) -> None:
        """Drop all."""
        self._compiled.clear()


def shape_of(tensor: FloatArray) -> Shape:
    """Height and width of an input, 1×3×H×W."""
    return tensor.shape[2], tensor.shape[3]


def is_installed(*modules: str) -> bool:
    """Whether all *modules* can be imported; does not import them."""
    return all(importlib.util.find_spec(module) is not None for module in modules)
