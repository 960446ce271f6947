"""Augmentation of training images."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cv2")

from training.augment import recolour_garments
from training.labels import SKIN, Part


def test_garments_get_one_other_colour_each_and_the_rest_stays() -> None:
    labels = np.zeros((6, 8), np.uint8)
    labels[:2], labels[2:4, :4], labels[2:4, 4:], labels[4:, :4] = Part.HAIR, Part.UPPER, Part.SKIRT, SKIN
    image = np.random.default_rng(1).integers(90, 110, (6, 8, 3), np.uint8)
    garments = (labels == Part.UPPER) | (labels == Part.SKIRT)
    before = image.copy()

    recoloured = [recolour_garments(np.random.default_rng(seed), image, labels) for seed in range(40)]

    assert (image == before).all()
    assert all((one[~garments] == image[~garments]).all() for one in recoloured)
    for part in (Part.UPPER, Part.SKIRT):
        changed = [(one[labels == part] != image[labels == part]).any() for one in recoloured]
        assert 10 < sum(changed) < 40
    colours = np.array([[one[labels == part].mean(axis=0) for part in (Part.UPPER, Part.SKIRT)] for one in recoloured])
    assert np.abs(colours[:, 0] - colours[:, 1]).max() > 30


def test_recoloured_garments_keep_their_pattern() -> None:
    labels = np.full((1, 4), Part.DRESS, np.uint8)
    image = np.zeros((1, 4, 3), np.uint8)
    image[0, :, :] = np.array([80, 120, 80, 120])[:, None]

    for seed in range(20):
        bright = recolour_garments(np.random.default_rng(seed), image, labels)[0].astype(int)
        stripes = bright[[1, 3]].mean(axis=0) - bright[[0, 2]].mean(axis=0)
        clipped = (bright == 0) | (bright == 255)
        assert (stripes > 0)[~clipped.any(axis=0)].all()
