"""The command ``edge-worker``: arguments, and calls of the modules that do the work. Heavy imports are inside commands.

Exit codes: 0 ok, 1 failure, 2 usage, 78 configuration (systemd does not restart on it), 130 interrupted, 141 broken
pipe.
"""

from __future__ import annotations

import argparse
import errno
import sys
from typing import TYPE_CHECKING

from edge_worker import __version__
from edge_worker.cli import clients, completion, gateway, model, offline, worker
from edge_worker.cli.arguments import as_typed, located
from edge_worker.cli.output import drop_what_cannot_be_written, open_what_is_closed, write_whatever_the_encoding
from edge_worker.common.errors import ConfigError, EdgeWorkerError

if TYPE_CHECKING:
    from collections.abc import Sequence

OK, FAILURE, USAGE, CONFIGURATION, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 78, 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in *argv* and return its exit code."""
    open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        write_whatever_the_encoding(stream)
    try:
        return _run(parser().parse_args(argv))
    finally:
        drop_what_cannot_be_written(sys.stdout)
        drop_what_cannot_be_written(sys.stderr)


def _run(arguments: argparse.Namespace) -> int:
    try:
        code = int(arguments.run(arguments))
        sys.stdout.flush()
    except ConfigError as error:
        return _fail(as_typed(located(error, arguments), arguments), CONFIGURATION)
    except EdgeWorkerError as error:
        return _fail(error, FAILURE)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:  # the reader of our output is gone, as with `| head`; other programs are killed by SIGPIPE
        return BROKEN_PIPE
    except OSError as error:
        if error.filename is None and error.errno != errno.ENOSPC:
            raise
        return _fail(f"{error.filename or 'output'}: {error.strerror}", FAILURE)
    return code


def _fail(problem: object, code: int) -> int:
    sys.stderr.write(f"{problem}\n")
    return code


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    whole = argparse.ArgumentParser(
        prog="edge-worker", description="Human parsing over MQTT: frames in, coloured part maps and labels out."
    )
    whole.add_argument("--version", action="version", version=f"edge-worker {__version__}")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for group in (worker, gateway, clients, offline, model):
        group.add(commands)
    completion.add(commands, whole)
    return whole
