"""The pipeline without a broker: ``parse``, ``export`` and ``bench``."""

from __future__ import annotations

from pathlib import Path

from edge_worker.cli.arguments import (
    MODELS,
    SETTINGS,
    Arguments,
    Commands,
    add_command,
    counts,
    from_here,
    isas,
    options,
    setting,
    size,
    takes_config,
    variants,
    without_broker,
)
from edge_worker.common.engines import ENGINE_NAMES, ISAS, PRECISIONS
from edge_worker.common.formats import ANNOTATION_FORMATS


def add(commands: Commands) -> None:
    """Add the commands."""
    _add_parse(commands)
    _add_export(commands)
    _add_bench(commands)


def _add_parse(commands: Commands) -> None:
    command = add_command(commands, "parse", _parse, "run the pipeline on files and folders, without a broker")
    command.add_argument("paths", metavar="PATH", nargs="+", type=Path, help="images, or folders of them")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    command.add_argument("--raw", action="store_true", help="also write STEM.npz: net_input, pred_logits, pred_masks")
    command.add_argument(
        "--overwrite", action="store_true", help="also parse images that have results already (default: only new ones)"
    )
    command.add_argument(
        "--format",
        choices=ANNOTATION_FORMATS,
        help="also export the results to DIR/FORMAT, as `export` does (default: no)",
    )
    takes_config(command, SETTINGS)
    setting(
        command,
        "--overlay",
        "output.overlay.enabled",
        action="store_const",
        const="true",
        help="also write STEM.overlay.jpg",
    )
    setting(
        command,
        "--masks",
        "output.labels.masks",
        choices=("none", "rle"),
        help="masks in the labels; rle: run lengths (default: as configured, else none)",
    )
    setting(command, "--model", "model.path", type=from_here, help=f"{MODELS} (default: as configured, else m2fp-lite)")
    setting(
        command,
        "--engine",
        "model.engine",
        choices=ENGINE_NAMES,
        help="inference engine (default: as configured, else auto)",
    )
    setting(
        command,
        "--precision",
        "model.precision",
        choices=PRECISIONS,
        help="numeric precision (default: as configured, else auto)",
    )
    setting(
        command,
        "--threads",
        "threads.inference",
        help="inference threads (default: as configured, else one per CPU)",
    )


def _parse(arguments: Arguments) -> int:
    from edge_worker.config import load
    from edge_worker.tools import parse

    environ = without_broker(arguments)
    if arguments.format:
        environ |= {"EDGE_WORKER__OUTPUT__LABELS__MASKS": "rle"}
    config = load(arguments.config, environ)
    code = parse.run(config, arguments.paths, arguments.out, raw=arguments.raw, overwrite=arguments.overwrite)
    return max(code, _export_to(arguments.out, arguments.format, None)) if arguments.format else code


def _add_export(commands: Commands) -> None:
    command = add_command(
        commands, "export", _export, "convert results of parse to the format of a labelling tool or training program"
    )
    command.add_argument("results", metavar="RESULTS", type=Path, help="folder that `parse --masks rle` wrote")
    command.add_argument(
        "--format", required=True, choices=ANNOTATION_FORMATS, help="format of the program that reads them"
    )
    command.add_argument("--out", type=Path, metavar="DIR", help="folder to write to (default: RESULTS/FORMAT)")


def _export(arguments: Arguments) -> int:
    return _export_to(arguments.results, arguments.format, arguments.out)


def _export_to(results: Path, name: str, out: Path | None) -> int:
    from edge_worker.tools.annotations.command import run

    return run(results, name, out or results / name)


def _add_bench(commands: Commands) -> None:
    command = add_command(commands, "bench", _bench, "time each stage, compare engines and precisions in turn")
    command.add_argument(
        "paths", metavar="PATH", nargs="*", type=Path, help="images, or folders of them (default: a rendered frame)"
    )
    command.add_argument(
        "--size", type=size, default=(1280, 720), metavar="WxH", help="pixels of the rendered frame (default 1280x720)"
    )
    command.add_argument(
        "--variants",
        type=variants,
        default=(("openvino", "f32"), ("openvino", "bf16")),
        metavar="ENGINE:PRECISION,…",
        help="what to compare; the first is the reference for agreement (default openvino:f32,openvino:bf16)",
    )
    command.add_argument(
        "--threads",
        type=counts,
        default=(),
        metavar="N,…",
        help="numbers of threads to try (default: as configured, else one per CPU)",
    )
    command.add_argument(
        "--against",
        metavar="MODEL",
        help="also measure another model, in the same variants; modelscope: the published pipeline; torch: this model "
        "in PyTorch (default: nothing)",
    )
    command.add_argument(
        "--isa",
        dest="isas",
        type=isas,
        default=(),
        metavar="ISA,…",
        help=f"instruction sets to limit everything to, each tried: {', '.join(ISAS)} (default: no limit)",
    )
    command.add_argument(
        "--turns", type=int, default=10, help="rounds, in each of which every variant parses a frame (default 10)"
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="where to write all figures (default: nowhere)")
    command.add_argument(
        "--plot", type=Path, metavar="FILE", help="where to draw the stages, such as bench.png (default: nowhere)"
    )
    takes_config(command, SETTINGS)
    command.add_argument(
        "--model",
        help=f"{MODELS}, or seeded-r101: random weights of the published size (default: as configured, else m2fp-lite)",
    )


def _bench(arguments: Arguments) -> int:
    from edge_worker.config import load
    from edge_worker.tools.bench import command as bench

    config = load(arguments.config, without_broker(arguments))
    return bench.run(config, options(bench.BenchOptions, arguments))
