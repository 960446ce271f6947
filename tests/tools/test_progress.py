from __future__ import annotations

import io

from rich.console import Console

from edge_worker.tools.progress import INTERVAL_S, Progress


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def lines(output: io.StringIO) -> list[str]:
    return output.getvalue().splitlines()


def test_a_pipe_gets_a_plain_line_now_and_then() -> None:
    """What is done, then how many of how many, no more often than the interval, without control characters."""
    output, clock = io.StringIO(), Clock()
    progress = Progress(Console(file=output), clock)
    with progress.step("loading [a] model"):
        assert lines(output) == ["loading [a] model …"]
    for _ in progress.count(range(5), 5, "parsing"):
        clock.now += 0.6 * INTERVAL_S
    assert lines(output)[1:] == ["parsing: 2 of 5", "parsing: 4 of 5"]


def test_a_terminal_gets_a_bar() -> None:
    """The bar names what is done and goes away at the end; lines stand above it."""
    output = io.StringIO()
    progress = Progress(Console(file=output, force_terminal=True, width=80))
    with progress.step("loading [a] model"):
        pass
    assert list(progress.count("abc", 3, "parsing")) == ["a", "b", "c"]
    progress.note("done")
    assert "loading [a] model" in output.getvalue()
    assert "parsing" in output.getvalue()
    assert lines(output)[-1].endswith("done")
