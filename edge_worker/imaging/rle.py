"""COCO run-length encoding of masks, compatible with pycocotools, from a box and its crop."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import numpy as np
from pycocotools import mask as coco

if TYPE_CHECKING:
    import numpy.typing as npt

    from edge_worker.m2fp.types import Region


class Rle(TypedDict):
    """Run lengths of a mask: ``size`` [height, width] of the frame, ``counts`` COCO's compressed string."""

    size: list[int]
    counts: str


def rle(region: Region) -> Rle:
    """Encode a region from its crop, without allocating a mask of the frame's size."""
    height, width = region.frame.height, region.frame.width
    counts = np.diff(_run_edges(region), prepend=0, append=height * width)
    if counts.size > 1 and counts[-1] == 0:  # the mask includes the last pixel: pycocotools omits an empty last run
        counts = counts[:-1]
    packed = coco.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)
    return Rle(size=[height, width], counts=packed["counts"].decode("ascii"))


def _run_edges(region: Region) -> npt.NDArray[np.int64]:
    """Return the positions, in column-major order of the frame, where runs of the mask start and end, alternately.

    A run that continues from one column into the next has no edge between them.
    """
    box, (h, w) = region.box, region.crop.shape
    columns = np.zeros((w, h + 2), np.int8)  # a background pixel at both ends of each column
    columns[:, 1:-1] = region.crop.T
    column, row = np.nonzero(np.diff(columns, axis=1))
    edges = (column + box.x) * region.frame.height + row + box.y
    joints = np.flatnonzero(np.diff(edges) == 0)
    return np.delete(edges, np.concatenate((joints, joints + 1)))
