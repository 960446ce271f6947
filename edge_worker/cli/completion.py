"""Shell completion of the command line: ``completion``."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edge_worker.cli.arguments import Arguments, Commands, add_command
from edge_worker.common.errors import EdgeWorkerError

if TYPE_CHECKING:
    from collections.abc import Iterator

SHELLS = ("bash", "zsh", "fish")


def add(commands: Commands, whole: argparse.ArgumentParser) -> None:
    """Add the command, which completes the arguments of *whole*."""
    command = add_command(commands, "completion", partial(_completion, whole), "print a completion script for a shell")
    command.add_argument("shell", metavar="SHELL", choices=SHELLS, help=f"one of {', '.join(SHELLS)}")


def _completion(whole: argparse.ArgumentParser, arguments: Arguments) -> int:
    try:
        import shtab
    except ModuleNotFoundError as error:
        raise EdgeWorkerError("completion needs one more package: pip install 'edge-worker[completion]'") from error
    for action in _actions(whole):
        if action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # where shtab looks for it
    sys.stdout.write(shtab.complete(whole, arguments.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield all arguments, including those of subcommands."""
    for action in parser._actions:  # noqa: SLF001 - there is no public way
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for command in action.choices.values():
                yield from _actions(command)
