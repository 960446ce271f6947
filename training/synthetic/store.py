"""All available garments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.labels import Part

if TYPE_CHECKING:
    from training.synthetic.body import Body
    from training.synthetic.garments import Cloth, Cuts, FittedGarment
    from training.synthetic.geometry import Array

WAIST = 1.2  # dm above the origin of the base mesh

# Classes of a suit's pieces in the order of their numbers; None if it is divided at the waist.
SUITS: dict[str, tuple[int, ...] | None] = {
    "female_casualsuit01": (5, 9),
    "female_casualsuit02": (9, 9, 5),
    "female_elegantsuit01": (12, 5),
    "female_sportsuit01": (5, 9),
    "male_casualsuit01": None,
    "male_casualsuit02": (9, 5),
    "male_casualsuit03": (5, 9),
    "male_casualsuit04": (5, 9),
    "male_casualsuit05": (5, 7, 5, 9),
    "male_casualsuit06": (5, 9),
    "male_elegantsuit01": (9, 7),
    "male_worksuit01": (5, 9, 9, 9, 9, 9),
}
_SHIRT_BRIGHTNESS = 95  # of the texture: brighter parts of the elegant suit are its shirt


class Store:
    """All available garments."""

    def __init__(
        self, body: Body, fitted: dict[str, FittedGarment], cloth: Cloth, cuts: Cuts, coat_texture: Array
    ) -> None:
        """*coat_texture*: of the elegant suit, RGB; separates its shirt from its coat."""
        self.body, self.fitted, self.cloth, self.cuts = body, fitted, cloth, cuts
        self.suit_classes = {name: self._suit_classes(name) for name in SUITS}
        coat = self.fitted["male_elegantsuit01"]
        middle = coat.uv[coat.uv_faces].mean(1) % 1
        brightness = coat_texture[(middle[:, 1] * 511).astype(int), (middle[:, 0] * 511).astype(int)].mean(1)
        classes = self.suit_classes["male_elegantsuit01"]
        shirt = (classes == Part.COAT) & (brightness > _SHIRT_BRIGHTNESS)
        self.suit_classes["male_elegantsuit01"] = np.where(shirt, Part.UPPER, classes)

    def _suit_classes(self, name: str) -> Array:
        garment, classes = self.fitted[name], SUITS[name]
        if classes is None:
            above = garment.rest[garment.faces].mean(1)[:, 1] > WAIST - 0.15
            return np.where(above, Part.UPPER, Part.PANTS)
        pieces = garment.pieces[garment.faces[:, 0]]
        return np.asarray(np.array(classes)[np.searchsorted(np.unique(pieces), pieces)])
