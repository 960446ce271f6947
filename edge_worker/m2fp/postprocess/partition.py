"""Combined map of labels and owners: each pixel has one label and at most one owner."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_worker.m2fp.kernels import runs as kernel
from edge_worker.m2fp.types import Box, Region, Size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from edge_worker.m2fp.types import ByteArray

# Key of a pixel: _RANK × rank of its owner + label.
_RANK = 256

# Rank of pixels without an owner.
NOBODY = 0


class Patch(NamedTuple):
    """All pixels of one label and one owner.

    Attributes:
        rank: rank of the owner, or NOBODY.
        class_id: the label.
        pixels: number of pixels.
        box: bounding box.
    """

    rank: int
    class_id: int
    pixels: int
    box: Box


class Partition:
    """Division of a frame among regions that may overlap; earlier regions have a higher rank."""

    def __init__(self, regions: Sequence[Region], label_map: ByteArray) -> None:
        """Assign each pixel of *label_map*, uint8 H×W, to the first of the *regions* (at most 255) that contains it."""
        self._ranks = np.zeros(label_map.shape, np.uint8)
        for rank, region in zip(range(len(regions), 0, -1), regions, strict=True):
            place = self._ranks[region.box.slices]
            # Arithmetic instead of a conditional copy, which takes a hundred times as long if pixels alternate.
            np.maximum(place, region.crop.view(np.uint8) * np.uint8(rank), out=place)
        self._labels = np.ascontiguousarray(label_map)
        self._runs = Runs.of(self._ranks, self._labels)

    @cached_property
    def patches(self) -> tuple[Patch, ...]:
        """All patches, sorted by rank, then class."""
        return tuple(Patch(*divmod(key, _RANK), pixels, box) for key, pixels, box in self._runs.areas())

    def owned(self, patches: Sequence[Patch]) -> Region:
        """Return the pixels of one owner, given all of its *patches*."""
        box = Box.around([patch.box for patch in patches])
        mask = self._ranks[box.slices] == patches[0].rank
        return Region(box, mask, sum(patch.pixels for patch in patches), self._size)

    def region(self, patch: Patch) -> Region:
        """Return the pixels of *patch*."""
        place = patch.box.slices
        mask = (self._ranks[place] == patch.rank) & (self._labels[place] == patch.class_id)
        return Region(patch.box, mask, patch.pixels, self._size)

    def shared(self, regions: Iterable[Region], patches: Iterable[Patch]) -> list[list[int]]:
        """Count the pixels that each of the *regions* shares with each of the *patches*."""
        places = [self._runs.places(_key(patch)) for patch in patches]
        return [[int(np.count_nonzero(mask[place])) for place in places] for mask in self._flat(regions)]

    def _flat(self, regions: Iterable[Region]) -> Iterator[NDArray[np.bool_]]:
        """Yield the mask of each of the *regions*, H·W, in one reused buffer: allocating takes longer than writing."""
        frame = np.zeros(self._labels.shape, np.bool_)
        for region in regions:
            frame[region.box.slices] = region.crop
            yield frame.ravel()
            frame[region.box.slices] = False

    @property
    def _size(self) -> Size:
        height, width = self._labels.shape
        return Size(width, height)


def _key(patch: Patch) -> int:
    return patch.rank * _RANK + patch.class_id


class Runs(NamedTuple):
    """Runs of one owner and one label in the rows of a frame, sorted by key, then top to bottom.

    Attributes:
        keys: key of each run (:func:`_key`).
        starts, lengths: flat index of its first pixel, and its number of pixels.
        width: width of the frame.
    """

    keys: NDArray[np.integer]
    starts: NDArray[np.intp]
    lengths: NDArray[np.intp]
    width: int

    @classmethod
    def of(cls, ranks: ByteArray, labels: ByteArray) -> Runs:
        """Find the runs of *ranks* and *labels*, both uint8 H×W."""
        starts, keys = (kernel.find_runs if kernel.is_built() else find_runs_plainly)(ranks, labels)
        order = np.argsort(keys, kind="stable")  # radix sort; stable, so rows stay in order
        lengths = np.diff(starts, append=labels.size)
        return cls(keys[order], starts[order].astype(np.intp), lengths[order].astype(np.intp), labels.shape[1])

    def areas(self) -> list[tuple[int, int, Box]]:
        """Return each key in ascending order, its number of pixels and its bounding box."""
        present, first = np.unique(self.keys, return_index=True)
        row, left = np.divmod(self.starts, self.width)
        last = np.append(first[1:], len(row)) - 1
        x, right = np.minimum.reduceat(left, first), np.maximum.reduceat(left + self.lengths, first)
        y, bottom = row[first], row[last] + 1
        columns = (present, np.add.reduceat(self.lengths, first), x, y, right - x, bottom - y)
        return [(key, pixels, Box(*box)) for key, pixels, *box in zip(*(one.tolist() for one in columns), strict=True)]

    def places(self, key: int) -> NDArray[np.intp]:
        """Return the flat indices of the pixels with *key*."""
        begin, end = np.searchsorted(self.keys, (key, key + 1))
        lengths = self.lengths[begin:end]
        before = np.cumsum(lengths) - lengths  # pixels of the runs before each
        return np.repeat(self.starts[begin:end] - before, lengths) + np.arange(lengths.sum())


def find_runs_plainly(owners: ByteArray, labels: ByteArray) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Do the same as :func:`edge_worker.m2fp.kernels.runs.find_runs` in NumPy."""
    keys = owners * np.uint16(_RANK) + labels
    begins = np.ones(keys.shape, np.bool_)
    np.not_equal(keys[:, 1:], keys[:, :-1], out=begins[:, 1:])
    starts = np.flatnonzero(begins)
    return starts, keys.ravel()[starts]
