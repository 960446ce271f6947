"""What a worker's processes hold of the machine over time, and whether it grows."""

from __future__ import annotations

import json
import math
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from statistics import linear_regression, mean
from typing import TYPE_CHECKING, Final, NamedTuple

from chaos.probes import FDS_ALLOWED, Probes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from workers import WorkerProcess

    from chaos.lab import Lab

SAMPLE_S: Final = 1.0
"""Both processes tidy up twice a minute, and a few frames later that cannot be seen: with looks five seconds apart the
floor of the model process, level to a megabyte, was seen anywhere within nine."""
FLOOR_S: Final = 120.0
"""A process's memory is the least of so long: a sample may fall into a frame, whose arrays come and go, or come after
one of another size."""
_WHOLE: Final = 0.9  # share of a stretch that must have been watched
SHORTEST_S: Final = 1200.0
"""With less, a slope is reported but proves nothing."""
SLOPE_MB_PER_H: Final = 1.0
ERRORS: Final = 2.0
"""A slope this many standard errors from what is allowed is decided; any other is watched longer."""
MODEL_PROCESS: Final = "model process"
WARM_UP_SHARE: Final = 5  # the first fifth of the samples is left out


@dataclass(frozen=True)
class Sample:
    """What both processes held, some seconds after the beginning."""

    at_s: float
    worker: Probes
    model: Probes
    worker_sockets: int

    @classmethod
    def take(cls, worker: WorkerProcess, at_s: float) -> Sample:
        """Look at both now.

        Raises:
            OSError, LookupError, StopIteration: the model process is just being replaced.
        """
        return cls(round(at_s, 1), Probes.of(worker.pid), Probes.of(worker.model_pid()), _sockets(worker.pid))


class Slope(NamedTuple):
    """A line through memory over time: MB per hour, and the standard error of that."""

    mb_per_h: float
    error: float

    @property
    def is_growth(self) -> bool:
        """Whether it is above what is allowed."""
        return self.mb_per_h > SLOPE_MB_PER_H

    @property
    def is_decided(self) -> bool:
        """Whether a line as uncertain as this one is on one side of what is allowed."""
        return abs(self.mb_per_h - SLOPE_MB_PER_H) > ERRORS * self.error

    def __str__(self) -> str:
        return f"{self.mb_per_h:+.1f} ± {self.error:.1f} MB/h"


COUNTED: Final[dict[str, Callable[[Sample], int]]] = {
    "file descriptors of the worker": lambda sample: sample.worker.fds,
    "file descriptors of the model process": lambda sample: sample.model.fds,
    "threads of the worker": lambda sample: sample.worker.threads,
    "threads of the model process": lambda sample: sample.model.threads,
    "sockets of the worker": lambda sample: sample.worker_sockets,
}


class Diary:
    """Looks at a worker every few seconds."""

    def __init__(self, worker: WorkerProcess, file: Path) -> None:
        """Begin an empty *file*, a line of JSON for each look."""
        self._worker, self._file = worker, file
        self._began = time.monotonic()
        self.samples: list[Sample] = []
        file.parent.mkdir(exist_ok=True)
        file.write_text("", encoding="utf-8")

    def keep(self, seconds: float) -> None:
        """Take samples until so long after the first; a second call goes on."""
        while (now := time.monotonic() - self._began) < seconds:
            with suppress(OSError, LookupError, StopIteration):
                self.samples.append(Sample.take(self._worker, now))
                with self._file.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(self.samples[-1])) + "\n")
            time.sleep(SAMPLE_S)


def is_decided(samples: Sequence[Sample]) -> bool:
    """Whether it is certain of both processes that their memory grows by more than allowed, or does not."""
    slopes = [slope_of(list(floors_of(memory))) for memory in _memories(samples).values()]
    return all(slope is not None and slope.is_decided for slope in slopes)


def conclude(lab: Lab, samples: Sequence[Sample], *, recycles: int) -> None:
    """Require that nothing grew after the warm-up; memory of a model process that was recycled by plan may."""
    lab.measure("watched", f"{samples[-1].at_s:.0f} s")
    for name, memory in _memories(samples).items():
        _judge(lab, name, memory, recycles if name == MODEL_PROCESS else 0)
    for what, read in COUNTED.items():
        _require_no_more(lab, what, [read(sample) for sample in _settled(samples)])
    lab.measure("model process recycled", recycles)


def _settled(samples: Sequence[Sample]) -> Sequence[Sample]:
    return samples[len(samples) // WARM_UP_SHARE :]


def _memories(samples: Sequence[Sample]) -> dict[str, list[tuple[float, float]]]:
    """Moments (s) and memory (MB) of each process after the warm-up."""
    settled = _settled(samples)
    return {
        "worker": [(sample.at_s, sample.worker.rss_mb) for sample in settled],
        MODEL_PROCESS: [(sample.at_s, sample.model.rss_mb) for sample in settled],
    }


def slope_of(floors: Sequence[tuple[float, float]]) -> Slope | None:
    """Fit a line through memory (MB) over time (s); None for less than three points, which have no error."""
    count = len(floors)
    if count < 3:
        return None
    hours, megabytes = [at_s / 3600 for at_s, _ in floors], [rss_mb for _, rss_mb in floors]
    slope, intercept = linear_regression(hours, megabytes)
    residual = sum((y - slope * x - intercept) ** 2 for x, y in zip(hours, megabytes, strict=True)) / (count - 2)
    return Slope(slope, math.sqrt(residual / sum((x - mean(hours)) ** 2 for x in hours)))


def floors_of(memory: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Give moment and value of the least memory in each stretch of ``FLOOR_S``; a part of one may miss its floor."""
    for _, stretch in groupby(memory, key=lambda entry: entry[0] // FLOOR_S):
        entries = list(stretch)
        if entries[-1][0] - entries[0][0] > _WHOLE * FLOOR_S:
            yield min(entries, key=lambda entry: entry[1])


def _judge(lab: Lab, name: str, memory: Sequence[tuple[float, float]], recycles: int) -> None:
    floors = list(floors_of(memory)) or [min(memory, key=lambda entry: entry[1])]
    slope = slope_of(floors)
    levels = f"{floors[0][1]:.1f} → {floors[-1][1]:.1f} MB"
    lab.measure(f"memory of the {name}", f"{levels}, {slope or 'too short for a slope'}")
    counts = slope is not None and memory[-1][0] >= SHORTEST_S and not recycles
    lab.require(not (counts and slope and slope.is_growth), f"memory of the {name} grows by {slope}")


def _require_no_more(lab: Lab, what: str, counts: Sequence[int]) -> None:
    quarter = max(1, len(counts) // 4)
    first, last = max(counts[:quarter]), max(counts[-quarter:])
    lab.require(last <= first + FDS_ALLOWED, f"{what} grew from {first} to {last}")
    lab.measure(what, f"{first} → {last}")


def _sockets(pid: int) -> int:
    count = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            count += str(link.readlink()).startswith("socket:")
    return count
