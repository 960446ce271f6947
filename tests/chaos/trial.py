"""The pipeline under hostile payloads, and a count of what came out."""

from __future__ import annotations

import resource
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from images import encoded, photo
from outputs import output_request

from chaos.payloads import MAX_PAYLOAD, MAX_PIXELS, payload
from edge_worker.common.errors import DecodeError
from edge_worker.config import Config, LimitsConfig, ModelConfig, MqttConfig
from edge_worker.frames.frame import REJECTIONS
from edge_worker.inference.pipeline import Pipeline
from edge_worker.inference.types import ModelSettings
from edge_worker.ops.threads import ThreadPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PARSED: Final = 20
"""Of this many accepted images one goes through the network, too; the rest is decoded."""
_REQUEST: Final = output_request(masks="rle", overlay=True)


@dataclass
class Tally:
    """What came of some payloads.

    ``outcomes`` counts "accepted" and the reasons of refusals; ``defects`` tells of payloads that were answered by
    anything else. ``slowest_s`` is the processor time of one payload, ``peak_mb`` resident memory at its highest, each
    with the number of the payload that caused it (-1: none of these).
    """

    outcomes: dict[str, int] = field(default_factory=dict)
    defects: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    slowest: int = -1
    peak_mb: float = 0.0
    highest: int = -1

    def add(self, other: Tally) -> None:
        """Take in what came of more payloads."""
        self.outcomes = dict(Counter(self.outcomes) + Counter(other.outcomes))
        self.defects += other.defects
        if other.slowest_s > self.slowest_s:
            self.slowest_s, self.slowest = other.slowest_s, other.slowest
        if other.peak_mb > self.peak_mb:
            self.peak_mb, self.highest = other.peak_mb, other.highest


def peak_mb() -> float:
    """Resident memory of this process at its highest so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


class Trial:
    """The small random model's pipeline, and the payloads of one seed."""

    def __init__(self, seed: int, note: Callable[[int], None]) -> None:
        """Load the model and parse a small image; *note* is told each payload before its turn."""
        self._seed, self._note = seed, note
        self._pipeline = Pipeline.open(_settings())
        self._accepted = 0
        self._pipeline.run(encoded(photo(), "JPEG"), _REQUEST)
        self.idle_mb = peak_mb()

    def run(self, numbers: Iterable[int]) -> Tally:
        """Give the pipeline the payloads of these *numbers*."""
        tally = Tally(peak_mb=peak_mb())
        for number in numbers:
            self._note(number)
            tally.add(self._run_one(number))
        return tally

    def _run_one(self, number: int) -> Tally:
        kind, content = payload(self._seed, number)
        began = time.process_time()
        outcome, defect = self._outcome(content)
        spent = time.process_time() - began
        defects = [f"payload {number} ({kind}): {defect}"] if defect else []
        return Tally({outcome: 1}, defects, spent, number, peak_mb(), number)

    def _outcome(self, content: bytes) -> tuple[str, str]:
        """The word for what came out, and what is wrong with it."""
        try:
            self._parse(content)
        except DecodeError as error:
            return error.reason, "" if error.reason in REJECTIONS else "a reason that the contract does not know"
        except Exception as error:  # noqa: BLE001 - the defect that is looked for
            return "defect", f"{error!r:.200}"
        return "accepted", ""

    def _parse(self, content: bytes) -> None:
        self._pipeline.decode(content)
        self._accepted += 1
        if self._accepted % PARSED == 0:
            self._pipeline.run(content, _REQUEST)


def _settings() -> ModelSettings:
    """Those of a model process whose limits the payloads know."""
    config = Config(
        mqtt=MqttConfig(host="localhost"),
        model=ModelConfig(path="builtin:seeded", engine="onnxruntime", short_side=32),  # takes any shape uncompiled
        limits=LimitsConfig(max_payload_mb=MAX_PAYLOAD / 1e6, max_pixels=MAX_PIXELS),
    )
    return ModelSettings.from_config(config, ThreadPlan(inference=1, opencv=1, cpus=None, nice=0), None)
