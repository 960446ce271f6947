"""Forward kinematics and skinning: rotations of bones → posed body."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.synthetic.geometry import rotation

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from training.synthetic.body import Body
    from training.synthetic.geometry import Array

Local = dict[str, "Array"]  # rotation of a bone relative to its parent
Absolute = dict[str, tuple[str | None, "Array"]]  # rotation of a bone relative to another one, or to the world

_Z_UP_TO_Y_UP = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], float)


def forward(body: Body, joints: Array, local: Local, absolute: Absolute) -> tuple[Array, Array]:
    """Forward kinematics: rest positions of the joints (B, 3) → global rotations (B, 3, 3) and positions (B, 3)."""
    turns, places = np.zeros((len(body.bones), 3, 3)), np.zeros((len(body.bones), 3))
    for i, name in enumerate(body.bones):
        parent = body.parents[i]
        above = turns[parent] if parent >= 0 else np.eye(3)
        places[i] = places[parent] + above @ (joints[i] - joints[parent]) if parent >= 0 else joints[i]
        if name in absolute:
            frame, turn = absolute[name]
            turns[i] = (turns[body.bone[frame]] if frame else np.eye(3)) @ turn
        else:
            turns[i] = above @ local[name] if name in local else above
    return turns, places


def skinning_matrices(joints: Array, turns: Array, places: Array) -> Array:
    """Return the affine matrix (3, 4) of each bone, flattened: (B, 12)."""
    shift = places - np.einsum("nij,nj->ni", turns, joints)
    return np.concatenate([turns, shift[:, :, None]], 2).reshape(len(joints), 12)


def skinned(positions: Array, weights: csr_matrix, matrices: Array) -> Array:
    """Apply linear blend skinning to vertices (V, 3) with weights (V, B)."""
    moves = (weights @ matrices).reshape(-1, 3, 4)
    return np.asarray(np.einsum("nij,nj->ni", moves[:, :, :3], positions) + moves[:, :, 3])


def read_bvh(text: str, body: Body) -> Local:
    """Return the first frame of a motion-capture file as rotations of the body's bones."""
    header, motion = text.split("MOTION")
    joints = _joints(header)
    lines = [line for line in motion.splitlines() if line.strip()][2:]
    return _frame([float(x) for x in lines[0].split()], joints, body)


def _joints(header: str) -> list[tuple[str, list[str]]]:
    """Return names and channels of the joints, in the order of the values."""
    joints: list[tuple[str, list[str]]] = []
    for line in header.splitlines():
        words = line.split()
        if words and words[0] in ("ROOT", "JOINT"):
            joints.append((words[1], []))
        elif words and words[0] == "CHANNELS":
            joints[-1][1].extend(words[2:])
    return joints


def _frame(values: list[float], joints: list[tuple[str, list[str]]], body: Body) -> Local:
    found: Local = {}
    place = 0
    for name, channels in joints:
        turn = np.eye(3)
        for channel in channels:
            if channel.endswith("rotation"):
                turn = turn @ rotation(channel[0].lower(), values[place])
            place += 1
        if name in body.bone:
            found[name] = _Z_UP_TO_Y_UP @ turn @ _Z_UP_TO_Y_UP.T
    return found
