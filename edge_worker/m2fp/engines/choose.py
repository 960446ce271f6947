"""Selection of the engine and precision for a model."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_worker.common.engines import EngineName
from edge_worker.errors import EngineError
from edge_worker.m2fp.directory import is_quantised
from edge_worker.m2fp.engines.base import is_installed
from edge_worker.m2fp.engines.exports import exported

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from edge_worker.m2fp.directory import ModelDirectory
    from edge_worker.m2fp.engines.base import Engine, EngineOptions

AUTO = EngineName.AUTO.value

_TRY = "`edge-worker model gate` tries them on images of yours"


@dataclass(frozen=True)
class _Runtime:
    """Requirements of an engine: Python modules, and an exported model or a checkpoint."""

    modules: tuple[str, ...]
    runs_exported: bool


# Fastest first: `auto` selects the first that can run the model, never the reference engine.
_RUNTIMES = {
    EngineName.OPENVINO.value: _Runtime(("openvino",), runs_exported=True),
    EngineName.ONNXRUNTIME.value: _Runtime(("onnxruntime",), runs_exported=True),
    EngineName.TORCH.value: _Runtime(("torch",), runs_exported=False),
    EngineName.MODELSCOPE.value: _Runtime(("modelscope", "mmcv", "torch"), runs_exported=False),
}
_REFERENCE = EngineName.MODELSCOPE.value

ENGINES = tuple(_RUNTIMES)


@dataclass(frozen=True)
class Choice:
    """A loaded engine and the reason it was selected.

    Attributes:
        engine: the loaded engine.
        name: name of the engine.
        precision: precision in use.
        reason: human-readable reason for this engine and precision.
    """

    engine: Engine
    name: str
    precision: str
    reason: str


def start_engine(model: ModelDirectory, engine: str, options: EngineOptions) -> Choice:
    """Resolve ``auto``, export a checkpoint if the engine requires it, and load the model.

    Raises:
        EngineError: the requested engine or precision cannot run here; the message lists those that can.
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
    """Return why engine *name* cannot run *model* here; empty if it can."""
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
    """Return those of an engine's *precisions* for which *model* has a network."""
    return tuple(one for one in precisions if model.quantised_sha256 or not is_quantised(one))


def _choose_precision(model: ModelDirectory, wanted: str, engine: str, offered: tuple[str, ...]) -> tuple[str, str]:
    """Choose the precision and the reason; ``auto`` picks a reduced one only if it passed the gate for this model."""
    if wanted != AUTO:
        # Plain int8 does not fix the precision of the other layers: the fastest offered comes first.
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
    others = ", ".join(offered[1:])
    return "f32", f"f32: {others} would run here, but none was found to agree with it for this model; {_TRY}"


def _not_offered(model: ModelDirectory, wanted: str, engine: str, offered: tuple[str, ...]) -> str:
    if is_quantised(wanted) and engine == "openvino" and not model.quantised_sha256:
        return (
            f"precision {wanted}: {model.address} holds no quantised network: run "
            f"`edge-worker model export {model.address} --precision int8 --calibrate IMAGES`"
        )
    return f"precision {wanted} is not offered by {engine} on this processor; offered: {', '.join(offered)}"


def _list(obstacles: dict[str, str]) -> str:
    return "; ".join(f"{name} {obstacle}" for name, obstacle in obstacles.items() if obstacle)
