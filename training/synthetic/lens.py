"""Camera effects on a rendered image: contact shadows, barrel distortion, blur, colour, noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from training.synthetic.geometry import Array
    from training.synthetic.renderer import Drawn

Image = npt.NDArray[np.uint8]

_RINGS = 14  # samples of the contact shadows
_FARTHEST = 30  # m: beyond, there are none
_MOST_DISTORTED = 4.0  # maximum squared distance from the centre, in half widths, of a joint outside the image


class Shot(NamedTuple):
    """Image float32 H×W×3, class + 20 × person uint8 H×W, and the distortion coefficient."""

    picture: Array
    labels: Image
    k1: float


def take(rng: np.random.Generator, drawn: Drawn, fov: float, size: tuple[int, int]) -> Shot:
    """Return the image at *size* (width, height), half the size at which it was rendered."""
    shadows = contact_shadows(rng, drawn.depth, fov, size)
    small = cv2.resize(drawn.colours, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    picture = small * (1 - np.clip(shadows * rng.uniform(0.35, 0.85), 0, 0.5))[:, :, None]
    classes, persons = (drawn.labels[::2, ::2, channel].copy() for channel in (0, 1))
    classes[persons == 0] = 0
    labels = (classes + 20 * persons).astype(np.uint8)
    k1 = float(rng.uniform(0.02, 0.22)) if rng.random() < 0.3 and fov > 50 else 0.0
    if k1:
        picture, labels = _distorted(picture, labels, k1, size)
    return Shot(picture, labels, k1)


def contact_shadows(rng: np.random.Generator, depth: Array, fov: float, size: tuple[int, int]) -> Array:
    """Return the screen-space ambient occlusion of each pixel, H×W in 0…1."""
    width, height = size[0] // 2, size[1] // 2
    small = cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST)
    focal = width / (2 * np.tan(np.deg2rad(fov) / 2))
    rows, columns = np.mgrid[0:height, 0:width]
    total = np.zeros_like(small)
    for k in range(_RINGS):
        angle = k * 2.399 + rng.uniform(0, 6.28, small.shape) * 0.15
        radius = np.clip((0.06 + 0.5 * ((k + 0.5) / _RINGS) ** 1.5) * focal / small, 1.0, 40.0)
        x = np.clip(columns + np.cos(angle) * radius, 0, width - 1).astype(int)
        y = np.clip(rows + np.sin(angle) * radius, 0, height - 1).astype(int)
        opposite = small[np.clip(2 * rows - y, 0, height - 1), np.clip(2 * columns - x, 0, width - 1)]
        nearer = 0.5 * ((small - small[y, x]) + (small - opposite))
        total += np.clip(nearer / 0.03 - 0.3, 0, 1) * (nearer < 0.45)
    smooth = cv2.resize(cv2.GaussianBlur(total / _RINGS, (0, 0), 1.2), size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(smooth * (cv2.resize(small, size) < _FARTHEST))


def _distorted(picture: Array, labels: Image, k1: float, size: tuple[int, int]) -> tuple[Array, Image]:
    """Apply barrel distortion that keeps the left and right edges in place."""
    width, height = size
    half = width / 2
    x, y = np.meshgrid((np.arange(width) - half + 0.5) / half, (np.arange(height) - height / 2 + 0.5) / half)
    factor = (1 + k1 * (x * x + y * y)) / (1 + k1 * 1.0)
    across = ((x * factor) * half + half - 0.5).astype(np.float32)
    down = ((y * factor) * half + height / 2 - 0.5).astype(np.float32)
    moved = cv2.remap(picture, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    moved_labels = cv2.remap(labels, across, down, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    return moved, np.asarray(moved_labels, dtype=np.uint8)


def projected(points: Array, drawn: Drawn, k1: float, size: tuple[int, int]) -> tuple[Array, Array]:
    """Return the positions of points (n, 3) in the image, px (n, 2), and their depth (n,)."""
    width, height = size
    at = np.c_[points, np.ones(len(points))] @ drawn.projection.T
    place = np.c_[(at[:, 0] / at[:, 3] * 0.5 + 0.5) * width, (0.5 - at[:, 1] / at[:, 3] * 0.5) * height]
    if k1:
        middle, half = np.array([width / 2, height / 2]), width / 2
        straight = (place - middle) / half
        bent = straight.copy()
        for _ in range(8):  # the inverse of the distortion, by iteration
            squared = np.minimum((bent**2).sum(1, keepdims=True), _MOST_DISTORTED)
            bent = straight * (1 + k1) / (1 + k1 * squared)
        place = bent * half + middle
    return place, at[:, 3]


def spoilt(rng: np.random.Generator, picture: Array) -> Image:
    """Apply blur, low resolution, colour and light changes, and noise; returns RGB uint8."""
    height, width = picture.shape[:2]
    if rng.random() < 0.5:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 1.0))
    if rng.random() < 0.3:
        scale = rng.uniform(0.3, 0.6)
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        picture = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    grey = picture.mean(2, keepdims=True)
    saturation = rng.uniform(0.6, 1.2) if rng.random() > 0.04 else 0
    picture = (grey + (picture - grey) * saturation) * (1 + rng.normal(0, 0.04, 3))
    picture = (picture - 128) * rng.uniform(0.8, 1.2) + 128 + rng.uniform(-12, 15)
    noise = rng.normal(0, rng.uniform(0, 7), picture.shape)
    picture = picture + noise * (0.6 + 0.4 * rng.random())
    return np.clip(picture, 0, 255).astype(np.uint8)
