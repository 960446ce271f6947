"""What tools write to standard output: lines for people, JSON for programs; and a reader that goes away."""

from __future__ import annotations

import json
import select
import sys
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console

if TYPE_CHECKING:
    from edge_worker.messages import Message


class PipedConsole(Console):
    """A console whose user is told by :exc:`BrokenPipeError` that the reader has gone; rich would exit."""

    def on_broken_pipe(self) -> NoReturn:
        """Pass the error on that is being handled."""
        raise  # noqa: PLE0704 - rich calls this while it handles the error


def write_json(message: Message) -> None:
    """Write *message* in a line of JSON, at once. All is ASCII: no encoding lacks it, and no terminal obeys it."""
    sys.stdout.write(f"{json.dumps(message.to_values())}\n")
    sys.stdout.flush()


def end_without_reader() -> None:
    """See that somebody still reads standard output: a tool that waits would find out only when it writes.

    Raises:
        BrokenPipeError: it is a pipe whose reader has gone, as ``| head`` does.
    """
    poll = select.poll()
    poll.register(sys.stdout, 0)
    if any(events & select.POLLERR for _, events in poll.poll(0)):
        raise BrokenPipeError


def plain(text: str, limit: int = 80) -> str:
    """Leave out what could steer the terminal, for it came over the wire, and what is beyond *limit* characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:limit]
