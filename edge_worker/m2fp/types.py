"""What a parsed frame is made of. Plain values: no engine, no model, no file.

Boxes and sizes are in pixels of the frame, origin at its top left.
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
    """Width and height, pixels."""

    width: int
    height: int


class Box(NamedTuple):
    """Rectangle: left, top, width, height, pixels."""

    x: int
    y: int
    width: int
    height: int

    @classmethod
    def around(cls, boxes: Sequence[Box]) -> Box:
        """The smallest rectangle around all *boxes*, of which there is at least one."""
        left, top = min(box.x for box in boxes), min(box.y for box in boxes)
        right, bottom = max(box.x + box.width for box in boxes), max(box.y + box.height for box in boxes)
        return cls(left, top, right - left, bottom - top)

    def common(self, other: Box) -> Box | None:
        """The rectangle that lies in both; None where there is none."""
        left, top = max(self.x, other.x), max(self.y, other.y)
        right = min(self.x + self.width, other.x + other.width)
        bottom = min(self.y + self.height, other.y + other.height)
        return Box(left, top, right - left, bottom - top) if left < right and top < bottom else None

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of the rectangle, to index an H×W array."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)


@dataclass(frozen=True, eq=False)
class Region:
    """A mask of the frame, kept only inside its box.

    Attributes:
        box: the smallest rectangle around the mask; of no width and height where the mask is empty.
        crop: bool, box.height × box.width.
        pixels: how many there are in it.
        frame: size of the frame.
    """

    box: Box
    crop: BoolArray
    pixels: int
    frame: Size

    @classmethod
    def from_mask(cls, mask: BoolArray, frame: Size, *, x: int = 0, y: int = 0) -> Region:
        """Crop *mask*, whose top left pixel lies at (*x*, *y*) of the *frame*, to its smallest box."""
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not rows.size:
            return cls(Box(0, 0, 0, 0), np.zeros((0, 0), np.bool_), 0, frame)
        top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
        crop = mask[top:bottom, left:right].copy()
        return cls(Box(x + left, y + top, right - left, bottom - top), crop, int(np.count_nonzero(crop)), frame)

    @property
    def mask(self) -> BoolArray:
        """The mask at the size of the frame, bool H×W; made anew at each access."""
        full = np.zeros((self.frame.height, self.frame.width), np.bool_)
        full[self.box.slices] = self.crop
        return full

    def within(self, box: Box) -> BoolArray:
        """The part of the crop that lies in *box*, which the region's own box contains."""
        rows, columns = Box(box.x - self.box.x, box.y - self.box.y, box.width, box.height).slices
        return self.crop[rows, columns]


class HasRegion:
    """What has a mask, and is asked for it, its box and its size."""

    region: Region

    @property
    def box(self) -> Box:
        """The smallest rectangle around the mask."""
        return self.region.box

    @property
    def pixels(self) -> int:
        """Number of pixels of the mask."""
        return self.region.pixels

    @property
    def mask(self) -> BoolArray:
        """The mask at the size of the frame, bool H×W; made anew at each access."""
        return self.region.mask


@dataclass(frozen=True, eq=False)
class Instance(HasRegion):
    """One candidate of the model: a part of a body, or a whole person.

    Attributes:
        label: name of the class; ``class_id`` is its index.
        score: 0 to 1.
        region: its mask and box.
    """

    label: str
    class_id: int
    score: float
    region: Region


@dataclass(frozen=True, eq=False)
class Parsing:
    """What the model says of one frame.

    Attributes:
        label_map: uint8 H×W, class index of every pixel, 0 is background.
        parts: the model's candidates for parts, untouched: they may overlap and repeat each other. In single-human
            models one per class that is present.
        persons: the model's candidates for whole persons, untouched; none in single-human models.
        image_size: of the frame, pixels.
        classes: names in index order.
    """

    label_map: ByteArray
    parts: tuple[Instance, ...]
    persons: tuple[Instance, ...]
    image_size: Size
    classes: tuple[str, ...]


class Logits(NamedTuple):
    """What a network says of one input."""

    class_logits: FloatArray  # (Q, classes + 1), the last is "no object"
    mask_logits: FloatArray  # (Q, h, w), positive inside; h and w are the padded input's over the mask stride
