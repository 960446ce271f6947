"""What the demo records: files, a line per frame, figures, and a contact sheet."""

from __future__ import annotations

import json
import time
from collections import Counter, OrderedDict, defaultdict
from statistics import fmean
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from edge_worker.common.percentiles import percentile
from edge_worker.tools.demo.contact_sheet import Row, contact_sheet
from edge_worker.tools.recorder import Recorder
from edge_worker.tools.watch import error_line, line

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.messages import ErrorMessage, LabelsMessage
    from edge_worker.tools.joiner import FrameResult

SHEET_ROWS = 6
# Frames kept until their results come, for the contact sheet.
KEPT_FRAMES = 64
# A demo that runs until it is interrupted writes files for this long only, so as not to fill the disk.
FILES_S = 20.0


class Tally:
    """Adds up results as they come."""

    def __init__(self) -> None:
        """Start at zero."""
        self.persons: list[int] = []
        self.cached = 0
        self.rejected: Counter[str] = Counter()
        self._timings: defaultdict[str, list[float]] = defaultdict(list)

    @property
    def frames(self) -> int:
        """Number of frames answered with labels."""
        return len(self.persons)

    def add(self, labels: LabelsMessage) -> None:
        """Count a frame; the stages of a cached one were not run again."""
        self.persons.append(len(labels.persons))
        self.cached += labels.cached
        if not labels.cached:
            for stage, milliseconds in labels.timings_ms.model_dump().items():
                self._timings[stage].append(milliseconds)

    def add_error(self, error: ErrorMessage) -> None:
        """Count a rejected frame."""
        self.rejected[error.reason] += 1

    def latency_ms(self) -> dict[str, dict[str, float]]:
        """Return median and 95th percentile of each stage, milliseconds, in the order of the stages."""
        return {
            stage: {f"p{percent}": round(percentile(values, percent), 1) for percent in (50, 95)}
            for stage, values in self._timings.items()
        }

    def to_values(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {
            "frames": self.frames,
            "cached": self.cached,
            "rejected": dict(self.rejected),
            "persons": sum(self.persons),
            "persons_per_frame": round(fmean(self.persons), 2) if self.persons else 0.0,
            "latency_ms": self.latency_ms(),
        }


class Recording:
    """Records frames and results as they arrive, and writes a summary at the end."""

    def __init__(self, out: Path, seconds: float) -> None:
        """Record into folder *out*; the contact sheet's rows are spread over *seconds*; 0: files for a while only."""
        self.tally = Tally()
        self._out, self._row_s = out, (seconds or FILES_S) / SHEET_ROWS
        self._endless = seconds == 0.0
        self._recorder = Recorder(_emptied(out / "frames"))
        self._console = Console(highlight=False, soft_wrap=True)
        self._frames: OrderedDict[str, bytes] = OrderedDict()
        self._rows: dict[int, tuple[int, Row]] = {}
        self._files = 0
        self._first = self._last = 0.0

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first result."""
        return time.monotonic() - self._first if self._first else 0.0

    def say(self, text: str) -> None:
        """Print *text* for the user."""
        self._console.print(text, markup=False)

    def frame(self, frame_id: str, payload: bytes) -> None:
        """Keep a frame for the contact sheet until its result arrives."""
        self._frames[frame_id] = payload
        if len(self._frames) > KEPT_FRAMES:
            self._frames.popitem(last=False)

    def result(self, result: FrameResult) -> None:
        """Save a frame's results and print its line."""
        self._last = time.monotonic()
        self._first = self._first or self._last
        if not self._endless or self.elapsed_s <= FILES_S:
            self._files += len(self._recorder.save(result))
        self.tally.add(result.labels)
        self._console.print(line(result.labels))
        self._keep_row(result)

    def error(self, error: ErrorMessage) -> None:
        """Count a rejected frame and print why."""
        self.tally.add_error(error)
        self._console.print(error_line(error))

    def conclude(self, model: str, warning: str) -> None:
        """Write summary.json and summary.png, and print a summary with the name of *model* and its *warning*."""
        seconds = round(self._last - self._first, 1)
        summary = {
            "model": model,
            "warning": warning,
            "seconds": seconds,
            "files": self._files,
            **self.tally.to_values(),
        }
        (self._out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
        self._console.print(self._table())
        self.say(
            f"{self.tally.frames} frames in {seconds} s, {summary['persons_per_frame']} persons a frame, "
            f"{sum(self.tally.rejected.values())} rejected; model {model}" + (f": {warning}" if warning else "")
        )
        self.say(f"{self._files} files in {self._out / 'frames'}; figures in {self._out / 'summary.json'}")
        if self._rows:
            (self._out / "summary.png").write_bytes(contact_sheet([row for _, (_, row) in sorted(self._rows.items())]))
            self.say(f"frames, maps and overlays side by side: {self._out / 'summary.png'}")

    def _keep_row(self, result: FrameResult) -> None:
        """Keep the first frame with the most persons in each interval."""
        slot, persons = min(int(self.elapsed_s / self._row_s), SHEET_ROWS - 1), len(result.labels.persons)
        frame, images = self._frames.get(result.labels.frame_id), result.images
        better = slot not in self._rows or persons > self._rows[slot][0]
        if better and frame and {"colormap", "overlay"} <= images.keys():
            self._rows[slot] = (persons, (frame, images["colormap"], images["overlay"]))

    def _table(self) -> Table:
        table = Table("stage", "median ms", "95 % ms", title="latency")
        for stage, spread in self.tally.latency_ms().items():
            table.add_row(stage, *(f"{milliseconds:.1f}" for milliseconds in spread.values()))
        return table


def _emptied(folder: Path) -> Path:
    """Remove the files of an earlier recording from *folder*."""
    for pattern in ("*.labels.json", "*.colormap.*", "*.overlay.*"):
        for file in folder.glob(pattern):
            file.unlink()
    return folder
