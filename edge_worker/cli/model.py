"""Models: ``model pull``, ``export``, ``gate``, ``info`` and ``verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_worker.cli.arguments import Arguments, Commands, add_command
from edge_worker.common.errors import EdgeWorkerError

_IMAGES: dict[str, Any] = {"type": Path, "nargs": "+", "metavar": "PATH"}


def add(commands: Commands) -> None:
    """Add the commands."""
    description = "fetch, export, measure, describe and verify models"
    verbs = commands.add_parser("model", help=description, description=description).add_subparsers(
        title="verbs", metavar="VERB", required=True
    )
    pull = add_command(verbs, "pull", _pull, "fetch a checkpoint from ModelScope's hub")
    pull.add_argument("name", metavar="NAME", help="such as damo/cv_resnet101_image-multiple-human-parsing")
    pull.add_argument("--out", type=Path, metavar="DIR", help="where to put it (default: the last part of NAME)")
    _add_export(verbs)
    gate = add_command(
        verbs, "gate", _gate, "measure reduced precisions on images; record in the model which are accurate enough"
    )
    gate.add_argument("model", metavar="MODEL", help="directory of an exported model")
    gate.add_argument("--frames", **_IMAGES, required=True, help="images to measure with, or folders of them")
    info = add_command(verbs, "info", _info, "describe a model, or name those that come with the package")
    info.add_argument("model", metavar="MODEL", nargs="?", help="builtin:NAME or a directory")
    verify = add_command(verbs, "verify", _verify, "compare a model's files with its checksums or configuration")
    verify.add_argument("model", metavar="MODEL", help="builtin:NAME or a directory")


def _add_export(verbs: Commands) -> None:
    export = add_command(verbs, "export", _export, "write a checkpoint as a model that runs without torch")
    export.add_argument("model", metavar="MODEL", help="a checkpoint, builtin:NAME, or a model that was exported")
    export.add_argument(
        "--out", type=Path, metavar="DIR", help="where to write it (default: MODEL-exported; of a builtin one, here)"
    )
    export.add_argument(
        "--precision",
        choices=("f32", "int8"),
        default="f32",
        help="int8: also quantised, if that is accurate enough (default f32)",
    )
    export.add_argument(
        "--calibrate",
        **_IMAGES,
        help="about 100 frames of your own, or folders of them (default: none; int8 needs them)",
    )
    export.add_argument(
        "--gate", **_IMAGES, default=[], help="images to measure accuracy with (default: half of those to calibrate)"
    )


def _pull(arguments: Arguments) -> int:
    from edge_worker.tools import model

    return model.pull(arguments.name, arguments.out or Path(Path(arguments.name).name))


def _export(arguments: Arguments) -> int:
    from edge_worker.m2fp.directory import BUILTIN, resolve
    from edge_worker.tools import model, precision

    source = resolve(arguments.model).resolve()
    beside = Path() if arguments.model.startswith(BUILTIN) else source.parent
    out = arguments.out or beside / f"{source.name}-exported"
    if arguments.precision != "int8":
        return model.export(source, out)
    if not arguments.calibrate:
        raise EdgeWorkerError("--precision int8 needs --calibrate: images such as the cameras will send")
    model.export(source, out)
    precision.quantise(out, arguments.calibrate, arguments.gate)
    return model.info(str(out))


def _gate(arguments: Arguments) -> int:
    from edge_worker.tools import precision

    return precision.gate(arguments.model, arguments.frames)


def _info(arguments: Arguments) -> int:
    from edge_worker.tools import model

    return model.info(arguments.model)


def _verify(arguments: Arguments) -> int:
    from edge_worker.tools import model

    return model.verify(arguments.model)
