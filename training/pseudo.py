"""Label the photos that only have tags: `python -m training.pseudo --weights training/start.pt`.

Their tags name the classes of each photo, so that what networks confuse most (dress or skirt and blouse, coat or
sweater) is decided by people. Where the networks are uncertain, a pixel stays undecided. Left and right come from the
detected pose or stay undecided: trained on its own sides, a network would only become more confident in them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track

from training import cache
from training.cache import PSEUDO_LABELS, TAGGED_PHOTOS, Pack
from training.export import network_of
from training.labels import (
    MIRRORED,
    PARTS,
    PERSON_OTHER,
    SHOE,
    SHOE_PARTS,
    SKIN,
    Part,
    expand_values,
    mirror_table,
    name_table,
)
from training.model import normalise, read_weights
from training.pose import read_poses, split_by_pose

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge_worker.m2fp.network.m2fp import M2FP

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

SHAPE = (480, 320)  # of whole photos in training, too
CERTAIN = 0.6  # a class is taken if it is likelier than this, given that the pixel is on the person
LEAST_PERSON, MOST_DOUBT = 0.03, 0.3  # shares: minimum person in the photo; maximum undecided in the person


def tagged_classes(data: Path) -> dict[str, frozenset[int]]:
    """Return the classes that each photo's tags allow, by name of the photo; background always."""
    names = json.loads((data / "ccp/label_names.json").read_text(encoding="utf-8"))
    value_of = dict(zip(names, name_table(names).tolist(), strict=False))
    tags = json.loads((data / "ccp/tags.json").read_text(encoding="utf-8"))
    return {photo: possible_classes([value_of[name] for name in present]) for photo, present in tags.items()}


def possible_classes(values: Sequence[int]) -> frozenset[int]:
    """Return the classes that pixel values may stand for, and background."""
    found = np.zeros(256, dtype=bool)
    found[[Part.BACKGROUND, *values]] = True
    return frozenset(np.flatnonzero(expand_values(found)).tolist())


@torch.no_grad()
def part_shares(networks: Sequence[M2FP], image: Image, allowed: frozenset[int]) -> Floats:
    """Return the probability of each class among the `allowed` ones, float32 H/2×W/2×20; *image* is RGB uint8 H×W×3.

    It is the mean over the networks and the mirrored photo. A pair of limbs or shoes has all of its probability in the
    left one.
    """
    permitted = torch.full((PARTS, 1, 1), -torch.inf)
    permitted[list(allowed)] = 0
    small = cv2.resize(image, SHAPE[::-1], interpolation=cv2.INTER_AREA)
    both = normalise(torch.from_numpy(np.stack([small, small[:, ::-1]])))
    with torch.autocast("cpu", torch.bfloat16):
        logits = [network(both).mask_logits[:, :PARTS].float() for network in networks]
    share = torch.stack([(one + permitted).softmax(dim=1) for one in logits]).mean(dim=0)
    for left, right in MIRRORED:
        share[:, left] += share[:, right]
        share[:, right] = 0
    mean = np.ascontiguousarray((share[0] + share[1].flip(-1)).permute(1, 2, 0) / 2)
    return np.asarray(cv2.resize(mean, (image.shape[1] // 2, image.shape[0] // 2)), dtype=np.float32)


def decide(shares: Floats) -> Image | None:
    """Return the class map of `part_shares`, uint8 of the same height and width, values as in `labels`.

    None if the person is too small or too uncertain. Others than the largest figure are background, as in the labelled
    photos: the tags are not theirs.
    """
    parts = shares[..., 1:] / np.maximum(1 - shares[..., :1], 1e-6)
    labels = np.where(parts.max(axis=2) > CERTAIN, parts.argmax(axis=2) + 1, PERSON_OTHER).astype(np.uint8)
    labels[~_largest(shares[..., 0] < 0.5)] = Part.BACKGROUND
    person = np.count_nonzero(labels)
    doubtful = np.count_nonzero(labels == PERSON_OTHER) > MOST_DOUBT * person
    return None if person < LEAST_PERSON * labels.size or doubtful else labels


def decide_sides(label_map: Image, landmarks: npt.NDArray[np.float64] | None) -> Image:
    """Set the sides of limbs and shoes by a pose (33, 4); where it does not decide, SKIN and SHOE."""
    table = np.arange(256, dtype=np.uint8)
    table[[limb for pair in MIRRORED for limb in pair]] = SKIN
    table[list(SHOE_PARTS)] = SHOE
    unsided = table[label_map]
    if landmarks is None:
        return unsided
    # The pose does not change what it cannot decide: there, two opposite guesses remain different.
    one, other = (split_by_pose(unsided, guess, landmarks) for guess in (label_map, mirror_table()[label_map]))
    return np.where(one == other, one, unsided)


def _largest(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the largest connected component."""
    count, index, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 2:
        return mask
    return np.asarray(index == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])))


def label_all(networks: Sequence[M2FP], photos: Pack, data: Path) -> Iterator[tuple[str, Image]]:
    """Yield name and class map, at the photo's size, of every photo that could be labelled."""
    tags, poses = tagged_classes(data), read_poses(data / "pose_ccp" / "unlabelled.npz")
    for i, name in enumerate(track(photos.names, "pseudo-labels")):
        labels = decide(part_shares(networks, photos[i], tags[name]))
        if labels is not None:
            size = photos[i].shape[1::-1]
            large = np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
            yield name, decide_sides(large, poses.get(name))


def main() -> None:
    """Parse the arguments and fill the cache."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--weights", type=Path, nargs="+", default=[Path("training/start.pt")], help="of the networks that decide"
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("training/cache"))
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    cache.build_tagged(arguments.data, arguments.cache)
    networks = [network_of(read_weights(path)) for path in arguments.weights]
    photos = Pack(arguments.cache / TAGGED_PHOTOS)
    Pack.write(arguments.cache / PSEUDO_LABELS, label_all(networks, photos, arguments.data))
    print(f"{len(Pack(arguments.cache / PSEUDO_LABELS))} of {len(photos)} photos labelled")


if __name__ == "__main__":
    main()
