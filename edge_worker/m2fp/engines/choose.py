"""Which engine and which precision run a model here, and why."""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import importlib
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_worker.errors import CheckpointError, EngineError
from edge_worker.m2fp.configuration import CONFIGURATION_FILE
from edge_worker.m2fp.directory import ModelDirectory, is_quantised, open_directory, sha256_of
from edge_worker.m2fp.engines.base import EngineOptions, is_installed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from edge_worker.m2fp.engines.base import Engine

AUTO = "auto"

# Changed whenever the exported graph of an unchanged checkpoint changes, so that older exports in a cache are not used.
_EXPORT_REVISION = "2"


@dataclass(frozen=True)
class _Runtime:
    """What an engine needs: Python modules, and an exported model or a checkpoint."""

    modules: tuple[str, ...]
    runs_exported: bool


# Fastest first: `auto` takes the first that can run the model. The reference engine is never taken unasked.
_RUNTIMES = {
    "openvino": _Runtime(("openvino",), runs_exported=True),
    "onnxruntime": _Runtime(("onnxruntime",), runs_exported=True),
    "torch": _Runtime(("torch",), runs_exported=False),
    "modelscope": _Runtime(("modelscope", "mmcv", "torch"), runs_exported=False),
}
_REFERENCE = "modelscope"

ENGINES = tuple(_RUNTIMES)


@dataclass(frozen=True)
class Choice:
    """An engine at work, and how it came to be.

    Attributes:
        engine: loaded.
        name: of the engine.
        precision: what it computes in.
        reason: for people: why this engine and this precision.
    """

    engine: Engine
    name: str
    precision: str
    reason: str


def start_engine(model: ModelDirectory, engine: str, options: EngineOptions) -> Choice:
    """Choose where *engine* or the precision is ``auto``, export a checkpoint where need be, and load.

    Raises:
        EngineError: the engine or precision asked for cannot run here; the message says which can.
        CheckpointError: the model cannot be loaded.
    """
    name, why_engine = _choose_engine(model, engine)
    module = _import_engine(name)
    offered = runnable(model, module.precisions())
    precision, why_precision = _choose_precision(model, options.precision, name, offered)
    if _RUNTIMES[name].runs_exported and model.manifest is None:
        model = exported(model, options.cache_directory)
    loaded = module.create(model, replace(options, precision=precision))
    return Choice(loaded, name, precision, f"{why_engine}; {why_precision}")


def _import_engine(name: str) -> ModuleType:
    try:
        return importlib.import_module(f"edge_worker.m2fp.engines.{name}")
    except ImportError as error:
        raise EngineError(f"engine {name} is installed and does not load: {error}") from error


def _choose_engine(model: ModelDirectory, wanted: str) -> tuple[str, str]:
    obstacles = {name: _obstacle(model, name) for name in ENGINES}
    able = [name for name, obstacle in obstacles.items() if not obstacle]
    if wanted == AUTO:
        able = [name for name in able if name != _REFERENCE]
        if not able:
            raise EngineError("no engine can run this model: " + _list(obstacles))
        return able[0], f"{able[0]} is the fastest engine that runs this model here"
    if wanted not in obstacles:
        raise EngineError(f"engine {wanted!r} is unknown; known are {', '.join(ENGINES)}")
    if obstacles[wanted]:
        raise EngineError(f"engine {wanted} {obstacles[wanted]}; usable here: {', '.join(able) or 'none'}")
    return wanted, f"{wanted} was asked for"


def _obstacle(model: ModelDirectory, name: str) -> str:
    """Why the engine *name* cannot run *model* here, or nothing."""
    runtime = _RUNTIMES[name]
    missing = [module for module in runtime.modules if not is_installed(module)]
    if missing:
        return f"is not installed (Python finds no {', '.join(missing)})"
    if model.manifest is not None and not runtime.runs_exported:
        return f"runs checkpoints, and {model.path} is an exported model"
    if model.manifest is None and runtime.runs_exported and not is_installed("torch", "onnx"):
        return (
            f"runs exported models, and {model.path} is a checkpoint: where torch is installed, "
            f"run `edge-worker model export {model.path} --out DIRECTORY`"
        )
    return ""


def runnable(model: ModelDirectory, precisions: Iterable[str]) -> tuple[str, ...]:
    """Those of an engine's *precisions* that there is a network for in *model*."""
    return tuple(one for one in precisions if model.quantised_sha256 or not is_quantised(one))


def _choose_precision(model: ModelDirectory, wanted: str, engine: str, offered: tuple[str, ...]) -> tuple[str, str]:
    """The precision to run in: a reduced one unasked only where it was measured to be good for this model."""
    if wanted != AUTO:
        # int8 alone leaves open what the rest is computed in: the fastest that is offered comes first.
        fitting = next((one for one in offered if one == wanted or one.startswith(f"{wanted}+")), None)
        if fitting is None:
            raise EngineError(_not_offered(model, wanted, engine, offered))
        return fitting, f"{wanted} was asked for"
    measured = model.manifest.precisions if model.manifest else {}
    for precision in offered[1:]:
        if precision in measured:
            return precision, f"{precision} is fast on this processor and agrees with f32 ({measured[precision]})"
    if len(offered) == 1:
        return "f32", f"f32 is all that {engine} offers on this processor"
    return "f32", f"f32: {', '.join(offered[1:])} would run here, but none was found to agree with it for this model"


def _not_offered(model: ModelDirectory, wanted: str, engine: str, offered: tuple[str, ...]) -> str:
    if is_quantised(wanted) and engine == "openvino" and not model.quantised_sha256:
        return (
            f"precision {wanted}: {model.path} holds no quantised network: run "
            f"`edge-worker model export {model.path} --precision int8 --calibrate PICTURES`"
        )
    return f"precision {wanted} is not offered by {engine} on this processor; offered: {', '.join(offered)}"


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
            handle = _lock(left)
            shutil.rmtree(left, ignore_errors=True)
            os.close(handle)
    own = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
    with suppress(OSError):  # a file system that has no locks
        _lock(own)
    return own


def _lock(directory: Path) -> int:
    """Lock a *directory* until the descriptor is closed that this returns; OSError where that cannot be."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


def _list(obstacles: dict[str, str]) -> str:
    return "; ".join(f"{name} {obstacle}" for name, obstacle in obstacles.items() if obstacle)
