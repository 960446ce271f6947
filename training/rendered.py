"""Rendered scenes of `training.synthetic` as training images, and their people as cut-outs.

Pixels of their label images are class + 20 × person. A tenth of the scenes, and all with one of five poses, are held
out from training.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from training.cache import Pack, read_rgb, read_values
from training.labels import IGNORED, PARTS, mirror_table
from training.paste import Scene

if TYPE_CHECKING:
    from pathlib import Path

Image = npt.NDArray[np.uint8]
Shape = tuple[int, int]

LABELS = "rendered_labels.bin"
KEPT_POSES = frozenset({"standing02", "standing05", "gym01", "sit01", "run01"})
LEAST_HEIGHT = 20  # px in the training image: smaller persons are ignored
_MOST_ZOOM = 1.7  # maximum of a crop, relative to filling the shape
_CUT_OUT_HEIGHT, _CUT_OUT_AREA = 80, 1500  # px: cut-outs of smaller people would have to be enlarged
_MIRROR = mirror_table()


class Person(NamedTuple):
    """A person of a rendered scene: scene, number in it, and box (x0, y0, x1, y1) of the visible part."""

    scene: int
    number: int
    box: tuple[int, int, int, int]


def descriptions(folder: Path) -> list[dict[str, Any]]:
    """Read the `persons.jsonl` or `scenes_*.jsonl` of a folder, a line per scene; each scene once if they overlap."""
    files = sorted(folder.glob("*.jsonl"))
    scenes = (json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines())
    return list({one["file"]: one for one in scenes}.values())


def kept_aside(scene: dict[str, Any]) -> bool:
    """Return whether a scene is held out for evaluation."""
    number = int(scene["file"])
    return number // 2 % 10 == 7 or any(person["pose"] in KEPT_POSES for person in scene["people"])


def build(folders: list[Path], cache: Path) -> None:
    """Write the training scenes to `rendered.bin`, `rendered_labels.bin` and `rendered.jsonl`.

    Repeated if there are more scenes than last time; missing *folders* are ignored.
    """
    scenes = [(folder, one) for folder in folders for one in descriptions(folder) if not kept_aside(one)]
    lines = "".join(json.dumps(one) + "\n" for _, one in scenes)
    index = cache / "rendered.jsonl"
    if index.exists() and index.read_text(encoding="utf-8") == lines:
        return
    index.unlink(missing_ok=True)
    Pack.write(cache / "rendered.bin", ((one["file"], read_rgb(at / f"{one['file']}.jpg")) for at, one in scenes))
    values = ((one["file"], read_values(at / f"{one['file']}.png")) for at, one in scenes)
    Pack.write(cache / LABELS, values)
    index.write_text(lines, encoding="utf-8")


class Rendered:
    """The rendered scenes, whole or person by person."""

    def __init__(self, cache: Path, labels: str = LABELS) -> None:
        """Open the files written by :func:`build`, or others with values like the *labels*."""
        self._images, self._values = Pack(cache / "rendered.bin"), Pack(cache / labels)
        lines = (cache / "rendered.jsonl").read_text(encoding="utf-8").splitlines()
        people = [
            [Person(i, one["id"], tuple(one["bbox"])) for one in json.loads(line)["people"] if one.get("bbox")]
            for i, line in enumerate(lines)
        ]
        areas = [{one["id"]: one["area"] for one in json.loads(line)["people"]} for line in lines]
        self._people = people
        self._large = [one for scene in people for one in scene if _is_large(one, areas[one.scene][one.number])]

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self._images)

    def draw(self, rng: np.random.Generator, shape: Shape) -> Scene:
        """Return a crop of a random scene, mostly around one of its people, mirrored half the time."""
        i = int(rng.integers(len(self)))
        image, values = self._images[i], self._values[i]
        fill = max(shape[0] / image.shape[0], shape[1] / image.shape[1])
        matrix = self._view(rng, i, shape, fill * _MOST_ZOOM ** rng.uniform(0, 1))
        mirrored = rng.random() < 0.5
        size = shape[::-1]
        scene = np.asarray(cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR), dtype=np.uint8)
        found = np.asarray(cv2.warpAffine(values, matrix, size, flags=cv2.INTER_NEAREST), dtype=np.uint8)
        if mirrored:
            scene, found = np.ascontiguousarray(scene[:, ::-1]), np.ascontiguousarray(found[:, ::-1])
        classes = found % PARTS
        return without_tiny(Scene(scene, _MIRROR[classes] if mirrored else classes, found // PARTS))

    def _view(self, rng: np.random.Generator, i: int, shape: Shape, scale: float) -> npt.NDArray[np.float64]:
        """Return the affine matrix (2, 3) that scales scene *i* and moves a random part of it into the shape."""
        spare = np.array(self._images[i].shape[1::-1]) * scale - np.array(shape[::-1])
        corner = rng.uniform(0, 1, 2) * spare
        if self._people[i] and rng.random() < 0.7:
            box = self._people[i][int(rng.integers(len(self._people[i])))].box
            middle = np.array([box[0] + box[2], box[1] + box[3]]) / 2 * scale
            corner = np.clip(middle - rng.uniform(0.25, 0.75, 2) * shape[::-1], 0, np.maximum(spare, 0))
        return np.array([[scale, 0, -corner[0]], [0, scale, -corner[1]]])

    def cut_out(self, rng: np.random.Generator) -> tuple[Image, Image]:
        """Return image and class map of a random, well visible person, with a margin of a pixel."""
        person = self._large[int(rng.integers(len(self._large)))]
        values = self._values[person.scene]
        x0, y0, x1, y1 = person.box
        place = np.s_[max(0, y0 - 1) : y1 + 1, max(0, x0 - 1) : x1 + 1]
        own = values[place] // PARTS == person.number
        return self._images[person.scene][place], np.where(own, values[place] % PARTS, 0).astype(np.uint8)


def _is_large(person: Person, area: int) -> bool:
    return person.box[3] - person.box[1] >= _CUT_OUT_HEIGHT and area >= _CUT_OUT_AREA


def without_tiny(scene: Scene) -> Scene:
    """Set people too small for good labels to ignored, and renumber the others 1…n."""
    table = np.zeros(256, dtype=np.uint8)
    for number in np.unique(scene.persons):
        rows = np.flatnonzero((scene.persons == number).any(axis=1))
        if number and rows[-1] - rows[0] + 1 >= LEAST_HEIGHT:
            table[number] = table.max() + 1
    tiny = (scene.persons > 0) & (table[scene.persons] == 0)
    labels = np.where(tiny, np.uint8(IGNORED), scene.label_map)
    return Scene(scene.image, labels, table[scene.persons])
