"""Postprocessing and encoding by the number of surviving candidates, on synthetic logits without a network."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_worker.imaging.encoder import encode_png_palette
from edge_worker.imaging.palette import Palette
from edge_worker.m2fp.directory import open_directory
from edge_worker.m2fp.parallel import one_by_one
from edge_worker.m2fp.postprocess import postprocess
from edge_worker.m2fp.postprocess.persons import summarize
from edge_worker.m2fp.preprocess import Geometry, multi_human_size, padded_size
from edge_worker.m2fp.types import Box, Logits, Size
from edge_worker.tools.bench.statistics import Summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_worker.m2fp.configuration import ModelConfig
    from edge_worker.m2fp.parallel import Each
    from edge_worker.m2fp.types import FloatArray
    from edge_worker.tools.bench.setup import Setup

COUNTS = (5, 20, 100)
_QUERIES = 100
_MASK_STRIDE = 4
# Range of a mask's logits, from its centre to far outside.
_STEEPNESS = 12.0
_SURE = 8.0
# Waves per frame of a mask that covers the frame.
_WAVES = (1.0, 4.0)


def measure(setup: Setup, frame: tuple[int, int], turns: int) -> list[dict[str, Any]]:
    """Measure postprocessing and PNG encoding for the model of *setup* and *frame* (width, height), in this process."""
    config = open_directory(setup.exported).config
    if not config.parsing_on:
        return [{"candidates": "none: the model is of single humans"}]
    palette, threads = Palette.for_classes(config.classes), setup.plan(None).inference
    return sweep(COUNTS, frame, config, palette, turns=turns, threads=threads)


def blobs(count: int, config: ModelConfig, geometry: Geometry, *, wide: bool = False, seed: int = 0) -> Logits:
    """Return logits in which *count* queries have a confident class and mask, and the others are empty.

    Every fifth is a whole person, the others are parts. Masks are ellipses, a third of the frame high for a person and
    the part after it, which covers it, and a tenth for other parts; *wide* ones are patches that cover about half the
    frame, as of an untrained model.
    """
    rng = np.random.default_rng(seed)
    height, width = geometry.padded.height // _MASK_STRIDE, geometry.padded.width // _MASK_STRIDE
    classes = np.full((_QUERIES, len(config.classes) + 1), -_SURE, np.float32)
    classes[:, -1] = _SURE
    masks = np.full((_QUERIES, height, width), -_STEEPNESS, np.float32)
    for query in range(count):
        person = query % 5 == 0 and config.num_parsing is not None
        class_id = config.num_parsing if person else int(rng.integers(1, len(config.classes) - 1))
        classes[query, class_id], classes[query, -1] = _SURE, -_SURE
        if wide:
            masks[query] = _waves((height, width), rng)
        elif query % 5 == 1:
            masks[query] = masks[query - 1]
        else:
            masks[query] = _ellipse((height, width), 3 if person else 10, rng)
    return Logits(classes, masks)


def _ellipse(shape: tuple[int, int], portion: int, rng: np.random.Generator) -> FloatArray:
    """Return the logits (h, w) of an ellipse whose height is the frame's over *portion*."""
    (height, width), high = shape, shape[0] / portion
    y, x = np.mgrid[:height, :width].astype(np.float32)
    across, down = (x - rng.uniform(0, width)) / (high / 2.5), (y - rng.uniform(0, height)) / (high / 2)
    return np.asarray(np.clip(_STEEPNESS * (1 - across**2 - down**2), -_STEEPNESS, _STEEPNESS), np.float32)


def _waves(shape: tuple[int, int], rng: np.random.Generator) -> FloatArray:
    """Return logits (h, w) of waves across the whole frame."""
    y, x = (np.sin(2 * np.pi * (rng.uniform(*_WAVES) * np.arange(side) / side + rng.random())) for side in shape)
    return np.asarray(_STEEPNESS / 2 * (y[:, None] + x), np.float32)


def sweep(
    counts: Sequence[int], frame: tuple[int, int], config: ModelConfig, palette: Palette, *, turns: int, threads: int
) -> list[dict[str, Any]]:
    """Time the stages after the network by number of surviving candidates, for a *frame* (width, height).

    Each with small masks and with masks that cover the frame, in one thread and in *threads*.
    """
    size = multi_human_size(Size(*frame), config.input)
    geometry = Geometry(Size(*frame), padded_size(size), Box(0, 0, *size))
    cases = [(count, wide) for wide in (False, True) for count in counts]
    answers = [blobs(count, config, geometry, wide=wide) for count, wide in cases]
    taken: list[list[dict[str, float]]] = [[] for _ in cases]
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(turns + 1):
            for logits, times in zip(answers, taken, strict=True):
                times.append(_once(logits, geometry, config, palette, {1: one_by_one, threads: pool.map}))
    return [
        {
            "candidates": count,
            "masks": "all over the frame" if wide else "small",
            **{stage: asdict(Summary.of([one[stage] for one in times[1:]])) for stage in times[0]},
        }
        for (count, wide), times in zip(cases, taken, strict=True)
    ]


def _once(
    logits: Logits, geometry: Geometry, config: ModelConfig, palette: Palette, by_threads: Mapping[int, Each]
) -> dict[str, float]:
    """Return milliseconds of postprocessing (label map, instances, persons) and of encoding the map as palette PNG."""
    times = {}
    for threads, each in by_threads.items():
        began = time.perf_counter()
        parsing = postprocess(logits, geometry, config, each)
        summarize(parsing)
        times[f"postprocess ms, threads: {threads}"] = 1000 * (time.perf_counter() - began)
    began = time.perf_counter()
    encode_png_palette(parsing.label_map, palette)
    return {**times, "png ms": 1000 * (time.perf_counter() - began)}
