"""A worker's log as it is written: for what it says while no broker could carry the message."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from workers import WorkerProcess

LOOK_S: Final = 0.02


class Tail:
    """The log lines from the moment this was made."""

    def __init__(self, worker: WorkerProcess) -> None:
        """Begin at the log's present end."""
        self._file = worker.log_file.open("rb")
        self._file.seek(0, 2)
        self._rest = b""

    def wait_links(self, event: str, links: set[str], timeout_s: float) -> float:
        """Wait until each of *links* has reported *event*; returns the moment of the last, monotonic seconds.

        Raises:
            AssertionError: they have not in time.
        """
        waiting, deadline = set(links), time.monotonic() + timeout_s
        while waiting:
            waiting -= {line.get("link") for line in self._lines() if line["event"] == event}
            assert time.monotonic() < deadline, f"no {event!r} from {', '.join(sorted(waiting))} in {timeout_s:g} s"
            time.sleep(LOOK_S if waiting else 0.0)
        return time.monotonic()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _lines(self) -> list[dict[str, Any]]:
        whole, _, self._rest = (self._rest + self._file.read()).rpartition(b"\n")
        lines = []
        for line in whole.splitlines():
            with suppress(ValueError):
                lines.append(json.loads(line))
        return lines
