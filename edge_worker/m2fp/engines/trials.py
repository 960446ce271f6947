"""Trials of engines: each runs once in a subprocess, and its outcome is kept in the cache directory.

An engine may crash (an illegal instruction, out of memory), or emulate instructions that the processor lacks and take
many times as long. The key of a trial is everything its outcome depends on: model, engine and its version, precision,
compiled kernels, limits on instructions, processor.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edge_worker.common import log_events
from edge_worker.common.files import locked
from edge_worker.common.processes import how_it_ended
from edge_worker.common.sealed import SealedFile
from edge_worker.m2fp.engines.compiler import start_process
from edge_worker.m2fp.engines.fingerprint import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edge_worker.m2fp.directory import ModelDirectory
    from edge_worker.m2fp.engines.base import EngineOptions

LIMIT_S: Final = 120.0
"""Time limit for loading, compiling and a few inferences."""
QUICK_S: Final = 0.1
"""An inference that takes less is fast enough, and is not compared with f32."""
CRAWL: Final = 3.0
"""A reduced precision that takes this many times as long as f32 is taken for emulated; bf16 without AMX took 4.6."""

_FILE: Final = "engines.json"
_SCHEMA: Final = "edge-worker.engines/1"
_MAX_ENTRIES: Final = 200
_MAX_DOUBTS: Final = 2  # doubtful outcomes in a row: one kill may have had nothing to do with the engine
_EXTERNAL_SIGNALS: Final = frozenset({-signal.SIGTERM, -signal.SIGINT, -9})  # Windows has no SIGKILL
_POLL_S: Final = 0.1  # poll interval during another process's trial

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """Outcome of a trial.

    Attributes:
        problem: why the engine must not be used, as the end of a sentence about it; empty if it runs.
        seconds: duration of an inference.
        doubts: number of trials in a row that may have been ended from outside: by a kill, or for lack of memory.
    """

    problem: str = ""
    seconds: float = 0.0
    doubts: int = 0

    @property
    def is_sound(self) -> bool:
        """Whether the engine runs."""
        return not self.problem

    @property
    def is_final(self) -> bool:
        """Whether another trial would be pointless."""
        return self.is_sound or self.doubts in {0, _MAX_DOUBTS}


class Trials:
    """The trials of one model's engines; without :attr:`EngineOptions.trial` every engine passes."""

    def __init__(self, model: ModelDirectory, options: EngineOptions, *, again: bool) -> None:
        """Try engines for *model*; **again*: those that failed, too, because no other engine was requested."""
        self._model, self._options, self._again = model, options, again
        directory = options.cache_directory
        self._file = None if directory is None else SealedFile(directory / _FILE, _SCHEMA, "trials", _outcome)

    def of_library(self, engine: str) -> Outcome:
        """Try to load the library of *engine*."""
        return self._of(self._model, engine, "")

    def of(self, model: ModelDirectory, engine: str, precision: str) -> Outcome:
        """Try *engine* in *precision* on *model*, and compare it with f32 if it is slow."""
        outcome = self._of(model, engine, precision)
        if not outcome.is_sound or outcome.seconds < QUICK_S or precision == "f32":
            return outcome
        exact = self._of(model, engine, "f32", keep=False)
        if not exact.is_sound or outcome.seconds < CRAWL * exact.seconds:
            return outcome
        crawls = Outcome(f"takes {outcome.seconds:.1f} s where f32 takes {exact.seconds:.1f} s", outcome.seconds)
        self._remember(_key(model, engine, precision), crawls)
        _log.warning(log_events.ENGINE_PASSED_OVER, described(engine, precision), crawls.problem)
        return crawls

    def _of(self, model: ModelDirectory, engine: str, precision: str, *, keep: bool = True) -> Outcome:
        """Look up or make a trial; *keep*: cache what is compiled, for the process that will run the engine."""
        if self._options.trial is None:
            return Outcome()
        key = _key(model if precision else None, engine, precision)
        known = self._read().get(key)
        if known is not None and self._settles(known):
            return known
        with self._alone():
            known = self._read().get(key)  # another process may have tried it meanwhile
            if known is not None and self._settles(known):
                return known
            doubts = min(_MAX_DOUBTS, 1 + (known.doubts if known else 0))
            self._remember(key, Outcome("did not come back when it was tried", doubts=doubts))
            outcome = self._try(model, engine, precision, self._options.cache_directory if keep else None)
            outcome = replace(outcome, doubts=doubts) if outcome.doubts else outcome
            self._remember(key, outcome)
        return outcome

    def _settles(self, known: Outcome) -> bool:
        return known.is_sound or (known.is_final and not self._again)

    def _try(self, model: ModelDirectory, engine: str, precision: str, cache: Path | None) -> Outcome:
        options = replace(self._options, precision=precision, cache_directory=cache)
        outcome = _run(engine, model.path, options)
        if not outcome.is_sound:
            _log.warning(log_events.ENGINE_PASSED_OVER, described(engine, precision), outcome.problem)
        return outcome

    def _read(self) -> Mapping[str, Outcome]:
        if self._file is None:
            return {}
        found = self._file.read()
        if found.problem:
            _log.warning(log_events.ENGINE_TRIALS_DAMAGED, self._file.file, found.problem)
        return found.entries

    def _remember(self, key: str, outcome: Outcome) -> None:
        if self._file is None:
            return
        entries = {**{other: entry for other, entry in self._read().items() if other != key}, key: outcome}
        newest = list(entries.items())[-_MAX_ENTRIES:]
        with suppress(OSError):  # it is tried again at the next start
            self._file.write({name: asdict(entry) for name, entry in newest})

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait until no other process tries an engine: several at once would slow each other down."""
        lock = _lock(self._options.cache_directory)
        try:
            yield
        finally:
            if lock is not None:
                os.close(lock)


def described(engine: str, precision: str) -> str:
    """Return the name of a trial in messages."""
    return f"{engine} in {precision}" if precision else engine


def _lock(directory: Path | None) -> int | None:
    """Return a locked descriptor; None where there is nothing to lock."""
    until = time.monotonic() + 2 * LIMIT_S
    while directory is not None and time.monotonic() < until:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            return locked(directory / "engines.lock", os.O_RDWR | os.O_CREAT)
        except BlockingIOError:
            time.sleep(_POLL_S)
        except OSError:
            return None
    return None


def _run(engine: str, model: Path, options: EngineOptions) -> Outcome:
    """Try an engine in a subprocess."""
    try:
        process = start_process(engine, model, options, options.trial, to_disk=False)
    except OSError:
        return Outcome()  # it cannot be tried here: that is not the engine's fault
    with process:
        assert process.stdout  # noqa: S101 - it was asked for
        try:
            code = process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return Outcome(f"gave no answer within {LIMIT_S:.0f} s", doubts=1)
        return _judged(code, process.stdout.readline())


def _judged(code: int, answer: bytes) -> Outcome:
    if code or not answer:
        return Outcome(f"{how_it_ended(code)} when it was tried", doubts=int(code in _EXTERNAL_SIGNALS))
    return _outcome({"problem": "", "seconds": 0.0, "doubts": 0, **json.loads(answer)})


def _outcome(values: Mapping[str, Any]) -> Outcome:
    return Outcome(" ".join(str(values["problem"]).split()), float(values["seconds"]), int(values["doubts"]))


def _key(model: ModelDirectory | None, engine: str, precision: str) -> str:
    return fingerprint(engine, precision, *(model.digests if model else ()), *_processor())[:32]


def _processor() -> tuple[str, ...]:
    """Return what identifies the processor: its instruction sets, as Linux names them, and its name."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        facts = (line for line in lines if line.partition("\t")[0] in {"flags", "Features", "model name", "CPU part"})
        return (platform.machine(), *sorted(set(facts)))
    return (platform.machine(), platform.processor())
