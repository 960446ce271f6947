"""Compiled kernels, where they were built: optional extensions, which a box without a compiler goes without."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

KERNELS = ("masks", "deformable", "gemm", "winograd")
"""Their names: ``NAME.c`` is compiled to ``_NAME`` beside it by ``setup.py``."""

WITHOUT = "EDGE_WORKER_WITHOUT_KERNELS"
"""Environment variable: kernels to go without, separated by commas, as if they were not built; for measurements."""

_PACKAGE = Path(__file__).parent


def load_kernel(name: str) -> ctypes.CDLL | None:
    """Load the kernel of this *name*, one of :data:`KERNELS`; None where it was not built."""
    if name in os.environ.get(WITHOUT, "").split(","):
        return None
    return next(filter(None, map(_load, _PACKAGE.glob(f"_{name}.*.so"))), None)


def _load(file: Path) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(str(file))
    except OSError:  # built for another kind of machine
        return None
