"""How near one parsing of a frame comes to another: its label map, and what it says of persons."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_worker.m2fp.postprocess.persons import intersection_over_union

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_worker.m2fp.types import Instance, Parsing


# Scores from which an instance counts as found. The candidates below it are those that the model itself holds for more
# likely wrong than right; their masks lie near zero, and rounding decides about them.
_FOUND = 0.5


class Match(NamedTuple):
    """An instance: its score, and its intersection over union with the best of its class in the other parsing."""

    score: float
    overlap: float


@dataclass(frozen=True, slots=True)
class FrameAgreement:
    """Of one frame's parsing with the reference's.

    Attributes:
        pixels: share of the label map's pixels that are the same.
        matches: of each part and person of the reference.
        counter_matches: of each of the parsing that is compared with it: what it made up counts as what it missed.
    """

    pixels: float
    matches: tuple[Match, ...]
    counter_matches: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of many frames.

    Attributes:
        frames: how many.
        pixels: share of the label maps' pixels that are the same, the mean over the frames; ``worst`` of one frame.
        instances: parts and persons that the reference found, with a score of 0.5 or more.
        instance_iou: the mean of their overlaps, and of those of what the other parsings found; 1 where there are none.
        candidate_iou: the same of all candidates, from a score of 0.1.
    """

    frames: int
    pixels: float
    worst: float
    instances: int
    instance_iou: float
    candidate_iou: float

    @classmethod
    def over(cls, frames: Sequence[FrameAgreement]) -> Agreement:
        """Sum up *frames*, of which there is at least one."""
        pixels = [frame.pixels for frame in frames]
        matches = [match for frame in frames for match in (*frame.matches, *frame.counter_matches)]
        found = [match for match in matches if match.score >= _FOUND]
        instances = sum(match.score >= _FOUND for frame in frames for match in frame.matches)
        return cls(len(frames), fmean(pixels), min(pixels), instances, _mean(found), _mean(matches))

    def __str__(self) -> str:
        """The figures, for people."""
        return (
            f"{self.pixels:.2%} of label-map pixels ({self.worst:.2%} on the worst frame), instance IoU "
            f"{self.instance_iou:.3f} ({self.instances} with a score of 0.5 or more; {self.candidate_iou:.3f} of all "
            f"candidates), {self.frames} frames"
        )


def agreement(parsing: Parsing, reference: Parsing) -> FrameAgreement:
    """Compare two parsings of one frame."""
    pixels = float(np.mean(parsing.label_map == reference.label_map))
    return FrameAgreement(pixels, _matches(reference, parsing), _matches(parsing, reference))


def _matches(one: Parsing, other: Parsing) -> tuple[Match, ...]:
    """Of each instance of *one* that has a pixel."""
    by_class: dict[int, list[Instance]] = defaultdict(list)
    for instance in (*other.parts, *other.persons):
        by_class[instance.class_id].append(instance)
    shown = [instance for instance in (*one.parts, *one.persons) if instance.region.pixels]
    return tuple(Match(instance.score, _best_overlap(instance, by_class[instance.class_id])) for instance in shown)


def _best_overlap(instance: Instance, others: Sequence[Instance]) -> float:
    return max((intersection_over_union(instance.region, other.region) for other in others), default=0.0)


def _mean(matches: Sequence[Match]) -> float:
    return fmean(match.overlap for match in matches) if matches else 1.0
