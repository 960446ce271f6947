"""Class colours: fixed for the CIHP classes, generated for other class lists."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from edge_worker.common.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

BLACK = "#000000"

# CIHP's classes and the whole person. Found by a search from hand-picked hues for distance in OKLab: at least 0.15
# between any two with normal vision; with protanopia or deuteranopia 0.12 between classes that touch on a body (face
# and hair, coat and trousers) and 0.04 between any others. tests/imaging/test_palette.py checks that.
_CIHP = {
    "background": BLACK,
    "hat": "#ffca08",
    "hair": "#843ab8",
    "glove": "#bfff08",
    "sunglasses": "#29c7da",
    "upperclothes": "#ea302f",
    "dress": "#fb44d4",
    "coat": "#ff8808",
    "socks": "#93b110",
    "pants": "#2b68e2",
    "torsoskin": "#fc9db5",
    "scarf": "#a21160",
    "skirt": "#af64ff",
    "face": "#ffdec9",
    "leftarm": "#0e8d93",
    "rightarm": "#7afff4",
    "leftleg": "#2f8f08",
    "rightleg": "#1de88b",
    "leftshoe": "#724e37",
    "rightshoe": "#a99189",
    "human": "#aaa7ff",
    "person": "#aaa7ff",
}

_HEX_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class Palette:
    """Class names in index order and their colours, each ``#rrggbb`` in lower case."""

    names: tuple[str, ...]
    colors: tuple[str, ...]

    @classmethod
    def for_classes(cls, names: Sequence[str], overrides: Mapping[str, str] | None = None) -> Palette:
        """Choose colours for *names*; the first is the background, black by default. *overrides* take precedence.

        CIHP's classes have fixed colours; others get colours far from all the others. The result is deterministic.

        Raises:
            ConfigError: an override is not for a class (the error suggests the nearest name), or is not ``#rrggbb``.
        """
        chosen = [_CIHP.get(re.sub("[^a-z0-9]", "", name.lower())) for name in names]
        chosen[:1] = [BLACK] * len(chosen[:1])
        for name, color in (overrides or {}).items():
            _check_override(name, color, names)
            chosen = [color.lower() if name == known else old for known, old in zip(names, chosen, strict=True)]
        made = iter(_distinct_colors([color for color in chosen if color], chosen.count(None)))
        return cls(tuple(names), tuple(color or next(made) for color in chosen))

    def __len__(self) -> int:
        """Return the number of classes."""
        return len(self.names)

    def hex(self, index: int) -> str:
        """Return the colour of class *index* as ``#rrggbb``."""
        return self.colors[index]

    @cached_property
    def rgb(self) -> npt.NDArray[np.uint8]:
        """The colours as a read-only uint8 array, classes × 3."""
        table = np.array([_rgb(color) for color in self.colors], np.uint8).reshape(-1, 3)
        table.setflags(write=False)
        return table


def _check_override(name: str, color: str, names: Sequence[str]) -> None:
    key = f"palette.{name}"
    if name not in names:
        by_lower = {known.lower(): known for known in names}
        near = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.0)
        hint = f"; did you mean {by_lower[near[0]]!r}?" if near else ""
        raise ConfigError(f"the model has no class of this name{hint}", key=key)
    if not (isinstance(color, str) and _HEX_COLOR.fullmatch(color)):
        raise ConfigError(f'{color!r} is not a colour; write it as "#rrggbb"', key=key)


def _rgb(color: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(color[1:]))


def _distinct_colors(taken: Sequence[str], count: int) -> list[str]:
    """Generate *count* colours, each as far as possible (in OKLab) from *taken* and from those before it."""
    candidates = _candidates()
    positions = oklab(candidates)
    free = np.full(len(candidates), np.inf)
    for color in taken:
        free = np.minimum(free, _distance(positions, oklab(np.array([_rgb(color)]))))
    made = []
    for _ in range(count):
        best = int(free.argmax())
        made.append("#" + bytes(candidates[best].tolist()).hex())
        free = np.minimum(free, _distance(positions, positions[best]))
    return made


def _candidates() -> npt.NDArray[np.int64]:
    """Return RGB triples on an 8×8×8 grid without black, n×3: enough for any uint8 label map."""
    steps = np.arange(1, 9) * 255 // 8
    return np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)


def _distance(positions: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(np.linalg.norm(positions - other, axis=-1))


# Björn Ottosson, "A perceptual color space for image processing" (2020): linear sRGB → cone response → Lab.
_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)

# The sRGB transfer function (IEC 61966-2-1) is linear below this.
_SRGB_KNEE = 0.04045


def oklab(rgb: npt.NDArray[np.integer | np.floating]) -> npt.NDArray[np.float64]:
    """Convert sRGB (n×3, 0–255) to OKLab (n×3), in which distances match perceived differences."""
    encoded = rgb / 255.0
    linear = np.where(encoded <= _SRGB_KNEE, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(linear @ _TO_LMS.T) @ _TO_LAB.T)
