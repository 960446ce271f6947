"""One model, loaded: frames in, parsings out."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_worker.m2fp.directory import open_directory
from edge_worker.m2fp.engines.base import EngineOptions, shape_of
from edge_worker.m2fp.engines.choose import AUTO, Choice, start_engine
from edge_worker.m2fp.postprocess import postprocess
from edge_worker.m2fp.preprocess import NetInput, preprocess

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.m2fp.directory import ModelDirectory
    from edge_worker.m2fp.types import ByteArray, Logits, Parsing


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a loaded model.

    Attributes:
        name: what it calls itself.
        sha256: of its weights (or its exported graph), hex.
        engine: what runs it; ``precision`` what it computes in.
        reason: why this engine and this precision, for an operator.
        threads: of one inference, as asked for; None leaves it to the engine.
        warning: a sentence for users, or nothing.
    """

    name: str
    sha256: str
    engine: str
    precision: str
    reason: str
    threads: int | None
    warning: str


class Parser:
    """One model in one engine. Not for several threads at a time.

    :meth:`parse` is :meth:`preprocess`, :meth:`infer` and :meth:`postprocess` in turn; they are public for callers that
    time them or want the raw logits.
    """

    def __init__(self, model: ModelDirectory, choice: Choice, threads: int | None, short_side: int | None) -> None:
        """Use the engine of *choice*; :func:`load_parser` makes one."""
        self._config = model.config
        self._engine = choice.engine
        self._short_side = short_side
        self._pool = ThreadPoolExecutor(threads or _cpus(), thread_name_prefix="postprocess")
        self.info = ModelInfo(
            model.name, model.sha256, choice.name, choice.precision, choice.reason, threads, model.warning
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in index order; in multi-human models the person is one of them."""
        return self._config.classes

    @property
    def single_human(self) -> bool:
        """Whether the model tells no persons apart."""
        return self._config.single_human

    def parse(self, image: ByteArray, short_side: int | None = None) -> Parsing:
        """Parse a frame, RGB uint8 H×W×3; *short_side* (pixels) overrides the parser's for this frame."""
        net_input = self.preprocess(image, short_side)
        return self.postprocess(self.infer(net_input), net_input)

    def preprocess(self, image: ByteArray, short_side: int | None = None) -> NetInput:
        """Make the network's input of a frame, RGB uint8 H×W×3."""
        return preprocess(image, self._config, short_side or self._short_side)

    def is_compiled(self, net_input: NetInput) -> bool:
        """Whether :meth:`infer` can run inputs of this shape at once."""
        return self._engine.is_compiled(shape_of(net_input.tensor))

    def compile(self, net_input: NetInput) -> None:
        """Compile for inputs of this shape, which may take seconds; :meth:`infer` does it where it was not done."""
        self._engine.compile(shape_of(net_input.tensor))

    def threads(self) -> int | None:
        """Threads of one inference as the engine's library says, once a shape is compiled; None if it does not."""
        return self._engine.threads()

    def infer(self, net_input: NetInput) -> Logits:
        """Run the network; the first time a shape comes this may take seconds."""
        return self._engine.infer(net_input.tensor)

    def postprocess(self, logits: Logits, net_input: NetInput) -> Parsing:
        """Interpret the network's output for the frame that *net_input* was made of."""
        return postprocess(logits, net_input.geometry, self._config, self._pool.map)

    def warm_up(self, width: int, height: int) -> None:
        """Parse a grey frame of this size, so that the first of its kind is served without delay."""
        self.parse(np.full((height, width, 3), 128, np.uint8))

    def close(self) -> None:
        """Release what the engine holds; the parser is not used afterwards."""
        self._engine.close()
        self._pool.shutdown()


def _cpus() -> int:
    """How many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load_parser(
    path: str | Path,
    engine: str = AUTO,
    precision: str = AUTO,
    threads: int | None = None,
    *,
    short_side: int | None = None,
    cache_directory: Path | None = None,
    shapes: int = EngineOptions.shapes,
) -> Parser:
    """Load a model.

    Args:
        path: directory of a ModelScope checkpoint or of an exported model, or ``builtin:NAME``.
        engine: auto, openvino, onnxruntime, torch or modelscope.
        precision: auto, f32, bf16x3, bf16, f16 or int8.
        threads: of one inference; None leaves it to the engine.
        short_side: of the network's input in multi-human models, pixels; None takes the model's own.
        cache_directory: where compiled and exported networks are kept between runs; None keeps none.
        shapes: of the input, for which networks stay compiled.

    Raises:
        CheckpointError: the model is missing, incomplete or altered.
        EngineError: the engine or precision asked for cannot run it here.
    """
    model = open_directory(path)
    choice = start_engine(model, engine, EngineOptions(precision, threads, cache_directory, shapes))
    return Parser(model, choice, threads, short_side)
