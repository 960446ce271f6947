"""The camera's position, and the part of the floor it sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from training.synthetic.geometry import Array


class View(NamedTuple):
    """The camera: position, target, up vector with roll, horizontal field of view (degrees), height above the floor."""

    eye: Array
    target: Array
    up: tuple[Any, ...]
    fov: float
    height: float

    @property
    def forward(self) -> Array:
        """Viewing direction, not normalised."""
        return np.asarray(self.target - self.eye)

    @property
    def yaw(self) -> float:
        """Angle of the direction from +Z, radians."""
        return float(np.arctan2(self.forward[0], self.forward[2]))

    @property
    def half_angle(self) -> float:
        """Slightly less than half the field of view, radians."""
        return float(np.deg2rad(self.fov / 2) * 0.95)

    def distance(self, x: float, z: float) -> float:
        """Return the distance to a place along the floor."""
        return float(np.hypot(x - self.eye[0], z - self.eye[2]))

    def in_frame(self, x: float, z: float) -> bool:
        """Return whether the hips of a person standing there are visible."""
        forward = self.forward / np.linalg.norm(self.forward)
        away = np.array([x, 0.9, z]) - self.eye
        depth = away @ forward
        if depth < 0.5:
            return False
        right = np.cross(forward, (0, 1, 0))
        right /= np.linalg.norm(right)
        tangent = np.tan(np.deg2rad(self.fov) / 2)
        across, up = abs(away @ right / depth), abs(away @ np.cross(right, forward) / depth)
        return bool(across < tangent * 1.02 and up < tangent * 288 / 512 * 1.1)

    def ahead(self, x: float, z: float) -> bool:
        """Return whether a place is between the sides of the view, and not right below the camera."""
        angle = np.arctan2(x - self.eye[0], z - self.eye[2]) - self.yaw
        return bool(abs((angle + np.pi) % (2 * np.pi) - np.pi) < self.half_angle and self.distance(x, z) > 0.9)
