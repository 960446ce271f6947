"""Time of whole frames by frame size, by compiled kernels, and by processes and threads."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from edge_worker.m2fp.kernels.loader import KERNELS, WITHOUT
from edge_worker.ops.allowance import CpuAllowance
from edge_worker.tools.bench.statistics import Summary, paired_ratio
from edge_worker.tools.bench.variants import Child, Variant, measure

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.tools.bench.setup import Setup

SIZES = ((640, 360), (1280, 720), (1920, 1080), (2560, 1440))
CAMERAS = 4


def sizes(variant: Variant, turns: int, folder: Path) -> list[dict[str, Any]]:
    """Measure each stage by frame size; the model scales all frames to its own input size."""
    from edge_worker.tools.bench.frames import scene_frame  # noqa: PLC0415

    rows = []
    for size in SIZES:
        (found,) = measure([variant], [scene_frame(size, folder)], turns)
        stages = {stage: summary["median"] for stage, summary in found.summary()["stages_ms"].items()}
        rows.append({"frame": f"{size[0]}×{size[1]}", **stages})
    return rows


def kernels(variant: Variant, frame: Path, turns: int) -> list[dict[str, Any]]:
    """Measure the frame and its stages with all compiled kernels, without each of them, and without any."""
    # Not gemm: bf16x3 does not run without it. Compare bf16x3 with f32 instead.
    masks, sampling, _, winograd, preprocess, runs = KERNELS
    each = {
        "mask kernel": (masks,),
        "deformable": (sampling,),
        "winograd (of f32)": (winograd,),
        "preprocess": (preprocess,),
        "runs": (runs,),
    }
    left_out = {"nothing": (), **each, "all": tuple(name for names in each.values() for name in names)}
    variants = [replace(variant, environment={**variant.environment, WITHOUT: ",".join(k)}) for k in left_out.values()]
    found = measure(variants, [frame], turns)
    rows = []
    for names, one in zip(left_out, found, strict=True):
        stages = {stage: summary["median"] for stage, summary in one.summary()["stages_ms"].items()}
        frames = {"frame": Summary.of(one.walls_ms).median, "ratio": paired_ratio(one.walls_ms, found[0].walls_ms)}
        rows.append({"without": names, **stages, **frames})
    return rows


def processes(setup: Setup, engine: str, precision: str, turns: int) -> list[dict[str, Any]]:
    """Measure frames per second and the time of one, with the CPUs split between processes and threads in several ways.

    CAMERAS cameras each send a frame per turn, simultaneously; the processes share them.
    """
    usable = CpuAllowance.read().usable
    splits = sorted({(count, usable // count) for count in (1, 2, CAMERAS) if count <= usable})
    return [
        _split(setup.variant(engine, precision, threads), count, setup.frames[0], turns) for count, threads in splits
    ]


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
