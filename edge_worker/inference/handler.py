"""The pipeline inside a model process: loading, warm-up, facts for the model card, frames."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from edge_worker.common.files import content_of, write_whole
from edge_worker.imaging.decoder import silence_decoder
from edge_worker.inference.pipeline import Pipeline, Stages
from edge_worker.inference.types import ModelCardFacts, OutputRequest
from edge_worker.m2fp.kernels.loader import loaded_kernels
from edge_worker.ops.threads import effective

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_worker.inference.types import EncodedResult, ModelSettings

_USUAL_SIZE = (1280, 720)  # width, height of the frame to warm up with, before any has been seen
_SIZE_FILE = "frame_size.json"
_MAX_SIZE_BYTES = 1000  # of that file
_GREY = 128


class PipelineHandler:
    """A :class:`edge_worker.inference.main.FrameHandler` around the real pipeline."""

    def __init__(self, settings: ModelSettings) -> None:
        """Load the model; raises as :meth:`edge_worker.inference.pipeline.Pipeline.open` does."""
        settings.threads.apply_to_opencv()
        silence_decoder()
        self._requested_threads = settings.requested_threads
        self._memory = SizeMemory(settings.cache_directory, settings.limits.max_pixels)
        self._pipeline = Pipeline.open(settings, trial_size=self._memory.recall())

    def card(self) -> ModelCardFacts:
        """Return the facts about the loaded model, and the effective threads."""
        info, palette = self._pipeline.parser.info, self._pipeline.palette
        return ModelCardFacts(
            name=info.name,
            sha256=info.sha256,
            engine=info.engine,
            precision=info.precision,
            reason=info.reason,
            classes=palette.names,
            colors=palette.colors,
            threads={
                "requested": self._requested_threads,
                "effective": effective(self._pipeline.parser.threads()),
            },
            warning=info.warning,
            kernels=loaded_kernels(),
            fingerprint=hashlib.sha256(repr((info.fingerprint, palette.names, palette.colors)).encode()).hexdigest(),
        )

    def warm_up(self, note: Callable[[str], None]) -> float:
        """Run a grey frame of the remembered size; return the seconds that it took, without compilation."""
        width, height = self._memory.recall()
        image = np.full((height, width, 3), _GREY, np.uint8)
        note("compile")
        self._pipeline.parser.compile(self._pipeline.parser.preprocess(image))
        note("warm_up")
        began = perf_counter()
        request = OutputRequest()
        self._pipeline.encode(self._pipeline.analyse(image, request, Stages()), request, Stages())
        return perf_counter() - began

    def run(self, payload: bytes, request: OutputRequest, note: Callable[[str], None]) -> EncodedResult:
        """Parse one frame; raises FrameRejected if it has no result."""
        result = self._pipeline.run(payload, request, note)
        self._memory.learn(result.width, result.height)
        return result


class SizeMemory:
    """The size of the first frame of this process, kept in a file for the next one to warm up with.

    If the file cannot be read or written, the first frame takes longer.
    """

    def __init__(self, directory: str | None, max_pixels: int) -> None:
        """Keep the size in *directory* (None: nowhere); sizes above *max_pixels* are ignored."""
        self._file = None if directory is None else Path(directory) / _SIZE_FILE
        self._max_pixels = max_pixels
        self._learnt = False

    def recall(self) -> tuple[int, int]:
        """Return width and height of the warm-up frame."""
        with suppress(OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError):
            size = json.loads(content_of(self._file, _MAX_SIZE_BYTES)) if self._file else {}
            width, height = int(size["width"]), int(size["height"])
            if min(width, height) > 0 and width * height <= self._max_pixels:
                return width, height
        return _USUAL_SIZE

    def learn(self, width: int, height: int) -> None:
        """Store the size of the first frame of this process."""
        if self._learnt or self._file is None:
            return
        self._learnt = True
        with suppress(OSError):
            write_whole(self._file, json.dumps({"width": width, "height": height}).encode())
