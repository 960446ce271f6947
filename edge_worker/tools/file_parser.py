"""One image file → result files, by the worker's own pipeline and messages."""

from __future__ import annotations

import os
import time
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from edge_worker.frames.frame import Frame
from edge_worker.imaging.decoder import silence_decoder
from edge_worker.inference.outputs import KINDS
from edge_worker.inference.pipeline import Pipeline, RawOutput, Stages
from edge_worker.inference.types import ModelSettings
from edge_worker.messages import LabelsMessage, ModelName
from edge_worker.ops.directories import cache_directory
from edge_worker.service.replies import Now, Parsed
from edge_worker.service.section_outputs import SectionOutputs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_worker.config import Config
    from edge_worker.ops.threads import ThreadPlan

# Camera name in results from files.
CAMERA = "file"
_ENDINGS = {"application/json": "json", "image/png": "png", "image/jpeg": "jpg"}


class FileParser:
    """The worker without a broker: writes the messages that it would publish to files."""

    def __init__(self, config: Config, plan: ThreadPlan, out: Path, *, raw: bool) -> None:
        """Load the model of *config*; write to folder *out*, with *raw* also the network's output.

        Raises:
            ModelError: the model cannot be used.
            ConfigError: the palette names classes that the model does not have.
        """
        out.mkdir(parents=True, exist_ok=True)
        plan.apply_to_opencv()
        silence_decoder()
        self._out, self._raw = out, raw
        self._pipeline = Pipeline.open(ModelSettings.from_config(config, plan, cache_directory(os.environ)))
        outputs = SectionOutputs(config.node.id, config.output, score_threshold=config.model.score_threshold)
        self._builder, self._request = outputs.builder, outputs.configured
        info = self._pipeline.parser.info
        self._masks = config.output.labels.masks == "rle"
        self._kinds = tuple(kind for kind in config.output.enabled() if kind in KINDS and not KINDS[kind].per_person)
        self._model = ModelName(name=info.name, sha256=info.sha256, engine=info.engine, precision=info.precision)

    def parse(self, file: Path, name: str) -> None:
        """Parse *file*; the results' names begin with *name*.

        Raises:
            DecodeError: it is not an image within the limits.
            OSError: it cannot be read, or a result cannot be written.
        """
        frame = _frame(file, self._pipeline.read(file))
        stages = Stages()
        stages.begin("decode")
        image = self._pipeline.decode(frame.payload)
        analysis = self._pipeline.analyse(image, self._request, stages)
        result = self._pipeline.encode(analysis, self._request, stages)
        parsed = Parsed(result, self._model, taken=frame.arrived, cached=False)
        replies = self._builder.results(frame, parsed, Now.read())
        self._labels(name).unlink(missing_ok=True)  # written last, they show that the rest is complete
        if self._raw and analysis.raw is not None:
            _save_raw(self._out / f"{name}.npz", analysis.raw)
        for kind, group in groupby(replies, lambda reply: reply.kind):
            for number, reply in enumerate(group):
                part = f"{kind}-{number}" if kind in KINDS and KINDS[kind].per_person else kind
                (self._out / f"{name}.{part}.{_ENDINGS[reply.message.content_type]}").write_bytes(reply.message.payload)

    def is_done(self, file: Path, name: str) -> bool:
        """Return whether *name* has results of the current *file* by this model; other settings are not compared."""
        try:
            labels = LabelsMessage.model_validate_json(self._labels(name).read_bytes())
            written = min(map(_modified, [self._labels(name), *self._others(name)]))
            of_this = (labels.frame_id, labels.model) == (_identity(file), self._model) and written > _modified(file)
            return of_this and not (self._masks and any(person.rle is None for person in labels.persons))
        except (OSError, ValueError):
            return False

    def _labels(self, name: str) -> Path:
        return self._out / f"{name}.labels.json"

    def _others(self, name: str) -> Iterator[Path]:
        """Yield the result files besides the labels whose names are known in advance."""
        for kind in self._kinds:
            png, jpeg = (self._out / f"{name}.{kind}.{ending}" for ending in ("png", "jpg"))
            yield png if png.exists() else jpeg
        if self._raw:
            yield self._out / f"{name}.npz"


def _modified(file: Path) -> int:
    return file.stat().st_mtime_ns


def _identity(file: Path) -> str:
    """Return the path as written in results: a file name may not be valid Unicode."""
    return os.fsencode(file).decode(errors="backslashreplace")


def _frame(file: Path, payload: bytes) -> Frame:
    """Make a frame of *file*, as if a camera had sent its content."""
    return Frame(
        camera=CAMERA,
        payload=payload,
        frame_id=_identity(file),
        sender_id=True,
        captured_at=None,
        received_at=time.time(),
        arrived=time.monotonic(),
        retained=False,
        redelivered=False,
        source=0,
        delivery=None,
    )


def _save_raw(file: Path, raw: RawOutput) -> None:
    """Write the network's input and output.

    ``net_input`` float32 (3, h, w), RGB, 0 to 255, before normalisation and padding; ``pred_logits`` float32
    (queries, classes + 1); ``pred_masks`` float32 (queries, H/4, W/4) of the padded input.
    """
    image = raw.net_input.image.transpose(2, 0, 1).astype(np.float32)
    class_logits, mask_logits = raw.logits
    np.savez(file, net_input=image, pred_logits=class_logits, pred_masks=mask_logits)
