"""The model that ships."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from edge_worker.m2fp.directory import open_directory, resolve
from edge_worker.m2fp.manifest import LIMB_SIDES_FILE, ONNX_FILE, QUANTISED_FILES
from edge_worker.m2fp.parser import load_parser
from training.cache import read_rgb, read_values
from training.labels import PARTS
from training.measure.rendered import Tally, add_parts, truth_of
from training.rendered import descriptions, kept_aside

if TYPE_CHECKING:
    from edge_worker.m2fp.parser import Parser

MODEL = "builtin:m2fp-lite"
LARGEST = 24_000_000  # bytes of all networks together
DATA = Path(__file__).parents[3] / "shared/data"
PHOTOS, SCENES = DATA / "ccp/photos", DATA / "synthetic"

CIHP = (
    *("Background", "Hat", "Hair", "Glove", "Sunglasses", "UpperClothes", "Dress", "Coat", "Socks", "Pants"),
    *("Torso-skin", "Scarf", "Skirt", "Face", "Left-arm", "Right-arm", "Left-leg", "Right-leg", "Left-shoe"),
    *("Right-shoe", "Human"),
)


@pytest.fixture(scope="module")
def parser() -> Parser:
    """The model in its default engine."""
    return load_parser(MODEL, threads=1)


def test_it_is_small_and_speaks_cihp() -> None:
    """The files stay under their limit, their checksums hold, and its classes are those of the published model."""
    model = open_directory(MODEL)
    networks = (ONNX_FILE, LIMB_SIDES_FILE, *QUANTISED_FILES)
    assert sum((resolve(MODEL) / name).stat().st_size for name in networks) <= LARGEST
    assert model.config.classes == CIHP
    assert model.config.num_parsing == CIHP.index("Human")
    assert (resolve(MODEL) / "MODEL_CARD.md").is_file()


def test_reduced_precisions_passed_the_gate() -> None:
    """`auto` may choose those that are the fastest on some processor; with AMX, bf16 is faster than int8 and bf16."""
    assert {"bf16", "int8+f32"} <= open_directory(MODEL).exported().precisions.keys()
    assert "int8+bf16" not in open_directory(MODEL).exported().precisions


def test_nobody_is_seen_where_nobody_is(parser: Parser) -> None:
    """A blank wall and noise hold no person."""
    wall = np.full((360, 640, 3), 180, np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    for image in (wall, noise):
        assert not [person for person in parser.parse(image).persons if person.score > 0.5]


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the photos are not part of the repository")
def test_a_person_is_found_with_parts(parser: Parser) -> None:
    """On photos kept from training there is one person over half sure, with hair, a face and something to wear."""
    names = (Path(__file__).parents[2] / "training/validation.txt").read_text(encoding="utf-8").split()[:6]
    for name in names:
        parsing = parser.parse(np.asarray(Image.open(PHOTOS / f"{name}.jpg").convert("RGB")))
        found = set(np.unique(parsing.label_map).tolist())
        assert [person for person in parsing.persons if person.score > 0.5]
        assert CIHP.index("Hair") in found or CIHP.index("Hat") in found
        assert CIHP.index("Face") in found
        assert found & {CIHP.index(name) for name in ("UpperClothes", "Dress", "Coat")}


@pytest.mark.skipif(not SCENES.is_dir(), reason="the rendered scenes are not part of the repository")
def test_left_is_the_persons_left(parser: Parser) -> None:
    """On scenes kept from training most limbs are on their side; without the second network, two of three are."""
    tally = Tally()
    for scene in [one for one in descriptions(SCENES) if kept_aside(one)][:40]:
        values = read_values(SCENES / f"{scene['file']}.png")
        truths = [truth_of(scene, person, values) for person in scene["people"] if person.get("bbox")]
        parsing = parser.parse(read_rgb(SCENES / f"{scene['file']}.jpg"))
        add_parts(tally, truths, values % PARTS, parsing.label_map)
    sides = tally.sides["all"]
    assert sum(sides.values()) > 100
    assert sides[True] / sum(sides.values()) > 0.76
