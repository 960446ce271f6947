"""Left and right of limbs: a second, small network looks at one person at a time.

The network that parses the frame finds the limbs, and often takes the left one for the right one. Where a model has
this second network, it decides: in each cell of a limb, one side gets the higher of the two mask logits, and the other
gets none that counts. Which cells are a limb, and how certain that is, hardly changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from edge_worker.m2fp.class_names import side_pairs
from edge_worker.m2fp.parts import OUTSIDE
from edge_worker.m2fp.people import find_people
from edge_worker.m2fp.postprocess import class_probabilities
from edge_worker.m2fp.preprocess import MEAN, normalise
from edge_worker.m2fp.types import Box, Logits, Size

if TYPE_CHECKING:
    from edge_worker.m2fp.configuration import ModelConfig
    from edge_worker.m2fp.engines.base import Network
    from edge_worker.m2fp.types import BoolArray, ByteArray, FloatArray

CROP: Final = Size(112, 160)
"""Size of the image of a person, pixels."""
CHANNELS: Final = 4
"""Of that image: RGB and the mask."""
STRIDE: Final = 4
"""Pixels per cell: of the input per mask logit of the first network, and of the crop per logit of the second."""

_MARGIN = 1.1  # of the window, relative to the person
_STRAY = 0.03  # of the person: smaller pieces apart from the rest do not enlarge the window
_LEAST_PROBABILITY = 0.1  # of a class: below it, a query is neither a part nor in the label map
_SHARE_OF_FIRST = 0.25  # weight of the first network's difference of mask logits
_MEAN_COLOUR = tuple(int(value + 0.5) for value in MEAN)


def window_around(person: BoolArray, scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)) -> Box:
    """Return the window around the true cells of (h, w), at least one, in cells; it may exceed the input.

    It has the aspect ratio of a crop. *scale* enlarges it, *shift* moves it (x and y, as shares of its size): for
    training.
    """
    rows, columns = np.flatnonzero(person.any(axis=1)), np.flatnonzero(person.any(axis=0))
    high, wide = rows[-1] + 1 - rows[0], columns[-1] + 1 - columns[0]
    height = _MARGIN * scale * max(high, wide * CROP.height / CROP.width)
    width = height * CROP.width / CROP.height
    x = (columns[0] + columns[-1] + 1 - width) / 2 + shift[0] * width
    y = (rows[0] + rows[-1] + 1 - height) / 2 + shift[1] * height
    return Box(round(x), round(y), max(1, round(width)), max(1, round(height)))


def in_pixels(window: Box) -> Box:
    """Return a *window* in cells in pixels of the input."""
    return Box(*(STRIDE * value for value in window))


def cut(array: ByteArray, window: Box, fill: tuple[int, ...] = (0,)) -> ByteArray:
    """Return the *window* of an array (h, w, …), with *fill* where it exceeds the array."""
    inside = window.common(_whole(array))
    if inside == window:
        return array[window.slices]
    if inside is None:
        return np.full((window.height, window.width, *array.shape[2:]), fill, array.dtype)
    above, beside = inside.y - window.y, inside.x - window.x
    below, beyond = window.height - above - inside.height, window.width - beside - inside.width
    bordered = cv2.copyMakeBorder(array[inside.slices], above, below, beside, beyond, cv2.BORDER_CONSTANT, value=fill)
    return np.asarray(bordered, array.dtype)


def crop(image: ByteArray, person: BoolArray, window: Box) -> FloatArray:
    """Return the second network's input.

    Args:
        image: input of the first network before normalisation, RGB uint8 H×W×3.
        person: cells of the person, (h, w).
        window: the part to take, in cells.

    Returns:
        float32 CHANNELS×CROP.height×CROP.width: normalised RGB, and 1 where the person is.
    """
    pixels = in_pixels(window)
    colours = cut(image, pixels, _MEAN_COLOUR)
    method = cv2.INTER_AREA if pixels.height > CROP.height else cv2.INTER_LINEAR
    rgb = cv2.resize(colours, CROP, interpolation=method)
    mask = cv2.resize(cut(person.view(np.uint8), window), CROP, interpolation=cv2.INTER_NEAREST)
    return np.concatenate([normalise(np.asarray(rgb, np.uint8), CROP)[0], mask[None]], dtype=np.float32)


class LimbSides:
    """The second network and the classes that it tells apart."""

    def __init__(self, network: Network, config: ModelConfig) -> None:
        """Use *network*, which maps crops (1, 4, H, W) to logits (1, H/4, W/4), for a multi-human model."""
        self._network = network
        self._pairs = side_pairs(config.classes)
        self._human = config.num_parsing

    def is_compiled(self) -> bool:
        """Return whether the network is compiled."""
        return self._network.is_compiled((CROP.height, CROP.width))

    def compile(self) -> None:
        """Compile the network, which may take seconds; :meth:`refine` does so if needed."""
        self._network.compile((CROP.height, CROP.width))

    def close(self) -> None:
        """Release the network."""
        self._network.close()

    def refine(self, image: ByteArray, logits: Logits) -> None:
        """Decide the sides in the *logits* of an *image*, in place.

        *image*: RGB uint8 H×W×3, the first network's input before normalisation.
        """
        scores = class_probabilities(logits.class_logits)
        pairs = [pair for pair in (_Pair.of(scores, *sides) for sides in self._pairs) if pair is not None]
        people = [cells for _, cells in find_people(scores[:, self._human], logits.mask_logits)]
        if not pairs or not people:
            return
        for pair in pairs:
            pair.clear_unseen(scores, logits.mask_logits)
        for person in people:
            if any(pair.shows(logits.mask_logits, person) for pair in pairs):
                sides = self._sides(image, person)
                for pair in pairs:
                    pair.decide(logits, person, sides)

    def _sides(self, image: ByteArray, person: BoolArray) -> FloatArray:
        """Return the logits of left for the cells of a *person*, 0 where the network says nothing."""
        window = window_around(without_strays(person))
        (found,) = self._network.run(crop(image, person, window)[None])[0]
        sides = np.zeros(person.shape, np.float32)
        if np.isfinite(found).all():
            _place(sides, window, cv2.resize(found, (window.width, window.height), interpolation=cv2.INTER_LINEAR))
        return sides


def without_strays(person: BoolArray) -> BoolArray:
    """Return the cells of a person, (h, w), without small pieces apart from the rest; at least one is true."""
    _, pieces, statistics, _ = cv2.connectedComponentsWithStats(person.view(np.uint8), connectivity=8)
    areas = statistics[:, cv2.CC_STAT_AREA]
    kept = areas >= min(_STRAY * np.count_nonzero(person), areas[1:].max())  # of scattered cells, the largest pieces
    kept[0] = False  # the rest of the map
    return np.asarray(kept[pieces])


class _Pair(NamedTuple):
    """The classes of the two sides of a limb, and the query of each."""

    left: int
    right: int
    left_query: int
    right_query: int

    @classmethod
    def of(cls, scores: FloatArray, left: int, right: int) -> _Pair | None:
        """Find the queries by the *scores* (Q, classes); None if they are not of these classes alone."""
        queries = (int(scores[:, left].argmax()), int(scores[:, right].argmax()))
        if queries[0] == queries[1] or any(scores[query].argmax() not in {left, right} for query in queries):
            return None
        return cls(left, right, *queries)

    def clear_unseen(self, scores: FloatArray, mask_logits: FloatArray) -> None:
        """Empty the mask (in place) of a query that is not certain enough to be seen: it may become so."""
        for query, class_id in ((self.left_query, self.left), (self.right_query, self.right)):
            if scores[query, class_id] < _LEAST_PROBABILITY:
                np.minimum(mask_logits[query], OUTSIDE, out=mask_logits[query])

    def shows(self, mask_logits: FloatArray, person: BoolArray) -> bool:
        """Return whether the *person* has such a limb."""
        return bool((np.maximum(mask_logits[self.left_query], mask_logits[self.right_query])[person] > 0).any())

    def decide(self, logits: Logits, person: BoolArray, sides: FloatArray) -> None:
        """Give the cells of the *person* (in place) to the side that *sides*, logits of left, say."""
        left, right = logits.mask_logits[self.left_query], logits.mask_logits[self.right_query]
        is_left = sides + _SHARE_OF_FIRST * (left - right) > 0
        limb = person & (np.maximum(left, right) > 0)
        if (limb & is_left & (right > left)).any():
            self._make_as_certain(logits.class_logits, self.left_query, self.right_query, self.left)
        if (limb & ~is_left & (left > right)).any():
            self._make_as_certain(logits.class_logits, self.right_query, self.left_query, self.right)
        higher, lower = np.maximum(left, right)[limb], np.minimum(np.minimum(left, right)[limb], OUTSIDE)
        left[limb] = np.where(is_left[limb], higher, lower)
        right[limb] = np.where(is_left[limb], lower, higher)

    def _make_as_certain(self, class_logits: FloatArray, taker: int, giver: int, class_id: int) -> None:
        """Let the *taker* of cells be at least as certain of its class, *class_id*, as the *giver* is of the other."""
        mirrored = class_logits[giver].copy()
        mirrored[[self.left, self.right]] = mirrored[[self.right, self.left]]
        if _probability(mirrored, class_id) > _probability(class_logits[taker], class_id):
            class_logits[taker] = mirrored


def _probability(class_logits: FloatArray, class_id: int) -> float:
    """Return the softmax of one query at one class."""
    powers = np.exp(class_logits - class_logits.max())
    return float(powers[class_id] / powers.sum())


def _place(target: FloatArray, window: Box, values: FloatArray) -> None:
    """Write *values* of a *window* into the cells of *target* that it covers."""
    inside = window.common(_whole(target))
    if inside is not None:
        target[inside.slices] = values[Box(inside.x - window.x, inside.y - window.y, *inside[2:]).slices]


def _whole(array: ByteArray | FloatArray) -> Box:
    return Box(0, 0, array.shape[1], array.shape[0])
