"""Frames to measure with: files, or the demo's scene at a given size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge_worker.common.errors import EdgeWorkerError
from edge_worker.imaging.encoder import encode_jpeg
from edge_worker.tools.image_files import find_all_there
from edge_worker.tools.scene import scene_at

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_QUALITY = 90
_SECOND = 3.2  # of the scene: three people are in view


def frames(paths: Sequence[Path], size: tuple[int, int], folder: Path) -> list[Path]:
    """Return the images in *paths*; without paths a frame of the scene, *size* (width, height), written to *folder*.

    Raises:
        EdgeWorkerError: there are no images in *paths*, or one is missing.
    """
    if not paths:
        return [scene_frame(size, folder)]
    if found := find_all_there(paths):
        return found
    raise EdgeWorkerError("no images there")


def scene_frame(size: tuple[int, int], folder: Path) -> Path:
    """Write a frame of the scene, *size* (width, height), as a JPEG to *folder*."""
    file = folder / f"scene-{size[0]}x{size[1]}.jpg"
    image = cv2.resize(scene_at(_SECOND), size, interpolation=cv2.INTER_LINEAR)
    file.write_bytes(encode_jpeg(np.asarray(image, np.uint8), _QUALITY))
    return file
