"""Postprocessing gives the published answer, on golden logits and on any other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import published
import pytest
import torch
from agreement import assert_same_instances, assert_same_map
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from edge_worker.m2fp.configuration import ModelConfig, parse_configuration
from edge_worker.m2fp.postprocess import postprocess
from edge_worker.m2fp.preprocess import Geometry, preprocess
from edge_worker.m2fp.seeded import tiny_configuration
from edge_worker.m2fp.types import Logits

if TYPE_CHECKING:
    from checkpoints import Golden

pytestmark = pytest.mark.usefixtures("masks_read")

QUERIES = 12

# Share of pixels that rounding alone may decide: none of a small frame, whose masks must keep off from 0 and whose
# classes from each other.
BORDER = 2 / 2000
ROUNDING = 1e-5


def test_golden_answer(golden: Golden) -> None:
    """From the published logits come the published label map and instances."""
    net_input = preprocess(golden.frame, golden.config)
    logits = Logits(golden.expected["pred_logits"], golden.expected["pred_masks"])
    parsing = postprocess(logits, net_input.geometry, golden.config)
    masks = np.unpackbits(golden.expected["masks_packed"], axis=-1)[..., : golden.frame.shape[1]].astype(bool)
    assert_same_map(parsing.label_map, golden.expected["semantic_argmax"])
    assert_same_instances(parsing, zip(golden.expected["labels"], golden.expected["scores"], masks, strict=True))


def configuration(*, single_human: bool) -> ModelConfig:
    data: dict[str, Any] = tiny_configuration(single_human=single_human)
    data["model"]["input"] = {"short_side": 64, "max_side": 140}
    return parse_configuration(data, "test")


def geometry_of(width: int, height: int, config: ModelConfig) -> Geometry:
    return preprocess(np.zeros((height, width, 3), np.uint8), config).geometry


def random_logits(geometry: Geometry, config: ModelConfig, seed: int) -> Logits:
    """Class logits that make some candidates sure; masks that are blobs, everywhere, or nowhere."""
    random = np.random.default_rng(seed)
    class_logits = random.normal(0, 4, (QUERIES, config.decoder.num_classes + 1)).astype(np.float32)
    class_logits[: QUERIES // 2, config.num_parsing or 1] += 6
    height, width = geometry.padded.height // 4, geometry.padded.width // 4
    masks = random.normal(0, 1, (QUERIES, height, width)).astype(np.float32)
    rows, columns = np.mgrid[:height, :width]
    for mask in masks[2:]:
        y, x, radius = random.uniform(0, height), random.uniform(0, width), random.uniform(1, max(2, height))
        np.add(mask, 8 * (1 - np.hypot(rows - y, columns - x) / radius), out=mask, casting="same_kind")
    masks[0] -= 30  # positive nowhere
    masks[1] += 300  # sigmoid saturates
    return Logits(class_logits, masks)


def on_the_border(logits: Logits, geometry: Geometry) -> bool:
    """Whether a pixel of a mask is so near to 0 that rounding may decide."""
    return bool(published.enlarged(torch.from_numpy(logits.mask_logits), geometry).abs().min() < ROUNDING)


def is_a_tie(expected: published.Answer) -> bool:
    """Whether two classes are so near to each other at a pixel that rounding may decide."""
    second, first = np.partition(expected.values, -2, axis=0)[-2:]
    return bool(((first > 0) & (first - second < ROUNDING)).any())


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 1000), st.booleans())
@example(1, 1, 0, False)
@example(1, 1, 0, True)
@example(2000, 2, 0, False)
@example(2, 2000, 0, True)
@example(300, 3, 1, False)
def test_any_logits_are_read_as_published(width: int, height: int, seed: int, single_human: bool) -> None:  # noqa: FBT001
    """For any size of frame and any logits, the label map is of that size and all is as the slow way finds it."""
    config = configuration(single_human=single_human)
    geometry = geometry_of(width, height, config)
    logits = random_logits(geometry, config, seed)
    expected = published.answer(logits, geometry, config)
    assume(width * height * BORDER >= 1 or not (on_the_border(logits, geometry) or is_a_tie(expected)))
    parsing = postprocess(logits, geometry, config)
    assert parsing.label_map.shape == (height, width)
    assert parsing.label_map.dtype == np.uint8
    assert_same_map(parsing.label_map, expected.label_map, at_least=1 - BORDER)
    if not config.single_human:
        assert_same_instances(parsing, expected.instances, at_least=1 - BORDER)


def test_nothing_found() -> None:
    """Where every query says "no object" the frame is background, with no parts and no persons."""
    config = configuration(single_human=False)
    geometry = geometry_of(64, 48, config)
    logits = random_logits(geometry, config, 0)
    logits.class_logits[:, -1] = 100
    parsing = postprocess(logits, geometry, config)
    assert not parsing.label_map.any()
    assert parsing.parts == parsing.persons == ()


def test_background_can_win() -> None:
    """A sure background candidate takes pixels from a less sure part, though it is no part itself."""
    config = configuration(single_human=False)
    geometry = geometry_of(64, 48, config)
    masks = np.full((2, geometry.padded.height // 4, geometry.padded.width // 4), 9.0, np.float32)
    class_logits = np.full((2, config.decoder.num_classes + 1), -9.0, np.float32)
    class_logits[0, 0], class_logits[1, 5], class_logits[1, -1] = 9, 1, 0
    parsing = postprocess(Logits(class_logits, masks), geometry, config)
    assert not parsing.label_map.any()
    assert [part.label for part in parsing.parts] == ["UpperClothes"]
    alone = postprocess(Logits(class_logits[1:], masks[1:]), geometry, config)
    assert (alone.label_map == 5).all()


@pytest.mark.parametrize(("threshold", "shown"), [(0.3, True), (0.99, False)])
def test_threshold_of_the_label_map(threshold: float, shown: bool) -> None:  # noqa: FBT001
    """parsing_ins_score_thr keeps weak parts out of the label map, not out of the parts."""
    config = structs.replace(configuration(single_human=False), parsing_ins_score_thr=threshold)
    geometry = geometry_of(64, 48, config)
    masks = np.full((1, geometry.padded.height // 4, geometry.padded.width // 4), 9.0, np.float32)
    class_logits = np.zeros((1, config.decoder.num_classes + 1), np.float32)
    class_logits[0, 5] = 6
    parsing = postprocess(Logits(class_logits, masks), geometry, config)
    assert bool(parsing.label_map.any()) is shown
    assert len(parsing.parts) == 1
