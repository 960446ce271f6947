"""Payload bytes → encoded results: decode, parse, render, encode. No network, no globals; stages are timed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from edge_worker.frames.envelope import is_envelope, open_envelope
from edge_worker.imaging.decoder import Reduced, decode_reduced, read_file
from edge_worker.imaging.palette import Palette
from edge_worker.inference.labels import labels_body
from edge_worker.inference.outputs import KINDS
from edge_worker.inference.painters import PAINTERS, encode
from edge_worker.inference.types import EncodedImage, EncodedResult
from edge_worker.m2fp.parser import load_parser
from edge_worker.m2fp.postprocess.persons import summarize
from edge_worker.m2fp.types import Size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from edge_worker.common.image_formats import DecodeLimits
    from edge_worker.imaging.arrays import RgbImage
    from edge_worker.inference.outputs import ImageRequest
    from edge_worker.inference.painters import Drawing
    from edge_worker.inference.types import ModelSettings, OutputRequest
    from edge_worker.m2fp.parser import Parser
    from edge_worker.m2fp.postprocess.persons import Summary
    from edge_worker.m2fp.preprocess import NetInput
    from edge_worker.m2fp.types import Logits, Parsing


@dataclass(frozen=True, eq=False)
class Analysis:
    """An image and its parsing, before encoding.

    Attributes:
        image: RGB uint8 H×W×3; reduced if no requested output shows it.
        parsing: label map and candidates.
        summary: labels and persons.
        raw: input and output of the network (megabytes); None once it is not needed any more.
    """

    image: RgbImage
    parsing: Parsing
    summary: Summary
    raw: RawOutput | None = None

    def without_raw(self) -> Analysis:
        """Return a copy without :attr:`raw`, for caching."""
        return replace(self, raw=None)


class RawOutput(NamedTuple):
    """Input of the network with its geometry, and its output."""

    net_input: NetInput
    logits: Logits


class Stages:
    """Timer of the stages of one frame; announces each phase when it begins."""

    def __init__(self, note: Callable[[str], None] = lambda _phase: None) -> None:
        """Call *note* with each phase."""
        self._note = note
        self._stage = ""
        self._began = 0.0
        self._ms: dict[str, float] = {}

    def begin(self, stage: str, *, phase: str | None = None) -> None:
        """End the current stage and start or continue *stage*, announced as *phase* if given."""
        self.end()
        self._note(phase or stage)
        self._stage, self._began = stage, perf_counter()

    def end(self) -> dict[str, float]:
        """End the current stage; return the milliseconds of each stage."""
        if self._stage:
            ms = 1000 * (perf_counter() - self._began)
            self._ms[self._stage] = round(self._ms.get(self._stage, 0.0) + ms, 3)
        self._stage = ""
        return self._ms


class Pipeline:
    """One model, its palette and the limits of its images. Not thread-safe."""

    def __init__(self, parser: Parser, palette: Palette, limits: DecodeLimits) -> None:
        """Use *parser*, the colours of *palette* (one per class), and accept images within *limits*."""
        self.parser = parser
        self.palette = palette
        self._limits = limits

    @classmethod
    def open(cls, settings: ModelSettings, *, trial_size: tuple[int, int] | None = None) -> Pipeline:
        """Load the model of *settings*; engines are tried on frames of *trial_size* as in :func:`load_parser`.

        Raises:
            ModelError: the model cannot be used.
            ConfigError: the palette names classes that the model does not have.
        """
        model = settings.model
        parser = load_parser(
            model.path,
            model.engine,
            model.precision,
            settings.threads.inference,
            short_side=model.short_side,
            cache_directory=None if settings.cache_directory is None else Path(settings.cache_directory),
            shapes=model.shapes,
            trial_size=trial_size,
        )
        palette = Palette.for_classes(parser.classes, settings.palette)
        return cls(parser, palette, settings.limits)

    def run(
        self, payload: bytes, request: OutputRequest, note: Callable[[str], None] = lambda _phase: None
    ) -> EncodedResult:
        """Parse a payload: an image or a JSON envelope.

        Calls *note* with each phase as it begins: the stages ``decode, preprocess, inference, postprocess, render,
        encode``, and ``compile`` before ``inference`` (and timed with it) if the network must first be compiled for the
        image's shape.

        Raises:
            DecodeError: the payload is not an image within the limits.
        """
        stages = Stages(note)
        stages.begin("decode")
        in_full = any(KINDS[image.kind].of_pixels for image in request.images)
        decoded = self._decoded(payload, reduced=not in_full)
        analysis = self.analyse(decoded.image, request, stages, Size(decoded.width, decoded.height))
        return self.encode(analysis, request, stages)

    def read(self, file: Path) -> bytes:
        """Read an image file.

        Raises:
            OSError: it cannot be read.
            DecodeError: it is larger than the limits allow.
        """
        return read_file(file, self._limits)

    def decode(self, payload: bytes) -> RgbImage:
        """Decode the image of a payload: RGB uint8 H×W×3 in displayed orientation.

        Raises:
            DecodeError: the payload is not an image within the limits.
        """
        return self._decoded(payload, reduced=False).image

    def _decoded(self, payload: bytes, *, reduced: bool) -> Reduced:
        if is_envelope(payload):
            payload = open_envelope(payload, self._limits.max_payload_bytes).image
        return decode_reduced(
            payload,
            self._limits,
            lambda width, height: self.parser.reduction(Size(width, height)) if reduced else 1,
        )

    def analyse(self, image: RgbImage, request: OutputRequest, stages: Stages, frame: Size | None = None) -> Analysis:
        """Parse an image, RGB uint8 H×W×3; *frame* is the full size of a reduced one."""
        stages.begin("preprocess")
        net_input = self.parser.preprocess(image, frame=frame)
        if not self.parser.is_compiled(net_input):
            stages.begin("inference", phase="compile")
            self.parser.compile(net_input)
        stages.begin("inference")
        logits = self.parser.infer(net_input)
        stages.begin("postprocess")
        parsing = self.parser.postprocess(logits, net_input)
        summary = summarize(parsing, request.score_threshold)
        return Analysis(image, parsing, summary, RawOutput(net_input, logits))

    def encode(self, analysis: Analysis, request: OutputRequest, stages: Stages) -> EncodedResult:
        """Draw and encode the requested results."""
        stages.begin("render")
        drawn = [(image, list(PAINTERS[image.kind](analysis, self.palette, image))) for image in request.images]
        stages.begin("encode")
        height, width = analysis.parsing.label_map.shape
        return EncodedResult(
            width=width,
            height=height,
            images=tuple(self._encoded(drawn)),
            body=labels_body(analysis.parsing, analysis.summary, self.palette, request) if request.labels else {},
            timings_ms=stages.end(),
        )

    def _encoded(self, drawn: Iterable[tuple[ImageRequest, Iterable[Drawing]]]) -> Iterator[EncodedImage]:
        for request, drawings in drawn:
            for drawing in drawings:
                if (data := encode(drawing, self.palette, request)) is not None:
                    yield EncodedImage(request.kind, data, drawing.person)
