"""A drawn figure of parts, and its pose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.labels import SHOE, SKIN, LabelMap, Part

if TYPE_CHECKING:
    import numpy.typing as npt

HEIGHT, WIDTH = 400, 200

# A person who faces the camera: the left side is on the right of the image.
JOINTS = {
    0: (100, 40),
    7: (115, 40),
    8: (85, 40),
    9: (105, 50),
    10: (95, 50),
    11: (130, 90),
    12: (70, 90),
    13: (150, 150),
    14: (50, 150),
    15: (160, 200),
    16: (40, 200),
    19: (165, 215),
    20: (35, 215),
    23: (115, 200),
    24: (85, 200),
    25: (120, 280),
    26: (80, 280),
    27: (122, 350),
    28: (78, 350),
    29: (122, 360),
    30: (78, 360),
    31: (126, 372),
    32: (74, 372),
}


def pose(*, crossed: bool = False) -> npt.NDArray[np.float64]:
    """Return landmarks (33, 4) of the figure; *crossed*: left and right knee, ankle and foot are swapped."""
    landmarks = np.zeros((33, 4))
    for number, place in JOINTS.items():
        other = number + (1 if number % 2 else -1) if crossed and number >= 25 else number
        landmarks[other] = (place[0] / WIDTH, place[1] / HEIGHT, 0, 1)
    return landmarks


def figure() -> LabelMap:
    """Draw a figure with dress, bare arms and legs, and shoes."""
    canvas = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    canvas[80:240, 70:131] = Part.DRESS
    canvas[20:60, 85:116] = SKIN
    for left, right in ((30, 60), (140, 170), (70, 95), (105, 130)):
        top, bottom = (120, 225) if right - left > 25 else (240, 350)
        canvas[top:bottom, left:right] = SKIN
    canvas[350:380, 66:90] = canvas[350:380, 110:134] = SHOE
    return canvas
