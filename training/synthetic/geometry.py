"""Rotations, directions, and surfaces of quadrilaterals as triangles.

Y is up, people face +Z, their left is +X; lengths in metres unless said otherwise, angles in degrees.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

Array = npt.NDArray[Any]

TRIANGLES = np.array([0, 1, 2, 0, 2, 3])  # corners of a quadrilateral
VERTEX_FLOATS = 13  # position 3, normal 3, texture coordinate 2, label 1, tint 3, pattern layer 1
_OPPOSITE = -0.999  # cosine from which two directions count as opposite


def rotation(axis: str, degrees: float) -> Array:
    """Return the rotation about x, y or z: (3, 3)."""
    angle = np.deg2rad(degrees)
    c, s = np.cos(angle), np.sin(angle)
    if axis == "x":
        return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    if axis == "y":
        return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def cross_matrix(v: Array) -> Array:
    """Return the matrix whose product with w is v × w."""
    return np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])


def about(axis: Array, degrees: float) -> Array:
    """Return the rotation about a unit vector (Rodrigues): (3, 3)."""
    angle, cross = np.deg2rad(degrees), cross_matrix(axis)
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


def shortest_turn(one: Array, other: Array) -> Array:
    """Return the smallest rotation of one direction to another: (3, 3)."""
    one, other = one / np.linalg.norm(one), other / np.linalg.norm(other)
    cosine = one @ other
    if cosine < _OPPOSITE:
        return np.asarray(-np.eye(3) + 2 * np.outer([1, 0, 0], [1, 0, 0]))
    cross = cross_matrix(np.cross(one, other))
    return np.asarray(np.eye(3) + cross + cross @ cross / (1 + cosine))


def direction(azimuth: float, elevation: float) -> Array:
    """Return a unit vector; azimuth 0 is forward (+Z), 90 is left (+X); elevation -90 is down."""
    a, e = np.deg2rad(azimuth), np.deg2rad(elevation)
    return np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])


class Surface:
    """Quadrilaterals over vertices; computes vertex normals."""

    def __init__(self, faces: Array, vertices: int) -> None:
        """*faces*: vertex numbers (n, 4)."""
        self.faces = faces
        count = len(faces)
        ones = np.ones(count * 4, np.float32)
        self._touching = csr_matrix((ones, (faces.ravel(), np.repeat(np.arange(count), 4))), shape=(vertices, count))

    def normals(self, positions: Array) -> Array:
        """Return unit normals (V, 3) of vertices at *positions* (V, 3): the area-weighted mean of adjacent faces."""
        faces = self.faces
        across = positions[faces[:, 2]] - positions[faces[:, 0]]
        normals = self._touching @ np.cross(across, positions[faces[:, 3]] - positions[faces[:, 1]])
        return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9))


def soup(  # noqa: PLR0917  three pairs
    positions: Array, normals: Array, faces: Array, uv: Array, uv_faces: Array, label: Array | int
) -> Array:
    """Return quadrilaterals in the renderer's format: (6 n, 13) float32; *label* for all or for each face."""
    corner, uv_corner = faces[:, TRIANGLES].ravel(), uv_faces[:, TRIANGLES].ravel()
    out = np.empty((len(corner), VERTEX_FLOATS), np.float32)
    out[:, :3], out[:, 3:6], out[:, 6:8] = positions[corner], normals[corner], uv[uv_corner]
    out[:, 8] = np.repeat(label, 6) if np.ndim(label) else label
    out[:, 9:] = 1
    return out
