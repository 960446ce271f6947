"""Variants of one model, each in its own process, run in turn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from edge_worker.common.errors import EdgeWorkerError
from edge_worker.tools.bench.machine import held_to
from edge_worker.tools.bench.statistics import Summary, by_stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from edge_worker.inference.types import ModelSettings

_EXIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Variant:
    """What is compared: a display name, and the program, environment and first input line of its process."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, settings: ModelSettings, engine: str, precision: str, environment: Mapping[str, str]) -> Variant:
        """Return the variant that runs the model of *settings* in *engine* and *precision*."""
        model = replace(settings.model, engine=engine, precision=precision)
        threads = settings.threads.inference
        return cls(
            name=f"{engine} {precision}, {threads} thread{'s' if threads > 1 else ''}",
            command=(sys.executable, "-m", "edge_worker.tools.bench.child"),
            environment=environment,
            settings=asdict(replace(settings, model=model)),
        )

    def held_to(self, isa: str) -> Variant:
        """Return a copy limited to an instruction set.

        Raises:
            EdgeWorkerError: this processor does not have it.
        """
        return replace(self, name=f"{self.name}, {isa}", environment={**self.environment, **held_to(isa)})


@dataclass(eq=False)
class Measured:
    """Measurements of one variant.

    Attributes:
        variant: its name.
        loaded: ``load_s`` and, under ``model``, what was loaded.
        first_ms: the first frame, including what is compiled or loaded for it.
        frames: milliseconds per stage of each later frame; ``walls_ms``: from payload to results.
        peak_mb: peak resident memory over all frames.
        threads: threads per inference, as reported by the engine.
        error: why it could not run, or empty.
    """

    variant: str
    loaded: dict[str, Any] = field(default_factory=dict)
    first_ms: float = 0.0
    frames: list[dict[str, float]] = field(default_factory=list)
    walls_ms: list[float] = field(default_factory=list)
    peak_mb: float = 0.0
    threads: int | None = None
    persons: int | None = None
    error: str = ""

    def take(self, answer: Mapping[str, Any], *, first: bool) -> None:
        """Add the answer to one frame."""
        if first:
            self.first_ms = answer["wall_ms"]
        else:
            self.frames.append(answer["stages_ms"])
            self.walls_ms.append(answer["wall_ms"])
        self.peak_mb = max(self.peak_mb, answer["peak_mb"])
        self.threads, self.persons = answer["threads"], answer.get("persons")

    def summary(self) -> dict[str, Any]:
        """Return plain values for the report."""
        stages = {stage: asdict(value) for stage, value in by_stage(self.frames).items()} if self.frames else {}
        wall = asdict(Summary.of(self.walls_ms)) if self.walls_ms else None
        facts = {key: getattr(self, key) for key in ("variant", "error", "first_ms", "peak_mb", "threads", "persons")}
        return {**facts, **self.loaded, "wall_ms": wall, "stages_ms": stages}


class Child:
    """The process of one variant."""

    def __init__(self, variant: Variant) -> None:
        """Start the process."""
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            variant.command, env={**os.environ, **variant.environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self._variant = variant

    def __enter__(self) -> Self:
        """Return the child itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate(timeout=_EXIT_S)

    def load(self) -> dict[str, Any]:
        """Have it load its model, and return what was loaded.

        Raises:
            EdgeWorkerError: it cannot be loaded.
        """
        return self.ask(self._variant.settings)

    def send(self, order: Mapping[str, Any]) -> None:
        """Write an order."""
        assert self._process.stdin  # noqa: S101 - it was asked for
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise EdgeWorkerError(f"{self._variant.name}: its process ended") from error

    def receive(self) -> dict[str, Any]:
        """Wait for the answer to the oldest order."""
        assert self._process.stdout  # noqa: S101 - it was asked for
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "its process ended"}
        if problem := answer.get("error"):
            raise EdgeWorkerError(f"{self._variant.name}: {problem}")
        return answer

    def ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Write an order and wait for its answer."""
        self.send(order)
        return self.receive()


def measure(
    variants: Sequence[Variant],
    frames: Sequence[Path],
    turns: int,
    *,
    save: Callable[[int], Path] | None = None,
    note: Callable[[str], None] = lambda _text: None,
) -> list[Measured]:
    """Run every variant on a frame in each of *turns* rounds, after a first frame that is reported separately.

    *save* returns the file for a variant's output, by its index; *note* receives progress messages.
    """
    results = [Measured(variant.name) for variant in variants]
    with ExitStack() as stack:
        children: dict[int, Child] = {}
        for index, variant in enumerate(variants):
            note(f"{variant.name}: loading, first frame")
            order = {"frame": str(frames[0]), **({"save": str(save(index))} if save else {})}
            try:
                child = stack.enter_context(Child(variant))
                results[index].loaded = child.load()
                results[index].take(child.ask(order), first=True)
                children[index] = child
            except EdgeWorkerError as error:
                results[index].error = str(error)
        for turn in range(turns):
            note(f"turn {turn + 1} of {turns}")
            for index, child in children.items():
                results[index].take(child.ask({"frame": str(frames[turn % len(frames)])}), first=False)
    return results
