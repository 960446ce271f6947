"""Compiled kernels, where they were built: optional extensions, which a box without a compiler goes without."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

KERNELS = ("_mask_kernel", "engines/_deformable", "engines/_products", "engines/_winograd")
"""Their paths below this package, as ``setup.py`` names them."""

WITHOUT = "EDGE_WORKER_WITHOUT_KERNELS"
"""Environment variable: kernels to go without, separated by commas, as if they were not built; for measurements."""

_PACKAGE = Path(__file__).parent


def load_kernel(path: str) -> ctypes.CDLL | None:
    """Load the extension of this *path*, one of :data:`KERNELS`; None where it was not built."""
    if path in os.environ.get(WITHOUT, "").split(","):
        return None
    return next(filter(None, map(_load, _PACKAGE.glob(f"{path}*.so"))), None)


def _load(file: Path) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(str(file))
    except OSError:  # built for another kind of machine
        return None
