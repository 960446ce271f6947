"""The demo's scene: a street with people who walk by, rendered beforehand by `training.synthetic.street`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from edge_worker.imaging.arrays import RgbImage

WIDTH, HEIGHT = 960, 540
FRAMES_PER_S = 5
_FOLDER = Path(__file__).parent / "street"


class Scene:
    """A loop of images."""

    def __init__(self) -> None:
        """List the images."""
        self._paths = sorted(_FOLDER.glob("*.webp"))

    @property
    def seconds(self) -> float:
        """How long the loop is."""
        return len(self._paths) / FRAMES_PER_S

    def at(self, seconds: float) -> RgbImage:
        """The image *seconds* after the beginning: RGB uint8 of shape (HEIGHT, WIDTH, 3)."""
        number = int(seconds * FRAMES_PER_S + 1e-6) % len(self._paths)  # so that 0.6 s is the third and not the second
        stored = np.frombuffer(self._paths[number].read_bytes(), np.uint8)
        return np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR_RGB), np.uint8)
