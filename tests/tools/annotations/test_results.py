"""Reading what ``parse`` wrote: whole, and damaged."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from annotated import NAMES
from commands import notes

from edge_worker import cli

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.tools.annotations.results import ParsedImage

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools


def test_segments_are_disjoint_and_make_up_the_label_map(images: list[ParsedImage]) -> None:
    """Every pixel that is not background is in one segment, of its class; names are seen from the common folder."""
    assert [image.file_name for image in images] == list(NAMES)
    for image in images:
        total = sum(segment.mask.astype(int) for segment in image.segments)
        assert np.array_equal(total, image.label_map > 0)
        assert all((image.label_map[segment.mask] == segment.class_id).all() for segment in image.segments)
        assert {segment.person for segment in image.segments} == {0, None}


def test_results_that_cannot_be_exported_are_told(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each with file and reason, and the others go on: no masks, no map, damaged, run lengths of another size."""
    broken = tmp_path / "results"
    shutil.copytree(folder, broken)
    good = json.loads((broken / "a-x.jpg.labels.json").read_text())
    (person,) = good["persons"]
    for name, changes in {
        "unmasked": {"persons": [{key: value for key, value in person.items() if key != "rle"}]},
        "mapless": {},
        "resized": {"persons": [person | {"rle": {"size": [1, 1], "counts": "0"}}]},
    }.items():
        (broken / f"{name}.labels.json").write_text(json.dumps(good | changes))
    for name in ("unmasked", "resized"):
        shutil.copy(broken / "a-x.jpg.colormap.png", broken / f"{name}.colormap.png")
    (broken / "words.labels.json").write_text("words")
    (broken / "cut.labels.json").write_text(json.dumps(good))
    content = (broken / "a-x.jpg.colormap.png").read_bytes()
    (broken / "cut.colormap.png").write_bytes(content[: len(content) // 2])
    assert cli.main(["export", str(broken), "--format", "mask-png"]) == 1
    *lines, summary = notes(capsys.readouterr().err)
    said = "\n".join(lines)
    assert len(lines) == 5, said
    for part in (
        "cut.colormap.png: cannot be read",
        "unmasked.labels.json: persons without masks",
        "mapless.colormap.png",
        "another size",
        "words.labels",
    ):
        assert part in said
    assert summary.startswith("3 of 8 exported")


def test_a_folder_without_results_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says which folder is meant."""
    assert cli.main(["export", str(tmp_path), "--format", "coco"]) == 1
    assert "the folder that parse wrote" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
