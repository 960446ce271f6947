"""Which images are taken to calibrate with and to judge by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from edge_worker.common.errors import EdgeWorkerError
from edge_worker.tools.sampling import read, read_by_size, sample, split

if TYPE_CHECKING:
    from pathlib import Path


def images(folder: Path, count: int) -> list[Path]:
    """So many images, of two sizes in turn, the grey of each its number."""
    files = [folder / f"{index:03}.png" for index in range(count)]
    for index, file in enumerate(files):
        Image.fromarray(np.full((4 + index % 2, 6, 3), index, np.uint8)).save(file)
    return files


def test_a_sample_comes_from_all_over(tmp_path: Path) -> None:
    """All of few images; of many a hundred, at even distances."""
    files = images(tmp_path, 250)
    assert sample(files[:9]) == files[:9]
    assert sample([tmp_path]) == sorted(files[::5] + files[2::5])


def test_the_halves_have_nothing_in_common(tmp_path: Path) -> None:
    """What a network is calibrated with says nothing about how faithful it is."""
    files = images(tmp_path, 11)
    assert split([tmp_path]) == (files[::2], files[1::2])


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A slip of the pen is no image."""
    with pytest.raises(EdgeWorkerError, match="slip: no such file or folder"):
        sample([*images(tmp_path, 9), tmp_path / "slip"])


def test_too_few_say_nothing(tmp_path: Path) -> None:
    """A handful of images is refused, with how many are good."""
    with pytest.raises(EdgeWorkerError, match=r"3 images there; 8 are the least .* 100 are good"):
        sample(images(tmp_path, 3))


def test_one_size_after_another(tmp_path: Path) -> None:
    """Networks are compiled for one size at a time; the order within a size stays."""
    found = [(image.shape[0], int(image[0, 0, 0])) for image in read_by_size(images(tmp_path, 5))]
    assert found == [(4, 0), (4, 2), (4, 4), (5, 1), (5, 3)]


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    """The error says which file it was."""
    (tmp_path / "x.png").write_bytes(b"no image")
    for attempt in (lambda: read(tmp_path / "x.png"), lambda: list(read_by_size([tmp_path / "x.png"]))):
        with pytest.raises(EdgeWorkerError, match=r"x\.png: "):
            attempt()
