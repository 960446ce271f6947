"""Progress of a long command: a bar or a spinner on a terminal, else a line on standard error now and then."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import track
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

T = TypeVar("T")

# Seconds between two lines without a terminal: often enough to see progress, rare enough for a log.
INTERVAL_S = 5.0


class Progress:
    """Reports progress on standard error."""

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to *console*, by default that of standard error; *clock* returns seconds."""
        self._console = console or Console(stderr=True, highlight=False)
        self._clock = clock

    def note(self, text: str) -> None:
        """Write a line, above the bar if there is one."""
        self._console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Show *what* is done inside the ``with`` block, of unknown duration."""
        if self._console.is_terminal:
            with self._console.status(Text(what)):
                yield
        else:
            self.note(f"{what} …")
            yield

    def count(self, items: Iterable[T], total: int, what: str) -> Generator[T]:
        """Yield *items*, of which there are *total*, and show how far *what* is."""
        if self._console.is_terminal:
            yield from track(items, what, total=total, console=self._console, transient=True)
        else:
            yield from self._counted(items, total, what)

    def _counted(self, items: Iterable[T], total: int, what: str) -> Generator[T]:
        due = self._clock() + INTERVAL_S
        for number, item in enumerate(items):
            if self._clock() >= due:
                self.note(f"{what}: {number} of {total}")
                due = self._clock() + INTERVAL_S
            yield item
