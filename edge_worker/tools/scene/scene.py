"""The drawn scene: a street with people who walk by, the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge_worker.tools.scene.brush import Colour, Plane, grain
from edge_worker.tools.scene.figures import Bottom, Figure, Outfit, draw

if TYPE_CHECKING:
    from edge_worker.imaging.arrays import RgbImage

WIDTH, HEIGHT = 960, 540
PEOPLE = 3
# A figure walks TRACK canvas widths in PERIOD_S and begins again; a step is STEP of its height.
TRACK, PERIOD_S, STEP = 1.4, 9.0, 0.42
HORIZON = 0.6

SKINS: tuple[Colour, ...] = ((236, 196, 170), (222, 176, 146), (198, 146, 112), (150, 104, 76), (110, 76, 58))
HAIRS: tuple[Colour, ...] = ((52, 38, 30), (28, 24, 24), (116, 78, 46), (196, 160, 104), (140, 66, 36))
CLOTHES: tuple[Colour, ...] = (
    (186, 40, 44), (40, 70, 132), (238, 234, 226), (36, 38, 44), (94, 116, 76), (210, 162, 60), (108, 138, 178),
    (150, 86, 120),
)  # fmt: skip
TROUSERS: tuple[Colour, ...] = ((48, 62, 98), (40, 40, 46), (112, 104, 92), (88, 70, 54), (150, 140, 120))
SHOES: tuple[Colour, ...] = ((46, 34, 30), (30, 30, 32), (120, 72, 44))
KINDS: tuple[Bottom, ...] = ("pants", "skirt", "pants", "dress")


@dataclass(frozen=True, slots=True)
class Walker:
    """One person's way through the scene: *height* in canvas heights, *start* in tracks."""

    outfit: Outfit
    height: float
    start: float
    facing: int

    def at(self, seconds: float) -> Figure:
        """Give the figure as it is *seconds* after the scene began."""
        height, walked = self.height * HEIGHT, seconds / PERIOD_S
        place = (self.start + walked) % 1.0
        along = place if self.facing > 0 else 1.0 - place
        feet = (WIDTH * (TRACK * along - (TRACK - 1.0) / 2), HEIGHT * (HORIZON + 0.46 * (self.height - 0.1)))
        return Figure(self.outfit, feet, height, walked * TRACK * WIDTH / (STEP * height) * pi, self.facing)


class Scene:
    """A street and the people on it; every frame is a pure function of the seed and the time."""

    def __init__(self, *, seed: int = 7) -> None:
        """Choose background, people and their clothes by *seed*."""
        self._street = _street(seed)
        self._noise = [
            np.round(grain((HEIGHT, WIDTH), size=0.6, contrast=2.2, seed=n) - 1.0).astype(np.int16) for n in range(3)
        ]
        rng = np.random.default_rng(seed)
        self.walkers = sorted((_walker(rng, index) for index in range(PEOPLE)), key=lambda walker: walker.height)

    def at(self, seconds: float) -> RgbImage:
        """Draw the frame *seconds* after the beginning: RGB uint8 of shape (HEIGHT, WIDTH, 3)."""
        canvas = self._street.copy()
        for walker in self.walkers:
            draw(canvas, walker.at(seconds))
        softened = cv2.GaussianBlur(canvas, (0, 0), 0.7)
        noise = self._noise[int(seconds * 1000) % len(self._noise)]
        return np.asarray(np.clip(softened + noise[..., None], 0, 255), np.uint8)


def _walker(rng: np.random.Generator, index: int) -> Walker:
    """Dress person number *index* and set them on their way, spread evenly so that somebody is always in view."""
    colours = [CLOTHES[choice] for choice in rng.permutation(len(CLOTHES))]
    first, third = (index % 3 == turn for turn in (0, 2))
    kind = KINDS[index % len(KINDS)]
    outfit = Outfit(
        skin=_pick(rng, SKINS),
        hair=_pick(rng, HAIRS),
        top=colours[0],
        bottom=_pick(rng, TROUSERS) if kind == "pants" else colours[1],
        shoes=_pick(rng, SHOES),
        kind=kind,
        coat=colours[2] if first else None,
        hat=colours[3] if third else None,
        glasses=third,
        long_hair=kind != "pants",
    )
    return Walker(outfit, 0.66 + 0.1 * index, 0.25 + index / PEOPLE, 1 if index % 2 == 0 else -1)


def _pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    return colours[rng.integers(len(colours))]


def _street(seed: int) -> RgbImage:
    """Paint a wall of stone over a pavement, with light from the upper left."""
    rng = np.random.default_rng(seed)
    canvas = np.empty((HEIGHT, WIDTH, 3), np.float32)
    horizon = int(HORIZON * HEIGHT)
    canvas[:horizon] = (176, 164, 150)
    canvas[horizon:] = (142, 142, 146)
    _stones(canvas[:horizon], rng)
    _slabs(canvas, horizon)
    canvas[horizon - 5 : horizon] *= 0.6
    light = np.linspace(1.08, 0.84, WIDTH, dtype=np.float32)[None, :, None]
    rough = grain((HEIGHT, WIDTH), size=1.2, contrast=0.035, seed=seed) * grain(
        (HEIGHT, WIDTH), size=18, contrast=0.05, seed=seed + 1
    )
    return np.clip(canvas * light * rough[..., None], 0, 255).astype(np.uint8)


def _stones(wall: Plane, rng: np.random.Generator) -> None:
    """Lay courses of stones, each of its own tone, with dark joints."""
    course, width = 46, 104
    for row, top in enumerate(range(0, wall.shape[0], course)):
        for left in range(-(row % 2) * width // 2, wall.shape[1], width):
            stone = wall[top : top + course, max(0, left) : left + width]
            stone *= 1.0 + 0.09 * rng.standard_normal()
            stone[:3] *= 0.72
            stone[:, :3] *= 0.72


def _slabs(canvas: Plane, horizon: int) -> None:
    """Draw the joints of the pavement in perspective."""
    centre = canvas.shape[1] / 2
    for offset in range(-2400, 2401, 160):
        cv2.line(
            canvas,
            (int(centre + offset * 0.35), horizon),
            (int(centre + offset), canvas.shape[0]),
            (112, 112, 116),
            2,
            cv2.LINE_AA,
        )
    for depth in (0.06, 0.16, 0.32, 0.56, 0.9):
        y = int(horizon + depth * (canvas.shape[0] - horizon))
        cv2.line(canvas, (0, y), (canvas.shape[1], y), (112, 112, 116), 2, cv2.LINE_AA)
