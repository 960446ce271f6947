"""Standard output of tools: lines for people, JSON for programs, and closed pipes."""

from __future__ import annotations

import json
import select
import sys
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console

if TYPE_CHECKING:
    from edge_worker.messages import Message


class PipedConsole(Console):
    """A console that raises :exc:`BrokenPipeError` if the pipe is closed, where rich would exit."""

    def on_broken_pipe(self) -> NoReturn:
        """Re-raise the error that is being handled."""
        raise  # noqa: PLE0704 - rich calls this while it handles the error


def write_json(message: Message) -> None:
    """Write *message* as a line of JSON and flush. It is ASCII: safe in every encoding and terminal."""
    sys.stdout.write(f"{json.dumps(message.to_values())}\n")
    sys.stdout.flush()


def end_without_reader() -> None:
    """Check that standard output still has a reader: a tool that waits would notice only when it writes.

    Raises:
        BrokenPipeError: it is a pipe that its reader has closed, as ``| head`` does.
    """
    poll = select.poll()
    poll.register(sys.stdout, 0)
    if any(events & select.POLLERR for _, events in poll.poll(0)):
        raise BrokenPipeError


def plain(text: str, limit: int = 80) -> str:
    """Replace unprintable characters in untrusted *text*, and cut it to *limit* characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:limit]
