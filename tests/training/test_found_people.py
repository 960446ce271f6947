"""The people that a model finds in rendered scenes, as numbers in their labels."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from edge_worker.m2fp import people
from edge_worker.m2fp.configuration import load_configuration
from edge_worker.m2fp.directory import resolve
from edge_worker.m2fp.preprocess import preprocess
from edge_worker.m2fp.types import Logits
from training import found_people
from training.cache import Pack
from training.labels import PARTS

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.m2fp.parser import Parser
    from edge_worker.m2fp.preprocess import NetInput
    from edge_worker.m2fp.types import ByteArray

CONFIG = load_configuration(resolve("builtin:m2fp-lite"))
WIDTH, HEIGHT = 512, 288


class Finds:
    """Finds a person in the left half of each image, and one in a fourth of it, at the right; counts the images."""

    classes = CONFIG.classes

    def __init__(self, sha256: str = "weights") -> None:
        self.info = SimpleNamespace(sha256=sha256)
        self.images = 0

    def preprocess(self, image: ByteArray) -> NetInput:
        return preprocess(image, CONFIG)

    def infer(self, net_input: NetInput) -> Logits:
        self.images += 1
        height, width = (side // 4 for side in net_input.tensor.shape[2:])
        masks = np.full((3, height, width), -1, np.float32)
        masks[0, :, : width // 2] = 1
        masks[1, :, 3 * width // 4 :] = 1
        masks[2] = 1  # not certain enough
        class_logits = np.zeros((3, len(self.classes) + 1), np.float32)
        class_logits[:, CONFIG.num_parsing] = 9, 8, 2
        return Logits(class_logits, masks)

    def close(self) -> None: ...


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Two scenes, all coat of one person."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    Pack.write(tmp_path / "rendered.bin", [("1", image), ("2", image)])
    Pack.write(
        tmp_path / "rendered_labels.bin", [(name, np.full((HEIGHT, WIDTH), 7 + PARTS, np.uint8)) for name in "12"]
    )
    (tmp_path / "rendered.jsonl").write_text("scenes")
    return tmp_path


def test_classes_stay_and_people_are_those_found(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the size of the scene, in the order of their scores; 0 where nobody was found."""
    monkeypatch.setattr(found_people, "load_parser", lambda *_args, **_options: Finds())
    found_people.build(cache, cache)
    for i in range(2):
        values = Pack(cache / found_people.FOUND)[i]
        assert (values % PARTS == 7).all()
        row = values[HEIGHT // 2] // PARTS
        changes = np.flatnonzero(np.diff(row.astype(int)))
        assert [int(row[0]), *(int(row[at + 1]) for at in changes)] == [1, 0, 2]
        np.testing.assert_allclose(changes, [WIDTH / 2, 3 * WIDTH / 4], atol=8)


def test_it_is_done_once_per_model_and_scenes(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is resumed does not repeat it; another model, other scenes, other code, or a lost pack do."""
    images = []
    for sha256, scenes in (("a", "x"), ("a", "x"), ("b", "x"), ("b", "y"), ("b", "y")):
        parser = Finds(sha256)
        monkeypatch.setattr(found_people, "load_parser", lambda *_args, parser=parser, **_options: parser)
        (cache / "rendered.jsonl").write_text(scenes)
        found_people.build(cache, cache)
        images.append(parser.images)
    assert images == [2, 0, 2, 2, 0]
    source = json.loads((cache / "rendered_found.source.json").read_text())
    assert source["model"] == "b"
    (cache / found_people.FOUND).unlink()
    found_people.build(cache, cache)
    assert (cache / found_people.FOUND).exists()
    (cache / "people.py").write_text("found otherwise")
    monkeypatch.setattr(people, "__file__", str(cache / "people.py"))
    parser = Finds("b")
    monkeypatch.setattr(found_people, "load_parser", lambda *_args, **_options: parser)
    found_people.build(cache, cache)
    assert parser.images == 2


class FindsMany(Finds):
    """Finds fourteen people side by side, each surer than the next."""

    def infer(self, net_input: NetInput) -> Logits:
        height, width = (side // 4 for side in net_input.tensor.shape[2:])
        masks = np.full((14, height, width), -1, np.float32)
        class_logits = np.zeros((14, len(self.classes) + 1), np.float32)
        for i, columns in enumerate(np.array_split(np.arange(width), 14)):
            masks[i, :, columns], class_logits[i, CONFIG.num_parsing] = 1, 20 - i / 10
        return Logits(class_logits, masks)


def test_a_crowd_is_cut_off(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the eleven best: more numbers do not fit into a byte with the class; a twelfth would be somebody else."""
    monkeypatch.setattr(found_people, "load_parser", lambda *_args, **_options: FindsMany())
    found_people.build(cache, cache)
    assert np.unique(Pack(cache / found_people.FOUND)[0]).tolist() == [7 + PARTS * number for number in range(12)]


@pytest.mark.parametrize(("width", "height"), [(400, 500), (37, 900), (1920, 1080)])
def test_scenes_may_have_any_size(width: int, height: int) -> None:
    """Padding of the network's input is no part of them, and between two people nobody else appears."""
    image = np.zeros((height, width, 3), np.uint8)
    net_input = preprocess(image, CONFIG)
    found = found_people.numbers(cast("Parser", Finds()), image)
    assert found.shape == (height, width)
    end = width * net_input.tensor.shape[3] / net_input.image.shape[1] / 2
    assert np.count_nonzero(found[0] == 1) == pytest.approx(end, abs=1.5)
    row = found_people.numbers(cast("Parser", FindsMany()), np.zeros((1080, 1920, 3), np.uint8))[540]
    assert row[np.diff(row, prepend=0) != 0].tolist() == [*range(1, 12), 0]


def test_an_interrupted_run_starts_over(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there is nobody's until it is complete."""
    monkeypatch.setattr(found_people, "load_parser", lambda *_args, **_options: Finds("a"))
    found_people.build(cache, cache)
    broken = Finds("b")
    monkeypatch.setattr(broken, "infer", lambda _net_input: 1 / 0)
    monkeypatch.setattr(found_people, "load_parser", lambda *_args, **_options: broken)
    with pytest.raises(ZeroDivisionError):
        found_people.build(cache, cache)
    assert not (cache / "rendered_found.source.json").exists()
