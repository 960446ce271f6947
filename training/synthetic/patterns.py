"""256×256 patterns for rooms and cloth, drawn from one fixed seed, and the shelf photos of the pack."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from training.synthetic.cloth_patterns import add_cloth
from training.synthetic.painter import SIZE, Painter

if TYPE_CHECKING:
    from training.synthetic.assets import Pack
    from training.synthetic.geometry import Array


class Patterns(NamedTuple):
    """Layers uint8 (256, 256, 3), their names (several may share one), and normals of wrinkles as an image."""

    layers: list[npt.NDArray[np.uint8]]
    names: list[str]
    wrinkles: npt.NDArray[np.uint8]


def build_patterns(pack: Pack) -> Patterns:
    """Draw all patterns."""
    painter = Painter()
    _surfaces(painter)
    _shelves(painter)
    _walls(painter)
    for name in pack.names("groc_"):
        painter.add("grocery", pack.image(name)[:, :, ::-1] / 255.0)
    add_cloth(painter)
    return Patterns(painter.layers, painter.names, _wrinkles(painter))


def _surfaces(p: Painter) -> None:
    p.add("paint", 0.95 + 0.05 * p.noise(4))
    for _ in range(2):
        p.add("paint", 0.93 + 0.03 * p.noise(8) + 0.04 * p.grain())
    for k in range(3):
        planks = p.rows * (4 + 2 * k)
        grey = (0.55 + 0.3 * p.noise(2, 32)) * (0.75 + 0.4 * ((np.floor(planks) * 0.37) % 1))
        p.add("wood", (grey * (1 - 0.5 * (planks % 1 < 0.03)))[:, :, None] * np.array([1, 0.75, 0.5]))
    for k in range(3):
        across, down = p.columns * (2 + 2 * k), p.rows * (2 + 2 * k)
        grey = (0.75 + 0.2 * p.noise(6)) * (1 - 0.35 * ((across % 1 < 0.03) | (down % 1 < 0.03)))
        checks = (np.floor(across) + np.floor(down)) % 2 if k == 1 else 0
        p.add("tile", grey * (1 - 0.35 * checks))
    for _ in range(2):
        p.add("carpet", 0.6 + 0.25 * p.noise(40, 40, 1) + 0.2 * p.grain() - 0.1)
    for _ in range(2):
        p.add("concrete", 0.62 + 0.13 * p.noise(4, 4, 5) + 0.08 * p.grain())
    _brick(p)


def _brick(p: Painter) -> None:
    row = np.floor(p.rows * 8)
    across = (p.columns * 4 + 0.5 * (row % 2)) % 1
    bricks = (0.65 + 0.25 * p.noise(16))[:, :, None] * np.array([1, 0.6, 0.5])
    bricks[(across < 0.04) | ((p.rows * 8) % 1 < 0.08)] = 0.75
    p.add("brick", bricks)


def _shelves(p: Painter) -> None:
    for _ in range(6):
        picture, y = np.zeros((SIZE, SIZE, 3), np.float32) + 0.1, 0
        while y < SIZE:
            height = int(p.rng.integers(30, 64))
            _row_of_products(p, picture, y, height)
            cv2.rectangle(picture, (0, y + height - 4), (SIZE, y + height - 1), (0.85, 0.85, 0.82), -1)
            y += height
        p.add("products", picture)
    for _ in range(2):
        picture, y = np.zeros((SIZE, SIZE, 3), np.float32) + 0.15, 0
        while y < SIZE:
            height = int(p.rng.integers(40, 64))
            _row_of_books(p, picture, y, height)
            cv2.rectangle(picture, (0, y + height - 4), (SIZE, y + height - 1), (0.45, 0.3, 0.2), -1)
            y += height
        p.add("books", picture)


def _row_of_products(p: Painter, picture: Array, y: int, height: int) -> None:
    """Draw several products of one kind side by side, with labels."""
    rng, x = p.rng, 0
    while x < SIZE:
        width, tall = int(rng.integers(8, 40)), int(height * rng.uniform(0.6, 0.92))
        colour, label = rng.random(3) ** 0.7 * 0.9 + 0.1, rng.random(3)
        top = y + height - tall
        for _ in range(int(rng.integers(1, 6))):
            if x >= SIZE:
                break
            right = min(SIZE - 1, x + width - 2)
            cv2.rectangle(picture, (x, top), (right, y + height - 4), colour.tolist(), -1)
            corners = (x + 2, top + int(tall * 0.3)), (min(SIZE - 1, x + width - 4), top + int(tall * 0.6))
            cv2.rectangle(picture, *corners, label.tolist(), -1)
            x += width


def _row_of_books(p: Painter, picture: Array, y: int, height: int) -> None:
    rng, x = p.rng, 0
    while x < SIZE:
        width, colour = int(rng.integers(4, 12)), (rng.random(3) * 0.8).tolist()
        tall = int(height * rng.uniform(0.7, 0.93))
        cv2.rectangle(picture, (x, y + height - tall), (x + width - 2, y + height - 4), colour, -1)
        x += width


def _walls(p: Painter) -> None:
    for _ in range(6):
        p.add("poster", _poster(p))
    for k in range(2):
        picture = np.ones((SIZE, SIZE, 3), np.float32) * np.array([1, 0.97, 0.9])
        picture *= (1 - 0.35 * p.rows + 0.15 * p.noise(3))[:, :, None]
        picture[int(SIZE * 0.6) :] *= np.array([0.6, 0.75, 0.5]) if k else 0.7
        for frame in range(0, SIZE, 128):
            picture[frame : frame + 7] = picture[:, frame : frame + 7] = 0.35
        p.add("window", picture)
    for k in range(2):
        p.add("board", _board(p, dark=k == 1))
    p.add("cardboard", (0.75 + 0.15 * p.noise(3, 20))[:, :, None] * np.array([0.85, 0.65, 0.45]))
    p.add("metal", 0.6 + 0.15 * p.noise(2, 60, 2))
    p.add("asphalt", 0.35 + 0.2 * p.grain() * p.noise(8))
    p.add("grass", (0.35 + 0.4 * p.noise(30, 60, 2))[:, :, None] * np.array([0.55, 0.8, 0.35]))


def _poster(p: Painter) -> Array:
    rng = p.rng
    picture = np.ones((SIZE, SIZE, 3), np.float32) * rng.random(3).astype(np.float32) ** 0.4
    for _ in range(int(rng.integers(2, 9))):
        colour, (x, y) = p.bright(), rng.integers(0, SIZE, 2)
        size = int(rng.integers(10, 90))
        if rng.random() < 0.5:
            cv2.circle(picture, (int(x), int(y)), size // 2, colour, -1)
        else:
            corner = (int(x + size), int(y + size * rng.uniform(0.2, 1.5)))
            cv2.rectangle(picture, (int(x), int(y)), corner, colour, -1)
    if rng.random() < 0.8:
        box = (20, int(rng.integers(20, 150)), 200, int(rng.integers(30, 100)))
        p.lines_of_text(picture, box, list(rng.random(3) * 0.4))
    return picture


def _board(p: Painter, *, dark: bool) -> Array:
    rng = p.rng
    picture = np.ones((SIZE, SIZE, 3), np.float32) * (0.18 if dark else 0.95)
    for _ in range(6):
        x, y, width, height = (int(rng.integers(*span)) for span in ((5, 130), (5, 200), (40, 110), (10, 40)))
        p.lines_of_text(picture, (x, y, width, height), list(rng.random(3) * 0.5 + (0.5 if dark else 0)))
    return picture


def _wrinkles(p: Painter) -> npt.NDArray[np.uint8]:
    ridges = np.abs(p.noise(5, 9, 4) - 0.5) * 2
    slopes = [np.clip(0.5 + (np.roll(ridges, -1, axis) - np.roll(ridges, 1, axis)) * 8, 0, 1) for axis in (1, 0)]
    return np.asarray(np.stack([*slopes, np.ones_like(ridges)], 2) * 255).astype(np.uint8)
