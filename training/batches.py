"""Endless training batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch

from training.cache import PSEUDO_LABELS, TAGGED_PHOTOS, Pack, validation_names
from training.rendered import Rendered
from training.rooms import Backgrounds
from training.scenes import Composer, Figures, Photos
from training.sharp import SharpPictures, files

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from training.paste import Scene

SHAPES = ((480, 320), (288, 512), (352, 352))  # portrait for whole figures, landscape as from cameras
_CHANCES = (0.42, 0.45, 0.13)
_PSEUDO = 0.5  # how often a photo with pseudo-labels is drawn, compared with a labelled one


class Batch(NamedTuple):
    """RGB uint8 (B, H, W, 3); class maps and person numbers uint8 (B, H, W)."""

    images: Tensor
    labels: Tensor
    persons: Tensor


class Share(NamedTuple):
    """Every `of`-th image of batches of `size`, from image `number` on: the share of one of several processes."""

    size: int
    number: int = 0
    of: int = 1


def training_names(pack: Pack) -> frozenset[str]:
    """Return the labelled photos that are not held out for validation."""
    return frozenset(pack.names) - validation_names()


def figures(cache: Path, *, pseudo: bool) -> Figures:
    """Return the training photos; with `pseudo` also those labelled by `training.pseudo`."""
    photos = Photos(Pack(cache / "photos.bin"), Pack(cache / "classes.bin"))
    if not pseudo:
        return Figures([photos], training_names(photos.images))
    tagged = Photos(Pack(cache / TAGGED_PHOTOS), Pack(cache / PSEUDO_LABELS), _PSEUDO)
    return Figures([photos, tagged], training_names(photos.images) | frozenset(tagged.maps.names))


def composer(cache: Path, data: Path, *, pseudo: bool = False) -> Composer:
    """Return a composer of the `figures`, the rendered scenes and all backgrounds."""
    names = training_names(Pack(cache / "photos.bin"))
    sharp = SharpPictures(files(data, cache / "fetched"))
    return Composer(figures(cache, pseudo=pseudo), Backgrounds(cache, names, sharp), Rendered(cache))


class Batches:
    """Batches whose images share a shape; determined by the seed."""

    def __init__(
        self,
        cache: Path,
        data: Path,
        share: Share,
        *,
        seed: int,
        scales: Sequence[float] = (1.0,),
        pseudo: bool = False,
    ) -> None:
        """Multiply shapes by one of `scales`, drawn per batch, and round to 32."""
        self._source, self._share = composer(cache, data, pseudo=pseudo), share
        self._rng = np.random.default_rng(seed)
        self._scales = scales

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches endlessly."""
        cv2.setNumThreads(1)
        share = self._share
        while True:
            height, width = SHAPES[self._rng.choice(len(SHAPES), p=_CHANCES)]
            scale = self._rng.choice(self._scales)
            shape = (_rounded(height * scale), _rounded(width * scale))
            rngs = self._rng.spawn(share.size)[share.number :: share.of]
            yield collate([self._source.draw(rng, shape) for rng in rngs])


def _rounded(side: float) -> int:
    return round(side / 32) * 32


def collate(scenes: list[Scene]) -> Batch:
    """Stack scenes of one shape into tensors."""
    images = torch.from_numpy(np.stack([scene.image for scene in scenes]))
    labels = torch.from_numpy(np.stack([scene.label_map for scene in scenes]))
    persons = torch.from_numpy(np.stack([scene.persons for scene in scenes]))
    return Batch(images, labels, persons)
