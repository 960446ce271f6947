"""One thing varied, the rest held: candidates, sizes of frames, kernels, processes and threads."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from edge_worker.m2fp.kernels.loader import KERNELS, WITHOUT
from edge_worker.tools.bench.statistics import Summary, paired_ratio
from edge_worker.tools.bench.variants import Child, Variant, measure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CANDIDATES = (5, 20, 100)
SIZES = ((640, 360), (1280, 720), (1920, 1080), (2560, 1440))
CAMERAS = 4


def input_shape(model: str, frame: Path, short_side: int | None) -> tuple[int, int]:
    """Height and width of the network's input for a frame."""
    from PIL import Image  # noqa: PLC0415

    from edge_worker.m2fp.directory import open_directory  # noqa: PLC0415
    from edge_worker.m2fp.preprocess import multi_human_size, padded_size  # noqa: PLC0415
    from edge_worker.m2fp.types import Size  # noqa: PLC0415

    config = open_directory(model).config
    if config.canvas is not None:
        padded = padded_size(Size(*config.canvas))
    else:
        with Image.open(frame) as image:
            padded = padded_size(multi_human_size(Size(*image.size), config.input, short_side))
    return padded.height, padded.width


def candidates(model: str, frame: tuple[int, int], turns: int, threads: int) -> list[dict[str, Any]]:
    """Postprocessing and PNG by the number of surviving candidates, in this process."""
    from edge_worker.imaging.palette import Palette  # noqa: PLC0415
    from edge_worker.m2fp.directory import open_directory  # noqa: PLC0415
    from edge_worker.tools.bench.candidates import sweep  # noqa: PLC0415

    config = open_directory(model).config
    if not config.parsing_on:
        return [{"candidates": "none: the model is of single humans"}]
    rows = sweep(CANDIDATES, frame, config, Palette.for_classes(config.classes), turns=turns, threads=threads)
    return [_plain(row) for row in rows]


def sizes(variant: Variant, turns: int, folder: Path) -> list[dict[str, Any]]:
    """Each stage by the size of the frame; the model scales all to its own input size."""
    from edge_worker.tools.bench.frames import drawn  # noqa: PLC0415

    rows = []
    for size in SIZES:
        (found,) = measure([variant], [drawn(size, folder)], turns)
        stages = {stage: summary["median"] for stage, summary in found.summary()["stages_ms"].items()}
        rows.append({"frame": f"{size[0]}×{size[1]}", **stages})
    return rows


def kernels(variant: Variant, frame: Path, turns: int) -> list[dict[str, Any]]:
    """The whole frame and its stages with the compiled kernels, without each of three, and without all, in turn."""
    # Not that of bf16x3, which is not offered without it: what that is worth, f32 beside it tells.
    masks, sampling, _, winograd = KERNELS
    each = {"mask kernel": (masks,), "deformable": (sampling,), "winograd (of f32)": (winograd,)}
    left_out = {"nothing": (), **each, "all": (masks, sampling, winograd)}
    variants = [replace(variant, environment={**variant.environment, WITHOUT: ",".join(k)}) for k in left_out.values()]
    found = measure(variants, [frame], turns)
    rows = []
    for names, one in zip(left_out, found, strict=True):
        stages = {stage: summary["median"] for stage, summary in one.summary()["stages_ms"].items()}
        frames = {"frame": Summary.of(one.walls_ms).median, "ratio": paired_ratio(one.walls_ms, found[0].walls_ms)}
        rows.append({"without": names, **stages, **frames})
    return rows


def processes(variant: Callable[[int], Variant], usable: int, frame: Path, turns: int) -> list[dict[str, Any]]:
    """Frames a second and the time of one, with every split of the processors between processes and threads.

    As many cameras as CAMERAS each send a frame a turn, at the same moment; processes share them.
    """
    splits = sorted({(count, usable // count) for count in (1, 2, CAMERAS) if count <= usable})
    return [_split(variant(threads), count, frame, turns) for count, threads in splits]


def _split(variant: Variant, count: int, frame: Path, turns: int) -> dict[str, Any]:
    order = {"frame": str(frame)}
    with ExitStack() as stack:
        children = [stack.enter_context(Child(variant)) for _ in range(count)]
        for child in children:
            child.load()
            child.ask(order)
        seconds, waits = [], []
        for _ in range(turns):
            began = time.perf_counter()
            for camera in range(CAMERAS):
                children[camera % count].send(order)
            for camera in range(CAMERAS):
                children[camera % count].receive()
                waits.append(1000 * (time.perf_counter() - began))
            seconds.append(time.perf_counter() - began)
    rate = CAMERAS / Summary.of(seconds).median
    facts = {"processes": count, "threads each": variant.settings["threads"]["inference"], "cameras": CAMERAS}
    return {**facts, "frames a second": rate, "answered after, ms": asdict(Summary.of(waits))}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: asdict(value) if isinstance(value, Summary) else value for name, value in row.items()}
