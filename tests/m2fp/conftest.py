"""Models that several tests use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from checkpoints import GOLDEN_NAMES, Golden, load_golden, variant

from edge_worker.m2fp.directory import ModelDirectory, open_directory
from edge_worker.m2fp.engines.exports import exported
from edge_worker.m2fp.kernels import masks
from edge_worker.m2fp.seeded import write_seeded_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# The networks of these tests are so small that a second thread only waits for the first.
torch.set_num_threads(1)


@pytest.fixture(scope="session", params=GOLDEN_NAMES)
def golden(request: pytest.FixtureRequest) -> Golden:
    """Both golden checkpoints in turn."""
    return load_golden(request.param)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the whole session, as one worker has: exports and compiled networks are made once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def exported_golden(golden: Golden, cache: Path) -> ModelDirectory:
    """Export of a golden checkpoint; a parser that is loaded from it without a cache compiles the network itself."""
    return exported(open_directory(golden.directory), cache)


@pytest.fixture(scope="module", params=["kernel", "plain"])
def masks_read(request: pytest.FixtureRequest) -> Iterator[None]:
    """Masks are read by the compiled kernel, and then without it."""
    if request.param == "kernel" and not masks.is_built():
        pytest.skip("the kernel was not built (no compiler)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(masks, "is_built", lambda: request.param == "kernel")
        yield


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Directory of a seeded checkpoint of one of VARIANTS, written once per session."""
    home = tmp_path_factory.mktemp("seeded")

    def write(name: str) -> Path:
        directory = home / name
        return directory if directory.is_dir() else write_seeded_checkpoint(directory, variant(name), seed=5)

    return write
