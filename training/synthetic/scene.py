"""One scene from its number: room, people, light and camera → image, label image, description."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from training.synthetic.casting import Casting
from training.synthetic.clothes import Likelihoods
from training.synthetic.geometry import soup
from training.synthetic.lens import projected, spoilt, take
from training.synthetic.materials import PATTERN_OF_VERTEX, SKY, Material
from training.synthetic.person import Mesh, People
from training.synthetic.renderer import HEIGHT, WIDTH, Camera, Light, Renderer
from training.synthetic.rooms import Room

if TYPE_CHECKING:
    from training.synthetic.assets import Pack
    from training.synthetic.casting import Placed
    from training.synthetic.geometry import Array
    from training.synthetic.lens import Shot
    from training.synthetic.renderer import Drawn
    from training.synthetic.view import View

Image = npt.NDArray[np.uint8]

SIZE = (WIDTH, HEIGHT)
WELL_IN_VIEW = 900  # px of the largest person, above which an attempt is accepted
RETRY = 10_000_000  # added to the number for the second and third attempt
_EMPTY_EVERY = 33  # for every n-th number the first attempt is accepted, even without people in view

_PEOPLE = (0.03, 0.17, 0.2, 0.2, 0.17, 0.13, 0.1)  # probabilities of 0, 1, 2 … people
_JOINTS = (
    *("head", "neck01", "upperarm01.L", "upperarm01.R", "lowerarm01.L", "lowerarm01.R", "wrist.L", "wrist.R"),
    *("upperleg01.L", "upperleg01.R", "lowerleg01.L", "lowerleg01.R", "foot.L", "foot.R"),
)
_SKY_COLUMNS, _SKY_ROWS, _SKY_RADIUS = 32, 16, 50


class Scene(NamedTuple):
    """RGB uint8 H×W×3; class + 20 × person uint8 H×W; content of the JSON line."""

    picture: Image
    labels: Image
    description: dict[str, Any]


class Studio:
    """Renders scenes; reads the pack and starts the renderer once."""

    def __init__(self, pack: Pack, size: tuple[int, int] = SIZE) -> None:
        """Start the renderer; raises NoContextError without OpenGL."""
        self.renderer = Renderer(pack, size)
        self.people = People(pack, self.renderer.layers)
        self.furniture = pack.arrays("furniture")
        self.skies = pack.names("hdri_")

    def scene(self, number: int) -> Scene:
        """Return the scene of a number: of three attempts the first with a clearly visible person, or else the best."""
        best: tuple[int, Scene] | None = None
        for attempt in range(3):
            scene = _Take(self, number + attempt * RETRY).scene()
            largest = max((person["area"] for person in scene.description["people"]), default=0)
            if largest > WELL_IN_VIEW or (attempt == 0 and number % _EMPTY_EVERY == 0):
                return scene
            if best is None or largest > best[0]:
                best = (largest, scene)
        assert best is not None  # noqa: S101  there were three
        return best[1]


class _Take:
    """One attempt at a scene."""

    def __init__(self, studio: Studio, seed: int) -> None:
        self._studio, self._seed = studio, seed
        self._rng = rng = np.random.default_rng(seed)
        self._room = Room(rng, studio.renderer.layers, studio.furniture)
        self._casting = Casting(rng, self._room, studio.people)
        self._meshes: list[Mesh] = self._casting.meshes

    def _u(self, low: float, high: float) -> float:
        return float(self._rng.uniform(low, high))

    def scene(self) -> Scene:
        """Build, render, apply camera effects, describe."""
        rng, room = self._rng, self._room
        count = int(rng.choice(np.arange(7), p=_PEOPLE))
        room.furnish()
        grouped = rng.random() < 0.45
        likely, count = self._likely(count)
        seats = room.seats_in_view()
        for _ in range(count):
            self._casting.add(likely, seats, grouped=grouped)
        light = self._light()
        self._meshes += room_meshes(room, rng, self._studio.skies)
        view = room.view
        camera = Camera(view.eye, view.forward, view.up, view.fov)
        drawn = self._studio.renderer.draw(self._meshes, camera, light)
        shot = take(rng, drawn, view.fov, SIZE)
        picture = spoilt(rng, shot.picture)
        return Scene(picture, shot.labels, self._description(drawn, shot))

    def _likely(self, count: int) -> tuple[Likelihoods, int]:
        """Return what people in this room wear, and their number: more in a classroom that is not empty."""
        rng, kind, usual = self._rng, self._room.kind, Likelihoods()
        if kind == "class":
            usual = replace(usual, child=0.75 if rng.random() < 0.6 else 0.05)
            count = max(count, int(rng.integers(2, 8))) if count else 0
        if kind == "ware":
            usual = replace(usual, hat=0.45, gloves=0.3, child=0.0, vest=0.4)
        if kind in ("office", "shop"):
            usual = replace(usual, child=0.1)
        return usual, count

    # Light, and the room as meshes

    def _light(self) -> Light:
        rng, room = self._rng, self._room
        outdoors = room.kind == "out"
        elevation = np.deg2rad(self._u(15, 70) if outdoors else self._u(35, 85))
        azimuth = np.deg2rad(self._u(0, 360))
        level = np.cos(elevation)
        direction = np.array([np.sin(azimuth) * level, np.sin(elevation), np.cos(azimuth) * level])
        warmth = np.array([1, 1, 1]) + rng.normal(0, 0.09, 3)
        ambient, key = self._u(0.2, 0.6), self._u(0.2, 1.3) * (1.4 if outdoors else 1.0)
        sky = ambient * (1 + rng.normal(0, 0.06, 3))
        ground = ambient * self._u(0.4, 0.8) * room.colour
        lamps = ((self._lamp_place(), self._u(0, 1.2) * warmth), (self._lamp_place(), self._u(0, 1.2) * np.ones(3)))
        exposure = self._u(0.65, 1.15) / (ambient + 0.35 * key + 0.25)
        middle = np.array([room.view.target[0], 0.8, room.view.target[2]])
        return Light(direction, middle, key * warmth, sky, ground, lamps, exposure)

    def _lamp_place(self) -> tuple[float, float, float]:
        room = self._room
        return self._u(-0.5, 0.5) * room.width, min(room.height, 3) - 0.2, self._u(-0.5, 0.5) * room.depth

    # Description

    def _description(self, drawn: Drawn, shot: Shot) -> dict[str, Any]:
        view = self._room.view
        level = np.hypot(view.forward[0], view.forward[2])
        return {
            "seed": self._seed,
            "kind": self._room.kind,
            "cam_height": round(float(view.height), 2),
            "pitch": round(float(np.rad2deg(np.arctan2(view.forward[1], level))), 1),
            "fov": round(float(view.fov), 1),
            "k1": round(shot.k1, 3),
            "people": [self._describe(one, drawn, shot) for one in self._casting.people],
        }

    def _describe(self, one: Placed, drawn: Drawn, shot: Shot) -> dict[str, Any]:
        character, bone = one.character, self._studio.people.body.bone
        places, depth = projected(one.joints, drawn, shot.k1, SIZE)
        rows, columns = np.nonzero(shot.labels // 20 == one.number)
        joints = {name: [round(float(v), 1) for v in places[bone[name]]] for name in _JOINTS}
        out = {
            "id": one.number,
            "pose": character.pose,
            "age": character.age,
            "male": bool(character.male),
            "height": round(character.height, 2),
            "yaw": round(float(one.yaw) % 360, 1),
            "joints": joints if depth.min() > 0.1 else None,
            "area": int(rows.size),
        }
        if rows.size:
            box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            out["bbox"] = [int(v) for v in box]
        root, eye = one.joints[bone["root"]], self._room.view.eye
        return out | {"dist": round(float(np.hypot(root[0] - eye[0], root[2] - eye[2])), 2)}


def room_meshes(room: Room, rng: np.random.Generator, skies: list[str]) -> list[Mesh]:
    """Return walls, floor, furniture, and outdoors one of the skies."""
    material, meshes = Material(PATTERN_OF_VERTEX, shine=0.03), []
    if room.shell.parts:
        meshes.append(Mesh(room.shell.triangles(), material, casts_shadow=False))
    if room.things.parts:
        meshes.append(Mesh(room.things.triangles(), material))
    if room.kind == "out":
        name = skies[rng.integers(len(skies))]
        tint = np.ones(3) * rng.uniform(0.7, 1.1)
        meshes.append(Mesh(_sky(room.view), Material(SKY, name, tint), casts_shadow=False))
    return meshes


def _sky(view: View) -> Array:
    """Return a sphere around the camera."""
    across, up = np.meshgrid(np.linspace(0, 1, _SKY_COLUMNS + 1), np.linspace(0, 1, _SKY_ROWS + 1))
    theta, phi = across * 2 * np.pi, (up - 0.5) * np.pi
    sphere = np.stack([np.sin(theta) * np.cos(phi), np.sin(phi), np.cos(theta) * np.cos(phi)], 2).reshape(-1, 3)
    points = sphere * _SKY_RADIUS + np.array([view.eye[0], view.height, view.eye[2]])
    uv = np.stack([across, up], 2).reshape(-1, 2).astype(np.float32)
    row = _SKY_COLUMNS + 1
    corners = [
        [j * row + i, j * row + i + 1, (j + 1) * row + i + 1, (j + 1) * row + i]
        for j in range(_SKY_ROWS)
        for i in range(_SKY_COLUMNS)
    ]
    faces = np.array(corners)
    return soup(points, points * 0 + [0, 1, 0], faces, uv, faces, 0)
