"""What people use around a worker: ``demo``, ``camera`` and ``watch``."""

from __future__ import annotations

from pathlib import Path

from edge_worker.cli.arguments import (
    MODELS,
    SOURCES,
    Arguments,
    Commands,
    add_command,
    load_config,
    log_warnings_only,
    positive,
    takes_broker,
    takes_config,
)


def add(commands: Commands) -> None:
    """Describe the commands."""
    for add_one in (_add_demo, _add_camera, _add_watch):
        add_one(commands)


def _add_demo(commands: Commands) -> None:
    command = add_command(
        commands, "demo", _demo, "broker, camera, worker and recorder at once, with nothing to set up"
    )
    command.add_argument("--source", default="scene", help=SOURCES)
    command.add_argument(
        "--seconds", type=_duration, help="how long to record (default 20, with --web 0); 0: until interrupted"
    )
    command.add_argument("--web", action="store_true", help="serve the web page, too, and run until interrupted")
    command.add_argument("--out", type=Path, default=Path("demo_out"), help="folder for the files (default demo_out)")
    command.add_argument("--fps", type=positive, help="frames a second (default: the source's own rate)")
    command.add_argument("--model", help=f"{MODELS} (default: the best that comes with the package)")


def _duration(text: str) -> float:
    """Read a number of seconds, or 0."""
    return 0.0 if text == "0" else positive(text)


def _demo(arguments: Arguments) -> int:
    from edge_worker.tools.demo import command

    log_warnings_only()
    options = command.DemoOptions(
        source=arguments.source,
        seconds=arguments.seconds if arguments.seconds is not None else (0.0 if arguments.web else 20.0),
        out=arguments.out,
        fps=arguments.fps,
        model=arguments.model,
        web=arguments.web,
    )
    return command.run(options)


def _add_camera(commands: Commands) -> None:
    command = add_command(
        commands, "camera", _camera, "publish images, a video, a stream or a webcam as a camera would"
    )
    command.add_argument("source", metavar="SOURCE", help=SOURCES)
    command.add_argument(
        "--camera", default="camera", help="its name, in the topic of the first of `cameras` (default camera)"
    )
    command.add_argument("--fps", type=positive, help="frames a second (default: the source's own rate)")
    command.add_argument("--loop", action="store_true", help="begin again at the end of files")
    command.add_argument(
        "--qos", type=int, choices=(0, 1), default=0, help="1: the broker must have each frame (default 0)"
    )
    takes_config(command)
    takes_broker(command)


def _camera(arguments: Arguments) -> int:
    from edge_worker.tools import camera

    log_warnings_only()
    options = camera.CameraOptions(
        source=arguments.source, camera=arguments.camera, fps=arguments.fps, loop=arguments.loop, qos=arguments.qos
    )
    return camera.run(load_config(arguments)[0], options)


def _add_watch(commands: Commands) -> None:
    command = add_command(commands, "watch", _watch, "subscribe to the results; a live line per frame, files if asked")
    command.add_argument("--save", type=Path, metavar="DIR", help="write maps, overlays and labels to this folder")
    takes_config(command)
    takes_broker(command)


def _watch(arguments: Arguments) -> int:
    from edge_worker.tools import watch

    log_warnings_only()
    return watch.run(load_config(arguments)[0], arguments.save)
