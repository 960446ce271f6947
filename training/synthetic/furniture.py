"""Boxes and furniture made of them: chairs, desks, shelves. Places are on the floor, metres; yaw in degrees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from training.synthetic.geometry import TRIANGLES, VERTEX_FLOATS, rotation

if TYPE_CHECKING:
    from training.synthetic.geometry import Array
    from training.synthetic.materials import Layers

Colour = Any  # three numbers

_CORNERS = np.array(
    [
        [[-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]],
        [[1, -1, -1], [-1, -1, -1], [-1, 1, -1], [1, 1, -1]],
        [[1, -1, 1], [1, -1, -1], [1, 1, -1], [1, 1, 1]],
        [[-1, -1, -1], [-1, -1, 1], [-1, 1, 1], [-1, 1, -1]],
        [[-1, 1, 1], [1, 1, 1], [1, 1, -1], [-1, 1, -1]],
        [[-1, -1, -1], [1, -1, -1], [1, -1, 1], [-1, -1, 1]],
    ],
    float,
)
_NORMALS = np.array([[0, 0, 1], [0, 0, -1], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]], float)
_WHOLE = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], float)  # the pattern once on each side, upright


class Footprint(NamedTuple):
    """Floor area of an object: centre, half sizes, yaw."""

    x: float
    z: float
    half_x: float
    half_z: float
    yaw: float


class Boxes:
    """Collects boxes and the floor area they occupy."""

    def __init__(self) -> None:
        """Start without boxes."""
        self.parts: list[Array] = []
        self.taken: list[Footprint] = []

    def add(  # noqa: PLR0917  as one says them
        self,
        centre: Any,  # noqa: ANN401  three numbers
        size: Any,  # noqa: ANN401  three numbers
        yaw: float = 0,
        tint: Colour = (1, 1, 1),
        layer: float = 0,
        scale: float = 1.0,
        *,
        fit: bool = False,
        solid: bool = False,
    ) -> None:
        """Add a box with a pattern, *fit* to each side once or scaled in metres; a *solid* one occupies floor area."""
        centre, half = np.array(centre, float), np.array(size, float) / 2
        corners, turn = _CORNERS * half, rotation("y", yaw)
        uv = np.tile(_WHOLE[None], (6, 1, 1)) if fit else _by_metres(corners, centre, scale)
        out = np.zeros((6, 6, VERTEX_FLOATS), np.float32)
        out[:, :, :3] = (corners @ turn.T + centre)[:, TRIANGLES]
        out[:, :, 3:6], out[:, :, 6:8] = (_NORMALS @ turn.T)[:, None], uv[:, TRIANGLES]
        out[:, :, 9:12], out[:, :, 12] = tint, layer
        self.parts.append(out.reshape(36, VERTEX_FLOATS))
        if solid:
            self.taken.append(Footprint(centre[0], centre[2], half[0], half[2], yaw))

    def triangles(self) -> Array:
        """Return the triangles of all boxes for the renderer."""
        return np.concatenate(self.parts)

    def occupied(self, x: float, z: float, margin: float = 0.28) -> bool:
        """Return whether a place is occupied, or within the margin of an occupied one."""
        for one in self.taken:
            away = rotation("y", -one.yaw) @ np.array([x - one.x, 0, z - one.z])
            if abs(away[0]) < one.half_x + margin and abs(away[2]) < one.half_z + margin:
                return True
        return False


def _by_metres(corners: Array, centre: Array, scale: float) -> Array:
    axes = ([0, 1], [0, 1], [2, 1], [2, 1], [0, 2], [0, 2])
    flat = np.stack([side[:, pair] for side, pair in zip(corners, axes, strict=True)])
    return np.asarray(flat * scale + np.array([centre[0] * 0.37, centre[2] * 0.21]))


class Carpenter:
    """Builds furniture from boxes with random choices."""

    def __init__(self, rng: np.random.Generator, layers: Layers, boxes: Boxes) -> None:
        """*layers*: the renderer's patterns."""
        self._rng, self._layers, self._boxes = rng, layers, boxes

    def layer(self, *names: str) -> float:
        """Return the number of a random pattern with one of these names."""
        return float(self._rng.choice([number for name in names for number in self._layers[name]]))

    def chair(self, x: float, z: float, yaw: float, height: float) -> None:
        """Add a chair, usually with a back, on legs, a column or a block."""
        rng, at = self._rng, _Place(x, z, yaw)
        colour, width = rng.random(3) * 0.6 + 0.03, rng.uniform(0.38, 0.5)
        layer, kind, add = self.layer("plain", "wood"), rng.random(), self._boxes.add
        add(at(0, height - 0.03, 0.02), [width, 0.05, width], yaw, colour, layer)
        if rng.random() < 0.85:
            add(at(0, height + 0.3, -width / 2), [width, rng.uniform(0.2, 0.5), 0.04], yaw, colour, layer)
        if kind < 0.6:
            for side in (-1, 1):
                for end in (-1, 1):
                    leg = at(side * width * 0.45, height / 2 - 0.02, end * width * 0.45)
                    add(leg, [0.03, height - 0.04, 0.03], yaw, colour * 0.5)
        elif kind < 0.85:
            add(at(0, height / 2, 0), [0.06, height, 0.06], yaw, (0.1, 0.1, 0.1))
            for size in ([0.5, 0.05, 0.06], [0.06, 0.05, 0.5]):
                add(at(0, 0.04, 0), size, yaw, (0.1, 0.1, 0.1))
        else:
            add(at(0, height / 2 - 0.03, 0), [width, height - 0.05, width], yaw, colour * 0.8, layer)

    def desk(  # noqa: PLR0917  place, then size
        self,
        x: float,
        z: float,
        yaw: float,
        height: float | None = None,
        width: float | None = None,
        depth: float | None = None,
    ) -> None:
        """Add a table with up to five objects on it; sizes not given are random."""
        rng, at = self._rng, _Place(x, z, yaw)
        height = height or rng.uniform(0.68, 0.78)
        width = width or rng.uniform(0.6, 1.6)
        depth = depth or rng.uniform(0.45, 0.8)
        colour = rng.uniform(0.25, 1, 3) if rng.random() < 0.3 else np.ones(3) * rng.uniform(0.4, 1)
        layer, add = self.layer("wood", "paint"), self._boxes.add
        add(at(0, height - 0.02, 0), [width, 0.04, depth], yaw, colour, layer, solid=True)
        if rng.random() < 0.35:
            add(at(0, height / 2, -depth * 0.4), [width * 0.95, height - 0.06, 0.03], yaw, colour * 0.8, layer)
        for side in (-1, 1):
            for end in (-1, 1):
                leg = at(side * width * 0.46, height / 2 - 0.02, end * depth * 0.44)
                add(leg, [0.04, height - 0.04, 0.04], yaw, colour * 0.4)
        for _ in range(rng.integers(0, 6)):
            self._thing_on(at, (height, width, depth))

    def _thing_on(self, at: _Place, desk: tuple[float, float, float]) -> None:
        rng, (height, width, depth) = self._rng, desk
        size = rng.uniform(0.04, 0.3, 3) * np.array([1, 0.7, 1])
        size = np.minimum(size, [width * 0.5, 0.35, depth * 0.5])
        kind = rng.random()
        if kind < 0.3:
            size = np.array([0.21, 0.01, 0.3])  # paper
        elif kind < 0.45:
            size = np.array([0.4, 0.28, 0.03])  # a screen
        across, along = rng.uniform(-0.5, 0.5) * (width - size[0]), rng.uniform(-0.5, 0.5) * (depth - size[2])
        yaw, tint = at.yaw + rng.uniform(-25, 25), rng.random(3) * 0.9
        layer = self.layer("poster", "plain", "cardboard")
        place = at(across, height + size[1] / 2, along)
        self._boxes.add(place, size, yaw, tint, layer, fit=rng.random() < 0.5)

    def shelf(  # noqa: PLR0917  place, then size
        self,
        x: float,
        z: float,
        yaw: float,
        length: float,
        height: float | None = None,
        depth: float = 0.45,
        kind: str | None = None,
    ) -> None:
        """Add boards with photos of goods ("tex") or boxes ("box"); values not given are random."""
        rng, at = self._rng, _Place(x, z, yaw)
        height = height or rng.uniform(1.2, 2.3)
        levels = int(height / rng.uniform(0.3, 0.45))
        kind = kind or rng.choice(["box", "tex"])
        colour = np.ones(3) * rng.uniform(0.15, 0.9)
        self._boxes.add(at(0, height / 2, 0), [length, height, 0.05], yaw, colour * 0.8)
        self._boxes.taken.append(Footprint(x, z, length / 2, depth / 2, yaw))
        step = (height - 0.08) / levels
        for level in range(levels + 1):
            board = at(0, 0.06 + level * (height - 0.08) / levels, 0)
            self._boxes.add(board, [length, 0.03, depth], yaw, colour)
        for level in range(levels):
            space = (0.08 + level * (height - 0.08) / levels, step - 0.05)
            for side in (-1, 1):
                fill = self._photos if kind == "tex" else self._goods
                fill(at, length, depth, side, space)

    def _photos(self, at: _Place, length: float, depth: float, side: int, space: tuple[float, float]) -> None:
        """Add shelf photos side by side; *space*: heights of the board and of the next one above."""
        rng, (floor, high) = self._rng, space
        count = max(1, int(length / 0.9))
        for j in range(count):
            place = at((j + 0.5) * length / count - length / 2, floor + high * 0.48, side * depth * 0.22)
            tint = np.ones(3) * rng.uniform(0.6, 1)
            layer = self.layer("products", "books") if rng.random() < 0.6 else self.layer("grocery")
            size = [length / count * 0.98, high * 0.96, depth * 0.4]
            self._boxes.add(place, size, at.yaw, tint, layer, scale=1.1)

    def _goods(self, at: _Place, length: float, depth: float, side: int, space: tuple[float, float]) -> None:
        """Add boxes, in groups of one kind."""
        rng, (floor, high) = self._rng, space
        place = -length / 2
        while place < length / 2 - 0.1:
            width, tall = rng.uniform(0.07, 0.3), rng.uniform(0.4, 0.95) * high
            tint, layer = rng.random(3) ** 0.7 * 0.9, self.layer("poster", "plain", "cardboard")
            for _ in range(int(rng.integers(1, 5))):
                if place + width > length / 2:
                    break
                centre = at(place + width / 2, floor + tall / 2, side * depth * 0.24)
                self._boxes.add(centre, [width * 0.94, tall, depth * 0.4], at.yaw, tint, layer, fit=True)
                place += width
            place += rng.uniform(0, 0.08)


class _Place:
    """Maps points relative to a place on the floor to the world."""

    def __init__(self, x: float, z: float, yaw: float) -> None:
        self._foot, self._turn, self.yaw = np.array([x, 0, z]), rotation("y", yaw), yaw

    def __call__(self, x: float, y: float, z: float) -> Array:
        return np.asarray(self._turn @ np.array([x, y, z]) + self._foot)
