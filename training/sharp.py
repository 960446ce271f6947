"""Sharp images without people: shops, conveyor belts, unworn garments.

The labelled street photos have blurred backgrounds; trained on them alone, the network finds whatever is in focus.
These images are scaled down, never enlarged, so that a background may be as sharp as a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from training.cache import read_rgb

if TYPE_CHECKING:
    from pathlib import Path

Image = npt.NDArray[np.uint8]
Shape = tuple[int, int]

EMPTY_FRAMES = ("bolt*.jpg", "fruit*.jpg")
_KEPT_EVERY = 8
_LARGEST = 0.95  # maximum scale of an image in a background


def files(data: Path, fetched: Path, *, kept: bool = False) -> list[list[Path]]:
    """Return the images by source: shelves, empty camera frames, and garments if the clothing data set was fetched.

    Every eighth is held out from training; *kept* returns those.
    """
    frames = [file for pattern in EMPTY_FRAMES for file in (data / "camera_frames").glob(pattern)]
    shelves = list((data / "grocery_mit").glob("*.jpg"))
    garments = list((fetched / "clothing-dataset/images").glob("*.jpg"))
    return [_share(sorted(source), kept=kept) for source in (shelves, frames, garments) if source]


def _share(source: list[Path], *, kept: bool) -> list[Path]:
    return [file for i, file in enumerate(source) if (i % _KEPT_EVERY == _KEPT_EVERY - 1) == kept]


class SharpPictures:
    """Backgrounds of any shape."""

    def __init__(self, sources: list[list[Path]], weights: tuple[float, ...] = (0.45, 0.1, 0.45)) -> None:
        """Choose sources by *weights*."""
        self._sources = sources
        self._weights = np.array(weights[: len(sources)]) / sum(weights[: len(sources)])

    def draw(self, rng: np.random.Generator, shape: Shape) -> Image:
        """Return RGB uint8 H×W×3: one image if it is large enough, else several of one source side by side."""
        source = self._sources[int(rng.choice(len(self._sources), p=self._weights))]
        columns: list[Image] = []
        while sum(column.shape[1] for column in columns) < shape[1]:
            columns.append(self._column(rng, read_rgb(source[int(rng.integers(len(source)))]), shape))
        wide = np.concatenate(columns, axis=1)
        x = int(rng.integers(wide.shape[1] - shape[1] + 1))
        return np.ascontiguousarray(wide[:, x : x + shape[1]])

    @staticmethod
    def _column(rng: np.random.Generator, image: Image, shape: Shape) -> Image:
        """Return a crop as high as the shape and at most as wide, sometimes flipped vertically or horizontally."""
        height, width = shape
        least = height / image.shape[0]
        scale = max(least, min(_LARGEST, max(least, width / image.shape[1]) * rng.uniform(1.0, 1.4)))
        size = (max(1, round(image.shape[1] * scale)), max(height, round(image.shape[0] * scale)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        y, x = int(rng.integers(size[1] - height + 1)), int(rng.integers(max(0, size[0] - width) + 1))
        crop = small[y : y + height, x : x + width]
        return np.asarray(crop[:, ::-1] if rng.random() < 0.5 else crop)
