"""Garments: fitted ones from the pack, and procedural ones cut from the base mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from scipy.ndimage import map_coordinates
from scipy.sparse import csr_matrix

from training.synthetic.geometry import Surface

if TYPE_CHECKING:
    from collections.abc import Callable

    from training.synthetic.assets import Pack
    from training.synthetic.body import Body
    from training.synthetic.geometry import Array

_WRINKLE_CELLS = 64
_WRINKLES_SEED = 5
_LEAST_OFFSET = 0.35  # of a garment's thickness: minimum distance from the skin


class FittedGarment:
    """Clothes, shoes, hair, brows or eyes from the pack, bound to the body's vertices."""

    def __init__(self, body: Body, name: str, description: dict[str, Any], arrays: dict[str, Array]) -> None:
        """*arrays*: from the NPZ file; *description*: from `proxies.json`."""
        self.name, self.texture, self._scales = name, description["tex"], description["sc"]
        weights, references = arrays["w"], arrays["ref"].astype(int)
        self._offsets, self.uv = arrays["o"], arrays["VT"]
        self.hides, self.faces, self.uv_faces, self.pieces = (
            arrays[key].astype(int) for key in ("dele", "F", "FT", "cc")
        )
        self.surface = Surface(self.faces, len(references))
        rows, shape = np.arange(len(references)).repeat(3), (len(references), len(body.rest))
        self._tied = csr_matrix((weights.ravel(), (rows, references.ravel())), shape=shape)
        shares = np.maximum(weights, 0)
        shares /= np.maximum(shares.sum(1, keepdims=True), 1e-6)
        self.weights = csr_matrix((shares.ravel(), (rows, references.ravel())), shape=shape) @ body.weights
        self.rest = self._tied @ body.rest

    def fit(self, positions: Array, _normals: Array) -> Array:
        """Return the vertices on a shaped body."""
        scales = np.array([self._scale(positions, axis, name) for axis, name in enumerate("xyz")])
        return np.asarray(self._tied @ positions + self._offsets * scales)

    def _scale(self, positions: Array, axis: int, name: str) -> float:
        if name not in self._scales:
            return 0.1
        one, other, length = self._scales[name]
        return float(abs(positions[one, axis] - positions[other, axis]) / length)


class Cloth:
    """Shared by procedural garments: texture coordinates of the base mesh, and wrinkles."""

    def __init__(self, body: Body) -> None:
        """Create the wrinkles: the same in every scene, shifted at random."""
        self.body = body
        rest = body.rest
        self.uv = np.stack([(rest[:, 0] + 0.7 * rest[:, 2]) * 0.1, rest[:, 1] * 0.1], 1).astype(np.float32)
        noise = np.random.default_rng(_WRINKLES_SEED).standard_normal((_WRINKLE_CELLS,) * 2).astype(np.float32)
        wrinkles = cv2.GaussianBlur(noise, (0, 0), 2)
        self._wrinkles = wrinkles / wrinkles.std()

    def wrinkled(self, rng: np.random.Generator, vertices: Array) -> Array:
        """Return a factor around 1 for each of the vertices."""
        places = self.uv[vertices] * 60 + rng.uniform(0, 60, 2)
        at = [places[:, 1] % (_WRINKLE_CELLS - 1), places[:, 0] % (_WRINKLE_CELLS - 1)]
        return np.asarray(1 + 0.25 * np.clip(map_coordinates(self._wrinkles, at, order=1), -2, 2))


class CutGarment:
    """Faces of the base mesh, offset along the normals and smoothed."""

    def __init__(
        self,
        cloth: Cloth,
        faces: Array,
        thickness: Callable[[Array], Array] | float,
        rng: np.random.Generator,
        *,
        smooth: int = 3,
        open_front: float | None = None,
    ) -> None:
        """*thickness*: offset of the vertices, metres; *open_front*: half the width (dm) of the opening in front."""
        corners = cloth.body.faces[faces]
        if open_front is not None:
            middle = cloth.body.rest[corners].mean(1)
            corners = corners[~((np.abs(middle[:, 0]) < open_front) & (middle[:, 2] > 0))]
        self._vertices, inverse = np.unique(corners, return_inverse=True)
        self.faces = self.uv_faces = inverse.reshape(-1, 4)
        self.surface = Surface(self.faces, len(self._vertices))
        self.uv, self.weights = cloth.uv[self._vertices], cloth.body.weights[self._vertices]
        wrinkles = cloth.wrinkled(rng, self._vertices)
        plain = thickness(self._vertices) if callable(thickness) else np.full(len(self._vertices), thickness)
        self._thickness, self._smooth = plain * wrinkles, smooth
        self._mean = _neighbours(self.faces, len(self._vertices))

    def fit(self, positions: Array, normals: Array) -> Array:
        """Return the vertices on a shaped body."""
        skin, out = positions[self._vertices], normals[self._vertices]
        smoothed = skin
        for _ in range(self._smooth):
            smoothed = 0.5 * smoothed + 0.5 * (self._mean @ smoothed)
        cloth = smoothed + out * self._thickness[:, None]
        height = ((cloth - skin) * out).sum(1)
        return np.asarray(cloth + out * np.maximum(0, self._thickness * _LEAST_OFFSET - height)[:, None])


Garment = FittedGarment | CutGarment


def _neighbours(faces: Array, vertices: int) -> csr_matrix:
    """Return the matrix that maps each vertex to the mean of its neighbours."""
    edges = np.concatenate([faces[:, [i, (i + 1) % 4]] for i in range(4)])
    places = (np.r_[edges[:, 0], edges[:, 1]], np.r_[edges[:, 1], edges[:, 0]])
    touching = csr_matrix((np.ones(len(edges) * 2, np.float32), places), shape=(vertices, vertices))
    touching.data[:] = 1
    share = np.asarray(1 / np.maximum(touching.sum(1), 1))
    return csr_matrix(share).multiply(touching).tocsr()


class Cuts:
    """Selects the vertices of the base mesh that a garment covers, in the rest pose (dm)."""

    def __init__(self, body: Body) -> None:
        """Use the mesh of *body*."""
        self._body, self._regions = body, body.regions

    def top(self, *, hem: float, neck: float, sleeve: float, neck_width: float = 1.0, margin: float = 0.0) -> Array:
        """Return the vertices from the hem to the neckline and down the arms; *sleeve* 1 reaches the wrist."""
        rest, regions = self._body.rest, self._regions
        neckline = neck - np.maximum(0, rest[:, 2]) * 0.45
        aside = (np.abs(rest[:, 0]) > neck_width + margin) & (regions.neck < 0.3)
        trunk = ~regions.is_arm & ~(regions.head > 0.5) & (rest[:, 1] > hem + margin)
        sleeves = regions.is_arm & (regions.along_arm < sleeve - margin * 0.15) & (sleeve > 0.02)
        return np.asarray((trunk & ((rest[:, 1] < neckline - margin) | aside)) | sleeves)

    def trousers(self, *, waist: float, leg: float, margin: float = 0.0) -> Array:
        """Return the vertices from the waist down the legs; *leg* 1 reaches the ankle."""
        regions = self._regions
        short = (regions.leg < 0.5) | (regions.along_leg < leg - margin * 0.1)
        return np.asarray(~regions.is_arm & (self._body.rest[:, 1] < waist - margin) & short)

    def scalp(self, front: float, back: float) -> Array:
        """Return the head above an inclined plane: *front* dm above the eyes at the forehead, *back* at the nape."""
        rest, regions = self._body.rest, self._regions
        forward = np.clip((rest[:, 2] + 0.6) / (1.5 + 0.6), 0, 1.2)
        return np.asarray(regions.on_head & (rest[:, 1] > back + (regions.eye_height + front - back) * forward))

    def faces(self, among: Array, vertices: Array) -> Array:
        """Return those of the faces whose corners are all selected in *vertices* (V,) bool."""
        return np.asarray(among[vertices[self._body.faces[among]].all(1)])


def read_fitted(pack: Pack, body: Body) -> dict[str, FittedGarment]:
    """Return all garments of the pack by name."""
    descriptions = pack.json("proxies")
    return {name: FittedGarment(body, name, one, pack.arrays(f"px_{name}")) for name, one in descriptions.items()}
