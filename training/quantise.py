"""Add a quantised network to the exported model and judge its reduced precisions: `python -m training.quantise`.

Activation ranges come from training photos and rendered scenes; the accuracy gate judges on the validation photos and
the camera frames.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from edge_worker.m2fp.manifest import read_manifest, write_manifest
from edge_worker.tools import precision
from edge_worker.tools.sampling import spread
from training.cache import validation_names
from training.export import OUT

SLOWER_ON_AMX = "int8+bf16"  # than bf16 alone, for a network of this size: `auto` must not choose it


def calibration_images(data: Path) -> list[Path]:
    """Return 50 training photos and 50 rendered scenes, evenly spaced."""
    photos = [photo for photo in _images(data / "ccp/photos") if photo.stem not in validation_names()]
    scenes = _images(data / "synthetic")
    return [*spread(photos, 50), *spread(scenes, 50)]


def gate_images(data: Path) -> list[Path]:
    """Return the validation photos and all camera frames, of which the gate takes a hundred."""
    photos = [photo for photo in _images(data / "ccp/photos") if photo.stem in validation_names()]
    return [*photos, *_images(data / "camera_frames")]


def _images(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jpg"))


def main() -> None:
    """Parse the arguments, quantise, and judge every precision on this processor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=OUT)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    judged = gate_images(arguments.data)
    precision.quantise(arguments.model, calibration_images(arguments.data), judged)
    precision.gate(str(arguments.model), judged)
    manifest = read_manifest(arguments.model)
    write_manifest(arguments.model, manifest.with_precisions({SLOWER_ON_AMX: ""}))


if __name__ == "__main__":
    main()
