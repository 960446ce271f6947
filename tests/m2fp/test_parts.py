"""Each cell is one class."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from checkpoints import GOLDEN

from edge_worker.m2fp.directory import open_directory, resolve
from edge_worker.m2fp.engines.choose import Choice
from edge_worker.m2fp.parser import Parser
from edge_worker.m2fp.parts import decide_parts
from edge_worker.m2fp.postprocess import class_probabilities
from edge_worker.m2fp.types import Logits

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.m2fp.types import BoolArray, FloatArray

CLASSES = ("Background", "Dress", "Skirt", "Left-arm", "Right-arm")
DRESS, SKIRT, LEFT, RIGHT = range(1, 5)
SHAPE = (20, 30)
ALL = np.ones(SHAPE, np.bool_)


def block(top: int, left: int, bottom: int, right: int) -> BoolArray:
    """Cells of a rectangle."""
    mask = np.zeros(SHAPE, np.bool_)
    mask[top:bottom, left:right] = True
    return mask


BODY, LAP, ARM = block(2, 2, 10, 12), block(10, 2, 18, 12), block(2, 0, 8, 2)


def logits_of(**classes: tuple[float, BoolArray, float]) -> Logits:
    """Logits of a query for each class: its probability, cells, mask logit in them (as much below 0 elsewhere)."""
    known = {"dress": DRESS, "skirt": SKIRT, "left": LEFT, "right": RIGHT}
    scores, masks = np.full((4, len(CLASSES) + 2), -20, np.float32), []
    for row, (name, class_id) in zip(scores, known.items(), strict=True):
        probability, cells, value = classes.get(name, (0.01, ~ALL, 3.0))
        row[class_id], row[-1] = np.log(probability), np.log(1 - probability)
        masks.append(np.where(cells, value, -abs(value)))
    return Logits(scores, np.stack(masks).astype(np.float32))


def decided(logits: Logits) -> Logits:
    """What becomes of a copy."""
    copy = Logits(logits.class_logits.copy(), logits.mask_logits.copy())
    decide_parts(class_probabilities(copy.class_logits), copy.mask_logits, CLASSES)
    return copy


def shown(logits: Logits) -> np.ndarray:
    """The class of each cell, 0 for none, as in a label map."""
    scores = class_probabilities(logits.class_logits)[range(4), range(1, 5)]
    values = scores[:, None, None] * (0.5 + 0.5 * np.tanh(logits.mask_logits / 2))
    return np.where(values.max(axis=0) > 0.5, values.argmax(axis=0) + 1, 0)


def test_a_mask_that_is_doubtful_elsewhere_loses_nothing_for_that() -> None:
    """The mean over a mask, by which the pipeline weighs a class, is not in the product; borders stay as they are."""
    logits = logits_of(dress=(0.9, BODY | LAP, 0.1), skirt=(0.9, LAP, 1.4))
    logits.mask_logits[0][LAP] = 1.5
    found = decided(logits)
    np.testing.assert_array_equal(found.mask_logits[0], logits.mask_logits[0])
    np.testing.assert_array_equal(found.mask_logits[1][LAP], 0)
    np.testing.assert_array_equal(found.mask_logits[1][~LAP], logits.mask_logits[1][~LAP])
    np.testing.assert_array_equal(found.class_logits, logits.class_logits)


def test_scores_count_less_than_sigmoids() -> None:
    """By their square root: an uncertain class gets the cells where it is much surer of its mask."""
    sigmoid = 1 / (1 + np.exp(-1.0))
    assert 0.6 * 1.0 < 0.9 * sigmoid < 0.9 * 0.6**0.5 / 0.9**0.5
    logits = logits_of(dress=(0.6, BODY | LAP, 0.1), skirt=(0.9, LAP, 1.0))
    logits.mask_logits[0][LAP] = 9.0
    assert set(shown(logits)[LAP]) == {SKIRT}
    assert set(shown(decided(logits))[LAP]) == {DRESS}


@pytest.mark.parametrize(
    ("dress", "skirt", "score", "taken"),
    [(2.0, 2.5, 0.7, 2.5), (0.3, 0.4, 0.85, 0.5)],
    ids=["as far", "far enough to stay in when enlarged"],
)
def test_a_cell_stays_inside(dress: float, skirt: float, score: float, taken: float) -> None:
    """The winner gets the highest mask logit of all, and one that is well inside."""
    logits = logits_of(dress=(0.95, BODY | LAP, 0.01), skirt=(score, LAP, skirt))
    logits.mask_logits[0][LAP] = dress
    found = decided(logits)
    np.testing.assert_allclose(found.mask_logits[0][LAP], taken)
    np.testing.assert_allclose(found.mask_logits[0][BODY], 0.01)
    np.testing.assert_array_equal(found.mask_logits[1][LAP], 0)


def test_what_is_decided_rightly_stays() -> None:
    """All of it: claims that lose keep their masks."""
    logits = logits_of(dress=(0.9, BODY | LAP, 2.0), skirt=(0.95, LAP, 3.0))
    np.testing.assert_array_equal(decided(logits).mask_logits, logits.mask_logits)


@pytest.mark.parametrize("score", [0.4, 0.5])
def test_who_is_not_seen_takes_nothing(score: float) -> None:
    """Its query is in no label anywhere."""
    logits = logits_of(dress=(score, BODY | LAP, 9.0), skirt=(0.9, LAP, 0.4), left=(0.9, ARM, 2.0))
    np.testing.assert_array_equal(decided(logits).mask_logits, logits.mask_logits)


def test_cells_in_no_label_stay_so() -> None:
    """Whatever is claimed there: what is part of a person is not decided here."""
    logits = logits_of(dress=(0.55, BODY | LAP, 0.01), skirt=(0.51, LAP, 0.48))
    logits.mask_logits[0][LAP] = 0.5
    assert not shown(logits).any()
    np.testing.assert_array_equal(decided(logits).mask_logits, logits.mask_logits)


def test_a_mask_is_as_doubtful_as_it_is_inside() -> None:
    """Not where it claims nothing."""
    logits = logits_of(dress=(0.9, LAP, 1.5), skirt=(0.9, LAP, 1.4), left=(0.9, BODY, 4.0))
    logits.mask_logits[1][BODY] = -0.5
    np.testing.assert_array_equal(decided(logits).mask_logits, logits.mask_logits)


def test_the_background_is_no_part() -> None:
    """Its query is surest of all, also where clothes are."""
    logits = logits_of(dress=(0.9, BODY | LAP, 0.1), skirt=(0.9, LAP, 1.4))
    logits.mask_logits[0][LAP] = 1.5
    row = np.full((1, len(CLASSES) + 2), -20, np.float32)
    row[0, 0] = 20
    with_it = Logits(
        np.concatenate([logits.class_logits, row]), np.concatenate([logits.mask_logits, 9 + 0 * LAP[None]])
    )
    np.testing.assert_array_equal(decided(with_it).mask_logits[:4], decided(logits).mask_logits)


def test_who_loses_cells_keeps_what_was_outside() -> None:
    """A mask logit below 0 stays, so that its border does."""
    logits = logits_of(dress=(0.9, BODY | LAP, 0.1), skirt=(0.9, LAP, 1.4))
    logits.mask_logits[0][LAP] = 1.5
    assert (logits.mask_logits[2][LAP] == -3).all()
    logits.class_logits[2] = logits.class_logits[2, [0, 1, 2, 6, 4, 5, 3]]  # the left arm is sure, and elsewhere
    assert class_probabilities(logits.class_logits)[2, LEFT] > 0.5
    np.testing.assert_array_equal(decided(logits).mask_logits[2], logits.mask_logits[2])


def test_sides_of_a_limb_are_one() -> None:
    """Which one it is, is decided afterwards, by both mask logits: their difference stays."""
    limb = logits_of(left=(0.9, ARM, 1.4), right=(0.9, ARM, 1.5))
    np.testing.assert_array_equal(decided(limb).mask_logits, limb.mask_logits)
    limb = logits_of(left=(0.9, ARM, 1.6), right=(0.9, ARM, 1.5), dress=(0.9, BODY | ARM, 0.5))
    limb.mask_logits[2, 15:] = 0.05  # so that the pipeline would show the right one
    np.testing.assert_array_equal(decided(limb).mask_logits, limb.mask_logits)
    covered = logits_of(left=(0.9, ARM, 1.4), right=(0.9, ARM, 1.5), dress=(0.6, BODY | ARM, 1.0))
    covered.mask_logits[0][ARM] = 3.0
    covered.mask_logits[2:, 15:] = 0.05  # what both sides claim doubtfully elsewhere
    left, right = decided(covered).mask_logits[2:, ARM]
    np.testing.assert_allclose(right, 3.0)
    np.testing.assert_allclose(right - left, 0.1, atol=1e-6)
    assert not decided(covered).mask_logits[0][ARM].any()


@pytest.mark.parametrize(
    ("model", "shown"),
    [(resolve("builtin:m2fp-lite"), "Dress"), (GOLDEN / "tiny-multi", "Coat")],
    ids=["m2fp-lite", "a published model"],
)
def test_only_networks_that_separate_people_are_overruled(model: Path, shown: str) -> None:
    """A dress that is doubtful on one side has a lower score than a coat; published models answer as published."""
    directory = open_directory(model)
    classes = directory.config.classes

    def infer(tensor: FloatArray) -> Logits:
        class_logits = np.full((len(classes), len(classes) + 1), -20, np.float32)
        np.fill_diagonal(class_logits, -10)
        class_logits[:, -1] = 0
        for name in ("Dress", "Coat"):
            class_logits[classes.index(name), classes.index(name)] = 10
        masks = np.full((len(classes), tensor.shape[2] // 4, tensor.shape[3] // 4), -9, np.float32)
        masks[classes.index("Dress")] = 0.5
        half = np.s_[:, : masks.shape[2] // 2]
        masks[classes.index("Dress")][half], masks[classes.index("Coat")][half] = 1.6, 1.5
        return Logits(class_logits, masks)

    engine = cast("Any", SimpleNamespace(infer=infer))
    parser = Parser(directory, Choice(engine, "openvino", "f32", ""), threads=1, short_side=None)
    labels = parser.parse(np.zeros((64, 96, 3), np.uint8)).label_map
    assert classes[labels[32, 20]] == shown


def test_large_logits_are_finite() -> None:
    """Of scores and masks."""
    logits = logits_of(dress=(1.0 - 1e-7, LAP, 200.0), skirt=(1.0 - 1e-7, LAP, 100.0))
    logits.mask_logits[0, :5] = 0.01
    with np.errstate(all="raise", under="ignore"):
        found = decided(logits)
    assert np.isfinite(found.mask_logits).all()
    assert set(shown(found)[LAP]) == {DRESS}


def test_noise_does_no_harm() -> None:
    """Numbers that are none, as a broken model gives them, end nothing."""
    random = np.random.default_rng(0)
    for _ in range(30):
        logits = Logits(
            random.normal(0, 5, (7, len(CLASSES) + 2)).astype(np.float32),
            random.normal(0, 5, (7, *SHAPE)).astype(np.float32),
        )
        logits.mask_logits[random.random(logits.mask_logits.shape) < 0.01] = np.nan
        decide_parts(class_probabilities(logits.class_logits), logits.mask_logits, CLASSES)
