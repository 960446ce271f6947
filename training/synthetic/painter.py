"""Helper that draws 256×256 patterns from one fixed seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from training.synthetic.geometry import Array

SIZE = 256
_SEED = 0


class Painter:
    """Draws the layers one after another; their order determines the random numbers of each."""

    def __init__(self) -> None:
        """Start without layers."""
        self.rng = np.random.default_rng(_SEED)
        self.rows, self.columns = np.mgrid[0:SIZE, 0:SIZE] / SIZE
        self.layers: list[npt.NDArray[np.uint8]] = []
        self.names: list[str] = []

    def add(self, name: str, picture: Array) -> None:
        """Add a layer, (256, 256) or (256, 256, 3) in 0…1."""
        clipped = np.clip(picture, 0, 1)
        coloured = clipped if clipped.ndim == 3 else np.repeat(clipped[:, :, None], 3, 2)
        self.layers.append((coloured * 255).astype(np.uint8))
        self.names.append(name)

    def grain(self) -> Array:
        """Return white noise in 0…1."""
        return self.rng.random((SIZE, SIZE))

    def noise(self, across: int, along: int | None = None, octaves: int = 3) -> Array:
        """Return smooth, tileable noise in 0…1; *across* and *along*: cells of the first octave."""
        along = along or across
        out, amount = np.zeros((SIZE, SIZE), np.float32), 1.0
        for octave in range(octaves):
            cells = (max(2, along << octave), max(2, across << octave))
            grid = np.pad(self.rng.random(cells).astype(np.float32), ((0, 1), (0, 1)), "wrap")
            out += amount * cv2.resize(grid, (SIZE + 8, SIZE + 8), interpolation=cv2.INTER_CUBIC)[:SIZE, :SIZE]
            amount *= 0.5
        out -= out.min()
        return np.asarray(out / out.max())

    def colour(self) -> Array:
        """Return a random colour that is not black, (3,)."""
        return self.rng.random(3) * 0.9 + 0.1

    def bright(self) -> list[float]:
        """Return any colour."""
        return list(self.rng.random(3))

    def lines_of_text(self, picture: Array, box: tuple[int, int, int, int], colour: list[float]) -> None:
        """Draw bars like words in a box (x, y, width, height), in place."""
        rng, (x, y, width, height) = self.rng, box
        row = float(y)
        while row < y + height - 3:
            column, line = x, rng.integers(2, 5)
            while column < x + width * rng.uniform(0.5, 1):
                length = int(rng.integers(3, 12))
                corner = (int(min(x + width, column + length)), int(row + line - 1))
                cv2.rectangle(picture, (int(column), int(row)), corner, colour, -1)
                column += length + 2
            row += line + int(rng.integers(2, 6))
