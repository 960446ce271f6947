"""Label map and owners in one map: every pixel has one label and one owner, or nobody."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_worker.m2fp.types import Box, Region, Size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_worker.m2fp.types import ByteArray

# The key of a pixel is this times its owner's rank, plus its label.
_RANK = 256

# The rank of what has no owner.
NOBODY = 0


class Patch(NamedTuple):
    """All pixels of one label that have one owner.

    Attributes:
        rank: of the owner, or NOBODY.
        class_id: the label.
        pixels: how many.
        box: the smallest rectangle around them.
    """

    rank: int
    class_id: int
    pixels: int
    box: Box


class Partition:
    """A frame divided among regions that may overlap; the rank of a region is the higher the earlier it comes."""

    def __init__(self, regions: Sequence[Region], label_map: ByteArray) -> None:
        """Give each pixel of *label_map*, uint8 H×W, to the first of the *regions* (255 at most) that has it."""
        self._labels = label_map
        self._ranks = np.zeros(label_map.shape, np.uint8)
        for rank, region in zip(range(len(regions), 0, -1), regions, strict=True):
            place = self._ranks[region.box.slices]
            # By arithmetic: a conditional copy takes a hundred times as long where pixels alternate.
            np.maximum(place, region.crop.view(np.uint8) * np.uint8(rank), out=place)
        self._keys = self._ranks * np.uint16(_RANK) + label_map

    @cached_property
    def patches(self) -> tuple[Patch, ...]:
        """All that there are, by rank and then by class."""
        return tuple(Patch(*divmod(key, _RANK), pixels, box) for key, pixels, box in _areas(self._keys))

    def owned(self, rank: int, box: Box) -> Region:
        """The pixels of one owner, of which *box* is the smallest rectangle around them."""
        return self._region(self._ranks[box.slices] == rank, box)

    def region(self, patch: Patch) -> Region:
        """The pixels of a patch."""
        return self._region(self._keys[patch.box.slices] == patch.rank * _RANK + patch.class_id, patch.box)

    def shared(self, region: Region, class_id: int, box: Box) -> NDArray[np.intp]:
        """How many pixels of *region* inside *box* have the label, by rank of their owner."""
        common = region.box.common(box)
        if common is None:
            return np.zeros(_RANK, np.intp)
        inside = np.flatnonzero(region.within(common) & (self._labels[common.slices] == class_id))
        return np.bincount(self._ranks[common.slices].ravel()[inside], minlength=_RANK)

    def _region(self, mask: NDArray[np.bool_], box: Box) -> Region:
        height, width = self._labels.shape
        return Region(box, mask, Size(width, height))


def _areas(keys: NDArray[np.integer]) -> list[tuple[int, int, Box]]:
    """Each key of a map H×W in rising order, how often it occurs and the smallest box around it; by runs in rows."""
    begins = np.ones(keys.shape, np.bool_)
    np.not_equal(keys[:, 1:], keys[:, :-1], out=begins[:, 1:])
    starts = np.flatnonzero(begins)
    order = np.argsort(keys.ravel()[starts], kind="stable")  # a radix sort; rows stay in order
    present, first = np.unique(keys.ravel()[starts][order], return_index=True)
    length = np.diff(starts, append=keys.size)[order]
    row, left = np.divmod(starts[order], keys.shape[1])
    last = np.append(first[1:], len(row)) - 1
    x, right = np.minimum.reduceat(left, first), np.maximum.reduceat(left + length, first)
    y, bottom = row[first], row[last] + 1
    columns = (present, np.add.reduceat(length, first), x, y, right - x, bottom - y)
    return [(key, pixels, Box(*box)) for key, pixels, *box in zip(*(one.tolist() for one in columns), strict=True)]
