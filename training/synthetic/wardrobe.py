"""Everything a person wears: clothes, shoes, socks, hair, hats, eyes, scarfs, gloves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.labels import Part
from training.synthetic.clothes import Clothes, Likelihoods, Piece
from training.synthetic.garments import CutGarment
from training.synthetic.materials import PATTERN, TEXTURE, TINTED, Material, colour

if TYPE_CHECKING:
    from training.synthetic.geometry import Array
    from training.synthetic.materials import Layers
    from training.synthetic.store import Store

_HAIR_COLOURS = (
    *[(0.02, 0.015, 0.012)] * 4,
    *[(0.05, 0.03, 0.02)] * 4,
    *[(0.12, 0.07, 0.035)] * 3,
    *((0.3, 0.18, 0.08), (0.55, 0.4, 0.2), (0.35, 0.12, 0.05), (0.35, 0.34, 0.33), (0.65, 0.64, 0.62)),
    (0.75, 0.7, 0.6),
)
_OLD_HAIR = 11  # hair colours of old people start here
_MALE_HAIR = ("short01", "short02", "short03", "short04", "buzz", "buzz", "afro01", "bald")
_FEMALE_HAIR = (
    *("bob01", "bob02", "braid01", "long01", "long01"),
    *("ponytail01", "ponytail01", "afro01", "short03", "bob01"),
)
_HATS = ("fedora01", "cap", "cap", "beanie", "beanie", "hard", "sun", "kerchief")
_HAT_THICKNESS = {"cap": 0.17, "beanie": 0.25, "hard": 0.38, "sun": 0.2, "kerchief": 0.16}
_HELMET_COLOURS = ((1, 0.75, 0.05), (0.9, 0.9, 0.9), (0.9, 0.3, 0.05), (0.1, 0.2, 0.6))


class Dresser(Clothes):
    """Dresses one person from head to foot; `hat`: kind of hat, `hat_piece`: a hat cut from the mesh."""

    def __init__(
        self, rng: np.random.Generator, store: Store, layers: Layers, positions: Array, likely: Likelihoods
    ) -> None:
        """*positions*: the shaped body's vertices, metres."""
        super().__init__(rng, store, layers, positions, likely)
        self.hat: str | None = None
        self.hat_piece: Piece | None = None

    def wear_all(self, sex: str, age: float, *, seated: bool) -> None:
        """Put on everything, in order."""
        thin = self.dress(sex, seated=seated)
        self.shoes()
        hair = self.head(age, male=sex == "male")
        self.scarf(thin=thin)
        self.gloves()
        self.face(hair)

    # Feet

    def shoes(self) -> None:
        """Usually put on shoes, sometimes with socks, long ones on bare legs."""
        rng, regions = self._rng, self._store.body.regions
        if rng.random() >= 0.88:
            return
        garment = self._store.fitted[f"shoes0{rng.choice(np.arange(1, 7))}"]
        piece = garment.pieces[garment.faces[:, 0]]
        left = garment.rest[garment.faces].mean(1)[:, 0] > 0
        sock = np.array([_is_sock(garment.rest[garment.pieces == k]) for k in range(garment.pieces.max() + 1)])[piece]
        if rng.random() < 0.5:
            material = Material(TEXTURE, garment.texture, np.ones(3) * self._u(0.6, 1.2), shine=0.1)
        else:
            tint = colour(rng)
            material = Material(TINTED, garment.texture, tint, scale=self._u(1.5, 3.5), shine=0.08)
        self._wear(garment, np.where(left, Part.LEFT_SHOE, Part.RIGHT_SHOE)[~sock], material, ~sock)
        hidden = np.zeros(len(regions.leg), bool)
        hidden[garment.hides] = True
        socks = rng.random() < 0.75
        if socks:
            self._wear(garment, Part.SOCKS, self._plain(colour(rng), 2.0), sock)
        self.covered |= hidden & (regions.leg > 0.5) & (regions.along_leg > (0.90 if socks else 0.93))
        if not self._long_legs and rng.random() < 0.4:
            self._long_socks()

    def _long_socks(self) -> None:
        regions = self._store.body.regions
        top = self._u(0.6, 0.92)
        leg, along = regions.leg > 0.5, regions.along_leg
        faces = self._store.cuts.faces(self._store.body.tights, leg & (along > top) & (along < 1.02))
        if not len(faces):
            return
        garment = CutGarment(self._store.cloth, faces, 0.004, self._rng, smooth=0)
        layer = self._fabrics.layer("plain", "stripe")
        self._wear(garment, Part.SOCKS, Material(PATTERN, tint=colour(self._rng), layer=layer, scale=3.0))
        self.covered |= leg & (along > top + 0.03) & (along < 0.97)

    # Head

    def head(self, age: float, *, male: bool) -> Array:
        """Put on hair and hat; returns the hair's colour."""
        rng = self._rng
        old = age >= 0.75
        number = rng.integers(_OLD_HAIR, len(_HAIR_COLOURS)) if old else rng.integers(len(_HAIR_COLOURS))
        tint = np.array(_HAIR_COLOURS[number]) * self._u(0.7, 1.3)
        wears_hat = rng.random() < self.likely.hat
        self.hat = str(rng.choice(_HATS)) if wears_hat else None
        hair = str(rng.choice(_MALE_HAIR if male else _FEMALE_HAIR))
        if self.hat not in (None, "fedora01") and hair == "afro01":
            hair = "buzz"
        under_hat = self._under_hat()
        if hair != "bald":
            self._hair(hair, tint, male=male, cut_off=under_hat is not None)
        if self.hat == "fedora01":
            self._fedora()
        elif under_hat is not None:
            self._cut_hat(under_hat)
        return tint

    def _under_hat(self) -> Array | None:
        if self.hat in (None, "fedora01"):
            return None
        front, back = (0.7, 5.5) if self.hat == "kerchief" else (self._u(0.4, 0.75), self._u(6.5, 7.1))
        return self._store.cuts.scalp(front, back)

    def _hair(self, name: str, tint: Array, *, male: bool, cut_off: bool) -> None:
        rng = self._rng
        if name == "buzz" or (self.hat is not None and rng.random() < (0.5 if male else 0.12)):
            scalp = self._store.cuts.scalp(self._u(0.65, 0.95), self._u(6.3, 6.8))
            garment = self._cut(
                scalp, lambda v: self._u(0.03, 0.16) * 0.1 + 0 * v, smooth=1, among=self._store.body.skin_faces
            )
            material = Material(PATTERN, tint=tint, layer=self._fabrics.first("mottle"), scale=6.0, wrinkles=1.5)
            self._wear(garment, Part.HAIR, material)
            return
        fitted, chosen = self._store.fitted[name], None
        if cut_off:
            highest = 5.0 if self.hat == "kerchief" else 7.25
            chosen = fitted.rest[fitted.faces].mean(1)[:, 1] < highest
        material = Material(TINTED, fitted.texture, tint, scale=self._u(1.5, 3.0), alpha=0.35, shine=0.05)
        self._wear(fitted, Part.HAIR, material, chosen)

    def _fedora(self) -> None:
        garment = self._store.fitted["fedora01"]
        mode = TINTED if self._rng.random() < 0.7 else TEXTURE
        tint = colour(self._rng) if self._rng.random() < 0.7 else np.ones(3)
        self._wear(garment, Part.HAT, Material(mode, garment.texture, tint, scale=1.8))

    def _cut_hat(self, vertices: Array) -> None:
        """Put on a cap, beanie, helmet, sun hat or kerchief; brims are added to the posed head."""
        rest, kind = self._store.body.rest, str(self.hat)
        material = self._fabrics.cloth()
        if kind == "hard":
            tint = _HELMET_COLOURS[self._rng.integers(4)]
            material = Material(PATTERN, tint=tint, layer=0.0, scale=1.0, shine=0.4)

        def thick(v: Array) -> Array:
            rise = 0.12 * np.clip(rest[v, 1] - 7.6, 0, 1)
            return np.asarray((_HAT_THICKNESS[kind] + self._u(-0.03, 0.08) + rise) * 0.1)

        garment = self._cut(vertices, thick, smooth=10, among=self._store.body.skin_faces)
        self._wear(garment, Part.HAT, material)
        self.hat_piece = self.pieces[-1]

    def face(self, hair: Array) -> None:
        """Put on eyes and brows."""
        rng, fitted = self._rng, self._store.fitted
        eyes = ["brown_eye", "brown_eye", "green_eye", "blue_eye", "grey_eye"]
        self._wear(fitted["eyes"], Part.FACE, Material(TEXTURE, str(rng.choice(eyes)), np.ones(3)))
        brows = fitted[f"eyebrow{int(rng.integers(1, 13)):03d}"]
        self._wear(brows, Part.FACE, Material(TINTED, brows.texture, hair * 0.8, scale=1.0, alpha=0.3))

    # Scarf and gloves

    def scarf(self, *, thin: bool) -> None:
        """Put a scarf around the neck, usually with an end on the chest; *thin* over cut clothes, which fit closer."""
        rng, body, regions = self._rng, self._store.body, self._store.body.regions
        if rng.random() >= 0.13:
            return
        rest = body.rest
        around = (regions.torso > 0.5) & (rest[:, 1] > 5.4) & (np.abs(rest[:, 0]) < 0.9)
        material = self._fabrics.cloth()
        faces = self._store.cuts.faces(body.tights, (regions.neck > 0.4) | around)
        if len(faces) <= 8:
            return
        thickness = self._u(0.25, 0.5) if thin else self._u(0.35, 0.55)
        self._wear(
            CutGarment(self._store.cloth, faces, lambda v: thickness * 0.1 + 0 * v, rng, smooth=4), Part.SCARF, material
        )
        middle, low = self._u(-0.5, 0.1), self._u(1, 4)
        front = (rest[:, 2] > 0) & (rest[:, 1] > low) & (rest[:, 1] < 5.9) & ~regions.is_arm
        faces = self._store.cuts.faces(body.tights, (np.abs(rest[:, 0] - middle) < 0.55) & front)
        if len(faces) and rng.random() < 0.7:
            end = CutGarment(self._store.cloth, faces, lambda v: (thickness + 0.02) * 0.1 + 0 * v, rng, smooth=1)
            self._wear(end, Part.SCARF, material)

    def gloves(self) -> None:
        """Rarely put on gloves."""
        rng, body, regions = self._rng, self._store.body, self._store.body.regions
        if rng.random() >= self.likely.gloves:
            return
        hands = regions.is_arm & (regions.along_arm > self._u(0.9, 1.0))
        garment = self._cut(hands, 0.003, smooth=1, among=body.skin_faces)
        self._wear(garment, Part.GLOVE, self._plain(colour(rng), 2.0, 0.3))
        self.covered |= regions.is_arm & (regions.along_arm > 1.06)


def _is_sock(positions: Array) -> bool:
    """Return whether a piece of a shoe's model is high and reaches the shin."""
    return bool(np.ptp(positions[:, 1]) > 1.0 and positions[:, 1].max() > -6.5)
