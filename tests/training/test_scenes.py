"""Composed training pictures: where people stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

pytest.importorskip("torch")

from training import batches
from training.cache import PSEUDO_LABELS, TAGGED_PHOTOS, Pack
from training.labels import Part
from training.scenes import Composer, Figures, Photos

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

SHAPE = (288, 512)


class OneFigure:
    """Draws the same person, 400 px high and 100 px wide."""

    def draw(self, _rng: np.random.Generator) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """A red coat before grey."""
        image = np.full((440, 200, 3), 128, dtype=np.uint8)
        labels = np.zeros((440, 200), dtype=np.uint8)
        labels[20:420, 50:150] = Part.COAT
        image[labels > 0] = (200, 0, 0)
        return image, labels


class Wall:
    """A grey background."""

    def draw(self, _rng: np.random.Generator, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """Of the shape asked for."""
        return np.full((*shape, 3), 90, dtype=np.uint8)


def test_some_groups_stand_close_side_by_side() -> None:
    """Some pairs are cut by the lower edge and begin in the upper part of the picture, as before a desk's camera."""
    composer = Composer(cast("Any", OneFigure()), cast("Any", Wall()))
    close = 0
    for seed in range(60):
        scene = composer.compose(np.random.default_rng(seed), SHAPE, 2)
        people = [scene.persons == number for number in np.unique(scene.persons) if number]
        tops = [int(np.flatnonzero(person.any(axis=1))[0]) for person in people]
        close += len(people) == 2 and all(person[-1].any() for person in people) and max(tops) < 0.45 * SHAPE[0]
    assert 3 <= close <= 30


def pack(path: Path, images: dict[str, npt.NDArray[np.uint8]]) -> Pack:
    """Write and open a pack."""
    Pack.write(path, images.items())
    return Pack(path)


def plain(value: int) -> npt.NDArray[np.uint8]:
    """A small image of one value."""
    return np.full((4, 4), value, dtype=np.uint8)


def test_photos_have_their_own_class_maps(tmp_path: Path) -> None:
    """By name, in whatever order; those that are not named are left out."""
    images = pack(tmp_path / "images.bin", {str(i): plain(i) for i in range(6)})
    maps = pack(tmp_path / "maps.bin", {str(i): plain(i) for i in (5, 3, 2, 1)})
    figures = Figures([Photos(images, maps)], frozenset("1236"))
    assert [(int(image[0, 0]), int(values[0, 0])) for image, values in map(figures.__getitem__, range(3))] == [
        (3, 3),
        (2, 2),
        (1, 1),
    ]
    assert len(figures) == 3


def test_photos_are_drawn_as_often_as_they_weigh(tmp_path: Path) -> None:
    """Those of a pack of half the weight half as often; those of a rare class more often."""
    names = {str(i): plain(Part.COAT) for i in range(10)}
    first = pack(tmp_path / "first.bin", names)
    second = pack(tmp_path / "second.bin", {f"other {name}": plain(Part.PANTS) for name in names})
    packs = [Photos(first, first), Photos(second, second, 0.5)]
    assert share(Figures(packs, frozenset({*first.names, *second.names})), Part.PANTS) == pytest.approx(1 / 3, abs=0.06)
    rare = pack(tmp_path / "rare.bin", {**names, "hat": plain(Part.HAT)})
    assert share(Figures([Photos(rare, rare)], frozenset(rare.names)), Part.HAT) > 2 / 11


def share(figures: Figures, value: int) -> float:
    """Return the share of drawn images that have this value."""
    rng = np.random.default_rng(1)
    return sum(int(figures.draw(rng)[0].max()) == value for _ in range(1000)) / 1000


def test_pseudo_labels_are_used_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They add photos to the labelled ones that are not held out."""
    monkeypatch.setattr("training.batches.validation_names", lambda: frozenset({"held out"}))
    for images, maps, value, names in (
        ("photos.bin", "classes.bin", 1, ["one", "held out"]),
        (TAGGED_PHOTOS, PSEUDO_LABELS, 2, [f"tagged {i}" for i in range(10)]),
    ):
        pack(tmp_path / images, {name: plain(value) for name in names})
        pack(tmp_path / maps, {name: plain(Part.COAT) for name in names})
    assert len(batches.figures(tmp_path, pseudo=False)) == 1
    found = batches.figures(tmp_path, pseudo=True)
    assert len(found) == 11
    assert share(found, 2) == pytest.approx(5 / 6, abs=0.05)  # ten, each half as often as a labelled one
