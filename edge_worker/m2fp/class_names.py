"""Class names in the order of the CIHP data set."""

from __future__ import annotations

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
