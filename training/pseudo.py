"""Pseudo-label the unlabelled photos with a run's averaged weights and the tags: `python -m training.pseudo --run DIR`.

For self-training: the tags list a photo's classes, so that what the network confuses most (dress or skirt and blouse,
coat or sweater) is decided by people; where the network is uncertain, a pixel stays undecided. Left and right come from
the detected pose or stay undecided: trained on its own sides, a network would only become more confident in them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track

from training import cache
from training.cache import Pack, tagged_classes
from training.export import kept_network, trained_network
from training.labels import MIRRORED, PARTS, PERSON_OTHER, SHOE, SHOE_PARTS, SKIN, Part, mirror_table
from training.model import normalise
from training.pose import read_poses, split_by_pose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_worker.m2fp.network.m2fp import M2FP

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

SHAPE = (480, 320)
CERTAIN = 0.6  # minimum probability of the best part among all parts
LEAST_PERSON, MOST_DOUBT = 0.03, 0.3  # shares: minimum person in the photo; maximum undecided in the person


@torch.no_grad()
def part_logits(network: M2FP, image: Image) -> Floats:
    """Return the mask logits of the part queries at half the photo's size, H/2×W/2×20."""
    small = cv2.resize(image, SHAPE[::-1], interpolation=cv2.INTER_AREA)
    masks = network(normalise(torch.from_numpy(small)[None])).mask_logits[0, :PARTS]
    size = (image.shape[1] // 2, image.shape[0] // 2)
    return np.asarray(cv2.resize(np.asarray(masks.permute(1, 2, 0)), size), dtype=np.float32)


def decide(logits: Floats, allowed: frozenset[int]) -> Image | None:
    """Return the class map of a photo with the `allowed` classes; None if the person is too small or too uncertain.

    Sides are not decided: limbs and shoes of both sides get the left one's class.
    """
    permitted = np.full(PARTS, -np.inf, dtype=np.float32)
    permitted[list(allowed)] = 0
    exponent = np.exp(logits + permitted - logits.max(axis=2, keepdims=True))
    share = exponent / exponent.sum(axis=2, keepdims=True)
    for left, right in MIRRORED:
        share[..., left] += share[..., right]
        share[..., right] = 0
    parts = share[..., 1:] / np.maximum(1 - share[..., :1], 1e-6)
    labels = np.where(parts.max(axis=2) > CERTAIN, parts.argmax(axis=2) + 1, PERSON_OTHER).astype(np.uint8)
    labels[~_largest(share[..., 0] < 0.5)] = Part.BACKGROUND
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


def label_all(network: M2FP, photos: Pack, data: Path) -> Iterator[tuple[str, Image]]:
    """Yield name and class map of every photo that could be labelled."""
    tags, poses = tagged_classes(data), read_poses(data / "pose_ccp" / "unlabelled.npz")
    for i, name in enumerate(track(photos.names, "pseudo-labels")):
        labels = decide(part_logits(network, photos[i]), tags[name])
        if labels is not None:
            size = photos[i].shape[1::-1]
            large = np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
            yield name, decide_sides(large, poses.get(name))


def main() -> None:
    """Parse the arguments and fill the cache."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("training/runs/lite"))
    parser.add_argument("--start", type=Path, help="weights such as training/start.pt instead of a run's")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("training/cache"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    cache.build(arguments.data, arguments.cache)
    network = trained_network(arguments.run) if arguments.start is None else kept_network(arguments.start)
    photos = Pack(arguments.cache / "unlabelled.bin")
    Pack.write(arguments.cache / "pseudo.bin", label_all(network, photos, arguments.data))
    print(f"{len(Pack(arguments.cache / 'pseudo.bin'))} of {len(photos)} photos labelled")


if __name__ == "__main__":
    main()
