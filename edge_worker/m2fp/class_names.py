"""Class names in the order of the CIHP data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

BACKGROUND = 0

# CIHP (Gong et al., arXiv 1808.00157), in index order; single-human models have these 20 classes.
CIHP_CLASSES = (
    "Background",
    "Hat",
    "Hair",
    "Glove",
    "Sunglasses",
    "UpperClothes",
    "Dress",
    "Coat",
    "Socks",
    "Pants",
    "Torso-skin",
    "Scarf",
    "Skirt",
    "Face",
    "Left-arm",
    "Right-arm",
    "Left-leg",
    "Right-leg",
    "Left-shoe",
    "Right-shoe",
)

# Class 20 of multi-human models: the whole person.
HUMAN = "Human"

CIHP_MULTI_HUMAN_CLASSES = (*CIHP_CLASSES, HUMAN)


def side_pairs(classes: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Return the indices of the classes that exist as Left-… and Right-…."""
    return tuple(
        (index, classes.index(f"Right-{name.removeprefix('Left-')}"))
        for index, name in enumerate(classes)
        if name.startswith("Left-") and f"Right-{name.removeprefix('Left-')}" in classes
    )
