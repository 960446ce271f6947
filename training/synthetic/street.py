"""The demo's street: `python -m training.synthetic.street` renders the images of `edge_worker/tools/street`.

People walk past a fixed camera, in a loop: the same street, light and people each time.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

for _name in ("LP_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("MESA_SHADER_CACHE_DISABLE", "true")

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from rich.progress import track  # noqa: E402

from training.synthetic.assets import PACK, Pack  # noqa: E402
from training.synthetic.clothes import Likelihoods  # noqa: E402
from training.synthetic.lens import contact_shadows  # noqa: E402
from training.synthetic.person import Mesh, placed  # noqa: E402
from training.synthetic.renderer import Camera, Light  # noqa: E402
from training.synthetic.rooms import Room  # noqa: E402
from training.synthetic.scene import Studio, room_meshes  # noqa: E402

if TYPE_CHECKING:
    from training.synthetic.geometry import Array

OUT = Path("edge_worker/tools/street")
SIZE = (960, 540)
SECONDS, FRAMES_PER_S = 12.0, 5
QUALITY = 80  # of WebP
STREET = 42  # seed of the street's objects
EYE, TARGET, FOV = np.array([0.0, 2.4, 0.0]), np.array([0.0, 0.72, -5.0]), 62.0
SPEED, STEP_S = 1.15, 0.6  # metres per second; seconds per step
WEARS = Likelihoods(hat=0.3, vest=0.0, gloves=0.0, glasses=0.15, child=0.12)


class Walker(NamedTuple):
    """A person who walks straight: seed of the person, distance when passing the camera (m), time of passing (s).

    *heading*: degrees from the image's right; `rightwards` or in the opposite direction.
    """

    seed: int
    distance: float
    passing: float
    heading: float
    rightwards: bool

    def at(self, seconds: float) -> tuple[Array, float, float]:
        """Return position, direction (degrees) and phase of the step (radians), *seconds* after the start."""
        since = (seconds - self.passing + SECONDS / 2) % SECONDS - SECONDS / 2
        turn = np.deg2rad(self.heading)
        along = (1 if self.rightwards else -1) * np.array([np.cos(turn), 0, np.sin(turn)])
        position = np.array([0, 0, -self.distance]) + along * SPEED * since
        return position, float(np.rad2deg(np.arctan2(along[0], along[2]))), np.pi * since / STEP_S


WALKERS = (
    Walker(125, 4.4, 1.5, 22, rightwards=True),
    Walker(135, 3.9, 4.1, -20, rightwards=False),
    Walker(123, 4.8, 6.5, 25, rightwards=True),
    Walker(144, 4.2, 8.9, -24, rightwards=False),
    Walker(121, 5.6, 11.2, 12, rightwards=True),
)


def light() -> Light:
    """Return the light of a bright day with a low sun from the left."""
    direction = np.array([-0.6, 0.8, 0.5])
    dark = ((np.array([0.0, 3.0, 0.0]), np.zeros(3)), (np.array([0.0, 3.0, 0.0]), np.zeros(3)))
    sun, sky, ground = np.array([1.0, 0.95, 0.88]), np.array([0.42, 0.45, 0.5]), np.array([0.26, 0.25, 0.23])
    return Light(direction, np.array([0, 0.8, -5.5]), sun, sky, ground, dark, exposure=0.9)


def frame(studio: Studio, street: list[Mesh], seconds: float) -> Array:
    """Render a frame, RGB uint8 (540, 960, 3)."""
    meshes = list(street)
    for number, walker in enumerate(WALKERS, 1):
        position, yaw, phase = walker.at(seconds)
        character = studio.people.make(np.random.default_rng(walker.seed), "walk", WEARS, phase=phase)
        meshes += [replace(mesh, person=number) for mesh in placed(character, position, yaw)[0]]
    drawn = studio.renderer.draw(meshes, Camera(EYE, TARGET - EYE, (0, 1, 0), FOV), light())
    shadows = contact_shadows(np.random.default_rng(0), drawn.depth, FOV, SIZE)
    small = cv2.resize(drawn.colours, SIZE, interpolation=cv2.INTER_AREA)
    return np.asarray(small * (1 - np.clip(0.6 * shadows, 0, 0.5))[:, :, None]).astype(np.uint8)


def main() -> None:
    """Parse the arguments and render the loop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--pack", type=Path, default=PACK)
    parser.add_argument("--every", type=int, default=1, help="only every so many pictures, for a look")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    studio = Studio(Pack(chosen.pack), SIZE)
    room = Room(np.random.default_rng(STREET), studio.renderer.layers, studio.furniture)
    room.furnish()
    street = room_meshes(room, np.random.default_rng(STREET), studio.skies)
    for number in track(range(0, int(SECONDS * FRAMES_PER_S), chosen.every), "street"):
        picture = frame(studio, street, number / FRAMES_PER_S)
        cv2.imwrite(str(chosen.out / f"{number:02d}.webp"), picture[:, :, ::-1], [cv2.IMWRITE_WEBP_QUALITY, QUALITY])


if __name__ == "__main__":
    main()
