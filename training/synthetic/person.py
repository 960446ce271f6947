"""One person: shape, clothes, pose → labelled meshes; feet on the floor at the origin, facing +Z."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from training.synthetic.accessories import backpack, brim, sunglasses
from training.synthetic.body import Body, Build
from training.synthetic.garments import Cloth, Cuts, read_fitted
from training.synthetic.geometry import rotation, soup
from training.synthetic.materials import TEXTURE, Fabrics, Material
from training.synthetic.poses import RECORDED, Pose, Poser
from training.synthetic.skeleton import forward, read_bvh, skinned, skinning_matrices
from training.synthetic.store import Store
from training.synthetic.wardrobe import Dresser

if TYPE_CHECKING:
    from training.synthetic.assets import Pack
    from training.synthetic.clothes import Likelihoods
    from training.synthetic.garments import Garment
    from training.synthetic.geometry import Array
    from training.synthetic.materials import Layers

_BRIMMED = ("cap", "sun", "hard")


@dataclass(frozen=True)
class Mesh:
    """Input of the renderer: triangles of `geometry.soup`; person 0 is background."""

    vertices: Array
    material: Material
    person: int = 0
    casts_shadow: bool = True


@dataclass(frozen=True)
class Character:
    """A posed person.

    Attributes:
        meshes: person 1 for parts of the person, 0 for carried objects.
        joints: positions (B, 3).
        pose: name of the pose, for the description.
        age, male, height: of the posed body, height in metres.
        pelvis: point between the hips.
        holds: whether both hands could hold a box.
    """

    meshes: list[Mesh]
    joints: Array
    pose: str
    age: float
    male: bool
    height: float
    pelvis: Array
    holds: bool


class People:
    """Creates persons; reads all assets once."""

    def __init__(self, pack: Pack, layers: Layers) -> None:
        """*layers*: the renderer's patterns."""
        self.body = Body(pack)
        fitted = read_fitted(pack, self.body)
        texture = pack.image(f"tex_{fitted['male_elegantsuit01'].texture}")[::-1, :, :3]
        self._store = Store(self.body, fitted, Cloth(self.body), Cuts(self.body), texture)
        self._layers = layers
        self._skins: list[str] = pack.json("skins")  # the order determines the skins of a scene number
        self._recorded = {name: read_bvh(text, self.body) for name, text in pack.texts("poses", ".bvh").items()}

    def make(
        self, rng: np.random.Generator, pose: str, likely: Likelihoods, *, phase: float | None = None
    ) -> Character:
        """Create a person in one of `poses.POSES`, in a "recorded" one or a "mixed" one.

        *phase* (radians of a step) sets the legs of a walk; None: random.
        """
        age = _age(rng, likely)
        gender = float(np.clip(rng.choice([0, 1]) + rng.normal(0, 0.12), 0, 1))
        build = _build(rng, gender, age)
        male, positions = gender > 0.5, self.body.shaped(build)
        joints = (self.body.joints @ positions).astype(float)
        skin = self._skin(rng, build, male=male)
        dresser = Dresser(rng, self._store, self._layers, positions, likely)
        dresser.wear_all("male" if male else "female", age, seated=pose == "sit")
        name, posed = self._pose(rng, pose, joints, phase)
        turns, places = forward(self.body, joints, posed.local, posed.absolute)
        matrices = skinning_matrices(joints, turns, places)
        solid = [self._bare(positions, matrices, skin, dresser), *self._clothed(dresser, matrices)]
        head = _Bone(matrices[self.body.bone["head"]])
        extra = self._accessories(rng, dresser, (positions, joints), (head, _Bone(matrices[self.body.bone["spine02"]])))
        return _on_floor(solid, extra, places, self.body, (name, round(age, 2), male, posed.holds))

    def _skin(self, rng: np.random.Generator, build: Build, *, male: bool) -> Material:
        sex = "_male_" if male else "_female_"
        age = "old" if build.age > 0.8 else ("middleage" if build.age > 0.62 else "young")
        dark = build.origins[2] > 0.5
        fitting = [name for name in self._skins if sex in name and ("dark" in name) == dark and name.startswith(age)]
        texture = str(rng.choice(fitting or [name for name in self._skins if sex in name]))
        tint = np.array([1, 1, 1]) * rng.uniform(0.75, 1.05)
        tint = tint * (1 - np.array([0, 0.06, 0.12]) * rng.uniform(-0.3, 1))
        return Material(TEXTURE, texture, tint, shine=0.04)

    def _pose(self, rng: np.random.Generator, pose: str, joints: Array, phase: float | None) -> tuple[str, Pose]:
        poser = Poser(rng, self.body, joints, phase)
        if pose == "recorded":
            name = str(rng.choice(RECORDED))
            return name, Pose(self._recorded[name], {}, holds=False)
        return pose, poser.mixed(self._recorded) if pose == "mixed" else poser.draw(pose)

    def _bare(self, positions: Array, matrices: Array, skin: Material, dresser: Dresser) -> _Solid:
        """Return the uncovered part of the body; a face's class is the lower median of its corners'."""
        body = self.body
        faces = body.skin_faces[~dresser.covered[body.faces[body.skin_faces]].all(1)]
        posed = skinned(positions, body.weights, matrices)
        labels = np.sort(body.regions.skin[body.faces[faces]], 1)[:, 1]
        normals = body.surface.normals(posed)
        mesh = Mesh(soup(posed, normals, body.faces[faces], body.uv, body.uv_faces[faces], labels), skin, 1)
        return _Solid.of(mesh, posed, body.faces[faces])

    def _clothed(self, dresser: Dresser, matrices: Array) -> list[_Solid]:
        solid = []
        for garment, positions, label, material, chosen in dresser.pieces:
            posed = skinned(positions, garment.weights, matrices)
            faces, uv_faces = _chosen(garment, chosen)
            if len(faces):
                normals = garment.surface.normals(posed)
                mesh = Mesh(soup(posed, normals, faces, garment.uv, uv_faces, label), material, 1)
                solid.append(_Solid.of(mesh, posed, faces))
        return solid

    def _accessories(
        self,
        rng: np.random.Generator,
        dresser: Dresser,
        shape: tuple[Array, Array],
        bones: tuple[_Bone, _Bone],
    ) -> list[Mesh]:
        """Return the rigid accessories: brims, sunglasses, a backpack."""
        (positions, joints), (head, chest), body = shape, bones, self.body
        skin = np.unique(body.faces[body.skin_faces])
        meshes = []
        if dresser.hat in _BRIMMED and dresser.hat_piece is not None:
            vertices = brim(rng, str(dresser.hat), dresser.hat_piece.positions, head.move)
            meshes.append(Mesh(vertices, dresser.hat_piece.material, 1))
        if rng.random() < dresser.likely.glasses:
            eyes = joints[body.bone["eye.L"]], joints[body.bone["eye.R"]]
            on_head = body.regions.on_head
            face = positions[skin][on_head[skin]]
            vertices, material = sunglasses(rng, positions[on_head], face, eyes, head.move)
            meshes.append(Mesh(vertices, material, 1))
        if rng.random() < 0.1:
            trunk = skin[body.regions.place[skin] == 0]
            vertices = backpack(rng, joints[body.bone["spine02"]], positions[trunk][:, 2].min(), chest.move)
            meshes.append(Mesh(vertices, Fabrics(rng, self._layers).cloth(), 0))
        return meshes


class _Solid(NamedTuple):
    """Body or clothes, and their minimum and maximum height."""

    mesh: Mesh
    lowest: float
    highest: float

    @staticmethod
    def of(mesh: Mesh, positions: Array, faces: Array) -> _Solid:
        heights = positions[np.unique(faces)][:, 1]
        return _Solid(mesh, heights.min(), heights.max())


class _Bone:
    """Moves points with a bone."""

    def __init__(self, matrix: Array) -> None:
        self._matrix = matrix.reshape(3, 4)

    def move(self, points: Array) -> Array:
        """(n, 3) → (n, 3)."""
        return np.asarray(points @ self._matrix[:, :3].T + self._matrix[:, 3])


def _age(rng: np.random.Generator, likely: Likelihoods) -> float:
    if rng.random() < likely.child:
        return float(rng.uniform(0.13, 0.36))
    return float(rng.uniform(0.42, 0.62) if rng.random() < 0.7 else rng.uniform(0.62, 0.95))


def _build(rng: np.random.Generator, gender: float, age: float) -> Build:
    origins = rng.dirichlet([0.6, 0.6, 0.6])
    spread = ((0.5, 0.18), (0.52, 0.22), (0.5, 0.22), (0.5, 0.25))
    muscle, weight, height, proportions = (float(np.clip(rng.normal(*one), 0, 1)) for one in spread)
    return Build(gender, age, muscle, weight, height, proportions, origins)


def _chosen(garment: Garment, chosen: Array | None) -> tuple[Array, Array]:
    if chosen is None:
        return garment.faces, garment.uv_faces
    return garment.faces[chosen], garment.uv_faces[chosen]


def _on_floor(
    solid: list[_Solid], extra: list[Mesh], places: Array, body: Body, facts: tuple[str, float, bool, bool]
) -> Character:
    """Shift everything so that the lowest point of body and clothes is at height 0."""
    lowest, highest = min(one.lowest for one in solid), max(one.highest for one in solid)
    meshes = [*(one.mesh for one in solid), *extra]
    for mesh in meshes:
        mesh.vertices[:, 1] -= lowest
    joints = places.copy()
    joints[:, 1] -= lowest
    pelvis = (joints[body.bone["upperleg01.L"]] + joints[body.bone["upperleg01.R"]]) / 2
    name, age, male, holds = facts
    return Character(meshes, joints, name, age, male, float(highest - lowest), pelvis, holds)


def placed(character: Character, position: Array, yaw: float) -> tuple[list[Mesh], Array]:
    """Return the meshes and joints of a person moved to a place and rotated by *yaw* degrees."""
    turn = rotation("y", yaw).astype(np.float32)
    meshes = []
    for mesh in character.meshes:
        vertices = mesh.vertices.copy()
        vertices[:, :3] = vertices[:, :3] @ turn.T + np.asarray(position, np.float32)
        vertices[:, 3:6] = vertices[:, 3:6] @ turn.T
        meshes.append(replace(mesh, vertices=vertices))
    return meshes, character.joints @ turn.T + position
