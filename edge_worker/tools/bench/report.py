"""The results as tables for people, and as one JSON document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from edge_worker.m2fp.kernels.loader import describe_kernels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

_STAGES = ("decode", "preprocess", "inference", "postprocess", "render", "encode")


def show(findings: Mapping[str, Any], console: Console) -> None:
    """Print the results."""
    console.print(machine_line(findings["machine"]))
    console.print(_variants(findings["variants"], "--against" if findings["against"] else "the last"))
    for variant in findings["variants"]:
        if variant["error"]:
            console.print(variant["error"], markup=False)


def machine_line(machine: Mapping[str, Any]) -> str:
    """Describe the machine in one line."""
    quota = "no quota" if machine["quota"] is None else f"quota {machine['quota']:g}"
    flags = " ".join(machine["flags"]) or "none that matter"
    return (
        f"{machine['architecture']}, {machine['processors']} processors, {quota}, {machine['memory_gb']} GB; {flags}; "
        f"load {machine['load']}; compiled kernels: {describe_kernels(machine['kernels'])}"
    )


def _variants(variants: Sequence[Mapping[str, Any]], other: str) -> Table:
    """Return a table with a column per variant: there are few of them, with many figures; *other*: base of ratios."""
    table = Table(title="one frame, milliseconds: median (quartiles)", title_justify="left")
    ran = [variant for variant in variants if not variant["error"]]
    table.add_column("")
    for variant in ran:
        table.add_column(variant["variant"], justify="right")
    figures = [_variant(variant, other) for variant in ran]
    for name in figures[0] if figures else ():
        table.add_row(name, *(figure[name] for figure in figures))
    return table


def _variant(variant: Mapping[str, Any], other: str) -> dict[str, str]:
    stages = variant["stages_ms"]
    agreement = variant.get("agreement") or {}
    return {
        "runs": f"{variant['model']['engine']} {variant['model']['precision']}",
        **{stage: f"{stages[stage]['median']:.1f}" if stage in stages else "" for stage in _STAGES},
        "frame": spread(variant["wall_ms"]),
        f"ratio to {other}": _number(variant.get("ratio"), ".2f"),
        "first frame": f"{variant['first_ms']:.0f}",
        "loaded in, s": f"{variant['load_s']:.1f}",
        "peak memory, MB": f"{variant['peak_mb']:.0f}",
        "class logits differ by": _number(agreement.get("class_logits"), ".1e"),
        "pixels that agree": _number(agreement.get("pixels"), ".3%"),
        "instances' IoU": _number(agreement.get("instance_iou"), ".3f"),
    }


def spread(summary: Mapping[str, float]) -> str:
    """Return a median with its quartiles as text."""
    return f"{summary['median']:.0f} ({summary['low']:.0f}–{summary['high']:.0f})"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
