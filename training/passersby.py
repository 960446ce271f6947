"""Pseudo ground truth for an unlabelled video of passers-by, by background subtraction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from training.cache import video_frames

if TYPE_CHECKING:
    from pathlib import Path

Image = npt.NDArray[np.uint8]

_CHANGED = 28  # levels by which a channel must differ from the background
_BACKGROUND_FRAMES = 140  # number of frames for estimating the background
_APART = 10  # of those frames: nobody stands still for that long
_LEAST = 0.012  # share of the frame: less is a hand, a shadow, noise
_TALL = 0.35  # of the frame's height: less is not a whole person here
_EDGE = 4  # px from the frame's edge: nearer, the person may be cut


class Rectangle(NamedTuple):
    """Left, top, width, height, px."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class View:
    """A frame, what changed in it, and whether that is a whole person (None if uncertain)."""

    number: int
    image: Image
    box: Rectangle | None
    whole: bool


def background(path: Path) -> Image:
    """Return the background: the median of frames that look alike though far apart; people do not come back."""
    frames = np.stack([image for _, image in video_frames(path, step=_step(path))])
    small = frames[:, ::4, ::4].astype(np.int16)
    apart = np.abs(np.subtract.outer(np.arange(len(frames)), np.arange(len(frames)))) > _APART
    alike = np.array([(np.abs(small - one).max(axis=3) > _CHANGED).mean(axis=(1, 2)) < _LEAST / 4 for one in small])
    returns = (alike & apart).sum(axis=1)
    empty = alike[int(np.argmax(returns))]
    return np.asarray(np.median(frames[empty], axis=0), dtype=np.uint8)


def _step(path: Path) -> int:
    return max(1, int(cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT)) // _BACKGROUND_FRAMES)


def views(path: Path, every: int) -> list[View]:
    """Return every n-th frame, with the largest moving object."""
    empty = background(path)
    return [_view(index * every, image, empty) for index, (_, image) in enumerate(video_frames(path, step=every))]


def _view(number: int, image: Image, empty: Image) -> View:
    box = largest_change(image, empty)
    if box is None:
        return View(number, image, None, whole=False)
    height, width = image.shape[:2]
    inside = box.x > _EDGE and box.x + box.width < width - _EDGE and box.y + box.height < height - _EDGE
    return View(number, image, box, inside and box.height > _TALL * height and box.height > 1.3 * box.width)


def largest_change(image: Image, empty: Image) -> Rectangle | None:
    """Return the box of the largest region that differs from the background, with gaps of a few pixels closed."""
    changed = (cv2.absdiff(image, empty).max(axis=2) > _CHANGED).astype(np.uint8)
    closed = cv2.morphologyEx(changed, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    closed = cv2.morphologyEx(closed, cv2.MORPH_CLOSE, np.ones((25, 9), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(closed)
    pieces = [stats[i] for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] > _LEAST * changed.size]
    if not pieces:
        return None
    return Rectangle(*(int(v) for v in max(pieces, key=lambda piece: int(piece[cv2.CC_STAT_AREA]))[:4]))


def box_iou(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> float:
    """Return the intersection over union of two boxes (x, y, width, height)."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(0, width) * max(0, height)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)
