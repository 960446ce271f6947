"""Furniture of rooms and streets, and places for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from training.synthetic.furniture import Footprint
from training.synthetic.geometry import rotation
from training.synthetic.shell import Shell

if TYPE_CHECKING:
    from training.synthetic.geometry import Array
    from training.synthetic.materials import Layers

_FURNISHED = ("home", "office", "class", "corr", "plain")
_AT_WALLS = ("Door", "Book", "Kitchen", "Shelf", "Drawer", "Fire", "Couch", "Bed", "Bathroom")


class Seat(NamedTuple):
    """A place to sit, and the direction of the person."""

    x: float
    z: float
    yaw: float


class Room(Shell):
    """A furnished room; `seats` are at desks."""

    def __init__(self, rng: np.random.Generator, layers: Layers, furniture: dict[str, Array]) -> None:
        """*furniture*: triangles of the pack by name; the room is empty before :meth:`furnish`."""
        super().__init__(rng, layers)
        self._furniture = furniture
        self.seats: list[Seat] = []

    # Furniture

    def furnish(self) -> None:
        """Add the furniture of this kind of room, then random objects."""
        {
            "class": self._classroom,
            "shop": self._shop,
            "ware": self._warehouse,
            "office": self._office,
            "home": self._office,
            "out": self._street,
        }.get(self.kind, lambda: None)()
        self._odds_and_ends()
        if self.kind in _FURNISHED and self._rng.random() < (0.95 if self.kind == "home" else 0.6):
            self._packed_furniture()

    def _near_camera(self, x: float, z: float, distance: float) -> bool:
        return self.view.distance(x, z) <= distance

    def _classroom(self) -> None:
        """Add rows of desks with some gaps."""
        rng = self._rng
        facing = float(rng.choice([0, 90, 180, 270]) + rng.normal(0, 3))
        across, along, turn = self._u(1.0, 1.7), self._u(1.1, 1.6), rotation("y", facing)
        for i in range(-6, 7):
            for j in range(-7, 8):
                place = turn @ np.array([i * across, 0, j * along])
                x, z = place[0], place[2] - 1
                inside = abs(x) < self.width / 2 - 0.6 and abs(z) < self.depth / 2 - 1.2
                if inside and not self._near_camera(x, z, 1.1) and rng.random() < 0.85:
                    width, depth = min(across * 0.85, self._u(0.6, 1.3)), self._u(0.45, 0.6)
                    self.carpenter.desk(x, z, facing, width=width, depth=depth)
                    self._seat_behind(x, z, facing, 0.5)

    def _seat_behind(self, x: float, z: float, yaw: float, distance: float) -> None:
        away = rotation("y", yaw) @ np.array([0, 0, -distance])
        self.seats.append(Seat(x + away[0], z + away[2], yaw))

    def _shop(self) -> None:
        """Add rows of shelves with gaps."""
        rng = self._rng
        yaw = float(rng.choice([0, 90]) + rng.normal(0, 2))
        apart, length = self._u(1.5, 2.6), self._u(2.0, 4.0)
        for i in range(-5, 6):
            for j in range(-3, 4):
                place = rotation("y", yaw) @ np.array([j * (length + self._u(0.9, 1.6)), 0, i * apart])
                x, z = place[0], place[2] - 1
                inside = abs(x) < self.width / 2 and abs(z) < self.depth / 2 - 0.6
                if inside and not self._near_camera(x, z, 1.6) and rng.random() < 0.55:
                    self.carpenter.shelf(x, z, yaw, length, height=self._u(0.9, 2.2))

    def _warehouse(self) -> None:
        """Add racks and stacks of boxes."""
        rng = self._rng
        for _ in range(int(rng.integers(2, 7))):
            x, z = self._u(-0.5, 0.5) * self.width, -self._u(-0.2, 0.5) * self.depth
            yaw, length = float(rng.choice([0, 90])), self._u(1.5, 4)
            height, depth = self._u(1.5, 4), self._u(0.6, 1.1)
            self.carpenter.shelf(x, z, yaw, length, height=height, depth=depth, kind="box")
        for _ in range(int(rng.integers(3, 14))):
            size = rng.uniform(0.25, 1.2, 3)
            x, z = self._u(-0.5, 0.5) * self.width, self._u(-0.5, 0.4) * self.depth
            if self.view.distance(x, z) >= 1.5:
                self._stack(x, z, size)

    def _stack(self, x: float, z: float, size: Array) -> None:
        rng, floor = self._rng, 0.0
        for number in range(int(rng.integers(1, 4))):
            yaw = self._u(0, 90) if number == 0 else self._u(-5, 5)
            tint = (np.ones(3) if rng.random() < 0.6 else rng.random(3)) * self._u(0.4, 1)
            layer = self.layer(str(rng.choice(["cardboard", "cardboard", "wood", "metal", "plain"])))
            self.things.add([x, floor + size[1] / 2, z], size, yaw, tint, layer, solid=number == 0)
            floor += size[1]
            size = size * self._u(0.7, 1)

    def _office(self) -> None:
        """Add desks anywhere, low ones at home, and shelves along the far wall."""
        rng = self._rng
        for _ in range(int(rng.integers(2, 7))):
            x, z = self._u(-0.45, 0.45) * self.width, self._u(-0.45, 0.35) * self.depth
            if self.view.distance(x, z) < 1.4 or self.things.occupied(x, z, 0.8):
                continue
            yaw = float(rng.choice([0, 90, 180, 270]) + rng.normal(0, 4))
            width = self._u(0.9, 2.0)
            height = self._u(0.4, 0.78) if self.kind == "home" else None
            self.carpenter.desk(x, z, yaw, width=width, height=height)
            self._seat_behind(x, z, yaw, 0.55)
        for _ in range(int(rng.integers(0, 4))):
            x = self._u(-0.5, 0.5) * self.width
            self.carpenter.shelf(x, -self.depth / 2 + 0.3, 0, self._u(0.8, 2))

    def _street(self) -> None:
        """Add distant houses, bollards, bins and boxes."""
        rng = self._rng
        for _ in range(int(rng.integers(0, 7))):
            place = [self._u(-14, 14), self._u(1.5, 4), -self._u(9, 22)]
            size, yaw = [self._u(4, 10), self._u(4, 12), self._u(2, 5)], self._u(-20, 20)
            tint = self.colour * self._u(0.6, 1.1)
            layer = self.layer(str(rng.choice(["brick", "concrete", "window", "paint", "products"])))
            self.things.add(place, size, yaw, tint, layer, scale=self._u(0.15, 0.4))
        for _ in range(int(rng.integers(0, 8))):
            place = [self._u(-6, 6), self._u(0.3, 0.8), self.view.eye[2] - self._u(2, 12)]
            size, yaw = [self._u(0.1, 1.8), self._u(0.5, 1.6), self._u(0.1, 1)], self._u(0, 90)
            tint, name = rng.random(3) * 0.8, str(rng.choice(["metal", "wood", "plain", "concrete"]))
            self.things.add(place, size, yaw, tint, self.layer(name), solid=True)

    def _odds_and_ends(self) -> None:
        rng = self._rng
        for _ in range(int(rng.integers(0, 5)) if self.kind != "out" else 0):
            x, z = self._u(-0.5, 0.5) * self.width, self._u(-0.5, 0.4) * self.depth
            if self._near_camera(x, z, 1.3) or self.things.occupied(x, z, 0.3):
                continue
            place = [x, self._u(0.2, 0.5), z]
            size, yaw = [self._u(0.05, 0.8), self._u(0.3, 1.8), self._u(0.05, 0.8)], self._u(0, 90)
            tint, name = rng.random(3) * 0.8, str(rng.choice(["plain", "metal", "wood", "cardboard", "poster"]))
            layer = self.layer(name)
            self.things.add(place, size, yaw, tint, layer, fit=rng.random() < 0.4, solid=True)

    def _packed_furniture(self) -> None:
        names = list(self._furniture)
        for _ in range(int(self._rng.integers(2, 9))):
            name = names[self._rng.integers(len(names))]
            self._place_packed(name, self._furniture[name].copy())

    def _place_packed(self, name: str, triangles: Array) -> None:
        """Place furniture, recoloured: doors, cupboards and beds mostly at walls, the rest anywhere."""
        triangles[:, :3] *= self._u(0.85, 1.2)
        size = np.ptp(triangles[:, :3], axis=0)
        x, z, yaw = self._spot(name, size)
        if self.view.distance(x, z) < 1.3 + max(size[0], size[2]) / 2:
            return
        if self.things.occupied(x, z, max(size[0], size[2]) / 2):
            return
        turn = rotation("y", yaw).astype(np.float32)
        triangles[:, :3] = triangles[:, :3] @ turn.T + np.array([x, 0, z], np.float32)
        triangles[:, 3:6] = triangles[:, 3:6] @ turn.T
        triangles[:, 9:12] = self._recoloured(triangles[:, 9:12])
        triangles[:, 12] = self.layer(str(self._rng.choice(["plain", "paint"])))
        self.things.parts.append(triangles)
        self.things.taken.append(Footprint(x, z, size[0] / 2, size[2] / 2, yaw))

    def _spot(self, name: str, size: Array) -> tuple[float, float, float]:
        width, depth = self.width, self.depth
        if not (name.startswith(_AT_WALLS) and self._rng.random() < 0.8):
            return self._u(-0.45, 0.45) * width, self._u(-0.45, 0.4) * depth, self._u(0, 360)
        wall = self._rng.integers(3)
        off = 0.05 if name.startswith("Door") else size[2] / 2 + 0.02
        if wall == 0:
            return self._u(-0.45, 0.45) * width, -depth / 2 + off, 0
        x = -width / 2 + off if wall == 1 else width / 2 - off
        return x, self._u(-0.45, 0.4) * depth, 90 if wall == 1 else -90

    def _recoloured(self, tints: Array) -> Array:
        rng = self._rng
        if rng.random() < 0.7:
            change = 1 + rng.normal(0, 0.15, 3)
            return np.asarray(np.clip(tints * change * self._u(0.6, 1.5), 0, 1))
        grey = tints.mean(1, keepdims=True) * self._u(0.5, 2)
        return np.asarray(np.clip(grey * (1 + rng.normal(0, 0.2, 3)), 0, 1))

    # Places for people

    def free(self, x: float, z: float, people: list[tuple[float, float]]) -> bool:
        """Return whether a person can stand there, half a metre from the others."""
        outside = abs(x) > self.width / 2 - 0.3 or abs(z) > self.depth / 2 - 0.3
        if (self.kind != "out" and outside) or self.view.distance(x, z) < 0.9:
            return False
        return not self.things.occupied(x, z, 0.3) and all(np.hypot(x - a, z - b) > 0.5 for a, b in people)

    def seats_in_view(self) -> list[Seat]:
        """Return the visible seats in random order, or with the far ones last, so that they are taken first."""
        if self.seats:
            self._rng.shuffle(self.seats)
        seen = [seat for seat in self.seats if self.view.ahead(seat.x, seat.z) and self.view.in_frame(seat.x, seat.z)]
        if self._rng.random() < 0.7:
            seen.sort(key=lambda seat: -self.view.distance(seat.x, seat.z) * self._rng.uniform(0.7, 1.3))
        return seen
