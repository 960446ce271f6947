"""Loader of the compiled kernels, which are optional extensions: without a compiler they are missing.

A library is loaded only if it was built for this Python and from these sources. Libraries left by an older checkout or
another interpreter are ignored.

Imports only the standard library: ``setup.py`` loads this file to compute the digest of the sources.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import sysconfig
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

KERNELS = ("masks", "deformable", "gemm", "winograd", "preprocess", "runs")
"""Names of the kernels: ``setup.py`` compiles ``NAME.c`` to ``_NAME`` beside it."""

WITHOUT = "EDGE_WORKER_WITHOUT_KERNELS"
"""Environment variable: kernels to treat as not built, separated by commas; for measurements."""

ISA_LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
"""Environment variables that limit oneDNN (and so OpenVINO) and our kernels to an instruction set, by precedence."""

# Values below AVX-512, and the highest level of vector.h that each allows.
_LEVELS = {"SSE41": 0, "AVX": 0, "AVX2": 1, "AVX2_VNNI": 1, "AVX2_VNNI_2": 1}
_BEST = 2

_PACKAGE = Path(__file__).parent
_SYMBOL = "kernel_source"  # defined in source.h
_DIGITS = 16


@cache
def source_digest() -> str:
    """Return the hex digest of all C sources."""
    digest = hashlib.sha256()
    for file in sorted(_PACKAGE.glob("*.[ch]")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:_DIGITS]


def load_kernel(name: str) -> ctypes.CDLL | None:
    """Load the kernel *name*, one of :data:`KERNELS`; None if it was not built from these sources."""
    if name in os.environ.get(WITHOUT, "").split(","):
        return None
    file = _PACKAGE / f"_{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    try:
        library = ctypes.CDLL(str(file))
        built_from = (ctypes.c_char * _DIGITS).in_dll(library, _SYMBOL).value.decode()
    except (OSError, ValueError):  # missing, for another architecture, or without the version symbol
        return None
    if built_from != source_digest():
        return None
    if (hold_to := getattr(library, "hold_to", None)) is not None:  # kernels with several versions of their functions
        hold_to(most_level())
    return library


def isa_limit(environ: Mapping[str, str] = os.environ) -> tuple[str, str]:
    """Return which of :data:`ISA_LIMITS` is in force, and its value in capitals; both empty if none is set."""
    return next(((name, environ[name].upper()) for name in ISA_LIMITS if environ.get(name)), ("", ""))


def most_level() -> int:
    """Return the highest level of ``vector.h`` that :data:`ISA_LIMITS` allow the kernels."""
    return _LEVELS.get(isa_limit()[1], _BEST)


def loaded_kernels() -> tuple[str, ...]:
    """Return the names of the available kernels."""
    return tuple(name for name in KERNELS if load_kernel(name) is not None)


def describe_kernels(loaded: Collection[str]) -> str:
    """Describe the *loaded* kernels, with the remedy if any are missing."""
    missing = [name for name in KERNELS if name not in loaded]
    if not missing:
        return ", ".join(loaded)
    return f"{', '.join(loaded) or 'none'} (not {', '.join(missing)}: slower; install a C compiler and reinstall)"
