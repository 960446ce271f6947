"""Cached exports of checkpoints, for engines that run exported models.

An export is used only if its files match its manifest and the manifest names this checkpoint; else it is made again.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib
import logging
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from msgspec import structs

from edge_worker.common import log_events
from edge_worker.common.errors import CheckpointError
from edge_worker.common.files import locked, remove
from edge_worker.common.platforms import OPEN_DIRECTORY
from edge_worker.m2fp.checksums import sha256_of
from edge_worker.m2fp.configuration import CONFIGURATION_FILE
from edge_worker.m2fp.directory import ModelDirectory, open_directory

# Increment when the exported graph of the same checkpoint changes, to invalidate cached exports.
_EXPORT_REVISION = "2"

_log = logging.getLogger(__name__)


def exported(model: ModelDirectory, cache_directory: Path | None) -> ModelDirectory:
    """Return the export of a checkpoint in *cache_directory* (or a temporary directory); create it if missing."""
    configuration = sha256_of(model.path / CONFIGURATION_FILE)
    key = hashlib.sha256(f"{model.sha256}{configuration}{_EXPORT_REVISION}".encode())
    place = _export_home(cache_directory) / key.hexdigest()[:32]
    found = _open_complete(place, model.sha256, configuration)
    if found is None:
        with suppress(OSError):
            remove(place)
        _export(model, place)
        found = open_directory(place)
    # Checkpoints of the same content share one export, whatever their names.
    return replace(found, manifest=structs.replace(found.exported(), name=model.name))


def _open_complete(place: Path, weights: str, configuration: str) -> ModelDirectory | None:
    """Return the export in *place*; None if it is missing, incomplete, or not of the checkpoint with these SHA-256."""
    if not place.exists() and not place.is_symlink():
        return None
    try:
        found = open_directory(place)
        if (found.exported().source_sha256, found.exported().files[CONFIGURATION_FILE]) == (weights, configuration):
            return found
        problem = "it is of another checkpoint"
    except CheckpointError as error:
        problem = str(error)
    _log.warning(log_events.EXPORT_DAMAGED, place, problem)
    return None


def _export_home(cache_directory: Path | None) -> Path:
    """Return the directory of exports; private to this process if there is no writable cache."""
    if cache_directory is not None:
        home = cache_directory / "exported"
        with suppress(OSError):
            home.mkdir(parents=True, exist_ok=True)
        if os.access(home, os.W_OK):
            return home
    home = _own_directory(Path(tempfile.gettempdir()), "edge-worker-export-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return home


def _export(model: ModelDirectory, place: Path) -> None:
    """Export to a sibling of *place*, then rename; if another process was faster, its export stays."""
    export = importlib.import_module("edge_worker.m2fp.export").export  # imports torch
    fresh = _own_directory(place.parent, ".part-")
    try:
        export(model.path, fresh, name=model.name)
        fresh.replace(place)
    except OSError:
        if not place.is_dir():
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _own_directory(parent: Path, prefix: str) -> Path:
    """Create a directory in *parent* for the lifetime of this process, and remove those of processes that have ended.

    A killed process leaves its directory behind, and an export is as large as its model. A file lock, which the kernel
    releases on exit, shows whether the owner still runs.
    """
    for left in parent.glob(f"{prefix}*"):
        with suppress(OSError):  # in use, or owned by another user
            handle = locked(left, OPEN_DIRECTORY)
            shutil.rmtree(left, ignore_errors=True)
            os.close(handle)
    own = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
    with suppress(OSError):  # the file system does not support locks
        locked(own, OPEN_DIRECTORY)
    return own
