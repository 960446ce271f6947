"""People in the output of a network: duplicates, and whose a cell is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from checkpoints import GOLDEN
from msgspec import structs

from edge_worker.m2fp.directory import open_directory
from edge_worker.m2fp.engines.choose import Choice
from edge_worker.m2fp.limb_sides import LimbSides
from edge_worker.m2fp.parser import Parser
from edge_worker.m2fp.people import decide_overlaps, find_people
from edge_worker.m2fp.types import Logits

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.m2fp.engines.base import Network
    from edge_worker.m2fp.types import FloatArray

SHAPE = (20, 40)


def mask(left: int, right: int, logit: float = 4.0) -> FloatArray:
    """Mask logits of somebody in these columns: *logit* there, as much below 0 elsewhere."""
    logits = np.full(SHAPE, -logit, np.float32)
    logits[:, left:right] = logit
    return logits


def scores(*values: float) -> FloatArray:
    return np.array(values, np.float32)


def decided(of: FloatArray, *masks: FloatArray) -> list[list[int]]:
    """The columns of each mask once overlaps are decided."""
    logits = np.stack(masks)
    decide_overlaps(of, logits)
    return [np.flatnonzero((one > 0).any(axis=0)).tolist() for one in logits]


def test_people_come_best_first_and_without_duplicates() -> None:
    """A mask that better ones mostly cover is one of theirs; uncertain queries and specks are nobody."""
    speck = np.full(SHAPE, -4, np.float32)
    speck[0, 33:40] = 4
    found = find_people(
        scores(0.7, 0.9, 0.8, 0.4, 0.95), np.stack([mask(15, 30), mask(0, 20), mask(1, 22), mask(30, 33), speck])
    )
    assert [one.query for one in found] == [1, 0]
    assert np.flatnonzero(found[1].cells.any(axis=0)).tolist() == list(range(20, 30))


def test_a_cell_goes_to_the_surest() -> None:
    """Not to the person with the higher score; where only one mask is, nothing changes."""
    first, second = mask(0, 20, 2.0), mask(15, 34, 5.0)
    assert decided(scores(0.9, 0.8), first, second) == [list(range(15)), list(range(15, 34))]
    second[:, 15:17] = 1.0
    assert decided(scores(0.9, 0.8), first, second) == [list(range(17)), list(range(17, 34))]
    logits = np.stack([first, second])
    decide_overlaps(scores(0.9, 0.8), logits)
    np.testing.assert_array_equal(logits[0, :, :17], first[:, :17])
    np.testing.assert_array_equal(logits[0, :, 20:], first[:, 20:])


@pytest.mark.parametrize(
    ("of", "other"),
    [((0.9, 0.8), (2, 24)), ((0.9, 0.45), (15, 34)), ((0.9, 0.8), (20, 34))],
    ids=["a duplicate", "uncertain", "a neighbour"],
)
def test_others_take_nothing(of: tuple[float, float], other: tuple[int, int]) -> None:
    """A duplicate is as sure as the mask that it doubles, and would tear it; nor does anybody else lose a cell."""
    assert decided(scores(*of), mask(0, 20, 2.0), mask(*other, 5.0)) == [list(range(20)), list(range(*other))]


def test_noise_does_no_harm() -> None:
    """Nobody, numbers that are none, and equal masks."""
    decide_overlaps(scores(0.1, 0.2), np.stack([mask(0, 9), mask(5, 20)]))
    assert decided(scores(0.9, 0.9), mask(0, 20), mask(15, 34)) == [list(range(20)), list(range(15, 34))]
    random = np.random.default_rng(0)
    for _ in range(20):
        logits = random.normal(0, 3, (30, *SHAPE)).astype(np.float32)
        logits[random.random(logits.shape) < 0.01] = np.nan
        decide_overlaps(random.random(30).astype(np.float32), logits)


def two_neighbours(directory: Path, sides: Network | None = None) -> Parser:
    """A model whose network finds two people that overlap, the one on the right more surely."""
    model = open_directory(directory)
    class_logits = np.zeros((2, len(model.config.classes) + 1), np.float32)
    class_logits[:, model.config.num_parsing] = 9, 8

    def infer(tensor: FloatArray) -> Logits:
        masks = np.full((2, tensor.shape[2] // 4, tensor.shape[3] // 4), -4, np.float32)
        middle = masks.shape[2] // 2
        masks[0, :, : middle + 4], masks[1, :, middle - 4 :] = 3, 5
        return Logits(class_logits, masks)

    engine = cast("Any", SimpleNamespace(infer=infer))
    return Parser(model, Choice(engine, "openvino", "f32", "", sides), threads=1, short_side=None)


def test_only_networks_that_separate_people_are_overruled() -> None:
    """Published models answer as published: their masks overlap."""
    frame = np.zeros((64, 96, 3), np.uint8)
    for directory, overlap in ((open_directory("builtin:m2fp-lite").path, False), (GOLDEN / "tiny-multi", True)):
        one, other = two_neighbours(directory).parse(frame).persons
        assert bool((one.mask & other.mask).any()) == overlap


@pytest.mark.parametrize(("cells", "people"), [(7, 0), (8, 1)])
def test_specks_are_nobody(cells: int, people: int) -> None:
    """Eight cells are the least; a cell whose logit is 0 is in no mask."""
    logits = np.zeros((1, *SHAPE), np.float32)
    logits[0, 3, :cells] = 4
    assert [np.count_nonzero(one.cells) for one in find_people(scores(0.9), logits)] == [cells] * people


@pytest.mark.parametrize(("left", "people"), [(10, 2), (9, 1)])
def test_half_of_a_person_is_not_covered(left: int, people: int) -> None:
    """A person of whom better ones cover more than half is a duplicate."""
    assert len(find_people(scores(0.9, 0.8), np.stack([mask(0, 20), mask(left, left + 20)]))) == people


@pytest.mark.parametrize(("score", "people"), [(0.5, 0), (0.51, 1)])
def test_people_are_certain(score: float, people: int) -> None:
    """Who is as likely nobody is nobody."""
    assert len(find_people(scores(score), mask(0, 20)[None])) == people


def test_better_people_cover_together() -> None:
    """A duplicate of two people, half of each, is one too."""
    found = find_people(scores(0.9, 0.8, 0.7), np.stack([mask(0, 12), mask(12, 24), mask(6, 18)]))
    assert [one.query for one in found] == [0, 1]


def test_lost_cells_are_well_below_the_mask() -> None:
    """Else an enlarged mask would reach into the cell beside its own; other masks than people's are not compared."""
    logits = np.stack([mask(0, 20, 2.0), mask(15, 34, 5.0), mask(0, 40, 9.0)])
    decide_overlaps(scores(0.9, 0.8, 0.1), logits)
    assert (logits[0, :, 15:20] == -3).all()
    assert (logits[2] == 9).all()


def test_overlaps_are_decided_before_the_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second network is shown the people of the result."""
    overlaps: list[bool] = []
    monkeypatch.setattr(
        LimbSides,
        "refine",
        lambda _self, _image, logits: overlaps.append(bool((logits.mask_logits > 0).all(axis=0).any())),
    )
    two_neighbours(open_directory("builtin:m2fp-lite").path, sides=cast("Any", object())).parse(
        np.zeros((64, 96, 3), np.uint8)
    )
    assert overlaps == [False]


def test_without_a_class_of_people_nobody_is_separated() -> None:
    """Whatever else the configuration says."""
    config = open_directory("builtin:m2fp-lite").config
    assert config.separates_people
    assert not structs.replace(config, parsing_on=False, semantic_on=True, num_parsing=None).separates_people
