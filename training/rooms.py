"""Pictures without people: drawn rooms, street photos with the person painted over, frames of fixed cameras."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from training.cache import Pack

if TYPE_CHECKING:
    from pathlib import Path

Image = npt.NDArray[np.uint8]
Shape = tuple[int, int]

_DARK, _LIGHT = 15, 245  # range of drawn colours


class Backgrounds:
    """Random person-free pictures of any shape."""

    def __init__(self, cache: Path, names: frozenset[str]) -> None:
        """Streets come from the photos called `names`; frames from the background videos."""
        streets = Pack(cache / "streets.bin")
        self._streets = [streets[i] for i, name in enumerate(streets.names) if name in names]
        frames = Pack(cache / "frames.bin")
        self._frames = [frames[i] for i in range(len(frames))]

    def draw(self, rng: np.random.Generator, shape: Shape) -> Image:
        """RGB uint8 H×W×3: half streets, a tenth camera frames, the rest drawn rooms."""
        kind = rng.random()
        if kind < 0.5:
            return random_crop(rng, self._streets[rng.integers(len(self._streets))], shape)
        if kind < 0.6:
            return random_crop(rng, self._frames[rng.integers(len(self._frames))], shape)
        return draw_room(rng, shape)


def random_crop(rng: np.random.Generator, image: Image, shape: Shape) -> Image:
    """A part of a picture, scaled to fill the shape, mirrored half the time."""
    height, width = shape
    scale = max(height / image.shape[0], width / image.shape[1]) * rng.uniform(1.0, 1.8)
    size = (max(width, round(image.shape[1] * scale)), max(height, round(image.shape[0] * scale)))
    large = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    x, y = rng.integers(size[0] - width + 1), rng.integers(size[1] - height + 1)
    crop = large[y : y + height, x : x + width]
    return np.ascontiguousarray(crop[:, ::-1] if rng.random() < 0.5 else crop)


def draw_room(rng: np.random.Generator, shape: Shape) -> Image:
    """Walls, floor, furniture: gradients and boxes with uneven light."""
    height, width = shape
    room = np.empty((height, width, 3), dtype=np.uint8)
    horizon = int(height * rng.uniform(0.3, 0.8))
    room[:horizon] = _gradient(rng, (horizon, width))
    room[horizon:] = _gradient(rng, (height - horizon, width))
    if rng.random() < 0.5:
        _draw_planks(rng, room, horizon)
    for _ in range(rng.integers(0, 7)):
        _draw_box(rng, room, horizon)
    for _ in range(rng.integers(0, 4)):
        _draw_stand(rng, room)
    for _ in range(rng.integers(0, 3)):
        _draw_ellipse(rng, room)
    return _lit(rng, room)


def _colour(rng: np.random.Generator) -> tuple[float, ...]:
    grey = rng.uniform(_DARK, _LIGHT)
    return tuple(float(v) for v in np.clip(grey + rng.normal(0, 25, 3), _DARK, _LIGHT))


def _gradient(rng: np.random.Generator, shape: Shape) -> Image:
    corners = np.array([[_colour(rng), _colour(rng)], [_colour(rng), _colour(rng)]], dtype=np.float32)
    corners = corners.mean(axis=(0, 1)) + 0.35 * (corners - corners.mean(axis=(0, 1)))
    return np.asarray(cv2.resize(corners, shape[::-1], interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _draw_planks(rng: np.random.Generator, room: Image, horizon: int) -> None:
    height, width = room.shape[:2]
    centre, shade = rng.uniform(-0.5, 1.5) * width, float(rng.uniform(0.5, 0.95))
    colour = tuple(float(v) for v in room[horizon + (height - horizon) // 2, width // 2] * shade)
    for x in np.arange(-2 * width, 3 * width, rng.uniform(12, 60)):
        cv2.line(room, (int(centre + 0.3 * (x - centre)), horizon), (int(x), height), colour, 1, cv2.LINE_AA)


def _draw_box(rng: np.random.Generator, room: Image, horizon: int) -> None:
    """A cabinet, window, picture or table top, with a border and inner lines at times."""
    height, width = room.shape[:2]
    w, h = int(width * rng.uniform(0.04, 0.45)), int(height * rng.uniform(0.05, 0.6))
    x = int(rng.uniform(-0.1, 0.95) * width)
    y = int(horizon - h * rng.uniform(0.2, 1.3))
    cv2.rectangle(room, (x, y), (x + w, y + h), _colour(rng), -1)
    if rng.random() < 0.6:
        cv2.rectangle(room, (x, y), (x + w, y + h), _colour(rng), int(rng.integers(1, 5)))
    for part in range(1, int(rng.integers(1, 5))):
        cv2.line(room, (x, y + part * h // 4), (x + w, y + part * h // 4), _colour(rng), 1)


def _draw_stand(rng: np.random.Generator, room: Image) -> None:
    """A pole with a top and a foot: a lamp, a bar table, a sign. As tall and thin as a person, and none."""
    height, width = room.shape[:2]
    x, top = int(rng.uniform(0, width)), int(height * rng.uniform(0.05, 0.6))
    bottom, half = int(min(height, top + height * rng.uniform(0.2, 0.8))), int(width * rng.uniform(0.01, 0.1))
    colour, thick = _colour(rng), int(rng.integers(1, max(2, width // 40)))
    cv2.line(room, (x, top), (x, bottom), colour, thick)
    cv2.ellipse(room, (x, top), (half, max(1, half // int(rng.integers(1, 5)))), 0, 0, 360, _colour(rng), -1)
    cv2.line(room, (x - half, bottom), (x + half, bottom), colour, thick)


def _draw_ellipse(rng: np.random.Generator, room: Image) -> None:
    """Something round: a plant, a cushion, a clock."""
    height, width = room.shape[:2]
    centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
    axes = (int(width * rng.uniform(0.01, 0.12)), int(height * rng.uniform(0.01, 0.15)))
    cv2.ellipse(room, centre, axes, float(rng.uniform(0, 180)), 0, 360, _colour(rng), -1)


def _lit(rng: np.random.Generator, room: Image) -> Image:
    """Uneven light and a soft texture over everything."""
    cells = rng.normal(1.0, 0.12, (int(rng.integers(2, 5)), int(rng.integers(2, 5)))).astype(np.float32)
    grain = rng.normal(0.0, 0.05, (room.shape[0] // 4, room.shape[1] // 4)).astype(np.float32)
    size = room.shape[1::-1]
    light = cv2.resize(cells, size, interpolation=cv2.INTER_CUBIC) + cv2.resize(grain, size)
    return np.clip(room * light[..., None], 0, 255).astype(np.uint8)
