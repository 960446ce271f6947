"""Measure an exported m2fp-lite through the worker's own pipeline: `python -m training.evaluate [--model DIR]`.

All test data was held out from training; the modules of `training.measure` describe it. `--against` measures a second
model for comparison. A contact sheet is written for each kind of image, and one of failures.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from edge_worker.m2fp.parser import load_parser
from training import cache
from training.measure import cameras, pedestrians, photos, rendered, scenes
from training.measure.context import Context
from training.sheet import Sheet

if TYPE_CHECKING:
    from collections.abc import Callable

    from training.measure.context import Figures

KINDS: dict[str, Callable[[Context], Figures]] = {
    "photos": photos.measure,
    "boxes": cameras.measure_boxes,
    "video": cameras.measure_video,
    "steadiness": cameras.measure_steadiness,
    "rendered": rendered.measure,
    "pedestrians": pedestrians.measure,
    "empty": scenes.measure_empty,
    "composed": scenes.measure_people,
}


def measure(model: str, chosen: argparse.Namespace, out: Path) -> Figures:
    """Return all figures of one model; write its sheets to *out*."""
    parser = load_parser(model, chosen.engine, chosen.precision, threads=2, short_side=chosen.short_side)
    context = Context(parser, chosen.data, chosen.scenes or chosen.data / "synthetic", chosen.cache, Sheet())
    figures: Figures = {}
    for kind in chosen.only:
        figures |= KINDS[kind](context)
        (out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    context.sheet.write(out)
    return figures


def table(by_model: dict[str, Figures]) -> str:
    """Return a Markdown table with a row per figure and a column per model."""
    lines = ["| | " + " | ".join(by_model) + " |", "|---" * (len(by_model) + 1) + "|"]
    first = next(iter(by_model.values()))
    rows = ((name, *(f"{one[name]:.4g}" for one in by_model.values())) for name in first)
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="builtin:m2fp-lite")
    parser.add_argument("--against", help="a second model, measured beside it")
    parser.add_argument("--engine", default="openvino")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--short-side", type=int)
    parser.add_argument("--only", nargs="*", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument(
        "--scenes", type=Path, help="rendered scenes; training/cache/scenes: others than those of the model card"
    )
    parser.add_argument("--cache", type=Path, default=Path("training/cache"))
    parser.add_argument("--out", type=Path, default=Path("training/runs/evaluation"))
    return parser.parse_args()


def main() -> None:
    """Parse the arguments, measure, print, write the sheets."""
    chosen = arguments()
    cache.build(chosen.data, chosen.cache)
    by_model = {}
    for number, model in enumerate([chosen.model, *([chosen.against] if chosen.against else [])]):
        out = chosen.out if number == 0 else chosen.out / "against"
        out.mkdir(parents=True, exist_ok=True)
        by_model[model] = measure(model, chosen, out)
    print(table(by_model))


if __name__ == "__main__":
    main()
