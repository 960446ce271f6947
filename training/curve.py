"""Plots the curves of a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pathlib import Path

_WIDTH, _HEIGHT, _BORDER = 900, 420, 50
_COLOURS = ((40, 40, 200), (200, 120, 40), (40, 150, 40), (150, 40, 150))  # BGR
_SMOOTHING = 15  # number of logged steps to average


def draw_curve(losses: Path, history: list[dict[str, float]], out: Path) -> None:
    """Plot the smoothed loss (scaled to its range) and the figures in *history* (0…1) over steps, at most three."""
    canvas = np.full((_HEIGHT, _WIDTH, 3), 255, dtype=np.uint8)
    lines = [json.loads(line) for line in losses.read_text(encoding="utf-8").splitlines()]
    last = max(line["step"] for line in lines)
    total = np.array([sum(v for k, v in line.items() if k not in ("step", "seconds", "threads")) for line in lines])
    if total.size > _SMOOTHING:
        total = np.convolve(total, np.ones(_SMOOTHING) / _SMOOTHING, mode="valid")
    steps = np.linspace(0, last, total.size)
    _plot(canvas, steps / last, total / total.max(), f"loss (1 is {total.max():.2f})", 0)
    names = [name for name in history[-1] if name != "step"][: len(_COLOURS) - 1]
    for place, name in enumerate(names, start=1):
        x = np.array([one["step"] for one in history]) / last
        _plot(canvas, x, np.array([one[name] for one in history]), name, place)
    cv2.putText(canvas, f"0 … {last} steps", (_BORDER, _HEIGHT - 12), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 0, 1, cv2.LINE_AA)
    cv2.imwrite(str(out), canvas)


def _plot(
    canvas: npt.NDArray[np.uint8], x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], name: str, place: int
) -> None:
    """Plot one line in the unit square, with its name and last value."""
    if not x.size:
        return
    size = np.array([_WIDTH - 2 * _BORDER, _HEIGHT - 2 * _BORDER])
    points = np.stack([x, 1 - y], axis=1) * size + _BORDER
    cv2.polylines(canvas, [points.astype(np.int32)], isClosed=False, color=_COLOURS[place], thickness=2)
    text = f"{name}  {y[-1]:.3f}"
    cv2.putText(
        canvas, text, (_BORDER + 205 * place, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _COLOURS[place], 1, cv2.LINE_AA
    )
