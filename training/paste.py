"""Pastes photos and cut-out people into a scene, with occlusion."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from training.labels import Part, mirror_table

Image = npt.NDArray[np.uint8]
Window = tuple[slice, slice]

MIN_VISIBLE = 0.15  # share of a figure that must stay visible: below, it is not recognisable as a person
_MIRROR = mirror_table()


@dataclass
class Scene:
    """RGB uint8 H×W×3; class map uint8 H×W (values of `labels`); person number uint8 H×W, 0 for nobody."""

    image: Image
    label_map: Image
    persons: Image

    @staticmethod
    def of(background: Image) -> Scene:
        """Create a scene without people."""
        empty = np.zeros(background.shape[:2], dtype=np.uint8)
        return Scene(background, empty, empty.copy())


@dataclass(frozen=True)
class Placement:
    """A similarity: maps the source point `anchor` (x, y) to `target`, scaled, rotated (degrees), maybe mirrored."""

    scale: float
    degrees: float
    mirrored: bool
    anchor: npt.NDArray[np.float64]
    target: npt.NDArray[np.float64]

    def matrix(self, shrunk: float = 1.0) -> npt.NDArray[np.float64]:
        """Return the affine matrix (2, 3) for a source that was already scaled by `shrunk`."""
        angle = np.deg2rad(self.degrees)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        linear = self.scale * turn @ np.diag([-1.0 if self.mirrored else 1.0, 1.0])
        return np.column_stack([linear / shrunk, self.target - linear @ self.anchor])


def paste(scene: Scene, image: Image, label_map: Image, place: Placement, *, whole_photo: bool) -> None:
    """Paste a photo's person (or the whole photo) into the scene as another person, in place."""
    source = _bounds(label_map, whole_photo=whole_photo)
    window = _window(source, place, scene.image.shape)
    if window is None:
        return
    size = (window[1].stop - window[1].start, window[0].stop - window[0].start)
    shift = np.array([window[1].start, window[0].start])
    place = replace(place, anchor=place.anchor - (source[1].start, source[0].start), target=place.target - shift)
    warped = _warp_image(image[source], place, size)
    values = cv2.warpAffine(label_map[source], place.matrix(), size, flags=cv2.INTER_NEAREST)
    values = _MIRROR[values] if place.mirrored else values
    person = values != Part.BACKGROUND
    cover = person.astype(np.uint8)
    if whole_photo:
        cover = cv2.warpAffine(np.ones_like(label_map[source]), place.matrix(), size, flags=cv2.INTER_NEAREST)
    _blend(scene.image[window], warped, cover)
    number = scene.persons.max() + 1
    scene.label_map[window][cover > 0] = values[cover > 0]
    scene.persons[window][cover > 0] = 0
    scene.persons[window][person] = number


def _bounds(label_map: Image, *, whole_photo: bool) -> Window:
    """Return the rows and columns of the person, with a margin of a pixel, or all of them."""
    if whole_photo:
        return np.s_[0 : label_map.shape[0], 0 : label_map.shape[1]]
    rows, columns = (np.flatnonzero(label_map.any(axis=axis)) for axis in (1, 0))
    return np.s_[max(0, rows[0] - 1) : rows[-1] + 2, max(0, columns[0] - 1) : columns[-1] + 2]


def _window(source: Window, place: Placement, shape: tuple[int, ...]) -> Window | None:
    """Return the rows and columns of the scene that the source covers; None if it is outside."""
    corners = np.array(
        [(x, y, 1) for x in (source[1].start, source[1].stop) for y in (source[0].start, source[0].stop)]
    )
    moved = corners @ place.matrix().T
    left, top = np.maximum(np.floor(moved.min(axis=0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(moved.max(axis=0)) + 1, (shape[1], shape[0])).astype(int)
    return np.s_[top:bottom, left:right] if right - left > 1 and bottom - top > 1 else None


def _warp_image(image: Image, place: Placement, size: tuple[int, int]) -> Image:
    """Warp with linear interpolation; where that would alias, halve the size first."""
    shrunk = 0.5 if place.scale < 0.6 else 1.0
    source = cv2.resize(image, None, fx=shrunk, fy=shrunk, interpolation=cv2.INTER_AREA) if shrunk < 1 else image
    matrix = place.matrix(shrunk)
    return np.asarray(cv2.warpAffine(source, matrix, size, borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8)


def _blend(below: Image, above: Image, cover: Image) -> None:
    """Blend `above` over `below` where `cover` is 1, with soft edges, in place."""
    alpha = cv2.blur(cover.astype(np.float32), (3, 3))
    cv2.blendLinear(above, np.ascontiguousarray(below), alpha, 1 - alpha, dst=(mixed := np.empty_like(above)))
    below[:] = mixed


def add_obstacle(rng: np.random.Generator, scene: Scene) -> None:
    """Draw a box, such as a table or a counter, in front of the people, in place."""
    height, width = scene.image.shape[:2]
    w, h = int(width * rng.uniform(0.1, 0.5)), int(height * rng.uniform(0.05, 0.4))
    x, y = int(rng.uniform(-0.1, 0.9) * width), int(height * rng.uniform(0.4, 0.95))
    box = np.s_[max(0, y) : y + h, max(0, x) : x + w]
    scene.image[box] = rng.integers(0, 255, 3)
    scene.label_map[box] = Part.BACKGROUND
    scene.persons[box] = 0


def forget_hidden(scene: Scene) -> None:
    """Remove persons with too few visible pixels and renumber the others 1…n, in place."""
    height = scene.image.shape[0]
    table = np.zeros(256, dtype=np.uint8)
    least = max(40.0, (MIN_VISIBLE * 0.2 * height) ** 2)
    for number in range(1, int(scene.persons.max()) + 1):
        if np.count_nonzero(scene.persons == number) >= least:
            table[number] = table.max() + 1
    scene.persons = table[scene.persons]
