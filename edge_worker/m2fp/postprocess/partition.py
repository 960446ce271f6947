"""Label map and owners in one map: every pixel has one label and one owner, or nobody."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_worker.m2fp.types import Box, Region, Size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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
        self._ranks = np.zeros(label_map.shape, np.uint8)
        for rank, region in zip(range(len(regions), 0, -1), regions, strict=True):
            place = self._ranks[region.box.slices]
            # By arithmetic: a conditional copy takes a hundred times as long where pixels alternate.
            np.maximum(place, region.crop.view(np.uint8) * np.uint8(rank), out=place)
        self._keys = self._ranks * np.uint16(_RANK) + label_map
        self._runs = Runs.of(self._keys)

    @cached_property
    def patches(self) -> tuple[Patch, ...]:
        """All that there are, by rank and then by class."""
        return tuple(Patch(*divmod(key, _RANK), pixels, box) for key, pixels, box in self._runs.areas())

    def owned(self, patches: Sequence[Patch]) -> Region:
        """The pixels of one owner, all of whose patches these are."""
        box = Box.around([patch.box for patch in patches])
        mask = self._ranks[box.slices] == patches[0].rank
        return Region(box, mask, sum(patch.pixels for patch in patches), self._size)

    def region(self, patch: Patch) -> Region:
        """The pixels of a patch."""
        return Region(patch.box, self._keys[patch.box.slices] == _key(patch), patch.pixels, self._size)

    def shared(self, regions: Iterable[Region], patches: Iterable[Patch]) -> list[list[int]]:
        """How many pixels each of the *regions* shares with each of the *patches*."""
        places = [self._runs.places(_key(patch)) for patch in patches]
        return [[int(np.count_nonzero(mask[place])) for place in places] for mask in self._flat(regions)]

    def _flat(self, regions: Iterable[Region]) -> Iterator[NDArray[np.bool_]]:
        """The mask of each of the *regions*, H·W, in the same memory: getting new takes longer than writing it."""
        frame = np.zeros(self._keys.shape, np.bool_)
        for region in regions:
            frame[region.box.slices] = region.crop
            yield frame.ravel()
            frame[region.box.slices] = False

    @property
    def _size(self) -> Size:
        height, width = self._keys.shape
        return Size(width, height)


def _key(patch: Patch) -> int:
    return patch.rank * _RANK + patch.class_id


class Runs(NamedTuple):
    """The runs of equal keys in the rows of a map H×W, by key and then from top to bottom.

    Attributes:
        keys: of each run; ``starts`` its first pixel, counted through the map; ``lengths`` its pixels.
        width: of the map.
    """

    keys: NDArray[np.integer]
    starts: NDArray[np.intp]
    lengths: NDArray[np.intp]
    width: int

    @classmethod
    def of(cls, keys: NDArray[np.integer]) -> Runs:
        """Find those of *keys*, H×W."""
        begins = np.ones(keys.shape, np.bool_)
        np.not_equal(keys[:, 1:], keys[:, :-1], out=begins[:, 1:])
        starts = np.flatnonzero(begins)
        order = np.argsort(keys.ravel()[starts], kind="stable")  # a radix sort; rows stay in order
        lengths = np.diff(starts, append=keys.size)
        return cls(keys.ravel()[starts[order]], starts[order], lengths[order], keys.shape[1])

    def areas(self) -> list[tuple[int, int, Box]]:
        """Each key in rising order, how often it occurs and the smallest box around it."""
        present, first = np.unique(self.keys, return_index=True)
        row, left = np.divmod(self.starts, self.width)
        last = np.append(first[1:], len(row)) - 1
        x, right = np.minimum.reduceat(left, first), np.maximum.reduceat(left + self.lengths, first)
        y, bottom = row[first], row[last] + 1
        columns = (present, np.add.reduceat(self.lengths, first), x, y, right - x, bottom - y)
        return [(key, pixels, Box(*box)) for key, pixels, *box in zip(*(one.tolist() for one in columns), strict=True)]

    def places(self, key: int) -> NDArray[np.intp]:
        """The pixels that have a *key*, counted through the map."""
        begin, end = np.searchsorted(self.keys, (key, key + 1))
        lengths = self.lengths[begin:end]
        before = np.cumsum(lengths) - lengths  # pixels of the runs before each
        return np.repeat(self.starts[begin:end] - before, lengths) + np.arange(lengths.sum())
