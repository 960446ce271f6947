"""Result of parsing one image, for users of the library."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from edge_worker.api.arguments import jpeg_sized, true_or_false, within
from edge_worker.inference.labels import labels_body
from edge_worker.inference.outputs import ImageRequest
from edge_worker.inference.painters import PAINTERS, encode
from edge_worker.inference.types import OutputRequest
from edge_worker.messages import LabelsBody

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edge_worker.imaging.palette import Palette
    from edge_worker.inference.pipeline import Analysis
    from edge_worker.m2fp.postprocess.persons import Label, Person, Unassigned
    from edge_worker.m2fp.types import Instance


class Parsing:
    """What was found in one image. Boxes are (x, y, width, height) in pixels from the top left corner."""

    def __init__(self, analysis: Analysis, palette: Palette) -> None:
        """Use :meth:`Parser.parse` instead."""
        self._analysis, self._palette = analysis, palette

    def __repr__(self) -> str:
        """Return size, number of persons and classes."""
        height, width = self.label_map.shape
        names = ", ".join(label.name for label in self.labels) or "none"
        return f"<Parsing of {width}x{height} pixels; persons: {len(self.persons)}; labels: {names}>"

    @property
    def image(self) -> npt.NDArray[np.uint8]:
        """The image, RGB uint8 H×W×3, turned according to its EXIF orientation."""
        return self._analysis.image

    @property
    def label_map(self) -> npt.NDArray[np.uint8]:
        """Class index of every pixel, uint8 H×W; 0 is background."""
        return self._analysis.parsing.label_map

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in index order."""
        return self._analysis.parsing.classes

    @property
    def labels(self) -> tuple[Label, ...]:
        """The classes that are present, largest first."""
        return self._analysis.summary.labels

    @property
    def persons(self) -> tuple[Person, ...]:
        """Persons, highest score first: disjoint masks, each with its parts. Empty with single-human models."""
        return self._analysis.summary.persons

    @property
    def unassigned(self) -> tuple[Unassigned, ...]:
        """Pixels of the label map outside every person, by class."""
        return self._analysis.summary.unassigned

    @property
    def candidates(self) -> tuple[Instance, ...]:
        """The model's raw candidates for parts and persons, which may overlap."""
        return (*self._analysis.parsing.parts, *self._analysis.parsing.persons)

    def colormap(self) -> bytes:
        """Return the label map as a palette PNG: pixel value = class index, palette = class colours."""
        return self._encoded(ImageRequest("colormap", "palette-png"))

    def overlay(self, *, alpha: float = 0.5, quality: int = 85) -> bytes:
        """Return the image with class colours blended in, outlines and a legend, as a JPEG.

        Args:
            alpha: weight of the colours, 0 to 1.
            quality: of the JPEG, 1 to 100.

        Raises:
            ValueError: an argument is out of range, or the image is longer than a JPEG can be.
        """
        within("alpha", alpha, 0, 1)
        within("quality", quality, 1, 100)
        jpeg_sized(self.image)
        return self._encoded(ImageRequest("overlay", quality=int(quality), alpha=alpha))

    def to_json(self, *, masks: bool = False) -> str:
        """Return the image-dependent part of the labels message as JSON; *masks*: with COCO run lengths.

        Raises:
            TypeError: *masks* is not a bool.
        """
        true_or_false("masks", masks)
        request = OutputRequest(masks="rle" if masks else "none")
        body = labels_body(self._analysis.parsing, self._analysis.summary, self._palette, request)
        return LabelsBody.model_validate(body).to_json().decode()

    def _encoded(self, request: ImageRequest) -> bytes:
        drawing = next(iter(PAINTERS[request.kind](self._analysis, self._palette, request)))
        return cast("bytes", encode(drawing, self._palette, request))
