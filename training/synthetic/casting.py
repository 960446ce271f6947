"""Places people in a scene: who, where, and in which pose."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from training.synthetic.geometry import rotation
from training.synthetic.person import Mesh, People, placed

if TYPE_CHECKING:
    from training.synthetic.clothes import Likelihoods
    from training.synthetic.geometry import Array
    from training.synthetic.person import Character
    from training.synthetic.rooms import Room, Seat

_STANDING = ("stand", "walk", "sit", "bend", "squat", "kneel", "lean", "recorded", "mixed")
_STANDING_SHARES = (0.28, 0.24, 0.11, 0.08, 0.05, 0.04, 0.05, 0.03, 0.12)


class Placed(NamedTuple):
    """A person in the scene: number, character, direction (degrees), joints (B, 3)."""

    number: int
    character: Character
    yaw: float
    joints: Array


class Casting:
    """Places people in a room: `people` in order, their `meshes`; adds chairs and carried objects to the room."""

    def __init__(self, rng: np.random.Generator, room: Room, makers: People) -> None:
        """Start without people."""
        self._rng, self._room, self._makers = rng, room, makers
        self.meshes: list[Mesh] = []
        self.people: list[Placed] = []
        self._spots: list[tuple[float, float]] = []
        self._group_at: Array | None = None

    def _u(self, low: float, high: float) -> float:
        return float(self._rng.uniform(low, high))

    def add(self, likely: Likelihoods, seats: list[Seat], *, grouped: bool) -> None:
        """Add a person if there is a free place."""
        rng = self._rng
        seat = seats.pop() if seats and rng.random() < 0.75 else None
        pose = self._pose(seated=seat is not None)
        place = self._at_seat(seat) if seat is not None else self._standing_place(grouped=grouped)
        if place is None:
            return
        x, z, yaw = place
        character = self._makers.make(rng, pose, likely)
        number = len(self.people) + 1
        foot = self._seat(character, seat, place) if pose == "sit" else (x, z)
        meshes, joints = placed(character, np.array([foot[0], 0, foot[1]]), yaw)
        if character.holds and seat is None and pose != "sit" and rng.random() < 0.6:
            self._carry(joints)
        self.meshes += [replace(mesh, person=number * mesh.person) for mesh in meshes]
        self._spots.append((x, z))
        self.people.append(Placed(number, character, yaw, joints))

    def _pose(self, *, seated: bool) -> str:
        rng = self._rng
        if seated:
            return "sit" if rng.random() < 0.85 else str(rng.choice(["stand", "bend", "lean"]))
        return str(rng.choice(_STANDING, p=_STANDING_SHARES))

    def _at_seat(self, seat: Seat) -> tuple[float, float, float]:
        rng = self._rng
        x, z = seat.x + rng.normal(0, 0.05), seat.z + rng.normal(0, 0.05)
        return x, z, seat.yaw + rng.normal(0, 12)

    def _standing_place(self, *, grouped: bool) -> tuple[float, float, float] | None:
        """Return a place in view; in a group mostly near the others, and half of those facing its centre."""
        rng = self._rng
        near = self._group_at if grouped and self._group_at is not None and rng.random() < 0.7 else None
        place = self._sample(near)
        if place is None:
            return None
        x, z = place
        yaw = self._u(0, 360)
        if self._group_at is None:
            self._group_at = np.array([x, z])
        if grouped and rng.random() < 0.5 and self._spots:
            away = np.mean(self._spots, 0) - [x, z]
            yaw = np.rad2deg(np.arctan2(away[0], away[1])) + rng.normal(0, 30)
        return x, z, yaw

    def _sample(self, near: Array | None) -> tuple[float, float] | None:
        rng, view = self._rng, self._room.view
        for _ in range(60):
            if near is not None:
                x, z = near + rng.normal(0, 0.7, 2)
            else:
                distance = min(max(float(np.exp(rng.normal(np.log(3.2), 0.5))), 1.1), 14)
                angle = view.yaw + self._u(-view.half_angle, view.half_angle)
                x, z = view.eye[0] + np.sin(angle) * distance, view.eye[2] + np.cos(angle) * distance
            if self._room.free(x, z, self._spots) and (view.in_frame(x, z) or rng.random() < 0.04):
                return x, z
        return None

    def _seat(self, character: Character, seat: Seat | None, place: tuple[float, float, float]) -> tuple[float, float]:
        """Put a chair under a seated person and sometimes a table in front; returns where the person's origin goes."""
        (x, z, yaw), carpenter = place, self._room.carpenter
        height = float(max(0.15, character.pelvis[1] - 0.09 * character.height / 1.3))
        turn = rotation("y", yaw)
        hips = turn @ np.array([character.pelvis[0], 0, character.pelvis[2]])
        behind = turn @ np.array([0, 0, 0.05])
        carpenter.chair(x + behind[0], z + behind[2], yaw, height)
        if seat is None and self._rng.random() < 0.45:
            before = turn @ np.array([0, 0, self._u(0.5, 0.65)])
            carpenter.desk(x + before[0], z + before[2], yaw, height=height + self._u(0.22, 0.34))
        return x - hips[0], z - hips[2]

    def _carry(self, joints: Array) -> None:
        """Add a box between the hands, labelled background."""
        rng, bone = self._rng, self._makers.body.bone
        left, right = joints[bone["finger3-1.L"]], joints[bone["finger3-1.R"]]
        across = left - right
        apart = np.hypot(across[0], across[2])
        if not 0.12 < apart < 0.7:
            return
        yaw = np.rad2deg(np.arctan2(-across[2], across[0]))
        before = rotation("y", yaw) @ np.array([0, 0, self._u(-0.02, 0.1)])
        centre = (left + right) / 2 + [before[0], self._u(-0.05, 0.1), before[2]]
        size = [max(0.08, apart - 0.03), self._u(0.1, 0.4), self._u(0.15, 0.4)]
        tint = (np.ones(3) if rng.random() < 0.6 else rng.random(3)) * self._u(0.4, 1)
        name = str(rng.choice(["cardboard", "cardboard", "plain", "poster", "wood"]))
        layer = self._room.layer(name)
        self._room.things.add(centre, size, yaw, tint, layer, fit=rng.random() < 0.5)
