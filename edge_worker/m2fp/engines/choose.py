"""Selection of the engine and precision for a model."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_worker.common.engines import EngineName
from edge_worker.common.errors import EngineError
from edge_worker.m2fp.engines.base import is_installed
from edge_worker.m2fp.engines.exports import exported
from edge_worker.m2fp.engines.trials import Trials, described
from edge_worker.m2fp.kernels.loader import isa_limit
from edge_worker.m2fp.manifest import LIMB_SIDES_FILE, is_quantised

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import ModuleType

    from edge_worker.m2fp.directory import ModelDirectory
    from edge_worker.m2fp.engines.base import Engine, EngineOptions, Network

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
        sides: the model's second network, which decides left and right, in the same engine; None if it has none.
    """

    engine: Engine
    name: str
    precision: str
    reason: str
    sides: Network | None = None


def start_engine(model: ModelDirectory, engine: str, options: EngineOptions) -> Choice:
    """Resolve ``auto``, export a checkpoint if the engine requires it, and load the model.

    Engines that crashed or were far too slow in a trial (:mod:`edge_worker.m2fp.engines.trials`) are skipped.

    Raises:
        EngineError: the requested engine or precision cannot run here; the message lists those that can.
        CheckpointError: the model cannot be loaded.
    """
    trials = Trials(model, options, again=AUTO not in {engine, options.precision})
    passed: list[str] = []
    last_resort: _Candidate | None = None
    for candidate in _candidates(model, engine, options, trials, passed):
        outcome = trials.of(candidate.model, candidate.engine, candidate.precision)
        if outcome.is_sound:
            return _start(candidate, options, passed)
        passed.append(f"{described(candidate.engine, candidate.precision)} {outcome.problem}")
        if not outcome.is_final and last_resort is None:
            last_resort = candidate
    if last_resort is not None:
        return _start(last_resort, options, passed)
    raise EngineError(
        f"nothing that may run this model here does: {'; '.join(passed)}; choose another, or auto",
        option="engine" if options.precision == AUTO else "precision",
    )


@dataclass(frozen=True)
class _Candidate:
    """An engine and precision that may run *model*, which has the engine's format, and why they were selected."""

    model: ModelDirectory
    engine: str
    precision: str
    reason: str


def _candidates(
    model: ModelDirectory, engine: str, options: EngineOptions, trials: Trials, passed: list[str]
) -> Iterator[_Candidate]:
    """Yield candidates, fastest first; add engines that do not load to *passed*."""
    names, why_engine = _engines(model, engine)
    for name in names:
        try:
            offered = runnable(model, _import_engine(name, trials).precisions())
        except EngineError as error:
            if len(names) == 1:
                raise
            passed.append(str(error))
            continue
        wanted = _precisions(model, options.precision, name, offered)
        ready = exported(model, options.cache_directory) if _needs_export(model, name) else model
        for precision, why in wanted:
            yield _Candidate(ready, name, precision, f"{why_engine.format(name)}; {why}")


def _start(candidate: _Candidate, options: EngineOptions, passed: Sequence[str]) -> Choice:
    model, module = candidate.model, _module(candidate.engine)
    loaded = module.create(model, replace(options, precision=candidate.precision))
    sides = module.create(model, replace(options, precision="f32"), LIMB_SIDES_FILE) if model.decides_sides else None
    besides = f"; passed over: {'; '.join(passed)}" if passed else ""
    return Choice(loaded, candidate.engine, candidate.precision, candidate.reason + besides, sides)


def _needs_export(model: ModelDirectory, engine: str) -> bool:
    return _RUNTIMES[engine].runs_exported and model.manifest is None


def _import_engine(name: str, trials: Trials) -> ModuleType:
    """Import an engine, after a trial (now or earlier) has loaded its library."""
    outcome = trials.of_library(name)
    if not outcome.is_sound:
        raise EngineError(f"engine {name} {outcome.problem}")
    try:
        return _module(name)
    except ImportError as error:
        raise EngineError(f"engine {name} is installed and does not load: {error}") from error


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"edge_worker.m2fp.engines.{name}")


def _engines(model: ModelDirectory, wanted: str) -> tuple[tuple[str, ...], str]:
    """Return the engines that may run the model, fastest first, and why; ``{}`` stands for the name of one."""
    obstacles = {name: _obstacle(model, name) for name in ENGINES}
    able = [name for name, obstacle in obstacles.items() if not obstacle]
    if wanted == AUTO:
        able = [name for name in able if name != _REFERENCE]
        if not able:
            raise EngineError("no engine can run this model: " + _list(obstacles))
        return tuple(able), "{} is the fastest engine that runs this model here"
    if wanted not in obstacles:
        raise EngineError(f"engine {wanted!r} is unknown; known are {', '.join(ENGINES)}")
    if obstacles[wanted]:
        raise EngineError(f"engine {wanted} {obstacles[wanted]}; usable here: {', '.join(able) or 'none'}")
    return (wanted,), "{} was asked for"


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


def _precisions(
    model: ModelDirectory, wanted: str, engine: str, offered: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """Return the precisions to try and why, best first; ``auto``: reduced ones that passed the gate, then f32."""
    if wanted != AUTO:
        # Plain int8 does not fix the precision of the other layers: the fastest offered comes first.
        fitting = [one for one in offered if one == wanted or one.startswith(f"{wanted}+")]
        if not fitting:
            raise EngineError(_not_offered(model, wanted, engine, offered), option="precision")
        return tuple((one, f"{wanted} was asked for") for one in fitting)
    measured = model.manifest.precisions if model.manifest else {}
    faithful = tuple(
        (one, f"{one} is fast on this processor and agrees with f32 ({measured[one]})")
        for one in offered[1:]
        if one in measured
    )
    return (*faithful, ("f32", _why_f32(engine, offered, has_faithful=bool(faithful))))


def _why_f32(engine: str, offered: tuple[str, ...], *, has_faithful: bool) -> str:
    if has_faithful:
        return "f32, as nothing faster runs"
    if len(offered) == 1:
        return f"f32 is all that {engine} offers {_here(engine)}"
    others = ", ".join(offered[1:])
    return f"f32: {others} would run here, but none was found to agree with it for this model; {_TRY}"


def _not_offered(model: ModelDirectory, wanted: str, engine: str, offered: tuple[str, ...]) -> str:
    if is_quantised(wanted) and engine == "openvino" and not model.quantised_sha256:
        return (
            f"precision {wanted}: {model.address} holds no quantised network: run "
            f"`edge-worker model export {model.address} --precision int8 --calibrate IMAGES`"
        )
    return f"precision {wanted} is not offered by {engine} {_here(engine)}; offered: {', '.join(offered)}"


def _here(engine: str) -> str:
    name, limit = isa_limit()
    is_held = limit and engine == EngineName.OPENVINO
    return f"on this processor, held to {limit} by {name}" if is_held else "on this processor"


def _list(obstacles: dict[str, str]) -> str:
    return "; ".join(f"{name} {obstacle}" for name, obstacle in obstacles.items() if obstacle)
