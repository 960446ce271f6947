"""Run the published network: published_logits.py MODEL FOLDER reads tensor.npy in FOLDER and writes logits.npz there.

For the Python of ``make reference``, which has no pytest.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from edge_worker.m2fp.directory import open_directory
from edge_worker.m2fp.engines.base import EngineOptions
from edge_worker.m2fp.engines.modelscope import create


def main(model: str, folder: Path) -> None:
    """Run the engine, without preprocessing and postprocessing."""
    engine = create(open_directory(model), EngineOptions("f32", threads=1, cache_directory=None))
    logits = engine.infer(np.load(folder / "tensor.npy"))
    np.savez(folder / "logits.npz", class_logits=logits.class_logits, mask_logits=logits.mask_logits)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
