"""The library: load a model, parse images. Results are the same as those that the worker publishes.

Loading and parsing change no process-wide state: environment variables, signal handlers, log levels or thread limits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from edge_worker.api.arguments import at_least_1, colours, file_bytes, file_path, rgb_image, text, within
from edge_worker.api.parsing import Parsing
from edge_worker.common.image_formats import DecodeLimits
from edge_worker.imaging.headers import FORMATS
from edge_worker.imaging.palette import Palette
from edge_worker.inference.pipeline import Pipeline, Stages
from edge_worker.inference.types import OutputRequest
from edge_worker.m2fp.engines.base import EngineOptions
from edge_worker.m2fp.engines.choose import AUTO
from edge_worker.m2fp.parser import ModelInfo
from edge_worker.m2fp.parser import load_parser as load_network

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt


_MAX_PAYLOAD_BYTES = 16_000_000  # as `limits.max_payload_mb`


class Parser:
    """A loaded model. A context manager. Not thread-safe."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Use :func:`load_parser` instead."""
        if not isinstance(pipeline, Pipeline):
            raise TypeError(f"load_parser(...) makes a Parser; it cannot be made of {pipeline!r}")
        self._pipeline = pipeline
        self._closed = False

    def __repr__(self) -> str:
        """Return model, engine and precision."""
        return f"<Parser of {self.info.name}; {self.info.engine}, {self.info.precision}>"

    def __enter__(self) -> Self:
        """Use the parser within a ``with`` block."""
        self._check_open()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the parser."""
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
            image: convert OpenCV's BGR with ``cv2.cvtColor(image, cv2.COLOR_BGR2RGB)``.
            score_threshold: 0 to 1; persons and parts with a lower score are left out; None: the model's own.

        Raises:
            ValueError: *image* is not such an array, or *score_threshold* is out of range.
            RuntimeError: the parser is closed.
        """
        self._check_open()
        if score_threshold is not None:
            within("score_threshold", score_threshold, 0, 1)
        request = OutputRequest(score_threshold=score_threshold)
        analysis = self._pipeline.analyse(rgb_image(image), request, Stages())
        return Parsing(analysis.without_raw(), self._pipeline.palette)

    def parse_bytes(self, payload: bytes, *, score_threshold: float | None = None) -> Parsing:
        """Parse a payload as cameras send it: a JPEG, PNG, WebP or BMP file, or a JSON envelope with one.

        Raises:
            DecodeError: it is not an accepted image within the limits; ``reason`` and ``detail`` say why.
            TypeError: *payload* is not bytes.
            RuntimeError: the parser is closed.
        """
        self._check_open()
        return self.parse(self._pipeline.decode(file_bytes(payload)), score_threshold=score_threshold)

    def parse_file(self, path: str | Path, *, score_threshold: float | None = None) -> Parsing:
        """Parse a file; its content as in :meth:`parse_bytes`.

        Raises:
            OSError: it cannot be read.
            DecodeError: it is not an accepted image within the limits.
            TypeError: *path* is not a path.
            RuntimeError: the parser is closed.
        """
        self._check_open()
        content = self._pipeline.read(file_path("path", path))
        return self.parse_bytes(content, score_threshold=score_threshold)

    def close(self) -> None:
        """Release the engine. Existing parsings stay usable; closing again has no effect."""
        if not self._closed:
            self._closed = True
            self._pipeline.parser.close()

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("this parser is closed: load another, or parse within its with block")


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
        threads: per inference; None leaves it to the engine.
        short_side: shorter side of the network's input in multi-human models, pixels; None: the model's own.
        cache_directory: directory for compiled networks; None: they are not kept.
        shapes: number of input shapes that stay compiled.
        palette: class name → ``#rrggbb``, to override colours.
        max_pixels: width × height of the largest image that :meth:`Parser.parse_bytes` decodes.

    Raises:
        CheckpointError: the model is missing, incomplete or altered.
        EngineError: the requested engine or precision cannot run it here.
        ConfigError: *palette* has an unknown class or an invalid colour.
        ValueError: a number is less than 1, or a path empty.
        TypeError: an argument has the wrong type.
    """
    file_path("path", path)
    text("engine", engine)
    text("precision", precision)
    colours("palette", palette)
    given = {"threads": threads, "short_side": short_side}
    numbers = {name: value for name, value in given.items() if value is not None}
    for name, value in {**numbers, "shapes": shapes, "max_pixels": max_pixels}.items():
        at_least_1(name, value)
    accepted = DecodeLimits(_MAX_PAYLOAD_BYTES, max_pixels, FORMATS)
    cache = None if cache_directory is None else file_path("cache_directory", cache_directory)
    network = load_network(
        path, engine, precision, threads, short_side=short_side, cache_directory=cache, shapes=shapes
    )
    return Parser(Pipeline(network, Palette.for_classes(network.classes, dict(palette or {})), accepted))
