"""Rigid accessories: brims of hats, sunglasses, backpacks. Each moves with one bone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from training.labels import Part
from training.synthetic.geometry import Surface, soup
from training.synthetic.materials import PATTERN, Material, colour

if TYPE_CHECKING:
    from training.synthetic.geometry import Array

Move = Callable[["Array"], "Array"]

_RIM = 16  # corners of a lens
_AROUND, _RINGS = 16, 8  # quadrilaterals of a backpack


def _rigid(points: Array, faces: Array, label: int, move: Move) -> Array:
    """Return the triangles of a surface, with x and y as texture coordinates."""
    moved = move(points)
    normals = Surface(faces, len(moved)).normals(moved)
    return soup(moved, normals, faces, moved[:, :2], faces, label)


def brim(rng: np.random.Generator, kind: str, crown: Array, move: Move) -> Array:
    """Return the brim of a cap (sometimes turned backwards), a sun hat or a helmet; *crown* (n, 3) in the rest pose."""
    centre = (crown.min(0) + crown.max(0)) / 2
    radius = np.array([np.ptp(crown[:, 0]) / 2, 0, np.ptp(crown[:, 2]) / 2])
    front = crown[crown[:, 2].argmax(), 1]
    turned = rng.random() < 0.15 and kind == "cap"
    start = np.pi if turned else 0.0
    angles = np.linspace(-1.15, 1.15, 13) + start if kind == "cap" else np.linspace(-np.pi, np.pi, 25)
    width = {"cap": rng.uniform(0.05, 0.075), "sun": rng.uniform(0.05, 0.11), "hard": 0.02}[kind]
    points = []
    for angle in angles:
        here = width * (_peak(angle - start) if kind == "cap" else 1.0)
        outward = np.array([np.sin(angle), 0, np.cos(angle)])
        inner = centre + outward * radius * 0.97
        inner[1] = front + 0.006 - (0.018 * (1 - np.cos(angle)) / 2 if kind != "cap" else 0)
        outer = inner + outward * here
        outer[1] -= here * 0.25
        points += [inner, outer]
    faces = np.array([[2 * k, 2 * k + 1, 2 * k + 3, 2 * k + 2] for k in range(len(angles) - 1)])
    return _rigid(np.array(points), faces, Part.HAT, move)


def _peak(angle: float) -> float:
    """Return the width of a cap's peak, which is widest in the middle."""
    return float(max(0.15, abs(np.cos(angle * 1.2))))


def sunglasses(
    rng: np.random.Generator, head: Array, face: Array, eyes: tuple[Array, Array], move: Move
) -> tuple[Array, Material]:
    """Return two lenses, a bridge and two temples; *head* (n, 3): its vertices, *face*: those of the body itself."""
    tint = (0.01, 0.01, 0.012) if rng.random() < 0.8 else colour(rng) * 0.3
    half = np.array([rng.uniform(0.024, 0.03), rng.uniform(0.018, 0.026)])
    left, right = eyes
    before = max(face[:, 2].max() - 0.022, left[2] + 0.018)
    points, faces = _lenses(eyes, half, before)
    _add(points, faces, _bridge(left[1], before))
    outside = np.abs(head[:, 0]).max() * 0.93
    for sign, eye in ((1, left), (-1, right)):
        edge = eye[0] + sign * half[0]
        depth = before - 0.25 * abs(edge)
        ear = [[sign * outside, left[1] + y, left[2] - 0.11] for y in (0.0, 0.007)]
        _add(points, faces, [[edge, left[1] + 0.006, depth], [edge, left[1], depth], *ear])
    vertices = _rigid(np.asarray(points), np.asarray(faces), Part.SUNGLASSES, move)
    return vertices, Material(PATTERN, tint=tint, layer=0.0, shine=0.6)


def _bridge(height: float, before: float) -> list[list[float]]:
    corners = ((-0.012, 0.003), (0.012, 0.003), (0.012, 0.008), (-0.012, 0.008))
    return [[x, height + y, before] for x, y in corners]


def _add(points: list[list[float]], faces: list[list[int]], corners: list[list[float]]) -> None:
    start = len(points)
    points += corners
    faces.append([start, start + 1, start + 2, start + 3])


def _lenses(eyes: tuple[Array, Array], half: Array, before: float) -> tuple[list[list[float]], list[list[int]]]:
    """Return fans of quadrilaterals around the eyes: rounded rectangles that follow the face."""
    points: list[list[float]] = []
    faces: list[list[int]] = []
    for eye in eyes:
        start = len(points)
        points.append([eye[0], eye[1] - 0.002, before + 0.004])
        for angle in np.linspace(0, 2 * np.pi, _RIM + 1)[:-1]:
            c, s = np.cos(angle), np.sin(angle)
            x = eye[0] + half[0] * np.sign(c) * abs(c) ** 0.7
            y = eye[1] - 0.002 + half[1] * np.sign(s) * abs(s) ** 0.7
            points.append([x, y, before - 0.25 * abs(eye[0] + half[0] * c)])
        faces += [[start, start + 1 + k, start + 1 + (k + 1) % _RIM, start + 1 + (k + 1) % _RIM] for k in range(_RIM)]
    return points, faces


def backpack(rng: np.random.Generator, spine: Array, back: float, move: Move) -> Array:
    """Return a rounded box behind the chest, labelled background; *back* is the rearmost z of the trunk."""
    around, up = np.meshgrid(
        np.linspace(0, 2 * np.pi, _AROUND + 1)[:-1], np.linspace(-np.pi / 2, np.pi / 2, _RINGS + 1)
    )
    size = np.array([rng.uniform(0.1, 0.17), rng.uniform(0.14, 0.26), rng.uniform(0.06, 0.12)])
    shape = [np.cos(around) * np.cos(up), np.sin(up), np.sin(around) * np.cos(up)]
    rounded = np.stack([np.sign(x) * np.abs(x) ** 0.5 * length for x, length in zip(shape, size, strict=True)], 2)
    points = rounded.reshape(-1, 3) + np.array([0, spine[1] + 0.05, back - size[2] * 0.8])
    faces = np.array(
        [
            [
                j * _AROUND + i,
                j * _AROUND + (i + 1) % _AROUND,
                (j + 1) * _AROUND + (i + 1) % _AROUND,
                (j + 1) * _AROUND + i,
            ]
            for j in range(_RINGS)
            for i in range(_AROUND)
        ]
    )
    moved = move(points)
    return soup(moved, Surface(faces, len(moved)).normals(moved), faces, moved[:, :2], faces, Part.BACKGROUND)


def _cell(ring: int, i: int) -> list[int]:
    following = (i + 1) % _AROUND
    return [ring + i, ring + following, ring + _AROUND + following, ring + _AROUND + i]
