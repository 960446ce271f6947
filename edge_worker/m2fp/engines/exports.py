"""Exports of checkpoints, for engines that run exported models: made once, kept in the cache, found again."""

from __future__ import annotations

import atexit
import hashlib
import importlib
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from edge_worker.common.files import locked
from edge_worker.errors import CheckpointError
from edge_worker.m2fp.configuration import CONFIGURATION_FILE
from edge_worker.m2fp.directory import ModelDirectory, open_directory, sha256_of

# Changed whenever the exported graph of an unchanged checkpoint changes, so that older exports in a cache are not used.
_EXPORT_REVISION = "2"

# In a shared temporary directory a link may be anybody's, and lead anywhere.
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def exported(model: ModelDirectory, cache_directory: Path | None) -> ModelDirectory:
    """Export a checkpoint into *cache_directory* (or a temporary directory), or find a whole export of it there."""
    key = hashlib.sha256()
    for part in (model.sha256, sha256_of(model.path / CONFIGURATION_FILE), _EXPORT_REVISION):
        key.update(part.encode())
    place = _export_home(cache_directory) / key.hexdigest()[:32]
    found = _whole(place)
    if found is None:
        shutil.rmtree(place, ignore_errors=True)
        _export(model, place)
        found = open_directory(place)
    # One export serves all checkpoints of the same content, whatever they are called.
    return replace(found, manifest=found.exported().model_copy(update={"name": model.name}))


def _whole(place: Path) -> ModelDirectory | None:
    """The export in *place*; None where there is none, or one of which the power failed before the disk had it."""
    with suppress(CheckpointError):
        return open_directory(place)
    return None


def _export_home(cache_directory: Path | None) -> Path:
    """Where exports are kept; a directory of this process alone where there is no cache or none to write to."""
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
    """Export beside *place*, then rename; where another process was faster, its export stays."""
    export = importlib.import_module("edge_worker.m2fp.export").export  # brings torch
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
    """Make a directory below *parent* that is this process's until it ends; those of processes that ended go first.

    A process that is killed, or leaves in haste, removes nothing, and an export is as large as its model. What tells
    whether the owner is still there is a lock, which the kernel takes back.
    """
    for left in parent.glob(f"{prefix}*"):
        with suppress(OSError):  # in use, or somebody else's
            handle = locked(left, _DIRECTORY)
            shutil.rmtree(left, ignore_errors=True)
            os.close(handle)
    own = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
    with suppress(OSError):  # a file system that has no locks
        locked(own, _DIRECTORY)
    return own
