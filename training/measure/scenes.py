"""Scenes composed only of validation photos, and held-out images without people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.progress import track

from training.cache import Pack, read_rgb, validation_names
from training.measure.context import SCORE
from training.measure.counts import Counts, count, mask_iou
from training.rooms import Backgrounds, draw_room
from training.scenes import Composer, Figures, Photos
from training.sharp import SharpPictures, files

if TYPE_CHECKING:
    from collections.abc import Iterable

    from training.measure.context import Context, Image
    from training.measure.context import Figures as Measured

SCENES, EMPTY = 200, 200
SHAPE = (432, 768)
SEED = 7


def composer(context: Context) -> Composer:
    """Return a composer of validation photos and held-out backgrounds."""
    names, cache = validation_names(), context.cache
    sharp = SharpPictures(files(context.data, cache / "fetched", kept=True))
    figures = Figures([Photos(Pack(cache / "photos.bin"), Pack(cache / "classes.bin"))], names)
    return Composer(figures, Backgrounds(cache, names, sharp))


def measure_people(context: Context) -> Measured:
    """Measure F1 of persons in composed scenes of two to five people, at two score thresholds."""
    rng, source = np.random.default_rng(SEED), composer(context)
    by_score = {SCORE: Counts(), 0.1: Counts()}
    for _ in track(range(SCENES), "composed"):
        scene = source.compose(rng, SHAPE, int(rng.integers(2, 6)))
        parsing = context.parser.parse(scene.image)
        truths = [scene.persons == number for number in range(1, int(scene.persons.max()) + 1)]
        for score, total in by_score.items():
            total.add(count(truths, [one.region.mask for one in context.persons(parsing, score)], mask_iou))
        context.sheet.add("composed", scene.image, parsing)
    return {f"composed: F1 at score {score}": total.f1 for score, total in by_score.items()}


def measure_empty(context: Context) -> Measured:
    """Measure the share of images without people in which nobody is found."""
    rng, source = np.random.default_rng(SEED), composer(context)
    sources = files(context.data, context.cache / "fetched", kept=True)
    kinds = {
        "streets and rooms": [source.compose(rng, SHAPE, 0).image for _ in range(EMPTY)],
        "drawn rooms": [draw_room(rng, SHAPE) for _ in range(EMPTY)],
        "shelves, belts": [read_rgb(file) for one in sources[:2] for file in one],
        "garments": [read_rgb(file) for one in sources[2:] for file in one[:EMPTY]],
    }
    return {f"empty: {kind}": _silent(context, images, kind) for kind, images in kinds.items() if images}


def _silent(context: Context, images: Iterable[Image], kind: str) -> float:
    silent = []
    for image in track(list(images), kind):
        parsing = context.parser.parse(image)
        silent.append(not context.persons(parsing))
        context.sheet.add("empty", image, parsing, failed=not silent[-1])
    return sum(silent) / len(silent)
