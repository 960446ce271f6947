"""Walking people, drawn: what the demo's camera sees when there is no camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import cos, pi, sin
from typing import TYPE_CHECKING, Literal, TypeAlias

from edge_worker.tools.scene.brush import Brush, Colour, Plane, Point, grain

if TYPE_CHECKING:
    from edge_worker.imaging.arrays import RgbImage

Joints: TypeAlias = Mapping[str, Point]
Bottom: TypeAlias = Literal["pants", "skirt", "dress"]

# Half the angle a thigh swings through, and the greatest bend of the trailing knee (radians).
STRIDE, KNEE_BEND = 0.34, 0.75
WHITE, DARK_EYE, LIPS = (238, 236, 232), (38, 26, 22), (168, 78, 76)

# Profiles, in heights of the figure, from the top down.
CHEST = (0.04, 0.098, 0.122, 0.122, 0.112, 0.1, 0.094, 0.092, 0.098)
SEAT = (0.09, 0.104, 0.11, 0.108, 0.095, 0.06, 0.0)
SKIRT = (0.078, 0.11, 0.13, 0.15)
COAT_FRONT = (0.02, 0.05, 0.058, 0.058, 0.058, 0.062, 0.068)
LONG_HAIR, FRINGE = (0.05, 0.066, 0.07, 0.06), (0.02, 0.046, 0.054, 0.05)
HAT = (0.03, 0.054, 0.06, 0.062)


@dataclass(frozen=True, slots=True)
class Outfit:
    """What a figure looks like; colours are RGB under full light, None is absent."""

    skin: Colour
    hair: Colour
    top: Colour
    bottom: Colour
    shoes: Colour
    kind: Bottom = "pants"
    coat: Colour | None = None
    hat: Colour | None = None
    glasses: bool = False
    long_hair: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """One person at one moment: *feet* on the ground, *height* in pixels, *phase* of the step in radians."""

    outfit: Outfit
    feet: Point
    height: float
    phase: float
    facing: int = 1
    """1 walks to the right, -1 to the left."""


def draw(canvas: RgbImage, figure: Figure) -> None:
    """Paint *figure* on *canvas*, back to front."""
    painter = _Painter(canvas, figure)
    far, near = ("left", "right") if figure.facing > 0 else ("right", "left")
    painter.ground()
    painter.hair_behind()
    painter.arm(far)
    painter.leg(far)
    painter.leg(near)
    painter.trunk()
    painter.coat()
    painter.head()
    painter.face()
    painter.hat()
    painter.arm(near)


def pose(figure: Figure) -> Joints:
    """Place the joints of a walking figure, in pixels of the canvas."""
    bob = 0.008 * cos(2.0 * figure.phase)
    points: dict[str, Point] = {"hip": (0.0, 0.52 + bob), "neck": (0.012, 0.85 + bob), "head": (0.02, 0.93 + bob)}
    for side, sign in (("left", -1.0), ("right", 1.0)):
        swing = STRIDE * sin(figure.phase) * sign
        bend = KNEE_BEND * max(0.0, cos(figure.phase) * sign) ** 2 + 0.06
        knee, ankle = _two_bones((0.048 * sign, 0.5 + bob), (0.24, 0.235), (swing, swing - bend))
        shoulder = (0.098 * sign, 0.79 + bob)
        elbow, hand = _two_bones(shoulder, (0.16, 0.155), (0.1 * sign - 0.8 * swing, 0.32 - 0.8 * swing))
        chain = {"thigh": (0.048 * sign, 0.5 + bob), "knee": knee, "ankle": ankle, "shoulder": shoulder}
        chain |= {"elbow": elbow, "hand": hand, "toe": _from(ankle, 0.085, pi / 2 - 0.35 * bend)}
        points |= {f"{side}-{name}": point for name, point in chain.items()}
    lowest = min(points["left-ankle"][1], points["right-ankle"][1]) - 0.045
    x, y = figure.feet
    return {
        name: (x + figure.facing * px * figure.height, y - (py - lowest) * figure.height)
        for name, (px, py) in points.items()
    }


def _two_bones(root: Point, lengths: tuple[float, float], angles: tuple[float, float]) -> tuple[Point, Point]:
    """Hang two bones on *root* and give their ends; *angles* are from straight down, forwards positive."""
    middle = _from(root, lengths[0], angles[0])
    return middle, _from(middle, lengths[1], angles[1])


def _from(point: Point, length: float, angle: float) -> Point:
    """Go *length* from *point*, at *angle* from straight down (y upwards here)."""
    return point[0] + length * sin(angle), point[1] - length * cos(angle)


def _between(start: Point, end: Point, part: float) -> Point:
    return start[0] + (end[0] - start[0]) * part, start[1] + (end[1] - start[1]) * part


@lru_cache(maxsize=16)
def _cloth(size: int) -> Plane:
    """Give the weave and folds of a figure's clothes, a tile of *size* in both directions."""
    return grain((size, size), size=max(1.5, size / 55), contrast=0.07, seed=size)


class _Painter:
    """Paints the parts of one figure; widths and offsets are in heights of the figure."""

    def __init__(self, canvas: RgbImage, figure: Figure) -> None:
        self._figure, self._outfit, self._joints = figure, figure.outfit, pose(figure)
        self._bare = Brush(canvas, figure.height)
        self._cloth = Brush(canvas, figure.height, _cloth(int(figure.height)))

    def ground(self) -> None:
        """The shadow under the feet."""
        self._bare.shadow(self._figure.feet, (0.26, 0.035), 0.6)

    def hair_behind(self) -> None:
        """Long hair that falls on the back."""
        if self._outfit.long_hair:
            self._bare.lathe(self._at("head", up=0.05), self._at("head", up=-0.16), LONG_HAIR, self._outfit.hair)

    def leg(self, side: str) -> None:
        """A leg, in trousers or bare, and its shoe."""
        thigh, knee, ankle, toe = (self._joints[f"{side}-{name}"] for name in ("thigh", "knee", "ankle", "toe"))
        self._bare.limb((thigh, knee, ankle), (0.058, 0.04, 0.024), self._outfit.skin)
        if self._outfit.kind == "pants":
            self._cloth.limb((thigh, knee, ankle), (0.068, 0.052, 0.042), self._outfit.bottom)
        self._bare.limb((ankle, toe), (0.03, 0.021), self._outfit.shoes)
        heel = _between(ankle, toe, 0.2)
        self._bare.ball((heel[0], ankle[1] + 0.02 * self._figure.height), (0.034, 0.026), self._outfit.shoes)

    def arm(self, side: str) -> None:
        """An arm in a sleeve, long with a coat and short without, and the hand."""
        shoulder, elbow, hand = (self._joints[f"{side}-{name}"] for name in ("shoulder", "elbow", "hand"))
        self._bare.limb((shoulder, elbow, hand), (0.033, 0.028, 0.019), self._outfit.skin)
        self._bare.ball(hand, (0.022, 0.032), self._outfit.skin)
        if self._outfit.coat is not None:
            self._cloth.limb((shoulder, elbow, _between(elbow, hand, 0.85)), (0.042, 0.038, 0.032), self._outfit.coat)
        else:
            self._cloth.limb((shoulder, _between(shoulder, elbow, 0.8)), (0.042, 0.038), self._upper())

    def trunk(self) -> None:
        """Neck, what is worn below the waist, and above it."""
        self._bare.limb((self._joints["neck"], self._joints["head"]), (0.036, 0.036), self._outfit.skin)
        if self._outfit.kind == "pants":
            self._cloth.lathe(self._at("hip", up=0.09), self._at("hip", up=-0.1), SEAT, self._outfit.bottom)
        else:
            self._cloth.lathe(self._at("hip", up=0.12), self._at("hip", up=-0.2), SKIRT, self._outfit.bottom)
        self._cloth.lathe(self._joints["neck"], self._at("hip", up=0.06), CHEST, self._upper())

    def coat(self) -> None:
        """The two fronts of an open coat."""
        if self._outfit.coat is None:
            return
        for side in (-1, 1):
            top, hem = self._at("neck", right=0.075 * side, up=-0.012), self._at("hip", right=0.082 * side, up=-0.13)
            self._cloth.lathe(top, hem, COAT_FRONT, self._outfit.coat)

    def head(self) -> None:
        """The hair around the head, the skin of the face, and the fringe over it."""
        self._bare.ball(self._at("head", up=0.012), (0.055, 0.072), self._outfit.hair)
        self._bare.ball(self._at("head", ahead=0.006, up=-0.01), (0.044, 0.061), self._outfit.skin)
        self._bare.lathe(self._at("head", up=0.082), self._at("head", up=0.03), FRINGE, self._outfit.hair)

    def face(self) -> None:
        """Brows, eyes or sunglasses, nose and mouth, turned a little towards where the figure goes."""
        red, green, blue = self._outfit.skin
        for side in (-0.018, 0.018):
            self._bare.ball(self._at("head", right=side, ahead=0.014, up=0.01), (0.01, 0.003), self._outfit.hair)
            self._eye(side)
        shade = (red * 4 // 5, green * 3 // 4, blue * 3 // 4)
        self._bare.ball(self._at("head", ahead=0.016, up=-0.022), (0.006, 0.011), shade)
        self._bare.ball(self._at("head", ahead=0.014, up=-0.045), (0.014, 0.0045), LIPS)

    def hat(self) -> None:
        """A cap with its peak in front."""
        if self._outfit.hat is not None:
            self._cloth.lathe(self._at("head", up=0.1), self._at("head", up=0.035), HAT, self._outfit.hat)
            self._cloth.ball(self._at("head", ahead=0.02, up=0.034), (0.07, 0.009), self._outfit.hat)

    def _eye(self, side: float) -> None:
        place = self._at("head", right=side, ahead=0.014, up=-0.002)
        if self._outfit.glasses:
            self._bare.ball(place, (0.016, 0.012), DARK_EYE)
            return
        self._bare.ball(place, (0.008, 0.0045), WHITE)
        self._bare.ball(self._at("head", right=side, ahead=0.015, up=-0.002), (0.0042, 0.0045), DARK_EYE)

    def _upper(self) -> Colour:
        return self._outfit.bottom if self._outfit.kind == "dress" else self._outfit.top

    def _at(self, joint: str, *, right: float = 0.0, ahead: float = 0.0, up: float = 0.0) -> Point:
        """A point beside *joint*; *ahead* is where the figure goes."""
        x, y = self._joints[joint]
        height = self._figure.height
        return x + (right + ahead * self._figure.facing) * height, y - up * height
