"""Held-out rendered scenes, by kind of person: seated, bent, child, from behind, from above, small."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.progress import track

from training.cache import read_rgb, read_values
from training.groups import confusion
from training.labels import MIRRORED, PARTS
from training.measure.counts import Counts, mask_iou, match
from training.rendered import descriptions, kept_aside

if TYPE_CHECKING:
    from training.measure.context import Context, Figures

Map = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

LEAST_HEIGHT = 24  # px, visible height: smaller persons are ignored, whether found or not
SMALL, HIGH, CHILD = 80, 3.0, 0.36  # px; metres of the camera above the floor; age as rendered
LEAST_SIDE = 12  # px of a limb predicted as either side: fewer are no decision
_BEHIND = 0.1  # of the person's height: minimum by which the left shoulder lies left of the right one


class Truth(NamedTuple):
    """A rendered person: its pixels, its kinds, and whether it counts."""

    mask: Mask
    kinds: frozenset[str]
    counts: bool


@dataclass
class Tally:
    """Running counts."""

    persons: defaultdict[str, Counts] = field(default_factory=lambda: defaultdict(Counts))
    parts: defaultdict[str, npt.NDArray[np.int64]] = field(
        default_factory=lambda: defaultdict(lambda: np.zeros((PARTS, PARTS), dtype=np.int64))
    )
    sides: defaultdict[str, dict[bool, int]] = field(default_factory=lambda: defaultdict(lambda: {True: 0, False: 0}))

    def figures(self) -> Figures:
        """Return the figures of all persons and of each kind."""
        out: Figures = {}
        for kind, counts in sorted(self.persons.items()):
            out |= counts.figures(f"rendered, {kind}")
            out[f"rendered, {kind}: part mean IoU"] = mean_iou(self.parts[kind])
            decided = self.sides[kind]
            out[f"rendered, {kind}: sides decided rightly"] = decided[True] / max(1, sum(decided.values()))
        return out


def measure(context: Context) -> Figures:
    """Measure recall, precision and F1 of persons (mask IoU 0.5) and mean IoU of parts, by kind; sides of limbs."""
    folder = context.rendered
    tally = Tally()
    for scene in track([one for one in descriptions(folder) if kept_aside(one)], "rendered"):
        image = read_rgb(folder / f"{scene['file']}.jpg")
        values = read_values(folder / f"{scene['file']}.png")
        parsing = context.parser.parse(image)
        truths = [truth_of(scene, person, values) for person in scene["people"] if person.get("bbox")]
        masks = [person.region.mask for person in context.persons(parsing)]
        failed = add_persons(tally, truths, masks)
        add_parts(tally, truths, values % PARTS, parsing.label_map)
        context.sheet.add("rendered", image, parsing, failed=failed)
    return tally.figures()


def truth_of(scene: dict[str, Any], person: dict[str, Any], values: Map) -> Truth:
    """Return one person of a scene's description; *values* as in the label image."""
    x0, y0, x1, y1 = person["bbox"]
    kinds = kinds_of(scene, person, y1 - y0)
    return Truth(values // PARTS == person["id"], kinds, y1 - y0 >= LEAST_HEIGHT and x1 - x0 >= LEAST_HEIGHT // 3)


def kinds_of(scene: dict[str, Any], person: dict[str, Any], height: int) -> frozenset[str]:
    """Return the kinds of a person who is *height* px high in the image."""
    tests = {
        "all": True,
        "seated": person["pose"].startswith("sit"),
        "bent": person["pose"] in ("bend", "squat", "kneel"),
        "child": person["age"] < CHILD,
        "from behind": seen_from_behind(person["joints"], height),
        "from above": scene["cam_height"] > HIGH,
        "below 80 px": height < SMALL,
    }
    return frozenset(kind for kind, holds in tests.items() if holds)


def seen_from_behind(joints: dict[str, list[float] | None] | None, height: int) -> bool:
    """Return whether the left shoulder is clearly left of the right one; no joints: somebody beside the camera."""
    if joints is None:
        return False
    left, right = joints["upperarm01.L"], joints["upperarm01.R"]
    return left is not None and right is not None and right[0] - left[0] > _BEHIND * height


def add_persons(tally: Tally, truths: list[Truth], found: list[Mask]) -> bool:
    """Count one scene; returns whether there were errors. A false positive counts for the person it overlaps most."""
    matched, wrong = match([truth.mask for truth in truths], found, mask_iou)
    for i, truth in enumerate(truths):
        for kind in truth.kinds if truth.counts else ():
            tally.persons[kind].add(Counts(right=int(i in matched), missed=int(i not in matched)))
    imagined = [_nearest(truths, found[number]) for number in wrong]
    for one in imagined:
        for kind in {"all"} if one is None else one.kinds if one.counts else ():
            tally.persons[kind].add(Counts(wrong=1))
    missed = any(truth.counts and i not in matched for i, truth in enumerate(truths))
    return missed or any(one is None or one.counts for one in imagined)


def _nearest(truths: list[Truth], mask: Mask) -> Truth | None:
    """Return the person with the most pixels in a mask; None if there are none."""
    best = max(truths, key=lambda truth: np.count_nonzero(truth.mask & mask), default=None)
    return best if best is not None and (best.mask & mask).any() else None


def add_parts(tally: Tally, truths: list[Truth], classes: Map, found: Map) -> None:
    """Count the classes inside each person, and the side of each limb."""
    for truth in truths:
        if not truth.counts:
            continue
        own = confusion(classes[truth.mask], found[truth.mask], PARTS)
        for kind in truth.kinds:
            tally.parts[kind] += own
        for pair in MIRRORED:
            for side, other in (pair, pair[::-1]):
                same, opposite = int(own[side, side]), int(own[side, other])
                for kind in truth.kinds if same + opposite >= LEAST_SIDE else ():
                    tally.sides[kind][same > opposite] += 1


def mean_iou(counts: npt.NDArray[np.int64]) -> float:
    """Return the mean IoU of the parts that occur, without background: errors outside persons are not counted here."""
    hits = np.diag(counts).astype(np.float64)[1:]
    union = (counts.sum(axis=0) + counts.sum(axis=1))[1:] - hits
    occurs = counts.sum(axis=1)[1:] > 0
    return float((hits[occurs] / union[occurs]).mean()) if occurs.any() else float("nan")
