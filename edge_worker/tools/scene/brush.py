"""Shaded solids on a canvas: the one brush with which the demo's figures are drawn.

A canvas is a uint8 RGB array of shape (H, W, 3), painted in place. Coordinates are (x, y) in pixels, y downwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_worker.imaging.arrays import RgbImage

Plane: TypeAlias = NDArray[np.float32]
Point: TypeAlias = tuple[float, float]
Colour: TypeAlias = tuple[int, int, int]

# Light comes from the upper left, towards the viewer: (x, y, towards the eye), of length 1.
LIGHT = (-0.45, -0.35, 0.82)
AMBIENT, DIFFUSE = 0.42, 0.68
# Steps of the profile along a bone: enough for its round ends to look round.
BONE_STEPS = 41


def grain(shape: tuple[int, int], *, size: float, contrast: float, seed: int) -> Plane:
    """Draw smooth noise around 1.0 of *shape* (H, W), in blots of *size* pixels, ± *contrast* at one deviation."""
    noise = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), size)
    return np.asarray(1.0 + blurred * (contrast / float(blurred.std())), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Brush:
    """Paints on *canvas* in place.

    Attributes:
        canvas: what is painted on.
        scale: radii are given in units of this many pixels.
        cloth: a tile multiplied into the colour, at least *scale* pixels wide and high.
    """

    canvas: RgbImage
    scale: float
    cloth: Plane | None = None

    def lathe(self, start: Point, end: Point, radii: Sequence[float], colour: Colour) -> None:
        """Paint a body of revolution about the axis from *start* to *end*, lit from the upper left.

        Its profile is given by *radii* at equal steps along the axis, at least two.
        """
        radii = [radius * self.scale for radius in radii]
        box = _box(self.canvas, (start, end), max(radii) + 1.0)
        if box is None:
            return
        along, across = _axes(start, end)
        y, x = np.ogrid[box]
        dx, dy = x - start[0], y - start[1]
        position, offset = dx * along[0] + dy * along[1], dx * across[0] + dy * across[1]
        steps = np.linspace(0.0, _length(start, end), len(radii))
        radius = np.interp(position, steps, radii, left=-1.0, right=-1.0)
        light = _lambert(offset / np.maximum(radius, 1.0), across)
        if self.cloth is not None:
            light = light * self.cloth[: light.shape[0], : light.shape[1]]
        _blend(
            self.canvas[box],
            light[..., None] * np.asarray(colour, np.float32),
            np.clip(radius - np.abs(offset) + 0.5, 0, 1),
        )

    def limb(self, joints: Sequence[Point], radii: Sequence[float], colour: Colour) -> None:
        """Paint a chain of tapering bones with round ends through *joints*, as thick at each joint as *radii* say."""
        for start, end, r0, r1 in zip(joints, joints[1:], radii, radii[1:], strict=False):
            (ux, uy), _ = _axes(start, end)
            length, r0_px, r1_px = _length(start, end), r0 * self.scale, r1 * self.scale
            along = np.linspace(-r0_px, length + r1_px, BONE_STEPS)
            beyond = np.where(along < 0.0, along / r0_px, np.maximum(along - length, 0.0) / r1_px)
            profile = np.interp(along, (0.0, length), (r0, r1)) * np.sqrt(1.0 - np.minimum(beyond**2, 1.0))
            first, last = (start[0] - ux * r0_px, start[1] - uy * r0_px), (end[0] + ux * r1_px, end[1] + uy * r1_px)
            self.lathe(first, last, profile.tolist(), colour)

    def ball(self, centre: Point, radii: tuple[float, float], colour: Colour) -> None:
        """Paint an ellipsoid with half axes *radii*, across and up, around *centre*."""
        profile = radii[0] * np.sqrt(1.0 - np.linspace(-1.0, 1.0, 17) ** 2)
        top, bottom = centre[1] - radii[1] * self.scale, centre[1] + radii[1] * self.scale
        self.lathe((centre[0], top), (centre[0], bottom), profile.tolist(), colour)

    def shadow(self, centre: Point, radii: tuple[float, float], depth: float) -> None:
        """Darken a soft ellipse with half axes *radii* on the ground by at most *depth* (0 to 1)."""
        rx, ry = radii[0] * self.scale, radii[1] * self.scale
        box = _box(self.canvas, (centre,), rx)
        if box is None:
            return
        y, x = np.ogrid[box]
        distance = np.square((x - centre[0]) / rx) + np.square((y - centre[1]) / ry)
        region = self.canvas[box]
        region[:] = region * (1.0 - depth * np.exp(-2.0 * distance))[..., None]


def _length(start: Point, end: Point) -> float:
    return hypot(end[0] - start[0], end[1] - start[1]) or 1.0


def _axes(start: Point, end: Point) -> tuple[Point, Point]:
    """Give the unit vectors along and across the way from *start* to *end*."""
    length = _length(start, end)
    ux, uy = (end[0] - start[0]) / length, (end[1] - start[1]) / length
    return (ux, uy), (-uy, ux)


def _box(canvas: RgbImage, points: Sequence[Point], margin: float) -> tuple[slice, slice] | None:
    """Give rows and columns of *canvas* within *margin* pixels of *points*; None when all are outside of it."""
    xs, ys = zip(*points, strict=True)
    left, right = max(0, int(min(xs) - margin)), min(canvas.shape[1], int(max(xs) + margin) + 2)
    top, bottom = max(0, int(min(ys) - margin)), min(canvas.shape[0], int(max(ys) + margin) + 2)
    return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None


def _lambert(turn: NDArray[np.float64], across: Point) -> NDArray[np.float64]:
    """Light on a surface whose normal is turned by *turn* (-1 to 1) towards *across* (Lambert's cosine law)."""
    turn = np.clip(turn, -1.0, 1.0)
    facing = turn * (across[0] * LIGHT[0] + across[1] * LIGHT[1]) + np.sqrt(1.0 - turn * turn) * LIGHT[2]
    return np.asarray(AMBIENT + DIFFUSE * np.maximum(facing, 0.0))


def _blend(region: RgbImage, paint: NDArray[np.float64], cover: NDArray[np.float64]) -> None:
    """Lay *paint* over *region* in place, as opaque as *cover* (0 to 1) says."""
    mixed = region + (np.minimum(paint, 255.0) - region) * cover[..., None]
    region[:] = mixed.astype(np.uint8)
