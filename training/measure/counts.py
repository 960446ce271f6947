"""True positives, false positives and false negatives of persons, and their IoU matching."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Mask = npt.NDArray[np.bool_]
Corners = tuple[float, float, float, float]  # x0, y0, x1, y1

MATCH_IOU = 0.5

T = TypeVar("T")


@dataclass
class Counts:
    """True positives, false positives and false negatives."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def add(self, other: Counts) -> None:
        """Add other counts."""
        self.right, self.wrong, self.missed = (
            self.right + other.right,
            self.wrong + other.wrong,
            self.missed + other.missed,
        )

    @property
    def recall(self) -> float:
        """Share of true persons that were found."""
        return self.right / max(1, self.right + self.missed)

    @property
    def precision(self) -> float:
        """Share of found persons that are true."""
        return self.right / max(1, self.right + self.wrong)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.right / max(1, 2 * self.right + self.wrong + self.missed)

    def figures(self, name: str) -> dict[str, float]:
        """Return all three, and the number of persons."""
        return {
            f"{name}: persons": self.right + self.missed,
            f"{name}: recall": self.recall,
            f"{name}: precision": self.precision,
            f"{name}: F1": self.f1,
        }


def mask_iou(one: Mask, other: Mask) -> float:
    """Return the intersection over union of two masks of the same size."""
    return int(np.count_nonzero(one & other)) / max(1, int(np.count_nonzero(one | other)))


def corner_iou(one: Corners, other: Corners) -> float:
    """Return the intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / max(area - shared, 1e-6)


def match(
    truths: Sequence[T], found: Sequence[T], iou: Callable[[T, T], float], least: float = MATCH_IOU
) -> tuple[dict[int, int], list[int]]:
    """Match each found person, best first, with the unmatched true one that it overlaps most.

    Returns:
        The index of the match for each true person that was found; and the indices of unmatched found persons.
    """
    matched: dict[int, int] = {}
    wrong = []
    for number, one in enumerate(found):
        left = [i for i in range(len(truths)) if i not in matched]
        best = max(left, key=lambda i: iou(truths[i], one), default=None)
        if best is not None and iou(truths[best], one) >= least:
            matched[best] = number
        else:
            wrong.append(number)
    return matched, wrong


def count(truths: Sequence[T], found: Sequence[T], iou: Callable[[T, T], float], least: float = MATCH_IOU) -> Counts:
    """Return the counts of one image."""
    matched, wrong = match(truths, found, iou, least)
    return Counts(len(matched), len(wrong), len(truths) - len(matched))
