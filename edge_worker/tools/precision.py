"""``edge-worker model export --precision int8`` and ``model gate``: reduced precisions, tested on the user's frames."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import structs

from edge_worker.common.errors import EngineError
from edge_worker.m2fp.checksums import sha256_of
from edge_worker.m2fp.directory import ModelDirectory, open_directory
from edge_worker.m2fp.engines.base import is_installed
from edge_worker.m2fp.manifest import QUANTISED_FILES, Manifest, is_quantised, read_manifest, write_manifest
from edge_worker.m2fp.preprocess import preprocess
from edge_worker.m2fp.quantisation.layer_exclusion import leave_out
from edge_worker.ops.allowance import CpuAllowance
from edge_worker.tools.progress import Progress
from edge_worker.tools.sampling import read, read_by_size, sample, split, spread

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_worker.m2fp.quantisation.gate import Verdict
    from edge_worker.m2fp.quantisation.quantise import QuantisedNetwork
    from edge_worker.m2fp.types import FloatArray

# Number of images for a quick test of an attempt.
_QUICK_CHECK_IMAGES = 8


def quantise(directory: Path, calibrate: Sequence[Path], gate: Sequence[Path]) -> None:
    """Add a quantised network to the exported model in *directory* if it agrees with f32; an older one is replaced.

    Args:
        directory: directory of the model.
        calibrate: images, or folders of them, for the activation ranges.
        gate: images, or folders of them, for the comparison with f32; if empty, every other one of *calibrate*.

    Raises:
        ModelError: it does not agree; the message has the figures.
        EngineError: NNCF is not installed, or int8 is not available on this processor.
        EdgeWorkerError: there are too few images, or one cannot be read.
    """
    precisions = _quantised_precisions()
    calibration, judged = (sample(calibrate), sample(gate)) if gate else split(calibrate)
    _remove(directory)
    model = open_directory(directory)
    attempts = _Attempts(model, _network(model, calibration), precisions)
    try:
        faithful = leave_out(
            attempts.network.groups,
            lambda without: attempts.judge(without, spread(calibration, _QUICK_CHECK_IMAGES)),
            lambda without: attempts.judge(without, judged),
            Progress().note,
        )
    except BaseException:
        _remove(directory)
        raise
    left_out = f"; in floating point, too: {', '.join(faithful.without)}" if faithful.without else ""
    found = {one.precision: f"{one.agreement}{left_out}" for one in faithful.verdicts}
    write_manifest(directory, attempts.manifest().with_precisions(found))


def gate(path: str, images: Sequence[Path]) -> int:
    """Test every reduced precision that a model can run in here, and write those that passed to its manifest.

    Raises:
        ModelError: the model is a checkpoint, or no reduced precision is available on this processor.
        EdgeWorkerError: there are too few images, or one cannot be read.
    """
    model = open_directory(path)
    manifest = model.exported()
    from edge_worker.m2fp.engines.choose import runnable  # noqa: PLC0415 - slow to import
    from edge_worker.m2fp.engines.openvino import precisions  # noqa: PLC0415

    reduced = runnable(model, precisions())[1:]
    if not reduced:
        raise EngineError("this processor is offered no reduced precision")
    verdicts = _judge(model, reduced, sample(images))
    sys.stdout.writelines(f"{verdict}\n" for verdict in verdicts)
    found = {one.precision: str(one.agreement) if one.passed else "" for one in verdicts}
    write_manifest(model.path, manifest.with_precisions(found))
    return 0


def quantise_unjudged(directory: Path, calibration: Sequence[Path]) -> None:
    """Add a network with all supported layers quantised to the exported model in *directory*, for timing only."""
    model = open_directory(directory)
    attempts = _Attempts(model, _network(model, calibration), ())
    attempts.write(())
    write_manifest(directory, attempts.manifest())


@dataclass(frozen=True)
class _Attempts:
    """Attempts at a quantised network, written to the directory of the model and tested there."""

    model: ModelDirectory
    network: QuantisedNetwork
    precisions: tuple[str, ...]

    def write(self, without: Sequence[str]) -> None:
        """Overwrite the previous attempt with a network in which these groups of layers are not quantised."""
        self.network.write(self.model.path / QUANTISED_FILES[0], without)

    def manifest(self) -> Manifest:
        """Return the model's manifest with the current attempt."""
        sums = {name: sha256_of(self.model.path / name) for name in QUANTISED_FILES}
        manifest = self.model.exported()
        return structs.replace(manifest, files={**manifest.files, **sums})

    def judge(self, without: Sequence[str], files: Sequence[Path]) -> Sequence[Verdict]:
        """Test the network, with these groups of layers not quantised, on the images in *files*.

        Alone: a second network, which stays in f32, would blur which layers are to blame.
        """
        self.write(without)
        manifest = self.manifest().without_limb_sides()
        return _judge(ModelDirectory(self.model.path, self.model.config, manifest), self.precisions, files)


def _remove(directory: Path) -> None:
    """Remove the quantised network from the model in *directory*, even if it is incomplete."""
    write_manifest(directory, read_manifest(directory).without_quantised())
    for name in QUANTISED_FILES:
        (directory / name).unlink(missing_ok=True)


def _network(model: ModelDirectory, calibration: Sequence[Path]) -> QuantisedNetwork:
    from edge_worker.m2fp.quantisation.quantise import QuantisedNetwork  # noqa: PLC0415 - slow to import

    progress = Progress()
    progress.note(f"calibrating with {len(calibration)} images")
    with closing(progress.count(calibration, len(calibration), "calibrating")) as counted:

        def load(file: Path) -> FloatArray:
            next(counted, None)
            return preprocess(read(file), model.config).tensor

        return QuantisedNetwork(model, calibration, load)


def _judge(model: ModelDirectory, precisions: Sequence[str], files: Sequence[Path]) -> list[Verdict]:
    from edge_worker.m2fp.quantisation.gate import judge  # noqa: PLC0415 - slow to import

    progress = Progress()
    progress.note(f"judging {', '.join(precisions)} by {len(files)} images")
    with closing(progress.count(read_by_size(files), len(files), "judging")) as images:
        return judge(model, precisions, images, CpuAllowance.read().usable)


def _quantised_precisions() -> tuple[str, ...]:
    if not is_installed("nncf"):
        raise EngineError("quantising needs NNCF: pip install 'edge-worker[int8]'")
    from edge_worker.m2fp.engines.openvino import precisions  # noqa: PLC0415 - slow to import

    quantised = tuple(filter(is_quantised, precisions()))
    if not quantised:
        raise EngineError("this processor has no exact int8 (VNNI, AMX or I8MM): nothing could be judged on it")
    return quantised
