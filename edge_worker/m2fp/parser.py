"""A loaded model: frames in, parsings out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_worker.common.platforms import available_cpus
from edge_worker.m2fp.directory import open_directory
from edge_worker.m2fp.engines.base import EngineOptions, shape_of
from edge_worker.m2fp.engines.choose import AUTO, Choice, start_engine
from edge_worker.m2fp.engines.fingerprint import fingerprint
from edge_worker.m2fp.limb_sides import LimbSides
from edge_worker.m2fp.parallel import InThreads
from edge_worker.m2fp.parts import decide_parts
from edge_worker.m2fp.people import decide_overlaps
from edge_worker.m2fp.postprocess import class_probabilities, postprocess
from edge_worker.m2fp.preprocess import NetInput, preprocess, reduction

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.m2fp.directory import ModelDirectory
    from edge_worker.m2fp.engines.base import Shape
    from edge_worker.m2fp.types import ByteArray, Logits, Parsing, Size


@dataclass(frozen=True)
class ModelInfo:
    """Description of a loaded model.

    Attributes:
        name: display name.
        sha256: SHA-256 of the weights (or the exported graph), hex.
        engine: engine in use; ``precision`` is its precision.
        reason: why this engine and precision were chosen, for operators.
        threads: requested threads per inference; None leaves it to the engine.
        warning: a sentence for users, or empty.
        fingerprint: digest of everything results depend on besides the image: model, engine, precision, input size.
    """

    name: str
    sha256: str
    engine: str
    precision: str
    reason: str
    threads: int | None
    warning: str
    fingerprint: str = ""


class Parser:
    """One model in one engine. Not thread-safe.

    :meth:`parse` runs :meth:`preprocess`, :meth:`infer` and :meth:`postprocess`; they are public for callers that
    time them or need the raw logits.
    """

    def __init__(self, model: ModelDirectory, choice: Choice, threads: int | None, short_side: int | None) -> None:
        """Use the engine of *choice*; see :func:`load_parser`."""
        self._config = model.config
        self._engine = choice.engine
        self._sides = LimbSides(choice.sides, model.config) if choice.sides else None
        self._short_side = short_side
        self._each = InThreads(threads or len(available_cpus()))
        self.info = ModelInfo(
            name=model.name,
            sha256=model.sha256,
            engine=choice.name,
            precision=choice.precision,
            reason=choice.reason,
            threads=threads,
            warning=model.warning,
            fingerprint=fingerprint(choice.name, choice.precision, *model.digests, str(short_side)),
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in index order; multi-human models include the person class."""
        return self._config.classes

    def parse(self, image: ByteArray, short_side: int | None = None) -> Parsing:
        """Parse a frame, RGB uint8 H×W×3; *short_side* (pixels) overrides the parser's for this frame."""
        net_input = self.preprocess(image, short_side)
        return self.postprocess(self.infer(net_input), net_input)

    def reduction(self, frame: Size) -> int:
        """Return the factor by which a *frame* may be shrunk before :meth:`preprocess`: 1, 2, 4 or 8."""
        return reduction(frame, self._config, self._short_side)

    def preprocess(self, image: ByteArray, short_side: int | None = None, frame: Size | None = None) -> NetInput:
        """Convert a frame, RGB uint8 H×W×3, to the network's input; *frame* is its size if *image* is reduced."""
        return preprocess(image, self._config, short_side or self._short_side, self._each, frame)

    def is_compiled(self, net_input: NetInput) -> bool:
        """Return whether the network is compiled for this input shape, and the second one if the model has it."""
        is_ready = self._sides is None or self._sides.is_compiled()
        return is_ready and self._engine.is_compiled(shape_of(net_input.tensor))

    def compile(self, net_input: NetInput) -> None:
        """Compile for this input shape, which may take seconds; :meth:`infer` does so if needed."""
        self._engine.compile(shape_of(net_input.tensor))
        if self._sides:
            self._sides.compile()

    def threads(self) -> int | None:
        """Return the threads per inference as reported by the engine once a shape is compiled; None if unknown."""
        return self._engine.threads()

    def infer(self, net_input: NetInput) -> Logits:
        """Run the network, and the second one if the model has it; the first run of an input shape may take seconds.

        Where the network separates people, overlaps of their masks, and doubtful parts, are decided too.
        """
        logits = self._engine.infer(net_input.tensor)
        if self._config.separates_people:
            scores, human = class_probabilities(logits.class_logits), self._config.num_parsing
            decide_overlaps(scores[:, human], logits.mask_logits)
            decide_parts(scores, logits.mask_logits, self.classes[:human])
        if self._sides:
            self._sides.refine(net_input.image, logits)
        return logits

    def postprocess(self, logits: Logits, net_input: NetInput) -> Parsing:
        """Interpret *logits* for the frame behind *net_input*."""
        return postprocess(logits, net_input.geometry, self._config, self._each)

    def close(self) -> None:
        """Release the engine; the parser must not be used afterwards."""
        self._engine.close()
        if self._sides:
            self._sides.close()
        self._each.close()


def _input_shape(model: ModelDirectory, size: tuple[int, int], short_side: int | None) -> Shape:
    """Return the shape of the network's input for frames of *size* (width, height)."""
    width, height = size
    return shape_of(preprocess(np.zeros((height, width, 3), np.uint8), model.config, short_side).tensor)


def load_parser(
    path: str | Path,
    engine: str = AUTO,
    precision: str = AUTO,
    threads: int | None = None,
    *,
    short_side: int | None = None,
    cache_directory: Path | None = None,
    shapes: int = EngineOptions.shapes,
    trial_size: tuple[int, int] | None = None,
) -> Parser:
    """Load a model.

    Args:
        path: directory of a ModelScope checkpoint or of an exported model, or ``builtin:NAME``.
        engine: auto, openvino, onnxruntime, torch or modelscope.
        precision: auto, f32, bf16x3, bf16, f16 or int8.
        threads: threads per inference; None leaves it to the engine.
        short_side: shorter side of the network's input in multi-human models, pixels; None uses the model's own.
        cache_directory: cache for compiled and exported networks; None disables it.
        shapes: number of input shapes that stay compiled.
        trial_size: width and height of frames on which engines are tried before one is loaded, in a subprocess and
            once per cache; None: no trials, and an engine that crashes ends this process.

    Raises:
        CheckpointError: the model is missing, incomplete or altered.
        EngineError: the requested engine or precision cannot run it here.
    """
    model = open_directory(path)
    trial = None if trial_size is None else _input_shape(model, trial_size, short_side)
    choice = start_engine(model, engine, EngineOptions(precision, threads, cache_directory, shapes, trial))
    return Parser(model, choice, threads, short_side)
