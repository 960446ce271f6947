"""View and projection matrices (4, 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from training.synthetic.geometry import Array

NEAR, FAR = 0.1, 60.0  # m


def look(eye: Array, forward: Array, up: Any) -> Array:  # noqa: ANN401  any three numbers
    """Return the view matrix (4, 4)."""
    f = forward / np.linalg.norm(forward)
    side = np.cross(f, up)
    side /= np.linalg.norm(side)
    matrix = np.eye(4)
    matrix[0, :3], matrix[1, :3], matrix[2, :3] = side, np.cross(side, f), -f
    matrix[:3, 3] = -matrix[:3, :3] @ eye
    return matrix


def perspective(fov: float, aspect: float) -> Array:
    """Return the projection matrix (4, 4) of a horizontal field of view, degrees."""
    t = 1 / np.tan(np.deg2rad(fov) / 2)
    matrix = np.zeros((4, 4))
    matrix[0, 0], matrix[1, 1] = t, t * aspect
    matrix[2, 2], matrix[2, 3] = (FAR + NEAR) / (NEAR - FAR), 2 * FAR * NEAR / (NEAR - FAR)
    matrix[3, 2] = -1
    return matrix


def orthographic(radius: float, near: float, far: float) -> Array:
    """Return the projection matrix (4, 4) of parallel light."""
    matrix = np.eye(4)
    matrix[0, 0] = matrix[1, 1] = 1 / radius
    matrix[2, 2], matrix[2, 3] = -2 / (far - near), -(far + near) / (far - near)
    return matrix
