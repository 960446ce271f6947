"""The findings as tables for people, and as one JSON document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from edge_worker.m2fp.kernels.loader import describe_kernels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

_STAGES = ("decode", "preprocess", "inference", "postprocess", "render", "encode")


def show(findings: Mapping[str, Any], console: Console) -> None:
    """Print what was found."""
    console.print(_machine_line(findings["machine"]))
    console.print(_variants(findings["variants"]))
    for variant in findings["variants"]:
        if variant["error"]:
            console.print(variant["error"], markup=False)
    if roofline := findings.get("roofline"):
        console.print(_rates(roofline))
        console.print(_roofline(roofline))
    for title, rows in findings.get("sweeps", {}).items():
        console.print(_rows(title, rows))


def _machine_line(machine: Mapping[str, Any]) -> str:
    quota = "no quota" if machine["quota"] is None else f"quota {machine['quota']:g}"
    flags = " ".join(machine["flags"]) or "none that matter"
    return (
        f"{machine['architecture']}, {machine['processors']} processors, {quota}, {machine['memory_gb']} GB; {flags}; "
        f"load {machine['load']}; compiled kernels: {describe_kernels(machine['kernels'])}"
    )


def _variants(variants: Sequence[Mapping[str, Any]]) -> Table:
    """A column for each variant: there are few of them, and many figures of each."""
    table = Table(title="one frame, milliseconds: median (quartiles)", title_justify="left")
    ran = [variant for variant in variants if not variant["error"]]
    table.add_column("")
    for variant in ran:
        table.add_column(variant["variant"], justify="right")
    figures = [_variant(variant) for variant in ran]
    for name in figures[0] if figures else ():
        table.add_row(name, *(figure[name] for figure in figures))
    return table


def _variant(variant: Mapping[str, Any]) -> dict[str, str]:
    stages = variant["stages_ms"]
    agreement = variant.get("agreement") or {}
    return {
        **{stage: f"{stages[stage]['median']:.1f}" if stage in stages else "" for stage in _STAGES},
        "frame": spread(variant["wall_ms"]),
        "ratio to the last": _number(variant.get("ratio"), ".2f"),
        "first frame": f"{variant['first_ms']:.0f}",
        "loaded in, s": f"{variant['load_s']:.1f}",
        "peak memory, MB": f"{variant['peak_mb']:.0f}",
        "class logits differ by": _number(agreement.get("class_logits"), ".1e"),
        "pixels that agree": _number(agreement.get("pixels"), ".3%"),
        "instances' IoU": _number(agreement.get("instance_iou"), ".3f"),
    }


def spread(summary: Mapping[str, float]) -> str:
    """A median with its quartiles."""
    return f"{summary['median']:.0f} ({summary['low']:.0f}–{summary['high']:.0f})"


def _rates(roofline: Mapping[str, Any]) -> str:
    rates = ", ".join(f"{kind} {rate / 1e9:.0f} GFLOP/s" for kind, rate in roofline["flops"].items())
    return (
        f"this machine, {roofline['threads']} threads: large matrix products {rates}; "
        f"copies of memory {roofline['copy_bytes'] / 1e9:.1f} GB/s"
    )


def _roofline(roofline: Mapping[str, Any]) -> Table:
    table = Table(title="the network, and the time its arithmetic takes at that rate", title_justify="left")
    for column in ("precision", "multiply-adds, G", "floor, ms", "network, ms", "over the floor"):
        table.add_column(column, justify="right")
    for row in roofline["rows"]:
        work = roofline["multiply_adds"][row["precision"]]
        table.add_row(
            row["precision"],
            ", ".join(f"{kind} {count / 1e9:.0f}" for kind, count in work.items()),
            f"{row['floor_ms']:.0f}",
            _number(row["network_ms"], ".0f"),
            _number(row["over_floor"], ".2f"),
        )
    return table


def _rows(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in rows[0]:
        table.add_column(column, justify="right", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    return table


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return f"{value['median']:.1f} ({value['low']:.1f}–{value['high']:.1f})"
    return _plain(value) if isinstance(value, float) else str(value)


def _plain(value: float) -> str:
    """Three figures or more: narrow enough for a terminal of 80 columns."""
    return f"{value:.1f}" if value >= 100 else f"{value:.2f}"  # noqa: PLR2004


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
