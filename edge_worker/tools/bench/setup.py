"""What is measured: a model, its variants, and the frames they parse."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_worker.common.errors import EdgeWorkerError
from edge_worker.inference.types import ModelSettings
from edge_worker.m2fp.manifest import is_quantised
from edge_worker.ops.allowance import CpuAllowance
from edge_worker.ops.directories import cache_directory
from edge_worker.ops.threads import ThreadPlan
from edge_worker.tools.bench import models
from edge_worker.tools.bench.variants import Variant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_worker.config import Config

# Where `make reference` puts the environment of the published pipeline.
_REFERENCE_PYTHON = Path(".venv-reference/bin/python")


class Setup:
    """A model and frames to measure with.

    Attributes:
        config: the configuration.
        model: the model as requested.
        exported: directory of the exported model, for engines without torch.
        frames: image files.
        cache: folder for files that are reused.
    """

    def __init__(
        self, config: Config, model: str | None, paths: Sequence[Path], size: tuple[int, int], scratch: Path
    ) -> None:
        """Find or create the model and the frames.

        Args:
            config: provides the default model and thread limits.
            model: ``builtin:NAME``, a directory or :data:`models.SEEDED`; None: the configuration's.
            paths: images and folders; if empty, a frame of *size* is rendered.
            size: width and height of the rendered frame, in pixels.
            scratch: folder for temporary files.

        Raises:
            EdgeWorkerError: the model cannot be used, or there are no images.
        """
        self.config = config
        self.model = model or config.model.path
        self.cache = cache_directory(os.environ) or scratch
        self.exported = models.exported(self.model, self.cache)
        from edge_worker.tools.bench.frames import frames  # noqa: PLC0415 - numeric libraries, once they are needed

        self.frames = frames(paths, size, scratch)

    def quantise_for(self, precision: str) -> None:
        """Create the seeded model's quantised network if *precision* runs one."""
        if self.model == models.SEEDED and is_quantised(precision):
            self.exported = models.quantised(self.exported, self.frames, self.cache)

    def plan(self, threads: int | None) -> ThreadPlan:
        """Return the thread limits with *threads* per inference; None: the configuration's."""
        section = self.config.threads
        if threads is not None:
            section = section.model_copy(update={"inference": threads})
        return ThreadPlan.from_config(section, CpuAllowance.read())

    def variant(self, engine: str, precision: str, threads: int | None = None, isa: str | None = None) -> Variant:
        """Return the model in an engine and precision, with *threads* (None: the configuration's), limited to *isa*.

        Raises:
            EdgeWorkerError: this processor does not support *isa*.
        """
        plan = self.plan(threads)
        settings = ModelSettings.from_config(self.config, plan, self.cache)
        path = str(self._checkpoint()) if engine == "torch" else self.exported
        settings = replace(settings, model=replace(settings.model, path=path))
        variant = Variant.of(settings, engine, precision, plan.environment())
        return variant if isa is None else variant.held_to(isa)

    def published(self, isa: str | None = None) -> Variant:
        """Return the published pipeline in its own environment, run from a checkout and limited to *isa*.

        Raises:
            EdgeWorkerError: that environment is missing, or this processor does not support *isa*.
        """
        if not _REFERENCE_PYTHON.exists():
            raise EdgeWorkerError(
                f"--against modelscope needs {_REFERENCE_PYTHON}: run `make reference` in a checkout (3.4 GB)"
            )
        plan = self.plan(None)
        variant = Variant(
            name=f"published pipeline, {plan.inference} threads",
            command=(str(_REFERENCE_PYTHON), "-m", "benchmarks.published"),
            environment=plan.environment(),
            settings={"checkpoint": str(self._checkpoint()), "threads": plan.inference},
        )
        return variant if isa is None else variant.held_to(isa)

    def _checkpoint(self) -> Path:
        found = models.checkpoint(self.model, self.cache)
        if found is None:
            raise EdgeWorkerError(f"{self.model} is no checkpoint: torch and modelscope run only those")
        return found
