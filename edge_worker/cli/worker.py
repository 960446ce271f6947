"""The worker, its configuration and its messages: ``run``, ``check``, ``config`` and ``schema``."""

from __future__ import annotations

import json
import os
import sys

from edge_worker.cli.arguments import (
    Arguments,
    Commands,
    add_command,
    load_config,
    log_warnings_only,
    require_worker_platform,
    takes_config,
)
from edge_worker.cli.output import drop_what_cannot_be_written


def add(commands: Commands) -> None:
    """Add the commands."""
    takes_config(add_command(commands, "run", _run, "run the worker: parse what cameras publish, until stopped"))
    _add_check(commands)
    command = add_command(
        commands,
        "config",
        _config,
        "print a sample configuration, or the one in force and where each value comes from",
    )
    takes_config(command, "print the configuration in force with this file (default: print the sample)")
    _add_schema(commands)


def _run(arguments: Arguments) -> int:
    from queue import SimpleQueue

    from edge_worker.ops.signals import Order, signals_as_orders

    require_worker_platform("run")
    orders: SimpleQueue[Order] = SimpleQueue()
    # Before the worker's modules are imported, which takes a fraction of a second.
    with signals_as_orders(orders, ends_process=True):
        from edge_worker.service import app

        config, file = load_config(arguments)
        code = app.run(config, orders, source=file)
    drop_what_cannot_be_written(sys.stdout)  # lost log lines are not a failure of the worker
    return code


def _add_check(commands: Commands) -> None:
    command = add_command(
        commands,
        "check",
        _check,
        "check a configuration: list all problems with file, line and key; exit code 78 if any",
    )
    takes_config(command)
    command.add_argument(
        "--connect", action="store_true", help="try the broker (TLS, login, rights, size) and the model too"
    )


def _check(arguments: Arguments) -> int:
    from edge_worker.tools import check

    log_warnings_only()
    config, file = load_config(arguments)
    return check.run(config, file, connect=arguments.connect)


def _config(arguments: Arguments) -> int:
    if arguments.config:
        from edge_worker.config import load_with_origins
        from edge_worker.tools import effective

        return effective.run(*load_with_origins(arguments.config, os.environ), os.environ)
    from importlib.resources import files

    sys.stdout.write(files("edge_worker").joinpath("config", "edge_worker.yaml").read_text(encoding="utf-8"))
    return 0


def _add_schema(commands: Commands) -> None:
    command = add_command(
        commands, "schema", _schema, "print the AsyncAPI document: topics, messages and their schemas"
    )
    command.add_argument(
        "--format", choices=("yaml", "json"), default="yaml", help="format of the document (default yaml)"
    )


def _schema(arguments: Arguments) -> int:
    from edge_worker.messages.asyncapi import document

    if arguments.format == "json":
        text = json.dumps(document(), indent=2) + "\n"
    else:
        import yaml

        text = yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=120)
    sys.stdout.write(text)
    return 0
