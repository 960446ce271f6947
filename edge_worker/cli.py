"""The command ``edge-worker``: what it takes, and which module does it. No logic; heavy imports happen inside commands.

Exit codes: 0 ok, 1 failure, 2 usage, 78 configuration (systemd does not restart on it).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from edge_worker import __version__
from edge_worker.errors import ConfigError, EdgeWorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_worker.config import Config

OK, FAILURE, USAGE, CONFIGURATION = 0, 1, 2, 78

Arguments: TypeAlias = argparse.Namespace
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name

SOURCES = "a picture, folder, video, RTSP or HTTP address, webcam's index, or 'scene': people drawn walking by"
MODELS = "builtin:NAME, or the directory of a checkpoint or an exported model"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in *argv* and return its exit code."""
    arguments = parser().parse_args(argv)
    try:
        code = int(arguments.run(arguments))
        sys.stdout.flush()
    except ConfigError as error:
        return _fail(error, CONFIGURATION)
    except EdgeWorkerError as error:
        return _fail(error, FAILURE)
    except KeyboardInterrupt:
        return _fail("interrupted", FAILURE)
    except BrokenPipeError:
        # The reader of our output has gone, as `| head` does; Python must not complain about that while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except OSError as error:
        if error.filename is None:
            raise
        return _fail(f"{error.filename}: {error.strerror}", FAILURE)
    return code


def _fail(problem: object, code: int) -> int:
    sys.stderr.write(f"{problem}\n")
    return code


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    whole = argparse.ArgumentParser(
        prog="edge-worker", description="Human parsing over MQTT: frames in, coloured part maps and labels out."
    )
    whole.add_argument("--version", action="version", version=f"edge-worker {__version__}")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_add_run, _add_check, _add_demo, _add_camera, _add_watch, _add_parse, _add_bench, _add_model):
        add(commands)
    return whole


def _command(
    commands: Commands, name: str, run: Callable[[Arguments], int], description: str
) -> argparse.ArgumentParser:
    """Add a command that is carried out by *run*."""
    command = commands.add_parser(name, help=description, description=description)
    command.set_defaults(run=run)
    return command


def _add_run(commands: Commands) -> None:
    _takes_config(_command(commands, "run", _run, "the daemon: parse what cameras publish, until stopped"))


def _run(arguments: Arguments) -> int:
    from queue import SimpleQueue

    from edge_worker.ops.signals import Order, signals_as_orders

    orders: SimpleQueue[Order] = SimpleQueue()
    with signals_as_orders(orders):  # before the worker's modules are loaded, which takes a part of a second
        from edge_worker import app

        config, file = _load(arguments)
        return app.run(config, orders, source=file)


def _add_check(commands: Commands) -> None:
    command = _command(commands, "check", _check, "check a configuration; 78 and file, line and key where it is wrong")
    _takes_config(command)
    command.add_argument(
        "--connect", action="store_true", help="try the broker (TLS, login, rights, size) and the model too"
    )


def _check(arguments: Arguments) -> int:
    from edge_worker.tools import check

    _log_warnings_only()
    config, file = _load(arguments)
    return check.run(config, file, connect=arguments.connect)


def _add_demo(commands: Commands) -> None:
    command = _command(commands, "demo", _demo, "broker, camera, worker and recorder at once, with nothing to set up")
    command.add_argument("--source", default="scene", help=SOURCES)
    command.add_argument("--seconds", type=_positive, default=20.0, help="how long to record (default 20)")
    command.add_argument("--out", type=Path, default=Path("demo_out"), help="folder for the files (default demo_out)")
    command.add_argument("--fps", type=_positive, help="frames a second (default: the source's own rate)")
    command.add_argument("--model", help=f"{MODELS} (default: the best that comes with the package)")


def _demo(arguments: Arguments) -> int:
    from edge_worker.tools import demo

    _log_warnings_only()
    options = demo.DemoOptions(
        source=arguments.source, seconds=arguments.seconds, out=arguments.out, fps=arguments.fps, model=arguments.model
    )
    return demo.run(options)


def _add_camera(commands: Commands) -> None:
    command = _command(commands, "camera", _camera, "publish pictures, a video, a stream or a webcam as a camera would")
    command.add_argument("source", metavar="SOURCE", help=SOURCES)
    command.add_argument("--camera", default="camera", help="the camera's name, a level of its topic (default camera)")
    command.add_argument("--fps", type=_positive, help="frames a second (default: the source's own rate)")
    command.add_argument("--loop", action="store_true", help="begin again at the end of files")
    command.add_argument(
        "--qos", type=int, choices=(0, 1), default=0, help="1: the broker must have each frame (default 0)"
    )
    _takes_config(command)
    _takes_broker(command)


def _camera(arguments: Arguments) -> int:
    from edge_worker.tools import camera

    _log_warnings_only()
    options = camera.CameraOptions(
        source=arguments.source, camera=arguments.camera, fps=arguments.fps, loop=arguments.loop, qos=arguments.qos
    )
    return camera.run(_load(arguments)[0], options)


def _add_watch(commands: Commands) -> None:
    command = _command(commands, "watch", _watch, "subscribe to the results; a live line per frame, files if asked")
    command.add_argument("--save", type=Path, metavar="DIR", help="write maps, overlays and labels to this folder")
    _takes_config(command)
    _takes_broker(command)


def _watch(arguments: Arguments) -> int:
    from edge_worker.tools import watch

    _log_warnings_only()
    return watch.run(_load(arguments)[0], arguments.save)


def _add_parse(commands: Commands) -> None:
    command = _command(commands, "parse", _parse, "the same pipeline on files and folders, without a broker")
    command.add_argument("paths", metavar="PATH", nargs="+", type=Path, help="pictures, or folders of them")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    command.add_argument("--raw", action="store_true", help="also write STEM.npz: net_input, pred_logits, pred_masks")
    command.add_argument("-c", "--config", type=Path, metavar="FILE", help="configuration whose settings to take")
    _setting(
        command,
        "--overlay",
        "output.overlay.enabled",
        action="store_const",
        const="true",
        help="also write STEM.overlay.jpg",
    )
    _setting(command, "--masks", "output.labels.masks", choices=("none", "rle"), help="rle: run lengths in the labels")
    _setting(command, "--model", "model.path", help=MODELS)
    _setting(command, "--engine", "model.engine", choices=("auto", "openvino", "onnxruntime", "torch", "modelscope"))
    _setting(command, "--precision", "model.precision", choices=("auto", "f32", "bf16", "f16", "int8"))
    _setting(command, "--threads", "threads.inference", help="threads of the model (default: all that may be used)")


def _parse(arguments: Arguments) -> int:
    from edge_worker.config import load
    from edge_worker.tools import parse

    config = load(arguments.config, _without_broker(arguments))
    return parse.run(config, parse.ParseOptions(tuple(arguments.paths), arguments.out, raw=arguments.raw))


def _add_bench(commands: Commands) -> None:
    command = _command(
        commands, "bench", _bench, "time each stage, compare engines and precisions in turn, find limits"
    )
    command.add_argument("paths", metavar="PATH", nargs="*", type=Path, help="pictures (default: a drawn frame)")
    command.add_argument("--size", type=_size, default=(1280, 720), metavar="WxH", help="of the drawn frame (1280x720)")
    command.add_argument(
        "--variants",
        type=_variants,
        default=(("openvino", "f32"), ("openvino", "bf16")),
        metavar="ENGINE:PRECISION,…",
        help="what to compare; the first is the reference for agreement (default openvino:f32,openvino:bf16)",
    )
    command.add_argument("--threads", type=_counts, default=(), metavar="N,…", help="tried with each (default: all)")
    command.add_argument(
        "--against", choices=("modelscope", "torch"), help="also measure the published pipeline, or torch"
    )
    command.add_argument("--turns", type=int, default=10, help="rounds in which each parses a frame (default 10)")
    command.add_argument(
        "--sweep", action="append", choices=("candidates", "sizes", "processes"), default=[], help="vary one thing too"
    )
    command.add_argument("--no-roofline", action="store_true", help="do not measure the machine's matrix rates")
    command.add_argument("--json", type=Path, metavar="FILE", help="write everything that was found")
    command.add_argument("--plot", type=Path, metavar="FILE", help="write a picture of the stages, such as bench.png")
    command.add_argument("-c", "--config", type=Path, metavar="FILE", help="configuration whose settings to take")
    command.add_argument("--model", help=f"{MODELS}, or seeded-r101: random weights of the published size")


def _bench(arguments: Arguments) -> int:
    from edge_worker.config import load
    from edge_worker.tools.bench import command as bench

    options = bench.BenchOptions(
        model=arguments.model,
        paths=tuple(arguments.paths),
        size=arguments.size,
        variants=arguments.variants,
        threads=arguments.threads,
        against=arguments.against,
        turns=max(1, arguments.turns),
        sweeps=tuple(dict.fromkeys(arguments.sweep)),
        roofline=not arguments.no_roofline,
        json=arguments.json,
        plot=arguments.plot,
    )
    return bench.run(load(arguments.config, _without_broker(arguments)), options)


def _add_model(commands: Commands) -> None:
    description = "fetch, export, describe and verify models"
    verbs = commands.add_parser("model", help=description, description=description).add_subparsers(
        title="verbs", metavar="VERB", required=True
    )
    pull = _command(verbs, "pull", _model_pull, "fetch a checkpoint from ModelScope's hub")
    pull.add_argument("name", metavar="NAME", help="such as damo/cv_resnet101_image-multiple-human-parsing")
    pull.add_argument("--out", type=Path, metavar="DIR", help="where to put it (default: the last part of NAME)")
    export = _command(verbs, "export", _model_export, "write a checkpoint as a model that runs without torch")
    export.add_argument("checkpoint", type=Path, metavar="DIR", help="the checkpoint")
    export.add_argument("--out", type=Path, metavar="DIR", help="where to write it (default: DIR-exported)")
    info = _command(verbs, "info", _model_info, "describe a model, or name those that come with the package")
    info.add_argument("model", metavar="MODEL", nargs="?", help="builtin:NAME or a directory")
    verify = _command(verbs, "verify", _model_verify, "compare a model's files with its checksums or configuration")
    verify.add_argument("model", metavar="MODEL", help="builtin:NAME or a directory")


def _model_pull(arguments: Arguments) -> int:
    from edge_worker.tools import model_commands

    return model_commands.pull(arguments.name, arguments.out or Path(Path(arguments.name).name))


def _model_export(arguments: Arguments) -> int:
    from edge_worker.tools import model_commands

    checkpoint = arguments.checkpoint.resolve()
    return model_commands.export(checkpoint, arguments.out or checkpoint.with_name(f"{checkpoint.name}-exported"))


def _model_info(arguments: Arguments) -> int:
    from edge_worker.tools import model_commands

    return model_commands.info(arguments.model)


def _model_verify(arguments: Arguments) -> int:
    from edge_worker.tools import model_commands

    return model_commands.verify(arguments.model)


def _log_warnings_only() -> None:
    """Tools speak for themselves: of what the worker's parts log in them, warnings are shown, on standard error."""
    from edge_worker.config import LogConfig
    from edge_worker.ops import logs

    logs.configure(LogConfig(level="warning", format="console"), sys.stderr)


def _takes_config(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-c",
        "--config",
        type=Path,
        metavar="FILE",
        help="configuration (default $EDGE_WORKER_CONFIG, /etc/edge-worker/edge_worker.yaml, config/edge_worker.yaml)",
    )


def _takes_broker(command: argparse.ArgumentParser) -> None:
    _setting(command, "--host", "mqtt.host", help="the broker, instead of the configuration's")
    _setting(command, "--port", "mqtt.port", help="its port, instead of the configuration's")


def _setting(command: argparse.ArgumentParser, option: str, key: str, **details: Any) -> None:  # noqa: ANN401 - argparse's
    """Let *option* override the configuration's *key*, by the name that the environment has for it."""
    variable = f"EDGE_WORKER__{key.upper().replace('.', '__')}"
    command.add_argument(
        option, dest=variable, metavar=option[2:].upper() if not details.get("choices") else None, **details
    )


def _environment(arguments: Arguments) -> dict[str, str]:
    """Give the environment with the settings in *arguments* on top."""
    settings = {name: value for name, value in vars(arguments).items() if name.startswith("EDGE_WORKER__")}
    return {**os.environ, **{name: value for name, value in settings.items() if value is not None}}


def _without_broker(arguments: Arguments) -> dict[str, str]:
    """Give the environment for a command that uses no broker: without a file nothing names one, and something must."""
    broker = {} if arguments.config else {"EDGE_WORKER__MQTT__HOST": "localhost"}
    return {**broker, **_environment(arguments)}


def _load(arguments: Arguments) -> tuple[Config, Path | None]:
    """Load the configuration that the arguments name, with their settings on top; and the file it came from."""
    from edge_worker.config import find_config, load

    environ = _environment(arguments)
    file = find_config(arguments.config, environ)
    return load(file, environ), file


def _positive(text: str) -> float:
    number = float(text)
    if not 0.0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return number


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text} is not a size such as 1280x720")
    return int(width), int(height)


def _counts(text: str) -> tuple[int, ...]:
    counts = text.split(",")
    if not all(count.isdigit() and int(count) for count in counts):
        raise argparse.ArgumentTypeError(f"{text} are not numbers such as 1,2")
    return tuple(map(int, counts))


def _variants(text: str) -> tuple[tuple[str, str], ...]:
    pairs = [tuple(one.split(":")) for one in text.split(",")]
    if not all(len(pair) == 2 and all(pair) for pair in pairs):  # noqa: PLR2004 - engine and precision
        raise argparse.ArgumentTypeError(f"{text} are not ENGINE:PRECISION such as openvino:f32,openvino:bf16")
    return tuple((engine, precision) for engine, precision in pairs)
