"""The demo's scene: a street with people walking by, prerendered by `training.synthetic.street`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from edge_worker.imaging.arrays import RgbImage

FRAMES_PER_S: Final = 5
_PICTURES: Final = sorted((Path(__file__).parent / "street").glob("*.webp"))
SECONDS: Final = len(_PICTURES) / FRAMES_PER_S
"""Length of the scene before it repeats."""


def scene_at(seconds: float) -> RgbImage:
    """Return the frame *seconds* after the start: RGB uint8 of shape (540, 960, 3)."""
    number = int(seconds * FRAMES_PER_S + 1e-6) % len(_PICTURES)  # so that 0.6 s is the third and not the second
    stored = np.frombuffer(_PICTURES[number].read_bytes(), np.uint8)
    return np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR_RGB), np.uint8)
