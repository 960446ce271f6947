"""Shared by the commands: types of arguments, the configuration file, options that override settings."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from edge_worker.common.engines import ISAS
from edge_worker.common.errors import ConfigError, EdgeWorkerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import DataclassInstance

    from edge_worker.config import Config

Options = TypeVar("Options", bound="DataclassInstance")
Arguments: TypeAlias = argparse.Namespace
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name

SOURCES = "an image, folder, video, RTSP or HTTP address, webcam index, or 'scene': rendered people walking by"
CONFIGURATION = (
    "configuration (default $EDGE_WORKER_CONFIG, /etc/edge-worker/edge_worker.yaml, config/edge_worker.yaml)"
)
SETTINGS = "configuration to take settings from (default: none)"
"""For commands that need no broker."""
MODELS = "builtin:NAME, or the directory of a checkpoint or an exported model"


def add_command(
    commands: Commands, name: str, run: Callable[[Arguments], int], description: str
) -> argparse.ArgumentParser:
    """Add a command that calls *run*."""
    command = commands.add_parser(name, help=description, description=description)
    command.set_defaults(run=run)
    return command


def takes_config(command: argparse.ArgumentParser, what: str = CONFIGURATION) -> None:
    """Let *command* accept a configuration file; *what* is its help text."""
    command.add_argument("-c", "--config", type=Path, metavar="FILE", help=what)


def takes_broker(command: argparse.ArgumentParser) -> None:
    """Let *command* accept a configuration file, and a broker other than the configuration's."""
    takes_config(command)
    setting(
        command, "--host", "mqtt.host", help="name or address of the broker (default: mqtt.host of the configuration)"
    )
    setting(command, "--port", "mqtt.port", help="port of the broker (default: mqtt.port of the configuration)")


def setting(command: argparse.ArgumentParser, option: str, key: str, **details: Any) -> None:  # noqa: ANN401 - argparse's
    """Let *option* override the configuration's *key*; it is stored by the name of the key's environment variable."""
    variable = f"EDGE_WORKER__{key.upper().replace('.', '__')}"
    command.add_argument(
        option, dest=variable, metavar=option[2:].upper() if not details.get("choices") else None, **details
    )
    command.set_defaults(options={**(command.get_default("options") or {}), variable: option})


def as_typed(problem: object, arguments: Arguments) -> str:
    """Return the text of *problem*, with options instead of the variables that they were turned into."""
    text = str(problem)
    for variable, option in getattr(arguments, "options", {}).items():
        if getattr(arguments, variable) is not None:
            text = text.replace(f"{variable}: ", f"{option}: ")
    return text


def located(error: ConfigError, arguments: Arguments) -> ConfigError:
    """Return *error* with the place where its key was written, which errors raised while running do not have."""
    from edge_worker.config import Problem, find_config, load_with_origins

    if error.file is not None or not error.key or not hasattr(arguments, "config"):
        return error
    environ = without_broker(arguments)
    try:
        _, tree = load_with_origins(find_config(arguments.config, environ), environ)
    except ConfigError:
        return error
    return tree.error([Problem(tuple(error.key.split(".")), error.problem)])


def environment(arguments: Arguments) -> dict[str, str]:
    """Return the environment, overridden by the settings in *arguments*."""
    settings = {name: value for name, value in vars(arguments).items() if name.startswith("EDGE_WORKER__")}
    return {**os.environ, **{name: value for name, value in settings.items() if value is not None}}


def without_broker(arguments: Arguments) -> dict[str, str]:
    """Return the environment for a command without a broker: ``mqtt.host`` is required, but may be set nowhere."""
    broker = {} if arguments.config else {"EDGE_WORKER__MQTT__HOST": "localhost"}
    return {**broker, **environment(arguments)}


def load_config(arguments: Arguments, *, runs_model: bool = True) -> tuple[Config, Path | None]:
    """Return the configuration that the arguments name, overridden by their settings, and its file."""
    from edge_worker.config import find_config, load

    environ = environment(arguments)
    file = find_config(arguments.config, environ)
    return load(file, environ, runs_model=runs_model), file


def tool_config(arguments: Arguments) -> Config:
    """Return the configuration for a client of the broker, and set up logs as :func:`log_warnings_only` does.

    It may be that of a worker on another machine, so the model's files are not checked.
    """
    log_warnings_only()
    return load_config(arguments, runs_model=False)[0]


def options(kind: type[Options], arguments: Arguments) -> Options:
    """Return a tool's options, a dataclass, from the arguments with the names of its fields."""
    return kind(**{field.name: getattr(arguments, field.name) for field in fields(kind)})


def require_worker_platform(command: str) -> None:
    """Refuse a *command* that runs a worker on a platform where it cannot run.

    Raises:
        EdgeWorkerError: on Windows.
    """
    from edge_worker.common.platforms import RUNS_WORKER

    if not RUNS_WORKER:
        raise EdgeWorkerError(f"edge-worker {command} needs Linux or macOS: on Windows, use WSL or the container image")


def log_warnings_only() -> None:
    """Log to standard error, warnings only: tools print their own output besides what the worker's parts log."""
    from edge_worker.config import LogConfig
    from edge_worker.ops import logs

    logs.configure(LogConfig(level="warning", format="console"), sys.stderr)


def from_here(text: str) -> str:
    """Return a model's name; a relative path is relative to the working directory, not to the configuration file."""
    return text if text.startswith("builtin:") else str(Path(text).absolute())


def positive(text: str) -> float:
    """Return a number above 0."""
    number = float(text)
    if not 0.0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return number


def level(text: str) -> str:
    """Return one level of a topic."""
    if not text or any(sign in text for sign in "/+#"):
        raise argparse.ArgumentTypeError(f"{text!r} is not one level of a topic, without /, + and #")
    return text


def size(text: str) -> tuple[int, int]:
    """Return a size in pixels, (width, height): ``1280x720``."""
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text} is not a size such as 1280x720")
    return int(width), int(height)


def counts(text: str) -> tuple[int, ...]:
    """Return whole numbers from 1: ``1,2``."""
    numbers = text.split(",")
    if not all(number.isdigit() and int(number) for number in numbers):
        raise argparse.ArgumentTypeError(f"{text} are not numbers such as 1,2")
    return tuple(map(int, numbers))


def isas(text: str) -> tuple[str, ...]:
    """Return instruction sets: ``avx2,amx``."""
    names = tuple(text.split(","))
    if unknown := [name for name in names if name not in ISAS]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)} is none of {', '.join(ISAS)}")
    return names


def variants(text: str) -> tuple[tuple[str, str], ...]:
    """Return pairs of engine and precision: ``openvino:f32,openvino:bf16``."""
    pairs = [tuple(one.split(":")) for one in text.split(",")]
    if not all(len(pair) == 2 and all(pair) for pair in pairs):  # noqa: PLR2004 - engine and precision
        raise argparse.ArgumentTypeError(f"{text} are not ENGINE:PRECISION such as openvino:f32,openvino:bf16")
    return tuple((engine, precision) for engine, precision in pairs)
