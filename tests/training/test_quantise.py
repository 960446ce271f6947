"""Which images the shipped model is quantised and judged with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.cache import validation_names
from training.quantise import calibration_images, gate_images

if TYPE_CHECKING:
    from pathlib import Path


def test_no_image_that_judges_was_calibrated_with(tmp_path: Path) -> None:
    """Fifty training photos and fifty scenes on one side, the validation photos and camera frames on the other."""
    held_out = sorted(validation_names())[:3]
    photos = [*held_out, *(f"other{i:03}" for i in range(120))]
    for folder, names in (
        ("ccp/photos", photos),
        ("synthetic", [f"{i:06}" for i in range(70)]),
        ("camera_frames", ["lobby_000", "lobby_002"]),
    ):
        (tmp_path / folder).mkdir(parents=True)
        for name in names:
            (tmp_path / folder / f"{name}.jpg").touch()
    calibration, judged = calibration_images(tmp_path), gate_images(tmp_path)
    assert len(set(calibration)) == 100
    assert {image.stem for image in judged} == {*held_out, "lobby_000", "lobby_002"}
    assert not set(calibration) & set(judged)
