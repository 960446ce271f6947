"""Logits made for the purpose, and the time of what follows the network."""

from __future__ import annotations

import pytest

from benchmarks.candidates import blobs, sweep
from edge_worker.imaging.palette import Palette
from edge_worker.m2fp.directory import open_directory
from edge_worker.m2fp.postprocess import class_probabilities, postprocess
from edge_worker.m2fp.postprocess.multi_human import Rules
from edge_worker.m2fp.postprocess.persons import summarize
from edge_worker.m2fp.preprocess import Geometry
from edge_worker.m2fp.types import Box, Size


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("count", [0, 5, 20, 100])
def test_as_many_candidates_as_asked(count: int, wide: bool) -> None:  # noqa: FBT001
    """The made-up answer has that many candidates that survive, each of one query."""
    config = open_directory("builtin:seeded").config
    geometry = Geometry(Size(320, 180), Size(320, 192), Box(0, 0, 320, 180))
    logits = blobs(count, config, geometry, wide=wide)
    assert logits.mask_logits.shape == (100, 48, 80)
    assert len(Rules(config).candidates(class_probabilities(logits.class_logits))) == count


def test_persons_are_found() -> None:
    """Not all of the twenty: some cover each other."""
    config = open_directory("builtin:seeded").config
    geometry = Geometry(Size(320, 180), Size(320, 192), Box(0, 0, 320, 180))
    assert len(summarize(postprocess(blobs(100, config, geometry), geometry, config, map)).persons) >= 10


def test_sweep_of_candidates() -> None:
    """A row for each number of candidates and kind of masks, with the time by threads and of the map."""
    config = open_directory("builtin:seeded").config
    rows = sweep((0, 3), (160, 90), config, Palette.for_classes(config.classes), turns=1, threads=2)
    assert [(row["candidates"], row["masks"]) for row in rows] == [
        (count, masks) for masks in ("small", "all over the frame") for count in (0, 3)
    ]
    for row in rows:
        assert all(row[f"postprocess ms, threads: {threads}"]["median"] > 0 for threads in (1, 2))
        assert row["png ms"]["count"] == 1
