"""The people that a model finds in the rendered training scenes, as `rendered_found.bin`.

What the network of `training.limb_sides` sees in the worker are those: masks that lack a foot, or cover two people.
"""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from rich.progress import track

from edge_worker.m2fp import people
from edge_worker.m2fp.checksums import sha256_of
from edge_worker.m2fp.class_names import HUMAN
from edge_worker.m2fp.limb_sides import STRIDE
from edge_worker.m2fp.parser import load_parser
from edge_worker.m2fp.postprocess import class_probabilities
from training.cache import Pack
from training.labels import PARTS
from training.rendered import LABELS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_worker.m2fp.parser import Parser
    from edge_worker.m2fp.types import ByteArray

FOUND = "rendered_found.bin"
_MOST = 255 // PARTS - 1  # people of a scene whose number fits into its values


def build(model: Path, cache: Path) -> None:
    """Write the labels of the rendered scenes in *cache* with the people that the exported *model* finds.

    A pixel is its true class + 20 × number of the person found there. Repeated if the scenes, the model or the module
    that finds people changed.
    """
    index = cache / "rendered_found.source.json"
    with closing(load_parser(model, precision="f32")) as parser:
        source = {
            "model": parser.info.sha256,
            "scenes": sha256_of(cache / "rendered.jsonl"),
            "code": sha256_of(Path(people.__file__)),
        }
        if index.exists() and (cache / FOUND).exists() and json.loads(index.read_text(encoding="utf-8")) == source:
            return
        index.unlink(missing_ok=True)
        Pack.write(cache / FOUND, _label(parser, Pack(cache / "rendered.bin"), Pack(cache / LABELS)))
        index.write_text(json.dumps(source), encoding="utf-8")


def _label(parser: Parser, images: Pack, labels: Pack) -> Iterator[tuple[str, ByteArray]]:
    for i, name in enumerate(track(images.names, "people found")):
        yield name, labels[i] % PARTS + PARTS * numbers(parser, images[i])


def numbers(parser: Parser, image: ByteArray) -> ByteArray:
    """Return the number of the person found at each pixel of an *image*, RGB uint8 H×W×3; 0 where nobody is."""
    net_input = parser.preprocess(image)
    logits = parser.infer(net_input)
    scores = class_probabilities(logits.class_logits)[:, parser.classes.index(HUMAN)]
    cells = np.zeros(logits.mask_logits.shape[1:], np.uint8)
    for number, person in enumerate(people.find_people(scores, logits.mask_logits)[:_MOST], start=1):
        cells[person.cells] = number
    rows, columns = net_input.image.shape[:2]
    pixels = cells.repeat(STRIDE, axis=0).repeat(STRIDE, axis=1)[:rows, :columns]
    return np.asarray(cv2.resize(pixels, image.shape[1::-1], interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
