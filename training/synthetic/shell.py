"""The room of a scene: its kind, size, floor and walls, and the camera's position.

In metres; the camera looks towards -Z.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.synthetic.furniture import Boxes, Carpenter
from training.synthetic.view import View

if TYPE_CHECKING:
    from training.synthetic.materials import Layers

KINDS = ("class", "shop", "office", "ware", "home", "corr", "out", "plain")
_SHARES = (0.16, 0.16, 0.14, 0.14, 0.09, 0.07, 0.14, 0.1)
_LARGE = ("ware", "out", "shop", "class")
_OUTDOORS = 60  # m, size of the ground


class Shell:
    """Random floor, walls and camera of one room.

    Attributes:
        kind: one of KINDS.
        view: the camera.
        shell, things: walls and floor (without shadow), and objects on the floor.
    """

    def __init__(self, rng: np.random.Generator, layers: Layers) -> None:
        """*layers*: the renderer's patterns."""
        self._rng = rng
        self.kind = str(rng.choice(KINDS, p=_SHARES))
        height = self._camera_height()
        self.width, self.depth = self._size()
        low, high = (4.0, 7.0) if self.kind == "ware" else (2.4, 3.4)
        self.height = max(self._u(low, high), height + 0.1)
        self.view = self._hang_camera(height)
        self.shell, self.things = Boxes(), Boxes()
        self._walls, self.carpenter = Carpenter(rng, layers, self.shell), Carpenter(rng, layers, self.things)
        bright = self._u(0.35, 0.95)
        spread = 0.05 if rng.random() < 0.7 else 0.15
        self.colour = np.clip(bright * (1 + rng.normal(0, spread, 3)), 0.1, 1)
        self._lay_floor()
        if self.kind != "out":
            self._build_walls()

    def _u(self, low: float, high: float) -> float:
        return float(self._rng.uniform(low, high))

    def layer(self, name: str) -> float:
        """Return the number of a random pattern with this name."""
        return self.carpenter.layer(name)

    def _camera_height(self) -> float:
        kind = self._rng.random()
        if kind < 0.4:
            return self._u(1.2, 1.9)
        if kind < 0.75:
            return self._u(1.9, 3.0)
        return self._u(3.0, 4.4) if kind < 0.95 else self._u(0.5, 1.2)

    def _size(self) -> tuple[float, float]:
        size = self._u(4, 9), self._u(5, 13)
        if self.kind in _LARGE:
            size = self._u(6, 14), self._u(8, 18)
        if self.kind == "corr":
            size = self._u(1.8, 3.2), self._u(8, 18)
        return size

    def _hang_camera(self, height: float) -> View:
        rng = self._rng
        eye = np.array([self._u(-0.42, 0.42) * self.width, height, self.depth / 2 - self._u(0.1, 0.8)])
        aside = self._u(-0.35, 0.35) * self.width * 0.8
        target = np.array([aside, self._u(0.5, 1.2), eye[2] - self._u(2.2, min(7.5, self.depth * 0.75))])
        fov = self._u(45, 95) if rng.random() < 0.8 else self._u(30, 45)
        if height > 2.3 and rng.random() < 0.2:  # almost straight down
            target = np.array([eye[0] + self._u(-0.8, 0.8), 0.6, eye[2] - self._u(0.3, 1.8)])
        roll = np.deg2rad(rng.normal(0, 2.0))
        return View(eye, target, (np.sin(roll), np.cos(roll), 0), fov, height)

    # Floor and walls

    def _lay_floor(self) -> None:
        outdoors = self.kind == "out"
        floor = str(self._rng.choice(["tile", "wood", "carpet", "concrete", "paint"]))
        if outdoors:
            floor = str(self._rng.choice(["asphalt", "grass", "concrete", "tile"]))
        size = [_OUTDOORS if outdoors else self.width, 0.1, _OUTDOORS if outdoors else self.depth]
        tint, layer = self.colour[::-1] * self._u(0.5, 1.1), self._walls.layer(floor)
        self.shell.add([0, -0.05, 0], size, 0, tint, layer, scale=self._u(0.3, 1.0))

    def _build_walls(self) -> None:
        width, depth, high, add = self.width, self.depth, self.height, self.shell.add
        pattern = str(self._rng.choice(["paint", "paint", "paint", "brick", "tile", "wood", "concrete"]))
        layer, scale = self._walls.layer(pattern), self._u(0.3, 0.8)
        for end in (-1, 1):
            add([0, high / 2, end * (depth / 2 + 0.05)], [width, high, 0.1], 0, self.colour, layer, scale)
        for side in (-1, 1):
            tint = self.colour * self._u(0.8, 1)
            add([side * (width / 2 + 0.05), high / 2, 0], [0.1, high, depth], 0, tint, layer, scale)
        tint = np.ones(3) * self._u(0.5, 0.95)
        add([0, high + 0.05, 0], [width, 0.1, depth], 0, tint, self._walls.layer("paint"))
        for _ in range(int(self._rng.integers(0, 10))):
            add([self._u(-0.5, 0.5) * width, high - 0.01, self._u(-0.5, 0.5) * depth], [0.3, 0.02, 1.2], 0, (3, 3, 2.9))
        for _ in range(int(self._rng.integers(1, 12))):
            self._hang_on_wall()

    def _hang_on_wall(self) -> None:
        """Add a poster, window, board, rack or door."""
        rng, width, depth = self._rng, self.width, self.depth
        name = str(rng.choice(["poster", "window", "board", "products", "books", "metal", "poster"]))
        wide, high = (self._u(1.5, 4), self._u(0.9, 1.3)) if name == "board" else (self._u(0.3, 1.2), self._u(0.3, 1.2))
        side, y = rng.integers(3), self._u(1.0, max(1.1, min(2.2, self.height - 0.5)))
        tint = np.ones(3) * (self._u(1, 3) if name == "window" else self._u(0.5, 1))
        if name == "metal" or (name == "poster" and rng.random() < 0.2):
            wide, high, y = 0.9, 2.05, 1.02
            name = str(rng.choice(["wood", "metal", "paint"]))
            tint = rng.random(3) * 0.8 + 0.1
        if side == 0:
            place, size = [self._u(-0.45, 0.45) * width, y, -depth / 2 + 0.02], [wide, high, 0.05]
        else:
            x = (width / 2 - 0.02) * (1 if side == 1 else -1)
            place, size = [x, y, self._u(-0.45, 0.45) * depth], [0.05, high, wide]
        self.shell.add(place, size, 0, tint, self._walls.layer(name), fit=True)
