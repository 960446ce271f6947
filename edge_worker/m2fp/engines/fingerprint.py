"""Digests of what an engine's output depends on besides the model: its library, our kernels and graphs, its limits."""

from __future__ import annotations

import hashlib
import json
import os
from importlib import metadata

from edge_worker import __version__
from edge_worker.m2fp.kernels.loader import ISA_LIMITS, loaded_kernels, source_digest


def fingerprint(engine: str, precision: str, *others: str) -> str:
    """Return a digest (hex) of *engine* and its version, *precision*, our version and kernels, and *others*."""
    limits = [os.environ.get(name, "") for name in ISA_LIMITS]
    parts = (__version__, engine, _version(engine), precision, *loaded_kernels(), source_digest(), *limits, *others)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _version(distribution: str) -> str:
    """Return the installed version; empty where it is not installed under that name."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""
