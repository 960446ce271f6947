"""Postprocessing and encoding by the number of candidates that survive: logits made for the purpose, no network."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_worker.codec import encode_png_palette
from edge_worker.m2fp.people import find_people
from edge_worker.m2fp.postprocess import postprocess
from edge_worker.m2fp.preprocess import Geometry, multi_human_size, padded_size
from edge_worker.m2fp.types import Box, Logits, Size
from edge_worker.tools.bench.statistics import Summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_worker.m2fp.configuration import ModelConfig
    from edge_worker.palette import Palette

_QUERIES = 100
_MASK_STRIDE = 4
# Logits of a mask: well inside near the middle, falling to well outside.
_STEEPNESS = 12.0
_SURE = 8.0


def blobs(count: int, config: ModelConfig, geometry: Geometry, seed: int = 0) -> Logits:
    """An answer in which *count* queries are sure of a class and of an ellipse, and the others of nothing.

    Every fifth is a whole person, a third of the frame high, the others are parts, a tenth.
    """
    rng = np.random.default_rng(seed)
    height, width = geometry.padded.height // _MASK_STRIDE, geometry.padded.width // _MASK_STRIDE
    classes = np.full((_QUERIES, len(config.classes) + 1), -_SURE, np.float32)
    classes[:, -1] = _SURE
    masks = np.full((_QUERIES, height, width), -_STEEPNESS, np.float32)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    for query in range(count):
        person = query % 5 == 0 and config.num_parsing is not None
        class_id = config.num_parsing if person else int(rng.integers(1, len(config.classes) - 1))
        classes[query, class_id], classes[query, -1] = _SURE, -_SURE
        high = height / (3 if person else 10)
        across, down = (x - rng.uniform(0, width)) / (high / 2.5), (y - rng.uniform(0, height)) / (high / 2)
        masks[query] = np.clip(_STEEPNESS * (1 - across**2 - down**2), -_STEEPNESS, _STEEPNESS)
    return Logits(classes, masks)


def sweep(
    counts: Sequence[int], frame: tuple[int, int], config: ModelConfig, palette: Palette, turns: int
) -> list[dict[str, Any]]:
    """Time what follows the network for each number of surviving candidates, at a *frame* of this width and height."""
    size = multi_human_size(Size(*frame), config.input)
    geometry = Geometry(Size(*frame), padded_size(size), Box(0, 0, *size))
    answers = {count: blobs(count, config, geometry) for count in counts}
    times: dict[int, list[dict[str, float]]] = {count: [] for count in counts}
    for _ in range(turns + 1):
        for count, logits in answers.items():
            times[count].append(_once(logits, geometry, config, palette))
    return [
        {"candidates": count, **{stage: Summary.of([one[stage] for one in taken[1:]]) for stage in taken[0]}}
        for count, taken in times.items()
    ]


def _once(logits: Logits, geometry: Geometry, config: ModelConfig, palette: Palette) -> dict[str, float]:
    """Milliseconds of postprocessing (label map, instances, persons) and of the map as a palette PNG."""
    began = time.perf_counter()
    parsing = postprocess(logits, geometry, config)
    find_people(parsing)
    parsed = time.perf_counter()
    encode_png_palette(parsing.label_map, palette)
    return {"postprocess_ms": 1000 * (parsed - began), "png_ms": 1000 * (time.perf_counter() - parsed)}
