"""Models: ``model pull``, ``export``, ``info`` and ``verify``."""

from __future__ import annotations

from pathlib import Path

from edge_worker.cli.arguments import Arguments, Commands, add_command


def add(commands: Commands) -> None:
    """Describe the commands."""
    description = "fetch, export, describe and verify models"
    verbs = commands.add_parser("model", help=description, description=description).add_subparsers(
        title="verbs", metavar="VERB", required=True
    )
    pull = add_command(verbs, "pull", _pull, "fetch a checkpoint from ModelScope's hub")
    pull.add_argument("name", metavar="NAME", help="such as damo/cv_resnet101_image-multiple-human-parsing")
    pull.add_argument("--out", type=Path, metavar="DIR", help="where to put it (default: the last part of NAME)")
    export = add_command(verbs, "export", _export, "write a checkpoint as a model that runs without torch")
    export.add_argument("checkpoint", type=Path, metavar="DIR", help="the checkpoint")
    export.add_argument("--out", type=Path, metavar="DIR", help="where to write it (default: DIR-exported)")
    info = add_command(verbs, "info", _info, "describe a model, or name those that come with the package")
    info.add_argument("model", metavar="MODEL", nargs="?", help="builtin:NAME or a directory")
    verify = add_command(verbs, "verify", _verify, "compare a model's files with its checksums or configuration")
    verify.add_argument("model", metavar="MODEL", help="builtin:NAME or a directory")


def _pull(arguments: Arguments) -> int:
    from edge_worker.tools import model_commands

    return model_commands.pull(arguments.name, arguments.out or Path(Path(arguments.name).name))


def _export(arguments: Arguments) -> int:
    from edge_worker.tools import model_commands

    checkpoint = arguments.checkpoint.resolve()
    return model_commands.export(checkpoint, arguments.out or checkpoint.with_name(f"{checkpoint.name}-exported"))


def _info(arguments: Arguments) -> int:
    from edge_worker.tools import model_commands

    return model_commands.info(arguments.model)


def _verify(arguments: Arguments) -> int:
    from edge_worker.tools import model_commands

    return model_commands.verify(arguments.model)
