"""Sharp pictures without people as backgrounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from training.sharp import SharpPictures, files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("size", [(400, 533), (348, 348), (60, 40)])
@pytest.mark.parametrize("shape", [(288, 512), (416, 288), (352, 352)])
def test_pictures_of_any_size_fill_any_shape(tmp_path: Path, size: tuple[int, int], shape: tuple[int, int]) -> None:
    """Small ones side by side, large ones cut."""
    cv2.imwrite(str(tmp_path / "a.jpg"), np.full((*size[::-1], 3), 90, dtype=np.uint8))
    pictures = SharpPictures([[tmp_path / "a.jpg"]])
    for seed in range(5):
        assert pictures.draw(np.random.default_rng(seed), shape).shape == (*shape, 3)


def test_every_eighth_file_is_kept_from_training(tmp_path: Path) -> None:
    """Those kept and those trained on are all files, and no file is both."""
    (tmp_path / "grocery_mit").mkdir()
    for number in range(20):
        (tmp_path / f"grocery_mit/{number:02}.jpg").touch()
    (trained,), (kept,) = (files(tmp_path, tmp_path, kept=kept) for kept in (False, True))
    assert [file.stem for file in kept] == ["07", "15"]
    assert len(trained) == 18
    assert not set(trained) & set(kept)
