"""Splits skin and shoes by a detected pose: which arm, which leg, which foot.

Poses are BlazePose's 33 landmarks; odd numbers are the person's left. Each pixel gets the part of the nearest bone, in
units of the limb's thickness, unless another part's bone is almost as near.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from training.labels import SHOE, SHOE_PARTS, SKIN, LabelMap, Mask, Part

if TYPE_CHECKING:
    from pathlib import Path

Floats = npt.NDArray[np.float64]

_SEEN = 0.5  # minimum visibility of a reliable landmark
_ON_PERSON = 0.7  # share of reliable landmarks that must lie on the labelled person: else the pose is another person's
_FARTHEST = 2.0  # maximum distance from a bone, in thicknesses
_MARGIN = 1.25  # factor by which the next part's bone must be farther
_SHOULDERS, _HIPS = (11, 12), (23, 24)


class Bone(NamedTuple):
    """Two landmarks, the part between them, its thickness in trunk lengths, and its length in landmark distances."""

    start: int
    end: int
    part: Part
    thickness: float
    length: float = 1.0


def _both(left: tuple[int, int], parts: tuple[Part, Part], thickness: float, length: float = 1.0) -> list[Bone]:
    return [Bone(left[0] + side, left[1] + side, parts[side], thickness, length) for side in (0, 1)]


_ARMS, _LEGS = (Part.LEFT_ARM, Part.RIGHT_ARM), (Part.LEFT_LEG, Part.RIGHT_LEG)
SKIN_BONES = (
    *(bone for ends in ((11, 13), (13, 15)) for bone in _both(ends, _ARMS, 0.12)),
    *_both((15, 19), _ARMS, 0.12, length=1.7),  # landmark 19 is the index finger's first joint
    *(bone for ends in ((23, 25), (25, 27), (27, 31)) for bone in _both(ends, _LEGS, 0.18)),
    *(Bone(start, end, Part.FACE, 0.2) for start, end in ((7, 8), (0, 9), (0, 10))),
    *(Bone(start, end, Part.TORSO, 0.2) for start, end in ((11, 12), (11, 24), (12, 23))),
)
SHOE_BONES = tuple(bone for ends in ((27, 31), (27, 29), (29, 31)) for bone in _both(ends, SHOE_PARTS, 0.12))

# Pixel values of the split by geometry, and the bones among which the pose chooses for them.
_CHOICES = (
    ((SKIN,), SKIN_BONES),
    (_ARMS, tuple(bone for bone in SKIN_BONES if bone.part in _ARMS)),
    (_LEGS, tuple(bone for bone in SKIN_BONES if bone.part in _LEGS)),
    ((SHOE, *SHOE_PARTS), SHOE_BONES),
)


class Pose(NamedTuple):
    """Landmarks in pixels (33, 2), which of them are reliable (33,), and the length of the trunk, px."""

    points: Floats
    seen: Mask
    trunk: float

    @staticmethod
    def of(landmarks: Floats, shape: tuple[int, ...]) -> Pose:
        """Create from landmarks (33, 4) and the shape of the photo."""
        points = landmarks[:, :2] * np.array(shape[1::-1])
        middles = (points[list(joints)].mean(axis=0) for joints in (_SHOULDERS, _HIPS))
        return Pose(points, landmarks[:, 3] > _SEEN, float(np.linalg.norm(np.subtract(*middles))))


def read_poses(file: Path) -> dict[str, Floats]:
    """Return the landmarks (33, 4) of each photo: x and y in 0…1, z, visibility."""
    with np.load(file) as content:
        return dict(zip(content["names"].tolist(), content["landmarks"].astype(np.float64), strict=True))


def split_by_pose(label_map: LabelMap, by_geometry: LabelMap, landmarks: Floats) -> LabelMap:
    """Split *label_map* by a pose (33, 4) if that is the person's; else return *by_geometry*, uint8 H×W.

    The parts that geometry separated by shape are kept: face, trunk, arm, leg. Sides, and what geometry left undecided,
    are decided by the pose.
    """
    pose = Pose.of(landmarks, label_map.shape)
    if not _is_of(label_map, pose.points[pose.seen]) or not pose.seen[list(_SHOULDERS + _HIPS)].all():
        return by_geometry
    out = by_geometry.copy()
    for values, bones in _CHOICES:
        place = np.isin(by_geometry, values) & np.isin(label_map, (SKIN, SHOE))
        out[place] = _nearest(place, bones, pose, out[place])
    return out


def _is_of(label_map: LabelMap, points: Floats) -> bool:
    """Return whether most of the points lie on the labelled person."""
    columns, rows = np.round(points).astype(int).T
    inside = (columns >= 0) & (rows >= 0) & (columns < label_map.shape[1]) & (rows < label_map.shape[0])
    on_person = label_map[rows[inside], columns[inside]] != Part.BACKGROUND
    return bool(np.count_nonzero(on_person) >= _ON_PERSON * max(1, len(points)))


def _nearest(place: Mask, bones: tuple[Bone, ...], pose: Pose, otherwise: LabelMap) -> LabelMap:
    """Return the part of each pixel of a mask (n,); *otherwise* where no bone is near, or those of two parts are."""
    pixels = np.stack(np.nonzero(place)[::-1], axis=1).astype(np.float64) + 0.5
    distances: dict[Part, Floats] = {}
    for start, end, part, thickness, length in bones:
        if pose.seen[start] and pose.seen[end]:
            tip = pose.points[start] + length * (pose.points[end] - pose.points[start])
            away = distance_to_segment(pixels, pose.points[start], tip) / (thickness * pose.trunk)
            distances[part] = np.minimum(distances.get(part, away), away)
    if len(distances) < 2 or not len(pixels):
        return otherwise
    table = np.stack(list(distances.values()))
    nearest, next_one = np.partition(table, 1, axis=0)[:2]
    sure = (nearest < _FARTHEST) & (next_one > _MARGIN * np.maximum(nearest, 0.2))
    return np.where(sure, np.array(list(distances), dtype=np.uint8)[table.argmin(axis=0)], otherwise)


def distance_to_segment(pixels: Floats, start: Floats, end: Floats) -> Floats:
    """Return the distances (n,), px, of points (n, 2) from a segment."""
    along = end - start
    share = np.clip((pixels - start) @ along / max(float(along @ along), 1e-6), 0, 1)
    return np.asarray(np.linalg.norm(pixels - start - share[:, None] * along, axis=1))
