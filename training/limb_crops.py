"""Images of single people for the network of `training.limb_sides`, cut as the worker cuts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch

from edge_worker.m2fp.limb_sides import CROP, STRIDE, crop, cut, in_pixels, window_around, without_strays
from training.augment import recolour, spoil
from training.batches import figures
from training.found_people import FOUND
from training.labels import IGNORED, MIRRORED, mirror_table
from training.paste import Scene
from training.rendered import Rendered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from edge_worker.m2fp.types import Box
    from training.batches import Share

Floats = npt.NDArray[np.float32]
Cells = npt.NDArray[np.bool_]

_SHAPE = (288, 512)  # of rendered scenes, as in training.batches
# Kinds of scenes, and their shares: street photos, of one person each; rendered ones with the true people, or with the
# people found.
_PHOTO, _TRUE_PEOPLE, _FOUND_PEOPLE = range(3)
_SHARES = (0.3, 0.25, 0.45)
_PER_SCENE = 3  # at most
_LEAST_CELLS, _LEAST_LIMBS = 8, 12  # cells of a person; pixels of limbs
_SPOILT = 0.5  # share of the scenes; the others are recoloured
_FULL_WEIGHT = 100.0  # px in the crop: a smaller limb weighs less
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
_SQUARE = np.ones((3, 3), np.uint8)
_MIRROR = mirror_table()


class LimbBatch(NamedTuple):
    """Crops of people and what is left.

    Attributes:
        crops: (B, 4, H, W) as the network takes them.
        weight: (B, H/4, W/4), 0 outside limbs; the cells of a limb add up to at most 1.
        left: (B, H/4, W/4) the share of the weight that is on the person's left side.
    """

    crops: Tensor
    weight: Tensor
    left: Tensor


class Example(NamedTuple):
    """One item of a :class:`LimbBatch`."""

    crop: Floats
    weight: Floats
    left: Floats


class LimbCrops:
    """Endless batches of rendered people and of people in street photos; determined by the seed and the share."""

    def __init__(self, cache: Path, share: Share, *, seed: int) -> None:
        """Read the packs in *cache*."""
        self._rendered, self._found = Rendered(cache), Rendered(cache, FOUND)
        self._photos = figures(cache, pseudo=False)  # pseudo-labels have the sides that a network guessed
        self._share = share
        self._rng = np.random.default_rng(seed)

    def __iter__(self) -> Iterator[LimbBatch]:
        """Yield batches endlessly."""
        cv2.setNumThreads(1)
        share = self._share
        while True:
            rng = self._rng.spawn(share.of)[share.number]
            count = len(range(share.number, share.size, share.of))
            examples: list[Example] = []
            while len(examples) < count:
                examples += self._draw(rng)
            yield LimbBatch(*(torch.from_numpy(np.stack(part)) for part in zip(*examples[:count], strict=True)))

    def _draw(self, rng: np.random.Generator) -> list[Example]:
        """Return some people of a random scene."""
        kind = rng.choice([_PHOTO, _TRUE_PEOPLE, _FOUND_PEOPLE], p=_SHARES)
        as_found = kind == _FOUND_PEOPLE
        scene = self._photo(rng) if kind == _PHOTO else (self._found if as_found else self._rendered).draw(rng, _SHAPE)
        image = spoil(rng, scene.image) if rng.random() < _SPOILT else recolour(rng, scene.image)
        numbers = np.unique(scene.persons)
        chosen = rng.permutation(numbers[numbers > 0])[:_PER_SCENE]
        examples = (self._example(rng, image, scene, int(number), as_found=as_found) for number in chosen)
        return [one for one in examples if one is not None]

    def _photo(self, rng: np.random.Generator) -> Scene:
        """Return a street photo, at the size of the network's input or smaller, mirrored half the time."""
        image, labels = self._photos.draw(rng)
        scale = rng.uniform(0.25, 0.8)
        small = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        labels = np.asarray(cv2.resize(labels, small.shape[1::-1], interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
        if rng.random() < 0.5:
            small, labels = np.ascontiguousarray(small[:, ::-1]), _MIRROR[labels[:, ::-1]]
        return Scene(small, labels, ((labels > 0) & (labels != IGNORED)).astype(np.uint8))

    def _example(
        self, rng: np.random.Generator, image: npt.NDArray[np.uint8], scene: Scene, number: int, *, as_found: bool
    ) -> Example | None:
        """Return person *number* of the scene; None if hardly anything of its limbs is in view."""
        own = scene.persons == number
        labels = np.where(own, scene.label_map, 0).astype(np.uint8)
        cells = cells_of(own)
        if np.count_nonzero(cells) < _LEAST_CELLS or np.isin(labels, MIRRORED).sum() < _LEAST_LIMBS:
            return None
        window = window_around(
            without_strays(cells) if as_found else cells,
            rng.uniform(0.85, 1.25),
            (rng.normal(0, 0.04), rng.normal(0, 0.04)),
        )
        mask = cells if as_found else disturbed(rng, cells, cells_of((scene.persons > 0) & ~own))
        return Example(crop(image, mask, window), *targets(labels, window))


def cells_of(person: npt.NDArray[np.bool_]) -> Cells:
    """Return the cells that a mask (H, W) mostly covers."""
    size = (-(-person.shape[1] // STRIDE), -(-person.shape[0] // STRIDE))
    whole = np.zeros((size[1] * STRIDE, size[0] * STRIDE), np.float32)
    whole[: person.shape[0], : person.shape[1]] = person
    return np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA) > 0.5)


def disturbed(rng: np.random.Generator, cells: Cells, others: Cells) -> Cells:
    """Return a mask as a network might predict it.

    It is larger or smaller, lacks what is thin, or has a piece too much or too little; and it may cover some of the
    *others*, who are next to the person.
    """
    mask, kind = cells.astype(np.uint8), rng.random()
    if kind < 0.2:
        mask = np.asarray(cv2.dilate(mask, _CROSS), dtype=np.uint8)
    elif kind < 0.35:
        mask = np.asarray(cv2.erode(mask, _CROSS), dtype=np.uint8)
    elif kind < 0.5:
        mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, _SQUARE), dtype=np.uint8)
    if rng.random() < 0.25:
        rows, columns = (np.flatnonzero(cells.any(axis=axis)) for axis in (1, 0))
        top, left = rng.integers(rows[0], rows[-1] + 1), rng.integers(columns[0], columns[-1] + 1)
        high, wide = (1 + int(side.size * rng.uniform(0.1, 0.4)) for side in (rows, columns))
        mask[top : top + high, left : left + wide] = rng.integers(2)
    if rng.random() < 0.25:
        near = cv2.dilate(cells.astype(np.uint8), _SQUARE, iterations=int(rng.integers(1, 8)))
        mask[others & (near > 0)] = 1
    return mask.astype(np.bool_) if mask.any() else cells


def targets(labels: npt.NDArray[np.uint8], window: Box) -> tuple[Floats, Floats]:
    """Return weight and left of a :class:`LimbBatch` from the class map of one person, H×W, and the crop's window."""
    found = cv2.resize(cut(labels, in_pixels(window)), CROP, interpolation=cv2.INTER_NEAREST)
    weight, left = np.zeros((2, CROP.height, CROP.width), np.float32)
    for sides in MIRRORED:
        for side in sides:
            limb = found == side
            weight[limb] = 1 / max(_FULL_WEIGHT, float(np.count_nonzero(limb)))
            if side == sides[0]:
                left[limb] = weight[limb]
    weight, left = _on_cells(weight), _on_cells(left)
    return weight, np.asarray(left / np.maximum(weight, 1e-9), dtype=np.float32)


def _on_cells(values: Floats) -> Floats:
    """Return the sum over each cell of a crop."""
    size = (CROP.width // STRIDE, CROP.height // STRIDE)
    return np.asarray(STRIDE**2 * cv2.resize(values, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
