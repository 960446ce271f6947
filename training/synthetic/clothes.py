"""Clothes of trunk and legs: suits from the pack, or cut from the base mesh."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from training.labels import Part
from training.synthetic.garments import CutGarment
from training.synthetic.materials import PATTERN, Fabrics, Material, colour
from training.synthetic.store import SUITS, WAIST

if TYPE_CHECKING:
    from collections.abc import Callable

    from training.synthetic.garments import Garment
    from training.synthetic.geometry import Array
    from training.synthetic.materials import Layers
    from training.synthetic.store import Store

_SHORT_SUITS = ("female_casualsuit02", "female_elegantsuit01")
_VEST_COLOURS = ((1, 0.35, 0.03), (0.75, 1, 0.05), (1, 0.6, 0.02))


class Piece(NamedTuple):
    """A garment fitted to the body in rest pose: vertices, classes of its faces, material, chosen faces (None: all)."""

    garment: Garment
    positions: Array
    label: Array | int
    material: Material
    chosen: Array | None


@dataclass(frozen=True)
class Likelihoods:
    """Probabilities of accessories and of children in a scene."""

    hat: float = 0.2
    vest: float = 0.02
    gloves: float = 0.07
    glasses: float = 0.2
    child: float = 0.2


class Clothes:
    """Clothes of one person: `pieces`, and the vertices of the body that they cover, `covered` (V,) bool."""

    def __init__(
        self, rng: np.random.Generator, store: Store, layers: Layers, positions: Array, likely: Likelihoods
    ) -> None:
        """*positions*: the shaped body's vertices, metres."""
        self._rng, self._store, self.likely = rng, store, likely
        self._positions, self._normals = positions, store.body.surface.normals(positions)
        self._fabrics = Fabrics(rng, layers)
        self.covered = np.zeros(len(positions), bool)
        self.pieces: list[Piece] = []
        self._long_legs = True

    def _u(self, low: float, high: float) -> float:
        return float(self._rng.uniform(low, high))

    def _wear(self, garment: Garment, label: Array | int, material: Material, chosen: Array | None = None) -> None:
        self.pieces.append(Piece(garment, garment.fit(self._positions, self._normals), label, material, chosen))

    def _cut(
        self,
        vertices: Array,
        thickness: Callable[[Array], Array] | float,
        smooth: int = 3,
        open_front: float | None = None,
        among: Array | None = None,
    ) -> CutGarment:
        """Cut a garment from the faces between the vertices (V,) bool, *among* the base mesh's tights by default."""
        faces = self._store.cuts.faces(self._store.body.tights if among is None else among, vertices)
        return CutGarment(self._store.cloth, faces, thickness, self._rng, smooth=smooth, open_front=open_front)

    def _plain(self, tint: Array, scale: float, wrinkles: float = 0.0) -> Material:
        return Material(PATTERN, tint=tint, layer=self._fabrics.first("plain"), scale=scale, wrinkles=wrinkles)

    # Clothes

    def dress(self, sex: str, *, seated: bool) -> bool:
        """Put on a suit, or clothes cut from the mesh (returns True), sometimes with a reflective vest."""
        cut = self._rng.random() >= 0.42
        if cut:
            self._clothes(sex, seated=seated)
        else:
            self._suit(sex)
        if self._rng.random() < self.likely.vest:
            self._vest()
        return cut

    def _suit(self, sex: str) -> None:
        """Put on the upper part of one suit and the lower part of the same or another one."""
        names = [name for name in SUITS if name.startswith(sex)]
        top = self._rng.choice(names)
        bottom = top if self._rng.random() < 0.5 else self._rng.choice(names)
        regions, rest = self._store.body.regions, self._store.body.rest
        upper = (rest[:, 1] > WAIST - 0.2) | regions.is_arm
        for name, wanted, zone in ((str(top), (5, 7), upper), (str(bottom), (9, 12), ~upper)):
            garment, classes = self._store.fitted[name], self._store.suit_classes[name]
            chosen = np.isin(classes, wanted)
            self._wear(garment, classes[chosen], self._fabrics.suit(garment.texture), chosen)
            hidden = np.zeros(len(rest), bool)
            hidden[garment.hides] = True
            self.covered |= hidden & zone
        self._long_legs = bottom not in _SHORT_SUITS

    def _clothes(self, sex: str, *, seated: bool) -> None:
        rng = self._rng
        skirt = sex == "female" and rng.random() < 0.5
        dress = skirt and rng.random() < 0.55
        coat = rng.random() < 0.22
        neck = self._u(5.55, 6.15) if rng.random() < 0.8 else self._u(5.2, 5.6)
        neck_width = self._u(0.65, 1.1)
        sleeve = 0.98 if coat else float(rng.choice([0.03, 0.25, 0.45, 0.98, 0.98, 0.98]))
        sleeve += self._u(-0.05, 0.0) if sleeve > 0.1 else 0
        hem, tucked, loose = self._u(-0.6, 1.0), rng.random() < 0.3, self._u(0.0, 0.25)
        thickness = 0.06 + self._u(0, 0.12)
        under_coat = 0.0
        if coat:
            thickness, under_coat, loose, tucked = 0.05, loose, 0.0, False
        below = (0.13 if tucked else 0.05) + self._u(0, 0.06)
        leg = 0.97 if coat else float(rng.choice([0.3, 0.5, 0.97, 0.97, 0.97, 0.97]))
        self._long_legs = leg > 0.9
        cloth = self._fabrics.cloth()
        if skirt:
            self._skirt(cloth if dress else None, seated=seated)
        else:
            self._trousers(below, leg)
        top = {"hem": 1.3 if skirt else hem, "neck": neck, "neck_width": neck_width, "sleeve": sleeve}
        self._top(top, (thickness, loose), Part.DRESS if dress else Part.UPPER, cloth)
        if coat:
            self._coat(under_coat)

    def _trousers(self, thickness: float, leg: float) -> None:
        regions, cuts = self._store.body.regions, self._store.cuts
        vertices = cuts.trousers(waist=1.6, leg=leg)
        flare = self._u(0, 0.5)

        def thick(v: Array) -> Array:
            wider = np.clip(regions.along_leg[v], 0, 1) * (regions.leg[v] > 0.5)
            return np.asarray((thickness + flare * 0.35 * wider) * 0.1)

        garment = self._cut(vertices, thick)
        self._wear(garment, Part.PANTS, self._fabrics.trousers())
        self.covered |= cuts.trousers(waist=1.6, leg=leg, margin=0.25)

    def _skirt(self, dress: Material | None, *, seated: bool) -> None:
        """Put on a skirt, the dress's if its material is given, sometimes with tights or leggings."""
        body, rng = self._store.body, self._rng
        length = self._u(-3.6, -1.6) if seated else self._u(-6.5, -1.8)
        faces = body.skirt[(body.rest[body.faces[body.skirt]][:, :, 1] > length).all(1)]
        flare = self._u(0, 0.6)

        def thick(v: Array) -> Array:
            return np.asarray((0.05 + flare * np.clip((1.0 - body.rest[v, 1]) / 6, 0, 1)) * 0.1)

        garment = CutGarment(self._store.cloth, faces, thick, rng)
        label = Part.SKIRT if dress is None else Part.DRESS
        self._wear(garment, label, self._fabrics.cloth() if dress is None else dress)
        self._long_legs = rng.random() < 0.35
        if self._long_legs:
            cuts = self._store.cuts
            vertices = cuts.trousers(waist=1.4, leg=0.97)
            label = Part.PANTS if rng.random() < 0.6 else Part.SOCKS
            garment = self._cut(vertices, 0.0035, smooth=0)
            layer = self._fabrics.layer("plain")
            self._wear(garment, label, Material(PATTERN, tint=colour(rng, dark=True), layer=layer, scale=3.0))
            self.covered |= cuts.trousers(waist=1.4, leg=0.97, margin=0.2)

    def _top(self, cut: dict[str, float], thickness: tuple[float, float], label: int, material: Material) -> None:
        """Put on a shirt, blouse or the upper part of a dress; *thickness*: offset and looseness."""
        body, cuts = self._store.body, self._store.cuts
        plain, loose = thickness

        def thick(v: Array) -> Array:
            low, arm = np.clip((4 - body.rest[v, 1]) / 4, 0, 1), body.regions.is_arm[v]
            return np.asarray((plain + loose * 0.6 * low * ~arm + loose * 0.3 * arm) * 0.1)

        garment = self._cut(cuts.top(**cut), thick, smooth=int(self._rng.integers(2, 8)))
        self._wear(garment, label, material)
        self.covered |= cuts.top(**cut, margin=0.25)

    def _coat(self, loose: float) -> None:
        body, cuts, rng = self._store.body, self._store.cuts, self._rng
        length = self._u(-4.5, 0.2)
        opening = self._u(0, 0.8) if rng.random() < 0.7 else None
        vertices = cuts.top(hem=max(length, -0.2), neck=6.0, sleeve=1.0)
        thickness = 0.3 + self._u(0, 0.12) + loose * 0.4

        def thick(v: Array) -> Array:
            return np.asarray(thickness * 0.1 * (0.75 + 0.25 * ~body.regions.is_arm[v]))

        garment = self._cut(vertices, thick, smooth=5, open_front=opening)
        material = self._fabrics.cloth()
        if rng.random() < 0.6:
            material = replace(material, tint=np.minimum(material.tint, 0.5))
        self._wear(garment, Part.COAT, material)
        if length < -0.3:
            heights = body.rest[body.faces[body.skirt]][:, :, 1]
            faces = body.skirt[((heights > length) & (heights < 0.6)).all(1)]
            hanging = CutGarment(
                self._store.cloth, faces, lambda v: (thickness + 0.05) * 0.1 + 0 * v, rng, smooth=2, open_front=opening
            )
            self._wear(hanging, Part.COAT, material)

    def _vest(self) -> None:
        rng = self._rng
        vertices = self._store.cuts.top(hem=self._u(0.2, 1.0), neck=5.4, neck_width=1.1, sleeve=0.03)
        tint = _VEST_COLOURS[rng.integers(3)]
        opening = self._u(0, 0.4) if rng.random() < 0.6 else None
        garment = self._cut(vertices, lambda v: 0.034 + 0 * v, smooth=5, open_front=opening)
        rng.random()  # keeps the random sequence of existing scenes
        self._wear(garment, Part.UPPER, self._plain(np.array(tint) * self._u(0.5, 1), 2.0, 0.2))
