"""Patterns of cloth: plain, knitted, striped, checked, dotted, with flowers, camouflage, denim."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from training.synthetic.painter import SIZE

if TYPE_CHECKING:
    from training.synthetic.geometry import Array
    from training.synthetic.painter import Painter


def add_cloth(p: Painter) -> None:
    """Add all patterns of cloth."""
    x, y = p.columns, p.rows
    p.add("plain", 0.88 + 0.12 * p.grain())
    p.add("knit", 0.75 + 0.25 * np.sin(x * 2 * np.pi * 40) * np.sin(y * 2 * np.pi * 40) ** 2)
    for count in (4, 8, 16):
        p.add("stripe", _mixed(_bands(y * count), p.colour(), p.colour()))
    for count in (6, 14):
        p.add("stripe", _mixed(_bands(x * count, 0.2), p.colour(), p.colour()))
    for count in (4, 8):
        one, other, third = p.colour(), p.colour(), p.colour()
        down, across, thin = _bands(x * count, 0.4), _bands(y * count, 0.4), _bands(x * count + 0.2, 0.05)
        p.add("plaid", (_mixed(down, one, other) + _mixed(across, one, third)) / 2 * (1 - 0.5 * thin[:, :, None]))
    for count in (5, 10):
        one, other = p.colour(), p.colour()
        p.add("dots", _mixed((((x * count) % 1 - 0.5) ** 2 + ((y * count) % 1 - 0.5) ** 2) < 0.07, one, other))
    for _ in range(3):
        p.add("floral", _floral(p))
    _camouflage(p)
    p.add("denim", (0.5 + 0.25 * p.noise(60, 20, 2) + 0.25 * p.grain())[:, :, None] * np.array([0.5, 0.6, 0.85]))
    p.add("diag", 0.6 + 0.4 * _bands(x * 10 + y * 10))
    p.add("check", 0.5 + 0.5 * (_bands(x * 8) * _bands(y * 8)))
    p.add("mottle", 0.6 + 0.4 * p.noise(5))


def _bands(phase: Array, width: float = 0.5) -> Array:
    return np.asarray((phase % 1) < width, dtype=np.float32)


def _mixed(share: Array, one: Array, other: Array) -> Array:
    share = share[:, :, None]
    return np.asarray(one * share + other * (1 - share))


def _floral(p: Painter) -> Array:
    rng = p.rng
    picture = np.ones((SIZE, SIZE, 3), np.float32) * p.colour().astype(np.float32)
    for _ in range(60):
        x, y = rng.integers(0, SIZE, 2)
        petals, size = p.colour().tolist(), int(rng.integers(4, 14))
        for petal in range(5):
            place = (int(x + size * np.cos(petal * 1.257)), int(y + size * np.sin(petal * 1.257)))
            cv2.circle(picture, place, int(size * 0.6), petals, -1)
        cv2.circle(picture, (int(x), int(y)), int(size * 0.5), p.colour().tolist(), -1)
    return picture


def _camouflage(p: Painter) -> None:
    green = (np.array([0.3, 0.35, 0.2]), np.array([0.45, 0.4, 0.25]), np.array([0.2, 0.2, 0.15]))
    for k in range(2):
        one, other, third = green if k == 0 else (p.colour(), p.colour(), p.colour())
        first, second = p.noise(6) > 0.55, p.noise(6) > 0.5
        p.add("camo", np.where(first[:, :, None], one, np.where(second[:, :, None], other, third)))
