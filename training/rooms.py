"""Images without people: drawn rooms, street photos with the person inpainted, frames of fixed cameras."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from training.cache import Pack

if TYPE_CHECKING:
    from pathlib import Path

    from training.sharp import SharpPictures

Image = npt.NDArray[np.uint8]
Shape = tuple[int, int]

_DARK, _LIGHT = 15, 245  # range of drawn colours


class Backgrounds:
    """Random images of any shape without people."""

    def __init__(self, cache: Path, names: frozenset[str], sharp: SharpPictures | None = None) -> None:
        """Take streets from the photos in `names`, and frames from the background videos."""
        self._sharp = sharp
        streets = Pack(cache / "streets.bin")
        self._streets = [streets[i] for i, name in enumerate(streets.names) if name in names]
        frames = Pack(cache / "frames.bin")
        self._frames = [frames[i] for i in range(len(frames))]

    def draw(self, rng: np.random.Generator, shape: Shape) -> Image:
        """Return RGB uint8 H×W×3: half sharp images, if any; of the rest half streets, a tenth camera frames."""
        if self._sharp is not None and rng.random() < 0.5:
            return self._sharp.draw(rng, shape)
        kind = rng.random()
        if kind < 0.5:
            return random_crop(rng, self._streets[rng.integers(len(self._streets))], shape)
        if kind < 0.6:
            return random_crop(rng, self._frames[rng.integers(len(self._frames))], shape, most=1.3)
        return draw_room(rng, shape)


def random_crop(rng: np.random.Generator, image: Image, shape: Shape, most: float = 1.8) -> Image:
    """Return a crop, scaled to fill the shape and up to `most` times larger, mirrored half the time."""
    height, width = shape
    scale = max(height / image.shape[0], width / image.shape[1]) * rng.uniform(1.0, most)
    size = (max(width, round(image.shape[1] * scale)), max(height, round(image.shape[0] * scale)))
    large = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    x, y = rng.integers(size[0] - width + 1), rng.integers(size[1] - height + 1)
    crop = large[y : y + height, x : x + width]
    return np.ascontiguousarray(crop[:, ::-1] if rng.random() < 0.5 else crop)


def draw_room(rng: np.random.Generator, shape: Shape) -> Image:
    """Draw walls, floor, pillars and furniture, from a slightly tilted camera, in uneven light."""
    margin = max(shape) // 8
    height, width = shape[0] + 2 * margin, shape[1] + 2 * margin
    room = np.empty((height, width, 3), dtype=np.uint8)
    horizon = int(height * rng.uniform(0.3, 0.8))
    room[:horizon] = _gradient(rng, (horizon, width))
    room[horizon:] = _gradient(rng, (height - horizon, width))
    floors = (_draw_joints, _draw_planks, _draw_planks, None)
    draw_floor = floors[rng.integers(len(floors))]
    if draw_floor is not None:
        draw_floor(rng, room, horizon)
    if rng.random() < 0.5:
        _draw_skirting(rng, room, horizon)
    for most, draw_on_floor in ((6, _draw_box), (2, _draw_pillar), (2, _draw_chair)):
        for _ in range(rng.integers(0, most + 1)):
            draw_on_floor(rng, room, horizon)
    for most, draw_anywhere in ((3, _draw_stand), (2, _draw_ellipse)):
        for _ in range(rng.integers(0, most + 1)):
            draw_anywhere(rng, room)
    askew = _tilted(rng, room)
    return _lit(rng, np.ascontiguousarray(askew[margin:-margin, margin:-margin]))


def _colour(rng: np.random.Generator) -> tuple[float, ...]:
    grey = rng.uniform(_DARK, _LIGHT)
    return tuple(float(v) for v in np.clip(grey + rng.normal(0, 25, 3), _DARK, _LIGHT))


def _wood(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return a wood colour, pale to dark: the hues are those of skin."""
    return np.asarray(np.array([1.0, rng.uniform(0.5, 0.85), rng.uniform(0.25, 0.65)]) * rng.uniform(70, 235))


def _shaded(colour: npt.NDArray[np.float64], factor: float) -> tuple[float, ...]:
    return tuple(float(v) for v in np.clip(colour * factor, 0, 255))


def _gradient(rng: np.random.Generator, shape: Shape) -> Image:
    corners = np.array([[_colour(rng), _colour(rng)], [_colour(rng), _colour(rng)]], dtype=np.float32)
    mean = corners.mean(axis=(0, 1))
    corners = mean + rng.uniform(0.02, 0.35) * (corners - mean)
    return np.asarray(cv2.resize(corners, shape[::-1], interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _draw_joints(rng: np.random.Generator, room: Image, horizon: int) -> None:
    """Draw lines that run towards the viewer."""
    height, width = room.shape[:2]
    shade = float(rng.uniform(0.5, 0.95))
    colour = tuple(float(v) for v in room[horizon + (height - horizon) // 2, width // 2] * shade)
    for far, near in _running(rng, width):
        cv2.line(room, (far, horizon), (near, height), colour, 1, cv2.LINE_AA)


def _draw_planks(rng: np.random.Generator, room: Image, horizon: int) -> None:
    """Draw a wooden floor: every plank, and each piece of it, has its own hue."""
    height = room.shape[0]
    wood, varied = _wood(rng), rng.uniform(0.03, 0.2)
    places = _running(rng, room.shape[1])
    for (left, near_left), (right, near_right) in itertools.pairwise(places):
        cut = rng.uniform(0.2, 0.9)
        for top, bottom in ((0.0, cut), (cut, 1.0)):
            corners = [(left, near_left, top), (right, near_right, top), (right, near_right, bottom)]
            corners.append((left, near_left, bottom))
            outline = [(far + (near - far) * at, horizon + (height - horizon) * at) for far, near, at in corners]
            cv2.fillConvexPoly(room, np.array(outline, dtype=np.int32), _shaded(wood, 1 + rng.normal(0, varied)))


def _running(rng: np.random.Generator, width: int) -> list[tuple[int, int]]:
    """Return where lines towards the viewer start at the horizon and where they leave the image (x, px)."""
    centre, spread, step = rng.uniform(-0.5, 1.5) * width, rng.uniform(0.3, 1.0), rng.uniform(8, 60)
    return [(int(centre + spread * (x - centre)), int(x)) for x in np.arange(-3 * width, 4 * width, step)]


def _draw_skirting(rng: np.random.Generator, room: Image, horizon: int) -> None:
    """Draw the skirting board."""
    board = int(rng.integers(2, 3 + room.shape[0] // 30))
    cv2.rectangle(room, (0, horizon - board), (room.shape[1], horizon), _shaded(_wood(rng), 1.0), -1)


def _draw_pillar(rng: np.random.Generator, room: Image, horizon: int) -> None:
    """Draw a pillar down to the floor, round or square, plain or stained: upright and larger than people."""
    height, width = room.shape[:2]
    across = int(width * rng.uniform(0.02, 0.16)) + 2
    x, foot = int(rng.uniform(0, width - across)), int(min(height, horizon + height * rng.uniform(0.0, 0.35)))
    side = np.linspace(-1, 1, across)
    shade = 1 - rng.uniform(0, 0.5) * (side**2 if rng.random() < 0.5 else (side > rng.uniform(-1, 1)))
    stained = np.clip(np.array(_colour(rng))[None, None] * shade[None, :, None] + _stains(rng, (foot, across)), 0, 255)
    room[:foot, x : x + across] = stained


def _stains(rng: np.random.Generator, shape: Shape) -> npt.NDArray[np.float32]:
    """Return stains of concrete, large and soft, H×W×1."""
    cells = rng.normal(0, rng.uniform(0, 12), (8, 4)).astype(np.float32)
    return np.asarray(cv2.resize(cells, shape[::-1], interpolation=cv2.INTER_CUBIC)[..., None], dtype=np.float32)


def _draw_chair(rng: np.random.Generator, room: Image, horizon: int) -> None:
    """Draw a seat and a back on legs, half as high as a person."""
    height, width = room.shape[:2]
    tall, wide = int(height * rng.uniform(0.12, 0.4)), int(width * rng.uniform(0.03, 0.12))
    x, foot = int(rng.uniform(0, width)), int(horizon + (height - horizon) * rng.uniform(0.1, 1.0))
    seat, colour, thick = foot - tall // 2, _colour(rng), int(rng.integers(1, max(2, width // 80)))
    for leg in (x, x + wide):
        cv2.line(room, (leg, seat), (leg + int(rng.normal(0, wide / 8)), foot), _colour(rng), thick)
    cv2.rectangle(room, (x, foot - tall), (x + wide, seat - int(rng.uniform(0, tall / 4))), colour, -1)
    cv2.rectangle(room, (x, seat - tall // 8), (x + wide, seat), colour, -1)


def _tilted(rng: np.random.Generator, room: Image) -> Image:
    """Rotate slightly and make verticals converge, as for a camera that looks down."""
    height, width = room.shape[:2]
    lean, turn = rng.uniform(-0.1, 0.1) * width, rng.uniform(-0.04, 0.04) * height
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    moved = corners + np.array([[-lean, turn], [lean, -turn], [0, -turn], [0, turn]], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(corners, moved)
    return np.asarray(cv2.warpPerspective(room, matrix, (width, height), borderMode=cv2.BORDER_REFLECT), dtype=np.uint8)


def _draw_box(rng: np.random.Generator, room: Image, horizon: int) -> None:
    """Draw a cabinet, window, picture or table top, sometimes with a border and inner lines."""
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
    """Draw a pole with a top and a foot: a lamp, a bar table, a sign; as tall and thin as a person."""
    height, width = room.shape[:2]
    x, top = int(rng.uniform(0, width)), int(height * rng.uniform(0.05, 0.6))
    bottom, half = int(min(height, top + height * rng.uniform(0.2, 0.8))), int(width * rng.uniform(0.01, 0.1))
    colour, thick = _colour(rng), int(rng.integers(1, max(2, width // 40)))
    cv2.line(room, (x, top), (x, bottom), colour, thick)
    cv2.ellipse(room, (x, top), (half, max(1, half // int(rng.integers(1, 5)))), 0, 0, 360, _colour(rng), -1)
    cv2.line(room, (x - half, bottom), (x + half, bottom), colour, thick)


def _draw_ellipse(rng: np.random.Generator, room: Image) -> None:
    """Draw something round: a plant, a cushion, a clock."""
    height, width = room.shape[:2]
    centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
    axes = (int(width * rng.uniform(0.01, 0.12)), int(height * rng.uniform(0.01, 0.15)))
    cv2.ellipse(room, centre, axes, float(rng.uniform(0, 180)), 0, 360, _colour(rng), -1)


def _lit(rng: np.random.Generator, room: Image) -> Image:
    """Apply uneven light and a soft texture of random strength."""
    cells = rng.normal(1.0, rng.uniform(0.02, 0.12), (int(rng.integers(2, 5)), int(rng.integers(2, 5)))).astype(
        np.float32
    )
    grain = rng.normal(0.0, rng.uniform(0.0, 0.05), (room.shape[0] // 4, room.shape[1] // 4)).astype(np.float32)
    size = room.shape[1::-1]
    light = cv2.resize(cells, size, interpolation=cv2.INTER_CUBIC) + cv2.resize(grain, size)
    return np.clip(room * light[..., None], 0, 255).astype(np.uint8)
