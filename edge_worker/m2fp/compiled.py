"""Compiled kernels, where they were built: optional extensions, which a box without a compiler goes without."""

from __future__ import annotations

import ctypes
from pathlib import Path

_PACKAGE = Path(__file__).parent


def load_kernel(path: str) -> ctypes.CDLL | None:
    """Load the extension of this *path* below this package, as ``setup.py`` names it; None where it was not built."""
    return next(filter(None, map(_load, _PACKAGE.glob(f"{path}*.so"))), None)


def _load(file: Path) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(str(file))
    except OSError:  # built for another kind of machine
        return None
