"""The gate a reduced precision must pass before ``auto`` may choose it: agreement with f32 on the user's frames."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_worker.m2fp.engines.base import EngineOptions
from edge_worker.m2fp.engines.choose import start_engine
from edge_worker.m2fp.engines.precisions import SPLIT
from edge_worker.m2fp.manifest import is_quantised
from edge_worker.m2fp.parser import Parser
from edge_worker.m2fp.quantisation.agreement import Agreement, FrameAgreement, agreement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_worker.m2fp.directory import ModelDirectory
    from edge_worker.m2fp.types import ByteArray

# The engine that runs reduced precisions.
ENGINE = "openvino"
_REFERENCE = "f32"


@dataclass(frozen=True, slots=True)
class Bar:
    """Minimum agreement with f32: share of label map pixels, and mean IoU of instances."""

    pixels: float
    instance_iou: float


_SPLIT = Bar(pixels=0.9995, instance_iou=0.99)  # rounding only: the same computation in another order
_REDUCED = Bar(pixels=0.99, instance_iou=0.98)
_QUANTISED = Bar(pixels=0.98, instance_iou=0.95)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of the gate for one precision."""

    precision: str
    agreement: Agreement

    @property
    def bar(self) -> Bar:
        """Thresholds for this precision."""
        if self.precision == SPLIT:
            return _SPLIT
        return _QUANTISED if is_quantised(self.precision) else _REDUCED

    @property
    def agrees(self) -> bool:
        """Whether the agreement meets the thresholds."""
        found, bar = self.agreement, self.bar
        return found.pixels >= bar.pixels and found.instance_iou >= bar.instance_iou

    @property
    def passed(self) -> bool:
        """Whether ``auto`` may choose it: it agrees, on frames with at least one instance."""
        return self.agrees and self.agreement.instances > 0

    def __str__(self) -> str:
        """Return the figures and thresholds as text."""
        outcome = "passed" if self.passed else "missed" if not self.agrees else "not judged, nothing is on the frames"
        asked = f"{100 * self.bar.pixels:g} % and {self.bar.instance_iou:.2f}"
        return f"{self.precision} {outcome}: {self.agreement}; asked: {asked}"


def judge(
    model: ModelDirectory, precisions: Sequence[str], images: Iterable[ByteArray], threads: int | None
) -> list[Verdict]:
    """Parse every image, RGB uint8 H×W×3, in f32 and in each of *precisions*, and compare.

    Pass images of the same size consecutively: few input shapes stay compiled at a time.

    Raises:
        EngineError: a precision is not available here.
    """
    found: dict[str, list[FrameAgreement]] = {precision: [] for precision in precisions}
    with ExitStack() as stack:
        parsers = {
            precision: stack.enter_context(closing(_parser(model, precision, threads)))
            for precision in (_REFERENCE, *precisions)
        }
        for image in images:
            net_input = parsers[_REFERENCE].preprocess(image)
            parsings = {name: one.postprocess(one.infer(net_input), net_input) for name, one in parsers.items()}
            for precision, frames in found.items():
                frames.append(agreement(parsings[precision], parsings[_REFERENCE]))
    return [Verdict(precision, Agreement.over(frames)) for precision, frames in found.items()]


def _parser(model: ModelDirectory, precision: str, threads: int | None) -> Parser:
    options = EngineOptions(precision, threads, cache_directory=None)
    return Parser(model, start_engine(model, ENGINE, options), threads, short_side=None)
