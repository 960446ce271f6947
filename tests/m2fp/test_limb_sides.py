"""The second network's part in a parsing: which people it sees, and what becomes of its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from checkpoints import GOLDEN
from msgspec import structs

from edge_worker.m2fp.class_names import side_pairs
from edge_worker.m2fp.configuration import load_configuration
from edge_worker.m2fp.limb_sides import (
    CROP,
    STRIDE,
    LimbSides,
    crop,
    cut,
    window_around,
    without_strays,
)
from edge_worker.m2fp.preprocess import DEVIATION, MEAN
from edge_worker.m2fp.types import Box, Logits

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_worker.m2fp.types import BoolArray, FloatArray

CLASSES = ("Background", "Left-arm", "Right-arm", "Face", "Human")
LEFT, RIGHT, HUMAN = 1, 2, 4
SHAPE = (40, 60)  # cells
GOLDEN_CONFIG = load_configuration(GOLDEN / "tiny-multi")
CONFIG = structs.replace(
    GOLDEN_CONFIG,
    classes=CLASSES,
    num_parsing=HUMAN,
    decoder=structs.replace(GOLDEN_CONFIG.decoder, num_classes=len(CLASSES)),
)
IMAGE = np.zeros((SHAPE[0] * STRIDE, SHAPE[1] * STRIDE, 3), np.uint8)
CROP_SHAPE = (CROP.height // STRIDE, CROP.width // STRIDE)


class Told:
    """A network that answers every crop with the same logits, or with a function of it."""

    def __init__(self, answer: float | Callable[[FloatArray], FloatArray]) -> None:
        """Keep the *answer* and count the crops."""
        self.answer, self.is_open = answer, True
        self.crops: list[FloatArray] = []

    def run(self, tensor: FloatArray) -> list[FloatArray]:
        """Answer."""
        self.crops.append(tensor[0])
        answer = self.answer(tensor[0]) if callable(self.answer) else np.full(CROP_SHAPE, self.answer, np.float32)
        return [answer[None]]

    def is_compiled(self, shape: tuple[int, int]) -> bool:
        """Only for the shape of crops."""
        return shape == (CROP.height, CROP.width)

    def compile(self, shape: tuple[int, int]) -> None:
        """Only for the shape of crops."""
        assert self.is_compiled(shape)

    def close(self) -> None:
        """Note it."""
        self.is_open = False


def block(top: int, left: int, bottom: int, right: int) -> BoolArray:
    """Cells of a rectangle."""
    mask = np.zeros(SHAPE, np.bool_)
    mask[top:bottom, left:right] = True
    return mask


PERSON = block(5, 10, 35, 30)
ARM = block(10, 10, 20, 14)  # of the person
OTHER_ARM = block(10, 26, 20, 30)


def logits_of(*queries: tuple[int, float, BoolArray, float]) -> Logits:
    """Logits of queries: class, its probability, cells, and the mask logit in them (as much below 0 elsewhere)."""
    scores = np.full((len(queries), len(CLASSES) + 1), -20, np.float32)
    for row, (class_id, probability, _, _) in zip(scores, queries, strict=True):
        row[class_id], row[-1] = np.log(probability), np.log(1 - probability)
    masks = np.stack([np.where(cells, value, -abs(value)) for _, _, cells, value in queries]).astype(np.float32)
    return Logits(scores, masks)


def probability(logits: Logits, query: int, class_id: int) -> float:
    """The softmax of a query."""
    powers = np.exp(logits.class_logits[query])
    return float(powers[class_id] / powers.sum())


BOTH_QUERIES = ((LEFT, 0.9, ARM, 3.0), (RIGHT, 0.9, OTHER_ARM, 2.0), (HUMAN, 0.95, PERSON, 4.0))
BOTH = logits_of(*BOTH_QUERIES)


def refined(network: Told, logits: Logits = BOTH) -> Logits:
    """What becomes of a copy of *logits*."""
    copy = Logits(logits.class_logits.copy(), logits.mask_logits.copy())
    LimbSides(network, CONFIG).refine(IMAGE, copy)
    return copy


def test_classes_are_paired_by_name() -> None:
    """Those that exist on both sides, wherever they are in the list."""
    assert side_pairs(CLASSES) == ((LEFT, RIGHT),)
    assert side_pairs(("Right-leg", "Left-arm", "Left-leg", "Arm")) == ((2, 0),)
    assert side_pairs(("Background", "Hair")) == ()


@pytest.mark.parametrize(("answer", "side", "other"), [(50.0, 0, 1), (-50.0, 1, 0)])
def test_all_limbs_become_the_side_that_is_said(answer: float, side: int, other: int) -> None:
    """The query of that side gets the higher mask logit everywhere; the other one is left with none above 0."""
    found, limbs = refined(Told(answer)), ARM | OTHER_ARM
    np.testing.assert_array_equal(found.mask_logits[side] > 0, limbs)
    np.testing.assert_array_equal(found.mask_logits[side][limbs], BOTH.mask_logits[:2].max(axis=0)[limbs])
    np.testing.assert_array_equal(found.mask_logits[other][limbs], BOTH.mask_logits[:2].min(axis=0)[limbs])


def test_a_cell_that_both_sides_claim_is_of_one() -> None:
    """The other's mask logit becomes 0, the highest that is in no mask, so that borders stay where they were."""
    claimed = logits_of((LEFT, 0.9, ARM, 3.0), (RIGHT, 0.9, ARM, 2.5), (HUMAN, 0.95, PERSON, 4.0))
    found = refined(Told(-50.0), claimed)
    np.testing.assert_array_equal(found.mask_logits[1][ARM], 3.0)
    np.testing.assert_array_equal(found.mask_logits[0][ARM], 0.0)


def test_each_cell_is_decided_by_what_is_said_there() -> None:
    """The right half of the crop is left here: the arms change sides."""
    ramp = np.tile(np.linspace(-80, 80, CROP_SHAPE[1], dtype=np.float32), (CROP_SHAPE[0], 1))
    found = refined(Told(lambda _: ramp))
    np.testing.assert_array_equal(found.mask_logits[0] > 0, OTHER_ARM)
    np.testing.assert_array_equal(found.mask_logits[1] > 0, ARM)


def test_what_is_right_already_stays() -> None:
    """Where both networks agree, the label map stays as it is; so do the classes and everything that is no limb."""
    ramp = np.tile(np.linspace(80, -80, CROP_SHAPE[1], dtype=np.float32), (CROP_SHAPE[0], 1))
    found = refined(Told(lambda _: ramp))
    np.testing.assert_array_equal(found.mask_logits > 0, BOTH.mask_logits > 0)
    np.testing.assert_array_equal(found.class_logits, BOTH.class_logits)
    no_limb = ~(ARM | OTHER_ARM)
    np.testing.assert_array_equal(found.mask_logits[:, no_limb], BOTH.mask_logits[:, no_limb])
    np.testing.assert_array_equal(found.mask_logits[2], BOTH.mask_logits[2])


def test_an_undecided_answer_leaves_it_to_the_first_network() -> None:
    """Logits of 0 say nothing."""
    np.testing.assert_array_equal(refined(Told(0.0)).mask_logits > 0, BOTH.mask_logits > 0)


def test_a_side_that_was_thought_absent_becomes_as_certain_as_the_other_was() -> None:
    """Else its cells would be in no label; what it had claimed without being seen stays unseen."""
    one_sided = logits_of((LEFT, 0.9, ARM, 3.0), (RIGHT, 0.05, ARM | OTHER_ARM, 2.0), (HUMAN, 0.95, PERSON, 4.0))
    found = refined(Told(-50.0), one_sided)
    assert probability(found, 1, RIGHT) == pytest.approx(0.9, rel=1e-3)
    assert probability(found, 0, LEFT) == pytest.approx(0.9, rel=1e-3)
    np.testing.assert_array_equal(found.mask_logits[1] > 0, ARM)


@pytest.mark.parametrize("answer", [50.0, -50.0])
def test_no_side_becomes_more_certain_than_it_must(answer: float) -> None:
    """Not the side that gets no cells, nor one that is more certain already."""
    query = {50.0: 0, -50.0: 1}[answer]
    sure = [0.6, 0.6]
    sure[query] = 0.95
    limbs = [(LEFT, sure[0], ARM, 3.0), (RIGHT, sure[1], OTHER_ARM, 3.0), (HUMAN, 0.95, PERSON, 4.0)]
    logits = logits_of(*limbs)
    np.testing.assert_array_equal(refined(Told(answer), logits).class_logits, logits.class_logits)
    np.testing.assert_array_equal(refined(Told(0.0), logits).class_logits, logits.class_logits)


@pytest.mark.parametrize("answer", [50.0, -50.0])
@pytest.mark.parametrize(
    "queries",
    [
        [(LEFT, 0.9, ARM, 3.0), (HUMAN, 0.95, PERSON, 4.0)],
        [(LEFT, 0.9, ARM, 3.0), (3, 0.9, OTHER_ARM, 3.0), (HUMAN, 0.95, PERSON, 4.0)],
    ],
    ids=["none for the other side", "the other side's best is a face"],
)
def test_networks_whose_queries_are_not_one_for_each_side_are_left_alone(
    queries: list[tuple[int, float, BoolArray, float]], answer: float
) -> None:
    """There is nothing to exchange."""
    logits = logits_of(*queries)
    found = refined(Told(answer), logits)
    np.testing.assert_array_equal(found.mask_logits, logits.mask_logits)
    np.testing.assert_array_equal(found.class_logits, logits.class_logits)


def test_an_answer_that_is_no_number_says_nothing() -> None:
    """The first network decides."""
    found = refined(Told(float("nan")))
    np.testing.assert_array_equal(found.mask_logits > 0, BOTH.mask_logits > 0)


def test_what_it_was_given_is_not_changed() -> None:
    """Engines may reuse their outputs."""
    kept = Logits(BOTH.class_logits.copy(), BOTH.mask_logits.copy())
    refined(Told(-50.0))
    for before, after in zip(kept, BOTH, strict=True):
        np.testing.assert_array_equal(before, after)


def test_limbs_of_nobody_stay() -> None:
    """Only a person says where left is: neither cells outside people, nor those of an uncertain person, change."""
    outside = block(10, 40, 20, 44)
    lost = logits_of((LEFT, 0.9, ARM | outside, 3.0), (RIGHT, 0.9, OTHER_ARM, 2.0), (HUMAN, 0.95, PERSON, 4.0))
    np.testing.assert_array_equal(refined(Told(-50.0), lost).mask_logits[0] > 0, outside)
    doubtful = logits_of((LEFT, 0.9, ARM, 3.0), (RIGHT, 0.9, OTHER_ARM, 2.0), (HUMAN, 0.4, PERSON, 4.0))
    network = Told(-50.0)
    np.testing.assert_array_equal(refined(network, doubtful).mask_logits, doubtful.mask_logits)
    assert not network.crops


def test_no_frame_without_limbs_costs_anything() -> None:
    """Someone without arms in view is not looked at."""
    network = Told(-50.0)
    refined(network, logits_of((LEFT, 0.9, ARM, -3.0), (RIGHT, 0.9, OTHER_ARM, -2.0), (HUMAN, 0.95, PERSON, 4.0)))
    assert not network.crops


def test_each_person_is_asked_for_once_the_better_first() -> None:
    """Cells of two people are the better one's, a worse one is shown without them, and each answer is for its own."""
    behind = block(5, 20, 35, 45)
    far_arm = block(10, 36, 20, 40)
    logits = logits_of(
        (LEFT, 0.9, ARM | far_arm, 3.0),
        (RIGHT, 0.9, OTHER_ARM, 2.0),
        (HUMAN, 0.6, behind, 4.0),
        (HUMAN, 0.95, PERSON, 4.0),
    )
    window, alone = window_around(PERSON), behind & ~PERSON
    of_first = crop(IMAGE, PERSON, window)
    network = Told(lambda found: np.full(CROP_SHAPE, 50.0 if np.array_equal(found, of_first) else -50.0, np.float32))
    found = refined(network, logits)
    np.testing.assert_array_equal(network.crops, [of_first, crop(IMAGE, alone, window_around(alone))])
    np.testing.assert_array_equal(found.mask_logits[0] > 0, ARM | OTHER_ARM)
    np.testing.assert_array_equal(found.mask_logits[1] > 0, far_arm)


def test_the_rim_of_a_duplicate_is_nobody() -> None:
    """A worse mask of the same person, a little larger, is not looked at; nor are a few cells."""
    larger = block(4, 9, 36, 31)
    logits = logits_of(*BOTH_QUERIES, (HUMAN, 0.8, larger, 4.0), (HUMAN, 0.8, block(0, 50, 1, 57), 4.0))
    network = Told(50.0)
    refined(network, logits)
    assert len(network.crops) == 1


def test_stray_cells_do_not_enlarge_the_window() -> None:
    """A large piece does, such as the legs below a table."""
    stray, legs = PERSON | block(0, 55, 2, 58), PERSON | block(37, 10, 40, 30)
    np.testing.assert_array_equal(without_strays(stray), PERSON)
    np.testing.assert_array_equal(without_strays(legs), legs)
    scattered = np.zeros(SHAPE, np.bool_)
    scattered[::2, ::2] = True
    np.testing.assert_array_equal(without_strays(scattered), scattered)
    network = Told(50.0)
    refined(network, logits_of(*BOTH_QUERIES[:2], (HUMAN, 0.95, stray, 4.0)))
    np.testing.assert_array_equal(network.crops, [crop(IMAGE, stray, window_around(PERSON))])


def test_masks_of_noise_do_no_harm() -> None:
    """Whatever a hostile image makes of the masks: scattered cells, a rim of the padding, numbers that are none."""
    random = np.random.default_rng(0)
    for seed in range(50):
        cells = random.random((5, *SHAPE)) < 0.05 * (1 + seed % 19)
        queries = [(one, 0.9, cells[i], 3.0) for i, one in enumerate((LEFT, RIGHT, HUMAN, HUMAN, HUMAN))]
        logits = logits_of(*queries)
        logits.mask_logits[random.random(logits.mask_logits.shape) < 0.01] = np.nan
        LimbSides(Told(float(random.normal())), CONFIG).refine(IMAGE[: 4 * (seed % 40) + 1], logits)


def test_a_crowd_takes_bounded_time() -> None:
    """However many people are claimed, sixteen are looked at."""
    people = [(HUMAN, 0.9, block(8 * i, 6 * j, 8 * i + 7, 6 * j + 5), 4.0) for i in range(5) for j in range(10)]
    network = Told(1.0)
    refined(network, logits_of((LEFT, 0.9, np.ones(SHAPE, np.bool_), 3.0), (RIGHT, 0.9, ARM, -3.0), *people))
    assert len(network.crops) == 16


@pytest.mark.parametrize(
    "person",
    [block(5, 10, 35, 30), block(0, 0, 40, 2), block(18, 0, 20, 60), block(39, 59, 40, 60), np.ones(SHAPE, np.bool_)],
    ids=["in the middle", "narrow", "wide", "a corner's cell", "everything"],
)
def test_the_window_holds_the_person(person: BoolArray) -> None:
    """With a margin, at a crop's proportions as nearly as cells allow, wherever the person is."""
    window = window_around(person)
    assert cut(person.view(np.uint8), window).sum() == person.sum()
    assert abs(window.width - window.height * CROP.width / CROP.height) <= 1
    rows, columns = (np.flatnonzero(person.any(axis=axis)).size for axis in (1, 0))
    assert window.height <= 1.15 * max(rows, columns * CROP.height / CROP.width) + 1
    found = crop(IMAGE, person, window)
    assert found.shape == (4, CROP.height, CROP.width)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


def test_the_window_is_in_the_middle_of_the_person() -> None:
    """To half a cell, in both directions."""
    assert window_around(block(10, 20, 30, 34)) == Box(19, 9, 15, 22)
    assert window_around(block(10, 20, 30, 34), 2.0, (0.5, -0.25)) == Box(27, -13, 31, 44)


def test_a_crop_shows_the_image_as_the_first_network_sees_it() -> None:
    """Normalised, in place under the mask; beyond the image it is as grey as its mean."""
    image = np.zeros((SHAPE[0] * STRIDE, SHAPE[1] * STRIDE, 3), np.uint8)
    person = block(0, 0, 20, 14)
    image[: 20 * STRIDE, : 14 * STRIDE] = (200, 100, 50)
    found = crop(image, person, window_around(person))
    inside = found[3] == 1
    colour = (np.array([200, 100, 50], np.float32) - MEAN) / DEVIATION
    deep = np.zeros_like(inside)
    deep[20:-20, 20:-20] = True
    np.testing.assert_allclose(found[:3, inside & deep].T, np.tile(colour, ((inside & deep).sum(), 1)), atol=0.02)
    assert (inside & deep).sum() > 5000
    assert np.abs(found[:3, :2]).max() < 0.02  # above the image
    assert set(np.unique(found[3])) == {0, 1}


@pytest.mark.parametrize("place", [(-3, -2), (50, 30), (2, 1), (-100, 0), (0, 200)])
def test_what_exceeds_the_image_is_filled(place: tuple[int, int]) -> None:
    """On each side, and where a window is wholly outside, as around a person in the padding."""
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    wide = np.full((400, 400, 3), (7, 8, 9), np.uint8)
    wide[150:190, 150:210] = image
    x, y = place
    found = cut(image, Box(x, y, 20, 30), (7, 8, 9))
    np.testing.assert_array_equal(found, wide[150 + y : 180 + y, 150 + x : 170 + x])
    np.testing.assert_array_equal(cut(image[..., 0], Box(x, y, 20, 30), (7,)), found[..., 0])


def test_image_and_mask_are_not_mirrored() -> None:
    """The upper left corner stays there."""
    image = np.zeros((SHAPE[0] * STRIDE, SHAPE[1] * STRIDE, 3), np.uint8)
    image[5 * STRIDE : 20 * STRIDE, 10 * STRIDE : 20 * STRIDE] = 255
    corner = block(5, 10, 20, 20)
    found = crop(image, corner, window_around(PERSON))
    assert found[3, :70, :50].mean() > 0.6
    assert found[3, 85:].sum() == found[3, :, 65:].sum() == 0
    assert np.corrcoef(found[0].ravel(), found[3].ravel())[0, 1] > 0.95


def test_closing_it_closes_the_network() -> None:
    """And compiling it compiles the network."""
    network = Told(0.0)
    sides = LimbSides(network, CONFIG)
    sides.compile()
    sides.close()
    assert not network.is_open
