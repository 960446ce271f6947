"""Composes training images: street photos and cut-out people on backgrounds, with occlusion and augmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from training.augment import recolour, recolour_garments, refocus, soften, spoil
from training.labels import expand_values
from training.paste import Placement, Scene, add_obstacle, forget_hidden, paste

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.cache import Pack
    from training.rendered import Rendered
    from training.rooms import Backgrounds

Image = npt.NDArray[np.uint8]
Shape = tuple[int, int]

MAX_PERSONS = 5
_RARE = 0.35  # classes in a smaller share of photos are drawn more often (repeat factors of LVIS, arXiv 1908.03195)
_REPEAT_POWER = 0.75
_MAX_REPEAT = 4.0
_CLOSE = 0.2  # share of groups close to the camera
_RENDERED_FIGURES = 0.35  # share of the people on backgrounds
_MOST_ENLARGED = 1.6  # maximum scale of a cut-out: rendered ones are small


class Photos(NamedTuple):
    """Photos of one person each with their class maps."""

    images: Pack
    maps: Pack
    weight: float = 1.0  # how often one is drawn, compared with those of other packs


class Figures:
    """The photos with class maps, sampled so that rare classes come more often."""

    def __init__(self, packs: Sequence[Photos], names: frozenset[str]) -> None:
        """Use the photos in `names` of *packs*."""
        self._items = [
            (photos, photos.images.names.index(name), i)
            for photos in packs
            for i, name in enumerate(photos.maps.names)
            if name in names
        ]
        present = np.stack([presence(photos.maps[i]) for photos, _, i in self._items])
        weights = repeat_factors(present) * [photos.weight for photos, _, _ in self._items]
        self._weights = weights / weights.sum()

    def __len__(self) -> int:
        """Return the number of photos."""
        return len(self._items)

    def draw(self, rng: np.random.Generator) -> tuple[Image, Image]:
        """Return a random photo and its class map."""
        return self[int(rng.choice(len(self._items), p=self._weights))]

    def __getitem__(self, i: int) -> tuple[Image, Image]:
        """Return photo i and its class map."""
        photos, image, label_map = self._items[i]
        return photos.images[image], photos.maps[label_map]


def presence(label_map: Image) -> npt.NDArray[np.bool_]:
    """Return which classes a class map may contain: bool (20,)."""
    found = np.bincount(label_map[::2, ::2].ravel(), minlength=256) > 0
    return expand_values(found)


def repeat_factors(present: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return the probability of each photo (N,), from its rarest class; `present` is bool (N, 20)."""
    share = np.maximum(present.mean(axis=0), 1e-6)
    factor = np.clip((_RARE / share) ** _REPEAT_POWER, 1.0, _MAX_REPEAT)
    weight = (present * factor).max(axis=1)
    return np.asarray(weight / weight.sum())


class Mix(NamedTuple):
    """Shares of the images of a shape that are rendered scenes and whole photos; the rest are composed."""

    rendered: float
    photos: float


# Fixed cameras produce landscape images of several people; the photos are portraits of one.
_MIXES = {True: Mix(0.45, 0.15), False: Mix(0.18, 0.62)}  # by whether the shape is wider than high
_EMPTY = 0.1  # share of all images
# Shares of all images, and of the rest: photos on which the model is judged are clean.
_SPOILT, _RECOLOURED = 0.5, 0.5
_GARMENTS_RECOLOURED = 0.5  # share of the whole photos


class Composer:
    """Draws training scenes of a given shape."""

    def __init__(self, figures: Figures, backgrounds: Backgrounds, rendered: Rendered | None = None) -> None:
        """Use people of *figures* and *rendered*, and *backgrounds*."""
        self._figures = figures
        self._backgrounds = backgrounds
        self._rendered = rendered

    def draw(self, rng: np.random.Generator, shape: Shape) -> Scene:
        """Return a scene: rendered, one photo (sometimes with others in front), people on a background, or nobody."""
        kind, mix = rng.random(), _MIXES[shape[1] > shape[0]]
        if self._rendered is not None and kind < mix.rendered:
            scene = self._rendered.draw(rng, shape)
        else:
            scene = Scene.of(self._background(rng, shape))
            if kind < mix.rendered + mix.photos:
                self._add_photo(rng, scene)
                self._add_people(rng, scene, int(rng.integers(1, 3)) if rng.random() < 0.2 else 0)
            elif kind < 1 - _EMPTY:
                self._add_people(rng, scene, int(rng.integers(1, MAX_PERSONS + 1)))
            if rng.random() < 0.15:
                add_obstacle(rng, scene)
            forget_hidden(scene)
        if rng.random() < _SPOILT:
            scene.image = spoil(rng, scene.image)
        elif rng.random() < _RECOLOURED:
            scene.image = recolour(rng, scene.image)
        return scene

    def _background(self, rng: np.random.Generator, shape: Shape) -> Image:
        """Return a background, sharp or blurred independently of the people."""
        background = self._backgrounds.draw(rng, shape)
        return soften(rng, background) if rng.random() < 0.25 else background

    def compose(self, rng: np.random.Generator, shape: Shape, people: int) -> Scene:
        """Return a scene of *people* (0 for none) without augmentation, for evaluation."""
        scene = Scene.of(self._backgrounds.draw(rng, shape))
        self._add_people(rng, scene, people)
        forget_hidden(scene)
        return scene

    def _add_photo(self, rng: np.random.Generator, scene: Scene) -> None:
        """Paste a whole photo, as large as the shape allows or larger, so that the body is sometimes cut."""
        image, label_map = self._figures.draw(rng)
        if rng.random() < _GARMENTS_RECOLOURED:
            image = recolour_garments(rng, image, label_map)
        height, width = scene.image.shape[:2]
        fit = min(height / image.shape[0], width / image.shape[1])
        fill = max(height / image.shape[0], width / image.shape[1])
        scale = fit * (fill / fit * 1.3) ** rng.uniform(-0.15, 0.7)
        if rng.random() < 0.15:
            scale = fill * rng.uniform(1.3, 2.5)  # a person close to the camera, cut by the frame on all sides
        rows, columns = np.nonzero(label_map)
        pick = int(rng.integers(rows.size))  # a body pixel that will be in view
        anchor = np.array([columns[pick], rows[pick]], dtype=np.float64)
        target = np.array([width, height]) * rng.uniform(0.3, 0.7, 2)
        whole = np.array([image.shape[1] / 2, image.shape[0] / 2])
        if rng.random() < 0.5:
            anchor, target = whole, np.array([width / 2, height / 2]) + rng.normal(0, 0.05, 2) * (width, height)
        place = Placement(scale, float(rng.normal(0, 3)), bool(rng.random() < 0.5), anchor, target)
        own_background = rng.random() < 0.75
        if own_background and rng.random() < 0.3:
            image = refocus(rng, image, label_map > 0)
        paste(scene, image, label_map, place, whole_photo=own_background)

    def _add_people(self, rng: np.random.Generator, scene: Scene, count: int) -> None:
        """Paste cut-out people, the far (small, high) ones first."""
        if count > 1 and rng.random() < _CLOSE:
            self._add_close_group(rng, scene, min(count, 3))
            return
        base = rng.uniform(0.3, 1.05)
        heights = np.sort(base * rng.uniform(0.65, 1.15, count))
        for height in heights:
            self._add_person(rng, scene, float(height), rng.uniform(0.03, 0.97))

    def _add_close_group(self, rng: np.random.Generator, scene: Scene, count: int) -> None:
        """Paste people side by side close to the camera, heads at a similar height, cut by the lower edge."""
        relative = rng.uniform(1.2, 2.4)
        columns = (np.arange(count) + 0.5) / count + rng.normal(0, 0.07, count)
        for column in rng.permutation(columns):
            height = float(relative * rng.uniform(0.85, 1.15))
            self._add_person(rng, scene, height, float(column), top=rng.uniform(0.03, 0.3))

    def _add_person(
        self, rng: np.random.Generator, scene: Scene, relative: float, column: float, *, top: float | None = None
    ) -> None:
        """Paste a person about *relative* times as high as the image, at fractions of its width and height.

        Without *top*, the feet are where those of a person of that size would be on level ground.
        """
        image, label_map = self._figure(rng)
        if rng.random() < 0.7:
            image = recolour(rng, image)
        if rng.random() < 0.2:
            image = soften(rng, image)
        height, width = scene.image.shape[:2]
        rows, columns = np.nonzero(label_map)
        scale = min(max(relative * height, 40) / (rows[-1] - rows[0] + 1), _MOST_ENLARGED)
        feet = np.array([float(np.median(columns)), float(rows[-1])])
        shown = scale * (rows[-1] - rows[0] + 1) / height
        ground = min(1.25, max(0.55, 0.5 + 0.5 * shown + rng.normal(0, 0.08))) if top is None else top + shown
        target = np.array([width * column, height * ground])
        place = Placement(scale, float(rng.normal(0, 4)), bool(rng.random() < 0.5), feet, target)
        paste(scene, image, label_map, place, whole_photo=False)

    def _figure(self, rng: np.random.Generator) -> tuple[Image, Image]:
        """Return a person to cut out, from a photo or a rendered scene."""
        if self._rendered is not None and rng.random() < _RENDERED_FIGURES:
            return self._rendered.cut_out(rng)
        return self._figures.draw(rng)
