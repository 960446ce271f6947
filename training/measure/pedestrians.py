"""Penn-Fudan: street photos with pedestrian masks, sharp all over. Only for evaluation, never trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.progress import track

from training.cache import read_rgb, read_values
from training.measure.counts import Counts, count, mask_iou

if TYPE_CHECKING:
    from training.measure.context import Context, Figures

FOLDER = "fetched/PennFudanPed"


def measure(context: Context) -> Figures:
    """Measure persons at mask IoU 0.5, and foreground IoU."""
    folder = context.cache / FOLDER
    if not folder.exists():
        return {}
    total, inside, either = Counts(), 0, 0
    for file in track(sorted((folder / "PNGImages").glob("*.png")), "pedestrians"):
        image = read_rgb(file)
        numbers = read_values(folder / f"PedMasks/{file.stem}_mask.png")
        parsing = context.parser.parse(image)
        truths = [numbers == number for number in range(1, int(numbers.max()) + 1)]
        here = count(truths, [person.region.mask for person in context.persons(parsing)], mask_iou)
        total.add(here)
        inside += int(np.count_nonzero((numbers > 0) & (parsing.label_map > 0)))
        either += int(np.count_nonzero((numbers > 0) | (parsing.label_map > 0)))
        context.sheet.add("pedestrians", image, parsing, failed=bool(here.wrong + here.missed))
    return total.figures("pedestrians") | {"pedestrians: foreground IoU": inside / max(1, either)}
