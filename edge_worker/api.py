"""The library: load a model, parse images. What it returns is what the worker publishes.

Loading and parsing change nothing process-wide: no environment variable, signal handler, log level or thread limit.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

import numpy as np

from edge_worker.imaging.headers import FORMATS, DecodeLimits
from edge_worker.imaging.palette import Palette
from edge_worker.inference.labels import labels_body
from edge_worker.inference.outputs import ImageRequest
from edge_worker.inference.painters import PAINTERS, encode
from edge_worker.inference.pipeline import Pipeline, Stages
from edge_worker.inference.types import OutputRequest
from edge_worker.m2fp.engines.base import EngineOptions
from edge_worker.m2fp.engines.choose import AUTO
from edge_worker.m2fp.parser import load_parser as load_network
from edge_worker.messages import LabelsBody

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    import numpy.typing as npt

    from edge_worker.inference.pipeline import Analysis
    from edge_worker.m2fp.parser import ModelInfo
    from edge_worker.m2fp.postprocess.persons import Label, Person, Unassigned
    from edge_worker.m2fp.types import Instance

_CHANNELS = 3
_MAX_PAYLOAD_BYTES = 16_000_000  # as `limits.max_payload_mb`


class Parsing:
    """What was found in one image. Boxes are (x, y, width, height) in pixels from the top left corner."""

    def __init__(self, analysis: Analysis, palette: Palette) -> None:
        """:meth:`Parser.parse` makes one."""
        self._analysis, self._palette = analysis, palette

    @property
    def image(self) -> npt.NDArray[np.uint8]:
        """The image, RGB uint8 H×W×3, turned as its EXIF orientation says."""
        return self._analysis.picture

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
        return self._analysis.people.labels

    @property
    def persons(self) -> tuple[Person, ...]:
        """Persons, highest score first: disjoint masks, each with its parts. None with single-human models."""
        return self._analysis.people.persons

    @property
    def unassigned(self) -> tuple[Unassigned, ...]:
        """Pixels of the label map outside every person, by class."""
        return self._analysis.people.unassigned

    @property
    def candidates(self) -> tuple[Instance, ...]:
        """The model's own candidates for parts and persons, untouched: they overlap and repeat each other."""
        return (*self._analysis.parsing.parts, *self._analysis.parsing.persons)

    def colormap(self) -> bytes:
        """The label map as a palette PNG: pixel value = class index, palette = class colours."""
        return self._encoded(ImageRequest("colormap", "palette-png"))

    def overlay(self, *, alpha: float = 0.5, quality: int = 85) -> bytes:
        """The image with class colours blended in (*alpha*, 0 to 1), outlines and a legend, as JPEG."""
        return self._encoded(ImageRequest("overlay", quality=quality, alpha=alpha))

    def to_json(self, *, masks: bool = False) -> str:
        """What depends on the image alone in the labels message; with *masks* as COCO run lengths, too."""
        request = OutputRequest(masks="rle" if masks else "none")
        body = labels_body(self._analysis.parsing, self._analysis.people, self._palette, request)
        return LabelsBody.model_validate(body).to_json().decode()

    def _encoded(self, request: ImageRequest) -> bytes:
        drawing = next(iter(PAINTERS[request.kind](self._analysis, self._palette, request)))
        return cast("bytes", encode(drawing, self._palette, request))


class Parser:
    """One loaded model. A context manager; not for several threads at a time."""

    def __init__(self, pipeline: Pipeline) -> None:
        """:func:`load_parser` makes one."""
        self._pipeline = pipeline

    def __enter__(self) -> Self:
        """Use the parser within a ``with`` block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    @property
    def info(self) -> ModelInfo:
        """Name, checksum, engine and precision of the model."""
        return self._pipeline.parser.info

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in index order."""
        return self._pipeline.parser.classes

    def parse(self, image: npt.NDArray[np.uint8], *, score_threshold: float | None = None) -> Parsing:
        """Parse an image, RGB uint8 H×W×3, C-contiguous.

        Args:
            image: OpenCV's images are BGR: turn them by ``cv2.cvtColor(image, cv2.COLOR_BGR2RGB)``.
            score_threshold: 0 to 1: persons and parts that score less are left out; None: the model's own.

        Raises:
            ValueError: *image* is none; the message says what it is.
        """
        request = OutputRequest(score_threshold=score_threshold)
        return Parsing(self._pipeline.analyse(checked(image), request, Stages()), self._pipeline.palette)

    def parse_bytes(self, payload: bytes, *, score_threshold: float | None = None) -> Parsing:
        """Parse what a camera would send: a JPEG, PNG, WebP or BMP file, or a JSON envelope with one.

        Raises:
            DecodeError: it is none within the limits; ``reason`` and ``detail`` say why.
        """
        return self.parse(self._pipeline.decode(payload), score_threshold=score_threshold)

    def parse_file(self, path: str | Path, *, score_threshold: float | None = None) -> Parsing:
        """Parse a file, as :meth:`parse_bytes` does.

        Raises:
            OSError: it cannot be read.
            DecodeError: it is no image within the limits.
        """
        return self.parse_bytes(Path(path).read_bytes(), score_threshold=score_threshold)

    def close(self) -> None:
        """Release what the engine holds; the parser is not used afterwards."""
        self._pipeline.parser.close()


def checked(image: object) -> npt.NDArray[np.uint8]:
    """Return *image* if it is RGB uint8 H×W×3, not empty, and C-contiguous.

    Raises:
        ValueError: it is not; the message gives shape and dtype, and what to do.
    """
    if not isinstance(image, np.ndarray):
        raise ValueError(f"an image is an RGB uint8 array of shape (height, width, 3), not {type(image).__name__}")  # noqa: TRY004 - one kind of error for whatever is wrong with it
    seen = f"not {image.dtype} {image.shape}"
    if image.ndim != _CHANNELS or image.shape[2] != _CHANNELS:
        hints = {2: "cv2.COLOR_GRAY2RGB", 4: "cv2.COLOR_BGRA2RGB"}
        hint = hints.get(image.shape[2] if image.ndim == _CHANNELS else image.ndim, "")
        advice = f"; cv2.cvtColor(image, {hint}) makes one" if hint else ""
        raise ValueError(f"an image has shape (height, width, 3), {seen}{advice}")
    if image.dtype != np.uint8:
        raise ValueError(f"an image is uint8, 0 to 255, {seen}")
    if image.size == 0:
        raise ValueError(f"an image has pixels, {seen}")
    if not image.flags.c_contiguous:
        raise ValueError(f"an image is C-contiguous, {seen} with strides {image.strides}: np.ascontiguousarray(image)")
    return image


def load_parser(
    path: str | Path = "builtin:m2fp-lite",
    engine: str = AUTO,
    precision: str = AUTO,
    threads: int | None = None,
    *,
    short_side: int | None = None,
    cache_directory: str | Path | None = None,
    shapes: int = EngineOptions.shapes,
    palette: Mapping[str, str] | None = None,
    max_pixels: int = 25_000_000,
) -> Parser:
    """Load a model.

    Args:
        path: ``builtin:NAME``, or the directory of an exported model or of a ModelScope checkpoint.
        engine: auto, openvino, onnxruntime, torch or modelscope.
        precision: auto, f32, bf16x3, bf16, f16 or int8.
        threads: of one inference; None leaves it to the engine.
        short_side: of the network's input in multi-human models, pixels; None: the model's own.
        cache_directory: where compiled networks are kept between runs; None keeps none.
        shapes: of the input, for which networks stay compiled.
        palette: class name → ``#rrggbb``, for colours that are to differ.
        max_pixels: width × height of the largest image that :meth:`Parser.parse_bytes` decodes.

    Raises:
        CheckpointError: the model is missing, incomplete or altered.
        EngineError: the engine or precision asked for cannot run it here.
        ConfigError: *palette* names a class that the model does not have.
    """
    accepted = DecodeLimits(_MAX_PAYLOAD_BYTES, max_pixels, FORMATS)
    cache = None if cache_directory is None else Path(cache_directory)
    network = load_network(
        path, engine, precision, threads, short_side=short_side, cache_directory=cache, shapes=shapes
    )
    return Parser(Pipeline(network, Palette.for_classes(network.classes, dict(palette or {})), accepted))
