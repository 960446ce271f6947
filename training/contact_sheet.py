"""Draw the splits of skin and shoes: `python -m training.contact_sheet --count 28 --out sheet.png`."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from training.cache import read_rgb, resized
from training.labels import PERSON_OTHER, SHOE, SKIN, Part, read_name_table, split

Image = npt.NDArray[np.uint8]

_HEIGHT, _WIDTH, _PER_ROW = 300, 125, 7
_COLOURS = {
    Part.FACE: (255, 200, 180),
    Part.TORSO: (0, 200, 0),
    Part.LEFT_ARM: (0, 0, 255),
    Part.RIGHT_ARM: (255, 0, 0),
    Part.LEFT_LEG: (0, 160, 255),
    Part.RIGHT_LEG: (255, 160, 0),
    Part.LEFT_SHOE: (255, 0, 255),
    Part.RIGHT_SHOE: (255, 255, 0),
    SKIN: (255, 255, 255),
    SHOE: (160, 160, 160),
    PERSON_OTHER: (90, 90, 90),
}


def palette() -> Image:
    """Return bright colours for split classes, white and grey for undecided ones, dark ones for clothes."""
    colours = np.random.default_rng(3).integers(20, 110, (256, 3)).astype(np.uint8)
    colours[Part.BACKGROUND] = 0
    for value, colour in _COLOURS.items():
        colours[value] = colour
    return colours


def tile(image: Image, label_map: Image) -> Image:
    """Return the person and the split side by side, RGB."""
    rows, columns = np.nonzero(label_map)
    place = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    pictures = (image[place], palette()[split(label_map)][place])
    return np.hstack([_fitted(resized(picture, _HEIGHT, cv2.INTER_AREA)) for picture in pictures])


def _fitted(image: Image) -> Image:
    cut = image[:, :_WIDTH]
    return np.pad(cut, ((0, 0), (0, _WIDTH - cut.shape[1]), (0, 0)))


def main() -> None:
    """Parse the arguments and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--count", type=int, default=28)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("training/runs/labels.png"))
    arguments = parser.parse_args()
    table = read_name_table(arguments.data / "ccp/label_names.json")
    paths = sorted((arguments.data / "ccp/labels").glob("*.png"))
    chosen = np.random.default_rng(arguments.seed).choice(len(paths), arguments.count, replace=False)
    tiles = []
    for i in chosen:
        indices = cv2.imread(str(paths[i]), cv2.IMREAD_UNCHANGED)
        tiles.append(tile(read_rgb(arguments.data / f"ccp/photos/{paths[i].stem}.jpg"), table[indices]))
    rows = [np.hstack(tiles[i : i + _PER_ROW]) for i in range(0, len(tiles) - _PER_ROW + 1, _PER_ROW)]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(arguments.out), np.vstack(rows)[..., ::-1])


if __name__ == "__main__":
    main()
