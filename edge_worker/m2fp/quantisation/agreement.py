"""Agreement between two parsings of a frame: label maps, parts and persons."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_worker.m2fp.postprocess.persons import overlap_ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_worker.m2fp.types import Instance, Parsing, Region


# Minimum score of a found instance. The model itself rates candidates below it as more likely wrong than right; their
# mask logits are near zero, so rounding decides.
_FOUND = 0.5


class Match(NamedTuple):
    """Score of an instance, and its IoU with the best match of its class in the other parsing."""

    score: float
    overlap: float


@dataclass(frozen=True, slots=True)
class FrameAgreement:
    """Agreement of one frame's parsing with the reference.

    Attributes:
        pixels: share of identical label map pixels.
        matches: one for each part and person of the reference.
        counter_matches: one for each part and person of the compared parsing, so that false positives count like
            misses.
    """

    pixels: float
    matches: tuple[Match, ...]
    counter_matches: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement over many frames.

    Attributes:
        frames: number of frames.
        pixels: mean share of identical label map pixels; ``worst`` is that of the worst frame.
        instances: number of parts and persons that the reference found with a score of 0.5 or more.
        instance_iou: mean IoU of found instances, in both directions; 1 if there are none.
        candidate_iou: the same for all candidates, from a score of 0.1.
    """

    frames: int
    pixels: float
    worst: float
    instances: int
    instance_iou: float
    candidate_iou: float

    @classmethod
    def over(cls, frames: Sequence[FrameAgreement]) -> Agreement:
        """Summarise *frames*, at least one."""
        pixels = [frame.pixels for frame in frames]
        matches = [match for frame in frames for match in (*frame.matches, *frame.counter_matches)]
        found = [match for match in matches if match.score >= _FOUND]
        instances = sum(match.score >= _FOUND for frame in frames for match in frame.matches)
        return cls(len(frames), fmean(pixels), min(pixels), instances, _mean(found), _mean(matches))

    def __str__(self) -> str:
        """Return the figures as text."""
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
    """Match each non-empty instance of *one* with *other*."""
    by_class: dict[int, list[Instance]] = defaultdict(list)
    for instance in (*other.parts, *other.persons):
        by_class[instance.class_id].append(instance)
    shown = [instance for instance in (*one.parts, *one.persons) if instance.region.pixels]
    return tuple(Match(instance.score, _best_overlap(instance, by_class[instance.class_id])) for instance in shown)


def _best_overlap(instance: Instance, others: Sequence[Instance]) -> float:
    return max((_overlap(instance.region, other.region) for other in others), default=0.0)


def _overlap(one: Region, other: Region) -> float:
    """Return the intersection over union; 0 if both are empty."""
    common = one.box.common(other.box)
    shared = int(np.count_nonzero(one.within(common) & other.within(common))) if common else 0
    return overlap_ratio(shared, one.pixels, other.pixels)


def _mean(matches: Sequence[Match]) -> float:
    return fmean(match.overlap for match in matches) if matches else 1.0
