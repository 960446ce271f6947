"""Materials of surfaces: textures of the pack, tinted ones, and patterns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from training.synthetic.geometry import Array

TEXTURE, TINTED, PATTERN, PATTERN_OF_VERTEX, SKY = range(5)  # the shader's modes
Layers = dict[str, list[int]]  # numbers of the patterns by name

_GREYS = 0.3  # share of greys among the colours that are not dark


@dataclass(frozen=True)
class Material:
    """How a mesh is drawn.

    Attributes:
        mode: TEXTURE unchanged, TINTED by its brightness, PATTERN of `layer`, or the pattern of each vertex.
        texture: name in the pack.
        tint: multiplies the colour, (3,).
        layer: number of the pattern.
        scale: scale of the pattern, or of the brightness if TINTED.
        alpha: texture pixels with a lower alpha are not drawn.
        wrinkles: strength of the wrinkled normals.
        shine: strength of the specular reflection.
    """

    mode: int
    texture: str | None = None
    tint: Any = (1, 1, 1)
    layer: float = 0.0
    scale: float = 1.0
    alpha: float = -1.0
    wrinkles: float = 0.0
    shine: float = 0.0


def colour(rng: np.random.Generator, *, dark: bool = False) -> Array:
    """Return a random colour of cloth, linear RGB (3,): a third dark, a fifth grey, the others of any hue."""
    if dark or rng.random() < 0.35:
        return np.asarray(rng.uniform(0.01, 0.12) * np.ones(3) + rng.uniform(0, 0.04, 3))
    if rng.random() < _GREYS:
        return np.asarray(rng.uniform(0.4, 0.85) * np.ones(3) * rng.uniform(0.9, 1, 3))
    hue, saturation, value = rng.random(), rng.uniform(0.2, 1), rng.uniform(0.08, 0.8)
    pure = np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return np.asarray(value * (1 - saturation + saturation * pure))


class Fabrics:
    """Creates random materials of clothes."""

    def __init__(self, rng: np.random.Generator, layers: Layers) -> None:
        """*layers*: the renderer's patterns."""
        self._rng, self._layers = rng, layers

    def layer(self, *names: str) -> float:
        """Return the number of a random pattern with one of these names."""
        return float(self._rng.choice([number for name in names for number in self._layers[name]]))

    def first(self, name: str) -> float:
        """Return the number of the first pattern with this name."""
        return float(self._layers[name][0])

    def cloth(self) -> Material:
        """Return a plain, knitted, woven or coloured material."""
        rng, kind = self._rng, self._rng.random()
        tint = colour(rng)
        if kind < 0.5:
            layer = self.layer("plain")
        elif kind < 0.6:
            layer = self.layer("knit")
        elif kind < 0.68:
            layer = self.layer("mottle", "diag", "check")
        else:
            layer = self.layer("stripe", "plaid", "dots", "floral", "camo")
            tint = rng.uniform(0.6, 1) * np.ones(3)
        scale, wrinkles = rng.uniform(1.5, 4), rng.uniform(0.05, 0.4)
        return Material(PATTERN, tint=tint, layer=layer, scale=scale, wrinkles=wrinkles)

    def trousers(self) -> Material:
        """Return denim or plain cloth, rarely anything else."""
        rng = self._rng
        if rng.random() < 0.35:
            layer, tint = self.layer("denim"), rng.uniform(0.25, 1.2) * np.ones(3)
            scale, wrinkles = rng.uniform(2, 4), rng.uniform(0.1, 0.45)
            return Material(PATTERN, tint=tint, layer=layer, scale=scale, wrinkles=wrinkles)
        if rng.random() < 0.75:
            layer = self.layer("plain")
            tint = colour(rng, dark=True) if rng.random() < 0.5 else colour(rng)
            return Material(PATTERN, tint=tint, layer=layer, scale=3.0, wrinkles=rng.uniform(0.1, 0.4))
        return self.cloth()

    def suit(self, texture: str) -> Material:
        """Return a suit's own texture, recoloured to some degree."""
        rng, kind = self._rng, self._rng.random()
        if kind < 0.35:
            return Material(TEXTURE, texture, np.ones(3) * rng.uniform(0.7, 1.1), alpha=0.3)
        if kind < 0.6:
            return Material(TEXTURE, texture, 0.4 + colour(rng) * 1.2, alpha=0.3)
        tint = colour(rng) * 1.3
        return Material(TINTED, texture, tint, scale=rng.uniform(1.2, 2.0), alpha=0.3)
