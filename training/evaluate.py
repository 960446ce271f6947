"""Measure an exported m2fp-lite through the worker's own pipeline: `python -m training.evaluate [--model DIR]`.

Everything it is shown was kept from training: the 100 photos of validation.txt, scenes composed of those photos only,
and the camera video.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from rich.progress import track

from edge_worker import load_parser
from edge_worker.m2fp.postprocess.persons import find_people
from training.cache import Pack, build, read_rgb, validation_names
from training.groups import GROUPS, confusion, ious, name_groups, part_groups, summary
from training.passersby import box_iou, views
from training.rooms import Backgrounds, draw_room
from training.scenes import Composer, Figures
from training.sheet import Sheet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_worker.m2fp.parser import Parser

Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

CAMERA = "one-by-one-person-detection.mp4"
SCORE = 0.5  # from which a person counts as found
MATCH_IOU = 0.5
SCENES, EMPTY = 200, 200
SCENE_SHAPE = (432, 768)
VIDEO_EVERY = 5
SEED = 7


@dataclass
class Counts:
    """Persons found rightly, found wrongly, and missed."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.right / max(1, 2 * self.right + self.wrong + self.missed)

    def add(self, truths: list[Mask], found: list[Mask]) -> None:
        """Count one picture; `found` best first, each may answer one true person."""
        left = list(truths)
        for mask in found:
            best = max(left, key=lambda truth: mask_iou(truth, mask), default=None)
            if best is not None and mask_iou(best, mask) >= MATCH_IOU:
                left = [truth for truth in left if truth is not best]
                self.right += 1
            else:
                self.wrong += 1
        self.missed += len(left)


def mask_iou(one: Mask, other: Mask) -> float:
    """Intersection over union of two masks."""
    return int(np.count_nonzero(one & other)) / max(1, int(np.count_nonzero(one | other)))


class Evaluation:
    """One model, measured in four ways; a few pictures of each go to the sheet."""

    def __init__(self, parser: Parser, data: Path, cache: Path, sheet: Sheet) -> None:
        """`data` is the shared data folder, `cache` the one `training.cache` filled."""
        self._parser, self._data, self._sheet = parser, data, sheet
        names = validation_names()
        figures = Figures([(Pack(cache / "photos.bin"), Pack(cache / "labels.bin"))], names)
        self._composer = Composer(figures, Backgrounds(cache, names))

    def photos(self) -> dict[str, float]:
        """IoUs of the 13 groups, foreground IoU, accuracy, on the photos at their own size."""
        truth_table, part_table = name_groups(self._data), part_groups()
        counts = np.zeros((len(GROUPS), len(GROUPS)), dtype=np.int64)
        for name in track(sorted(validation_names()), "photos"):
            image = read_rgb(self._data / f"ccp/photos/{name}.jpg")
            indices = cv2.imread(str(self._data / f"ccp/labels/{name}.png"), cv2.IMREAD_UNCHANGED)
            parsing = self._parser.parse(image)
            counts += confusion(truth_table[indices], part_table[parsing.label_map])
            self._sheet.add("photo", image, parsing)
        return summary(counts) | {f"iou {name}": float(v) for name, v in zip(GROUPS, ious(counts), strict=True)}

    def scenes(self) -> dict[str, float]:
        """F1 of persons in composed scenes of two to five."""
        rng = np.random.default_rng(SEED)
        by_score = {SCORE: Counts(), 0.1: Counts()}
        for _ in track(range(SCENES), "scenes"):
            scene = self._composer.compose(rng, SCENE_SHAPE, int(rng.integers(2, 6)))
            parsing = self._parser.parse(scene.image)
            truths = [scene.persons == number for number in range(1, int(scene.persons.max()) + 1)]
            for score, counts in by_score.items():
                found = find_people(parsing, score_threshold=score).persons
                counts.add(truths, [person.region.mask for person in found])
            self._sheet.add("scene", scene.image, parsing)
        return {f"person F1 (score {score})": counts.f1 for score, counts in by_score.items()}

    def empty(self) -> dict[str, float]:
        """Share of person-free pictures (streets, cameras, drawn rooms) in which no person is seen."""
        rng = np.random.default_rng(SEED)
        mixed = (self._composer.compose(rng, SCENE_SHAPE, 0).image for _ in range(EMPTY))
        rooms = (draw_room(rng, SCENE_SHAPE) for _ in range(EMPTY))
        return {"empty scenes": self._silent(mixed, "empty"), "drawn rooms": self._silent(rooms, "room")}

    def _silent(self, images: Iterable[Image], kind: str) -> float:
        silent = 0
        for image in track(images, kind, total=EMPTY):
            parsing = self._parser.parse(image)
            silent += not any(person.score > SCORE for person in parsing.persons)
            self._sheet.add(kind, image, parsing)
        return silent / EMPTY

    def camera(self) -> dict[str, float]:
        """Passers-by found (box IoU 0.5) where a whole person is in view; silence where nothing moves."""
        whole = found = calm = silent = wrong = 0
        for view in track(views(self._data / "video" / CAMERA, VIDEO_EVERY), "camera"):
            parsing = self._parser.parse(view.image)
            boxes = [person.region.box for person in find_people(parsing, score_threshold=SCORE).persons]
            if view.box is None:
                calm, silent = calm + 1, silent + (not boxes)
            elif view.whole:
                hits = [box_iou(box, view.box) >= MATCH_IOU for box in boxes]
                whole, found, wrong = whole + 1, found + any(hits), wrong + (len(hits) > 1)
                self._sheet.add("camera", view.image, parsing)
        return {
            "camera frames with a whole person": whole,
            "passer-by found": found / max(1, whole),
            "more than one person seen": wrong / max(1, whole),
            "camera frames without change": calm,
            "silent when empty": silent / max(1, calm),
        }


def main() -> None:
    """Read the arguments, measure, print, write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="builtin:m2fp-lite")
    parser.add_argument("--engine", default="openvino")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--short-side", type=int)
    parser.add_argument("--only", nargs="*", default=["photos", "scenes", "empty", "camera"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("training/cache"))
    parser.add_argument("--out", type=Path, default=Path("training/runs/evaluation"))
    arguments = parser.parse_args()
    build(arguments.data, arguments.cache)
    arguments.out.mkdir(parents=True, exist_ok=True)
    model = load_parser(
        arguments.model, arguments.engine, arguments.precision, threads=2, short_side=arguments.short_side
    )
    sheet = Sheet()
    evaluation = Evaluation(model, arguments.data, arguments.cache, sheet)
    figures = {kind: getattr(evaluation, kind)() for kind in arguments.only}
    sheet.write(arguments.out / "sheet.png")
    text = json.dumps(figures, indent=1)
    (arguments.out / "figures.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
