"""Matching, targets and figures of the training."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training.groups import GROUPS, confusion, ious, summary
from training.labels import MIRRORED, SKIN, Part
from training.losses import (
    Criterion,
    TargetMaker,
    Weights,
    cues_loss,
    dice_loss,
    pixel_centre_loss,
    separation_loss,
    side_loss,
)
from training.matching import assign
from training.model import LITE0_CONFIGURATION, anchors, new_student, normalise
from training.trainer import schedule


def test_assignment_is_optimal() -> None:
    """No other choice of different queries costs less."""
    for seed in range(30):
        cost = torch.randn(6, seed % 5 + 1, generator=torch.Generator().manual_seed(seed))
        chosen = assign(cost)
        found = sum(float(cost[query, target]) for target, query in enumerate(chosen))
        least = min(
            sum(float(cost[query, target]) for target, query in enumerate(order))
            for order in itertools.permutations(range(6), cost.shape[1])
        )
        assert len(set(chosen.tolist())) == cost.shape[1]
        assert found == pytest.approx(least, abs=1e-5)


def test_targets_leave_doubtful_parts_unknown() -> None:
    """A pixel of skin is certainly no hat, and unknown for face and arms; a known part is known for all."""
    labels = torch.zeros(1, 16, 16, dtype=torch.uint8)
    labels[0, :8] = Part.HAT
    labels[0, 8:] = SKIN
    targets = TargetMaker()(labels, torch.ones(1, 16, 16, dtype=torch.uint8))
    assert targets.parts[0, Part.HAT, 0, 0] == 1
    assert targets.known[0, Part.HAT].min() == 1
    assert targets.known[0, Part.FACE, 3, 0] == 0
    assert targets.present[0, Part.HAT] == 1
    assert targets.present[0, Part.COAT] == 0
    assert targets.present[0, Part.FACE] == -1
    assert targets.persons[0].shape == (1, 4, 4)


def test_targets_lie_where_the_part_lies() -> None:
    """A mask's middle is that of its pixels, however the part lies among the cells: else all masks end up aside."""
    middles, targets_middles = [], []
    for left in range(4, 12):
        labels = torch.zeros(1, 32, 32, dtype=torch.uint8)
        labels[0, left : left + 13, left : left + 13] = Part.HAT
        mask = TargetMaker()(labels, torch.zeros_like(labels)).parts[0, Part.HAT]
        cells = 4 * torch.arange(8) + 2.0
        middles.append(left + 6.5)
        targets_middles.append([float(mask.sum(axis) @ cells / mask.sum()) for axis in (0, 1)])
    assert np.mean(np.subtract(targets_middles, np.array(middles)[:, None]), axis=0) == pytest.approx(0, abs=0.05)


def test_dice_is_zero_for_the_right_mask_and_one_for_the_wrong() -> None:
    """The loss knows a perfect mask from its opposite."""
    truth = torch.zeros(1, 20, 20)
    truth[0, :10] = 1
    logits = 40 * (truth - 0.5)
    assert float(dice_loss(logits, truth)) < 0.01
    assert float(dice_loss(-logits, truth)) > 0.95


def test_only_limbs_of_a_known_side_teach_the_side() -> None:
    """The right side costs little, the wrong one much; skin of no known side teaches nothing."""
    labels = torch.full((1, 16, 16), Part.COAT, dtype=torch.uint8)
    labels[0, :, :8] = Part.LEFT_ARM
    targets = TargetMaker()(labels, torch.ones_like(labels))
    masks = torch.zeros(1, 20, 4, 4)
    masks[:, Part.LEFT_ARM], masks[:, Part.RIGHT_ARM] = 4.0, -4.0
    right = float(side_loss(masks, targets))
    swapped = masks.clone()
    swapped[:, Part.LEFT_ARM], swapped[:, Part.RIGHT_ARM] = -4.0, 4.0
    assert right < 0.01
    assert float(side_loss(swapped, targets)) > 5
    labels[0, :, :8] = SKIN
    assert float(side_loss(swapped, TargetMaker()(labels, torch.ones_like(labels)))) == 0


@pytest.mark.parametrize("behind", [True, False])
def test_cues_of_the_side(*, behind: bool) -> None:
    """Two arms side by side tell from where their person is seen, and which arm is the one on the left."""
    labels = torch.full((1, 32, 32), Part.COAT, dtype=torch.uint8)
    arms = (Part.LEFT_ARM, Part.RIGHT_ARM) if behind else (Part.RIGHT_ARM, Part.LEFT_ARM)
    labels[0, :, :8], labels[0, :, 24:] = arms
    targets = TargetMaker()(labels, torch.ones_like(labels))
    logits = torch.zeros(1, 1 + len(MIRRORED), 8, 8)
    unknown = float(cues_loss(logits, targets))
    logits[:, 0] = 9.0 if behind else -9.0
    logits[:, 1, :, :4], logits[:, 1, :, 4:] = 9.0, -9.0  # the first pair are the arms
    assert float(cues_loss(logits, targets)) < 0.01 < unknown
    assert float(cues_loss(-logits, targets)) > 5


def test_cues_of_the_side_are_not_balanced() -> None:
    """Where all that is seen is the same, three people who face the camera outweigh one seen from behind."""
    labels = torch.full((4, 32, 32), Part.COAT, dtype=torch.uint8)
    labels[:, :, :8], labels[:, :, 24:] = Part.RIGHT_ARM, Part.LEFT_ARM
    labels[3] = labels[3].flip(1)
    logits = torch.zeros(4, 1 + len(MIRRORED), 8, 8, requires_grad=True)
    (slope,) = torch.autograd.grad(cues_loss(logits, TargetMaker()(labels, torch.ones_like(labels))), logits)
    facing, behind = slope[:3, 0].sum(), slope[3, 0].sum()
    torch.testing.assert_close(facing, -3 * behind)


def test_one_arm_gives_no_cue() -> None:
    """It may be either: nothing is taught."""
    labels = torch.zeros(1, 32, 32, dtype=torch.uint8)
    labels[0, :, :8] = Part.LEFT_ARM
    targets = TargetMaker()(labels, (labels > 0).to(torch.uint8))
    assert float(cues_loss(torch.full((1, 1 + len(MIRRORED), 8, 8), 9.0), targets)) == 0


def test_pixel_centres_are_those_of_what_is_seen() -> None:
    """Each cell of a person, however small, is taught where that person's pixels have their centre; others are not."""
    persons = torch.zeros(1, 32, 32, dtype=torch.uint8)
    persons[0, :, :8], persons[0, 8:16, 24:] = 1, 2
    targets = TargetMaker()(torch.full_like(persons, Part.COAT), persons)
    centres = torch.zeros(1, 2, 8, 8)
    centres[0, 0, :, :2], centres[0, 1, :, :2] = 0.5 / 7, 0.5
    centres[0, 0, :, 6:], centres[0, 1, :, 6:] = 6.5 / 7, 2.5 / 7
    assert float(pixel_centre_loss(centres, targets)) == pytest.approx(0, abs=1e-6)
    centres[0, 0, :, 6:] -= 0.1
    assert float(pixel_centre_loss(centres, targets)) == pytest.approx(0.05 * 4 / 5, abs=1e-6)  # one of two, of 4 cells


def test_a_mask_of_two_people_is_not_separated() -> None:
    """Two equal masks are as good as a guess; if each prefers its own person, there is no loss."""
    persons = torch.zeros(2, 8, 8)
    persons[0, :, :4], persons[1, 2:6, 5:] = 1, 1
    both = 9 * persons.sum(dim=0).expand(2, 8, 8)
    assert separation_loss(both, persons).tolist() == pytest.approx([math.log(2)] * 2, rel=0.1)
    assert separation_loss(9 * persons, persons).max() < 0.001
    assert separation_loss(9 * persons.flip(0), persons).min() > 8


def test_every_layer_is_trained() -> None:
    """All losses are finite, and each parameter has a gradient, for two people with arms."""
    labels = torch.full((1, 64, 96), Part.COAT, dtype=torch.uint8)
    labels[0, :, :16], labels[0, :, 32:40] = Part.LEFT_ARM, Part.RIGHT_ARM
    persons = torch.ones_like(labels)
    persons[0, :, 40:] = 2
    maker = TargetMaker()
    criterion = Criterion(Weights(), maker.allowed, anchors())
    student = new_student(None, LITE0_CONFIGURATION)
    losses = criterion(student(normalise(torch.rand(1, 64, 96, 3) * 255)), maker(labels, persons))
    assert {"separation", "query_centre", "cues", "pixel_centre", "side"} <= losses.keys()
    assert all(torch.isfinite(one) for one in losses.values())
    torch.stack(list(losses.values())).sum().backward()
    assert [name for name, one in student.named_parameters() if one.grad is None] == []


def test_counts_of_a_perfect_map() -> None:
    """Truth against itself is perfect, ignored pixels do not count, absent groups have no IoU."""
    truth = np.array([[0, 0, 5], [6, 255, 5]], dtype=np.uint8)
    counts = confusion(truth, np.where(truth == 255, 3, truth).astype(np.uint8))
    assert counts.sum() == 5
    assert summary(counts) == {"miou": 1.0, "foreground_iou": 1.0, "accuracy": 1.0}
    assert np.isnan(ious(counts)[GROUPS.index("hat")])


def test_rate_rises_then_falls() -> None:
    """The schedule warms up, peaks and ends near zero."""
    values = [schedule(part / 100) for part in range(101)]
    assert values[0] < 0.1
    assert max(values) == pytest.approx(1.0, abs=0.05)
    assert values[-1] < 0.02
