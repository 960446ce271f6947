"""Composed training pictures: where people stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

pytest.importorskip("torch")

from training.labels import Part
from training.scenes import Composer

if TYPE_CHECKING:
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
