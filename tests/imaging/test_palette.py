from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from images import CIHP

from edge_worker.common.errors import ConfigError
from edge_worker.imaging.palette import BLACK, Palette, oklab

# Classes that touch on a body, so that their colours meet in an image.
NEIGHBOURS = {
    "Hat": ("Hair", "Face"),
    "Hair": ("Face", "UpperClothes", "Coat", "Dress", "Torso-skin", "Scarf"),
    "Sunglasses": ("Face", "Hair"),
    "Face": ("Torso-skin", "UpperClothes", "Coat", "Scarf", "Dress"),
    "Torso-skin": ("UpperClothes", "Coat", "Dress", "Scarf"),
    "Scarf": ("UpperClothes", "Coat", "Dress"),
    "UpperClothes": ("Coat", "Pants", "Skirt", "Left-arm", "Right-arm"),
    "Coat": ("Pants", "Skirt", "Dress", "Left-arm", "Right-arm", "Glove"),
    "Dress": ("Left-arm", "Right-arm", "Left-leg", "Right-leg", "Socks"),
    "Skirt": ("Left-leg", "Right-leg", "Socks", "Left-arm", "Right-arm"),
    "Pants": ("Left-arm", "Right-arm", "Left-leg", "Right-leg", "Left-shoe", "Right-shoe", "Socks"),
    "Glove": ("Left-arm", "Right-arm"),
    "Left-arm": ("Right-arm",),
    "Left-leg": ("Right-leg", "Left-shoe", "Right-shoe"),
    "Right-leg": ("Left-shoe", "Right-shoe"),
    "Left-shoe": ("Right-shoe",),
    "Socks": ("Left-shoe", "Right-shoe", "Left-leg", "Right-leg"),
}

# Linear sRGB as seen without red or green cones: Machado, Oliveira, Fernandes, "A Physiologically-based Model for
# Simulation of Color Vision Deficiency" (2009), severity 1.
PROTANOPIA = ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998))
DEUTERANOPIA = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881))


def _as_seen(rgb: npt.NDArray[np.uint8], matrix: tuple[tuple[float, ...], ...]) -> npt.NDArray[np.float64]:
    encoded = rgb / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(matrix).T, 0, 1)
    return np.asarray(255 * np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055))


def _distance(colors: npt.NDArray[np.float64], one: str, other: str) -> float:
    return float(np.linalg.norm(colors[CIHP.index(one)] - colors[CIHP.index(other)]))


def test_cihps_colours_are_well_apart() -> None:
    """Any two of CIHP's colours are seen as different, the background among them."""
    colors = oklab(Palette.for_classes(CIHP).rgb)
    assert min(_distance(colors, *pair) for pair in combinations(CIHP, 2)) > 0.15


@pytest.mark.parametrize("matrix", [PROTANOPIA, DEUTERANOPIA])
def test_colour_blind_viewers_see_the_parts_of_a_body(matrix: tuple[tuple[float, ...], ...]) -> None:
    """Classes that touch on a body stay apart without red or green cones, and no two classes become one."""
    colors = oklab(_as_seen(Palette.for_classes(CIHP).rgb, matrix))
    touching = [(one, other) for one, others in NEIGHBOURS.items() for other in others]
    assert min(_distance(colors, *pair) for pair in touching) > 0.12
    assert min(_distance(colors, *pair) for pair in combinations(CIHP, 2)) > 0.04


def test_names_are_recognised_however_they_are_written() -> None:
    """The same class of another model has the same colour, at any index."""
    assert Palette.for_classes(["null", "upper_clothes", "left arm", "Person"]).colors == (
        BLACK,
        *(Palette.for_classes(CIHP).hex(CIHP.index(name)) for name in ("UpperClothes", "Left-arm", "Human")),
    )


@given(st.lists(st.text(max_size=5), min_size=1, max_size=256, unique=True))
def test_other_classes_get_colours_of_their_own(names: list[str]) -> None:
    """Up to 256 classes of any names have different colours, always the same ones, and background is black."""
    palette = Palette.for_classes(names)
    assert palette == Palette.for_classes(names)
    assert palette.hex(0) == BLACK
    assert len(set(palette.colors)) == len(names) == len(palette)


def test_a_few_other_classes_are_easy_to_tell_apart() -> None:
    """The first made colours are far from each other and from the fixed ones."""
    rgb = Palette.for_classes(["Background", "Hair", "Face", *"abcdefgh"]).rgb
    lab = oklab(rgb)
    assert min(np.linalg.norm(one - other) for one, other in combinations(lab, 2)) > 0.2


def test_overrides_win() -> None:
    """A colour from the configuration replaces the default, background's too; the others keep theirs."""
    palette = Palette.for_classes(CIHP, {"Hat": "#ABCDEF", "Background": "#ffffff"})
    default = Palette.for_classes(CIHP)
    assert palette.hex(1) == "#abcdef"
    assert palette.rgb[1].tolist() == [0xAB, 0xCD, 0xEF]
    assert palette.hex(0) == "#ffffff"
    assert palette.colors[2:] == default.colors[2:]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"Upper-cloths": "#ffffff"}, r"palette.Upper-cloths: .*did you mean 'UpperClothes'\?"),
        ({"hat": "#ffffff"}, r"palette.hat: .*did you mean 'Hat'\?"),
        ({"Hat": "red"}, r'palette.Hat: \'red\' is not a colour; write it as "#rrggbb"'),
        ({"Hat": "#12345"}, "palette.Hat: "),
    ],
)
def test_bad_overrides_are_configuration_errors(overrides: dict[str, str], message: str) -> None:
    """The error names the key, the nearest class and the way to write a colour."""
    with pytest.raises(ConfigError, match=message):
        Palette.for_classes(CIHP, overrides)


def test_colours_cannot_be_changed_behind_ones_back() -> None:
    """The table is shared by all who draw, so it is read-only."""
    with pytest.raises(ValueError, match="read-only"):
        Palette.for_classes(CIHP).rgb[0] = 1
