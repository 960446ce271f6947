"""Clients of a worker, and the demo: ``demo``, ``camera``, ``watch``, ``status`` and ``request``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_worker.cli.arguments import (
    MODELS,
    SOURCES,
    Arguments,
    Commands,
    add_command,
    level,
    log_warnings_only,
    options,
    positive,
    require_worker_platform,
    takes_broker,
    tool_config,
)

if TYPE_CHECKING:
    import argparse

COMMANDS = ("ping", "stats", "config", "pause", "resume", "set", "snapshot", "forget", "restart")
"""Commands that a worker accepts; a test compares them with ``edge_worker.messages``, which is slow to import."""


def add(commands: Commands) -> None:
    """Add the commands."""
    for add_one in (_add_demo, _add_camera, _add_watch, _add_status, _add_request):
        add_one(commands)


def _add_demo(commands: Commands) -> None:
    command = add_command(commands, "demo", _demo, "run a broker, camera, worker and recorder, without any setup")
    command.add_argument("--source", default="scene", help=f"{SOURCES} (default scene)")
    command.add_argument(
        "--seconds", type=_duration, help="seconds to record; 0: until interrupted (default 20, with --web 0)"
    )
    command.add_argument("--web", action="store_true", help="serve the web page, too, and run until interrupted")
    command.add_argument("--out", type=Path, default=Path("demo_out"), help="folder for the files (default demo_out)")
    command.add_argument("--fps", type=positive, help="frames a second (default: the source's own rate)")
    command.add_argument("--model", help=f"{MODELS} (default: the best that comes with the package)")


def _duration(text: str) -> float:
    """Return a number of seconds, or 0."""
    return 0.0 if text == "0" else positive(text)


def _demo(arguments: Arguments) -> int:
    require_worker_platform("demo")
    from edge_worker.tools.demo import command

    log_warnings_only()
    if arguments.seconds is None:
        arguments.seconds = 0.0 if arguments.web else 20.0
    return command.run(options(command.DemoOptions, arguments))


def _add_camera(commands: Commands) -> None:
    command = add_command(
        commands, "camera", _camera, "publish images, a video, a stream or a webcam as a camera would"
    )
    command.add_argument("source", metavar="SOURCE", help=SOURCES)
    command.add_argument("--camera", metavar="NAME", default="camera", help="its name in the topic (default camera)")
    command.add_argument(
        "--topic",
        metavar="TOPIC",
        help="where to publish; may contain {camera} and {node} (default: the topic of the first section of `cameras`)",
    )
    command.add_argument("--fps", type=positive, help="frames a second (default: the source's own rate)")
    command.add_argument("--loop", action="store_true", help="start over at the end of files")
    command.add_argument(
        "--timeout",
        dest="silence_s",
        type=positive,
        default=60.0,
        metavar="SECONDS",
        help="seconds without a frame after which a live source is given up (default 60)",
    )
    command.add_argument(
        "--qos",
        type=int,
        choices=(0, 1),
        help="1: the broker acknowledges each frame (default: that of the section of `cameras` that takes the topic)",
    )
    takes_broker(command)


def _camera(arguments: Arguments) -> int:
    from edge_worker.tools import camera

    return camera.run(tool_config(arguments), options(camera.CameraOptions, arguments))


def _add_watch(commands: Commands) -> None:
    command = add_command(
        commands, "watch", _watch, "subscribe to the results: a line per frame, and files with --save"
    )
    command.add_argument(
        "--save",
        type=Path,
        metavar="DIR",
        help="folder to write maps, overlays and labels to (default: none is written)",
    )
    command.add_argument("--json", action="store_true", help="print labels and errors as received, one per line")
    command.add_argument("--camera", metavar="NAME", help="only the results of this camera (default: of all)")
    takes_broker(command)


def _watch(arguments: Arguments) -> int:
    from edge_worker.tools import watch

    return watch.run(tool_config(arguments), save=arguments.save, as_json=arguments.json, camera=arguments.camera)


def _add_status(commands: Commands) -> None:
    command = add_command(commands, "status", _status, "print the status of all workers, or of one")
    command.add_argument(
        "node", metavar="NODE", nargs="?", type=level, help="node.id of a worker (default: all workers)"
    )
    command.add_argument("--json", action="store_true", help="print the status messages as received, one per line")
    _asks_the_broker(command, "the broker")


def _status(arguments: Arguments) -> int:
    from edge_worker.tools import status

    return status.run(tool_config(arguments), arguments.node, as_json=arguments.json, timeout_s=arguments.timeout)


def _add_request(commands: Commands) -> None:
    command = add_command(
        commands,
        "request",
        _request,
        "send a command to a running worker and print the answer; exit code 0 if it is ok",
    )
    command.add_argument("command", metavar="COMMAND", choices=COMMANDS, help=f"one of {', '.join(COMMANDS)}")
    command.add_argument(
        "arguments", metavar="KEY=VALUE", nargs="*", help="its arguments, such as camera=door overlay=true"
    )
    command.add_argument("--node", type=level, help="the worker's node.id (default: that of the configuration)")
    _asks_the_broker(command, "the answer")


def _request(arguments: Arguments) -> int:
    from edge_worker.tools import request

    pairs = request.arguments_of(arguments.arguments)
    return request.run(
        tool_config(arguments), arguments.command, pairs, node=arguments.node, timeout_s=arguments.timeout
    )


def _asks_the_broker(command: argparse.ArgumentParser, awaited: str) -> None:
    """Let *command* accept a broker and a timeout; *awaited* is what it waits for, for the help text."""
    command.add_argument(
        "--timeout", type=positive, default=10.0, metavar="SECONDS", help=f"seconds to wait for {awaited} (default 10)"
    )
    takes_broker(command)
