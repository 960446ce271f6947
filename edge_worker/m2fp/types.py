"""Value types of a parsed frame, independent of engine, model and files.

Boxes and sizes are in pixels of the frame; the origin is the top left corner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]
ByteArray = NDArray[np.uint8]


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


class Box(NamedTuple):
    """Rectangle in pixels: left, top, width, height."""

    x: int
    y: int
    width: int
    height: int

    @classmethod
    def around(cls, boxes: Sequence[Box]) -> Box:
        """Return the bounding box of *boxes*, at least one."""
        left, top = min(box.x for box in boxes), min(box.y for box in boxes)
        right, bottom = max(box.x + box.width for box in boxes), max(box.y + box.height for box in boxes)
        return cls(left, top, right - left, bottom - top)

    def common(self, other: Box) -> Box | None:
        """Return the intersection of both boxes; None if it is empty."""
        left, top = max(self.x, other.x), max(self.y, other.y)
        right = min(self.x + self.width, other.x + other.width)
        bottom = min(self.y + self.height, other.y + other.height)
        return Box(left, top, right - left, bottom - top) if left < right and top < bottom else None

    @property
    def slices(self) -> tuple[slice, slice]:
        """Row and column slices to index an H×W array."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)


@dataclass(frozen=True, eq=False)
class Region:
    """A mask of the frame, stored only inside its bounding box.

    Attributes:
        box: bounding box of the mask; of zero width and height if the mask is empty.
        crop: bool, box.height × box.width.
        pixels: number of pixels in the mask.
        frame: size of the frame.
    """

    box: Box
    crop: BoolArray
    pixels: int
    frame: Size

    @classmethod
    def from_mask(cls, mask: BoolArray, frame: Size, *, x: int = 0, y: int = 0) -> Region:
        """Crop *mask*, whose top left pixel is at (*x*, *y*) of the *frame*, to its bounding box."""
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not rows.size:
            return cls(Box(0, 0, 0, 0), np.zeros((0, 0), np.bool_), 0, frame)
        top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
        crop = mask[top:bottom, left:right].copy()
        return cls(Box(x + left, y + top, right - left, bottom - top), crop, int(np.count_nonzero(crop)), frame)

    @property
    def mask(self) -> BoolArray:
        """The mask at the size of the frame, bool H×W; computed on each access."""
        full = np.zeros((self.frame.height, self.frame.width), np.bool_)
        full[self.box.slices] = self.crop
        return full

    def within(self, box: Box) -> BoolArray:
        """Return the part of the crop inside *box*, which must lie within the region's box."""
        rows, columns = Box(box.x - self.box.x, box.y - self.box.y, box.width, box.height).slices
        return self.crop[rows, columns]


class HasRegion:
    """Mixin that exposes the mask, box and pixel count of ``region``."""

    region: Region

    @property
    def box(self) -> Box:
        """Bounding box of the mask."""
        return self.region.box

    @property
    def pixels(self) -> int:
        """Number of pixels of the mask."""
        return self.region.pixels

    @property
    def mask(self) -> BoolArray:
        """The mask at the size of the frame, bool H×W; computed on each access."""
        return self.region.mask


@dataclass(frozen=True, eq=False)
class Instance(HasRegion):
    """One candidate of the model: a body part or a whole person.

    Attributes:
        label: name of the class; ``class_id`` is its index.
        score: 0 to 1.
        region: mask and bounding box.
    """

    label: str
    class_id: int
    score: float
    region: Region


@dataclass(frozen=True, eq=False)
class Parsing:
    """Output of the model for one frame.

    Attributes:
        label_map: uint8 H×W, class index of every pixel, 0 is background.
        parts: raw candidates for parts; they may overlap and duplicate each other. Single-human models give one per
            class that is present.
        persons: raw candidates for whole persons; none in single-human models.
        image_size: size of the frame, pixels.
        classes: class names in index order.
    """

    label_map: ByteArray
    parts: tuple[Instance, ...]
    persons: tuple[Instance, ...]
    image_size: Size
    classes: tuple[str, ...]


class Logits(NamedTuple):
    """Class and mask logits of the network for one input."""

    class_logits: FloatArray  # (Q, classes + 1), the last is "no object"
    mask_logits: FloatArray  # (Q, h, w), positive inside; h and w are the padded input's over the mask stride
