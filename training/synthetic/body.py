"""The body: its shape by age, sex, build and origin; regions of its vertices (arm, leg, head); skinning weights.

The base mesh is in decimetres, shaped bodies in metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_matrix

from training.labels import Part
from training.synthetic.geometry import Surface

if TYPE_CHECKING:
    from training.synthetic.assets import Pack
    from training.synthetic.geometry import Array

_LEAST = 1e-4  # minimum weight of a shape target
_ARM = ("upperarm", "lowerarm", "wrist", "metacarpal", "finger")
_LEG = ("upperleg", "lowerleg", "foot", "toe")
_HEAD = (
    *("head", "jaw", "eye", "levator", "oculi", "orbic", "oris"),
    *("risor", "special", "tempor", "tongue"),
)


@dataclass(frozen=True)
class Build:
    """Parameters of a body's shape, each 0…1; *origins* are weights of caucasian, asian, african."""

    gender: float
    age: float
    muscle: float
    weight: float
    height: float
    proportions: float
    origins: Array


class Targets:
    """Sparse displacements of the base mesh, by name."""

    def __init__(self, arrays: dict[str, Any]) -> None:
        """Read the arrays of `targets.npz`: in 0.001 dm, with delta-encoded vertex numbers."""
        self._places = {name: i for i, name in enumerate(arrays["keys"])}
        self._offsets = arrays["off"]
        self._vertices = np.cumsum(arrays["idx_step"], dtype=np.int32)
        self._moves = np.ascontiguousarray(arrays["milli"].T).astype(np.float32) / np.float32(1000)

    def add(self, positions: Array, name: str, weight: float) -> None:
        """Move the vertices by a target, in place; unknown targets are ignored."""
        if weight < _LEAST or name not in self._places:
            return
        start, end = self._offsets[self._places[name]], self._offsets[self._places[name] + 1]
        positions[self._vertices[start:end]] += weight * self._moves[start:end]


def _between(value: float, high: str, low: str, middle: str | None) -> dict[str, float]:
    """Return the weights of the targets between which a value lies."""
    weights = {high: max(0, 2 * value - 1), low: max(0, 1 - 2 * value)}
    if middle is not None:
        weights[middle] = 1 - weights[high] - weights[low]
    return {name: weight for name, weight in weights.items() if weight > _LEAST}


def _ages(age: float) -> dict[str, float]:
    if age < 0.5:
        young = max(0, (age - 0.1875) * 3.2)
        child = max(0, min(1, 5.333 * age) - young)
        ages = {"baby": max(0, 1 - age * 5.333), "young": young, "child": child}
    else:
        old = max(0, 2 * age - 1)
        ages = {"old": old, "young": 1 - old}
    return {name: weight for name, weight in ages.items() if weight > _LEAST}


class Body:
    """The base mesh with its skeleton, shape targets and regions."""

    def __init__(self, pack: Pack) -> None:
        """Read the mesh."""
        skeleton, base = pack.json("skel"), pack.arrays("base")
        self.bones: list[str] = skeleton["order"]
        self.parents: list[int] = skeleton["parent"]
        self.bone = {name: i for i, name in enumerate(self.bones)}
        self.rest, self.uv = base["V"], base["VT"]
        self.faces, self.uv_faces = base["F"].astype(int), base["FT"].astype(int)
        shape = (len(self.rest), len(self.bones))
        weights = (base["Wd"].astype(np.float32), base["Wi"].astype(np.int32), base["Wp"])
        self.dense_weights = csr_matrix(weights, shape=shape).toarray()
        self.weights = csr_matrix(self.dense_weights)
        self.joints = csr_matrix(_joint_weights(skeleton["head"], shape))
        self.surface = Surface(self.faces, len(self.rest))
        self._groups, self._group_names = base["gid"], list(base["gnames"])
        self._targets = Targets(pack.arrays("targets"))
        self.skin_faces = self.group("body")
        self.tights = self.group("helper-tights")
        self.skirt = self.group("helper-skirt")
        self.regions = Regions(self)

    def group(self, name: str) -> Array:
        """Return the face numbers of a group of the mesh."""
        return np.where(self._groups == self._group_names.index(name))[0]

    def shaped(self, build: Build) -> Array:
        """Return the vertices (V, 3) of a body in the rest pose, metres."""
        positions = self.rest.copy()
        sexes = {"male": build.gender, "female": 1 - build.gender}
        origins = dict(
            zip(("caucasian", "asian", "african"), np.array(build.origins) / sum(build.origins), strict=True)
        )
        for sex, sex_weight in sexes.items():
            if sex_weight <= _LEAST:
                continue
            for age, age_weight in _ages(build.age).items():
                for origin, weight in origins.items():
                    self._targets.add(positions, f"{origin}-{sex}-{age}", sex_weight * age_weight * weight)
                self._add_build(positions, build, f"{sex}-{age}", (sex_weight, age_weight))
        return np.asarray(positions * 0.1)

    def _add_build(self, positions: Array, build: Build, who: str, share: tuple[float, float]) -> None:
        muscles = _between(build.muscle, "maxmuscle", "minmuscle", "averagemuscle")
        weights = _between(build.weight, "maxweight", "minweight", "averageweight")
        heights = _between(build.height, "maxheight", "minheight", None)
        shapes = _between(build.proportions, "idealproportions", "uncommonproportions", None)
        for (muscle, muscle_weight), (weight, weight_weight) in product(muscles.items(), weights.items()):
            key, amount = f"{who}-{muscle}-{weight}", share[0] * share[1] * muscle_weight * weight_weight
            self._targets.add(positions, f"universal-{key}", amount)
            for height, more in heights.items():
                self._targets.add(positions, f"height/{key}-{height}", amount * more)
            for shape, more in shapes.items():
                self._targets.add(positions, f"proportions/{key}-{shape}", amount * more)


def _joint_weights(heads: list[list[int]], shape: tuple[int, int]) -> Array:
    """Return weights that average vertices to joints: each bone starts at the mean of some vertices."""
    table = np.zeros((shape[1], shape[0]), np.float32)
    for bone, vertices in enumerate(heads):
        table[bone, vertices] = 1 / len(vertices)
    return table


class Regions:
    """Regions of the vertices of the base mesh, in the rest pose.

    Attributes:
        torso, leg, head, neck: shares (V,) of the skinning weights.
        is_arm, on_head, left: bool (V,).
        along_arm: 0 at the shoulder, 1 at the wrist; `along_leg`: 0 at the hip, 1 at the ankle.
        skin: class of bare skin (V,).
        eye_height: height of the eyes, dm.
    """

    def __init__(self, body: Body) -> None:
        """Derive the regions from the skinning weights and the rest pose."""
        arm, self.leg, self.head, self.neck = (
            body.dense_weights[:, [i for i, name in enumerate(body.bones) if name.startswith(prefixes)]].sum(1)
            for prefixes in (_ARM, _LEG, _HEAD, ("neck",))
        )
        self.torso = 1 - arm - self.leg - self.head - self.neck
        self.left = body.rest[:, 0] > 0
        self.is_arm = arm > 0.5
        self.on_head = ~self.is_arm & (self.head > 0.5)
        self.place = np.argmax(np.stack([self.torso + self.neck, arm, self.leg, self.head], 1), 1)
        joints = body.joints @ body.rest
        self.along_arm, self.along_leg = (
            np.where(self.left, *(_along(body, joints, [f"{bone}{side}" for bone in chain]) for side in (".L", ".R")))
            for chain in (("upperarm01", "lowerarm01", "wrist"), ("upperleg01", "lowerleg01", "foot"))
        )
        self.eye_height = joints[body.bone["eye.L"]][1]
        self.skin = self._skin()

    def _skin(self) -> Array:
        arms = np.where(self.left, Part.LEFT_ARM, Part.RIGHT_ARM)
        legs = np.where(self.left, Part.LEFT_LEG, Part.RIGHT_LEG)
        limbs = np.where(self.place == 1, arms, legs)
        return np.where(self.place == 0, Part.TORSO, np.where(self.place == 3, Part.FACE, limbs))


def _along(body: Body, joints: Array, chain: list[str]) -> Array:
    """Return the position of each vertex along a limb of two bones, as a fraction of the limb's length."""
    start, middle, end = (joints[body.bone[name]] for name in chain)
    upper, lower = np.linalg.norm(middle - start), np.linalg.norm(end - middle)
    first = (body.rest - start) @ ((middle - start) / upper)
    second = (body.rest - middle) @ ((end - middle) / lower)
    return np.asarray(np.where(second > 0, upper + second, np.minimum(first, upper)) / (upper + lower))
