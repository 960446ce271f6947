from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import commands
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco
from replies import JPEG

from edge_worker.imaging import png
from edge_worker.messages import LabelsMessage

GOLDEN = Path(__file__).parents[1] / "golden"
# Agreement of the raw answers with the published pipeline's, in float32.
CLASS_TOLERANCE, MASK_TOLERANCE = 1e-3, 5e-3


@pytest.mark.parametrize("name", ["tiny-multi", "tiny-single"])
def test_raw_answers_agree_with_the_published_pipeline(tmp_path: Path, name: str) -> None:
    """From a photo to the network's input and answer by the command line, as a user would check it."""
    pytest.importorskip("torch")
    folder = GOLDEN / name
    options = ("--model", folder, "--engine", "torch", "--out", tmp_path, "--raw")
    ended = commands.run("parse", folder / "frame.png", *options)
    assert ended.returncode == 0, ended.stderr
    got, expected = np.load(tmp_path / "frame.npz"), np.load(folder / "expected.npz")
    assert np.array_equal(got["net_input"], expected["net_input"])
    assert got["pred_masks"].shape == expected["pred_masks"].shape
    assert np.abs(got["pred_logits"] - expected["pred_logits"]).max() <= CLASS_TOLERANCE
    assert np.abs(got["pred_masks"] - expected["pred_masks"]).max() <= MASK_TOLERANCE


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder with good images of clashing names and broken ones, parsed with everything on; the results' folder."""
    source = tmp_path_factory.mktemp("photos")
    photo = Image.open(GOLDEN / "tiny-multi" / "frame.png").convert("RGB").resize((96, 80))
    for name in ("a/x.jpg", "b/x.jpg", "a/y.png"):
        (source / name).parent.mkdir(exist_ok=True)
        photo.save(source / name)
    (source / "cut.jpg").write_bytes(JPEG[: len(JPEG) // 2])
    (source / "empty.png").touch()
    (source / "words.jpg").write_text("not an image")
    with (source / "video.jpg").open("wb") as file:
        file.truncate(10**12)  # not read to its end: it would not fit into the memory
    (source / "notes.txt").write_text("no image, and not taken for one")
    out = tmp_path_factory.mktemp("results")
    options = ("--model", "builtin:seeded", "--overlay", "--masks", "rle", "--threads", "1", "--out", out)
    ended = commands.run("parse", source, source / "missing.jpg", *options)
    return out, ended


def test_broken_files_are_told_and_the_others_go_on(parsed: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """Each failure is a line with file and reason; the exit code says that there was one."""
    _, ended = parsed
    assert ended.returncode == 1
    loading, *failures, summary = commands.notes(ended.stderr)
    assert loading.startswith("loading ")
    assert len(failures) == 5
    reasons = {"cut.jpg": "undecodable", "empty.png": "undecodable", "words.jpg": "unsupported", "video.jpg": "too_big"}
    for name, reason in reasons.items():
        assert any(f"{name}: {reason}" in failure for failure in failures), ended.stderr
    assert any("missing.jpg: No such file" in failure for failure in failures)
    assert summary.startswith("3 of 8 parsed")
    assert "5 failed" in summary


def test_files_of_one_name_do_not_overwrite_each_other(
    parsed: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    """Two folders' x.jpg give two results; y keeps its short name."""
    out, _ = parsed
    names = {file.name.removesuffix(".labels.json") for file in out.glob("*.labels.json")}
    assert names == {"a-x.jpg", "b-x.jpg", "y"}
    for kind in ("colormap.png", "overlay.jpg", "labels.json"):
        assert len(list(out.glob(f"*.{kind}"))) == 3


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools
def test_results_are_those_of_the_worker(parsed: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """Labels follow the published schema, the map is indexed and names its frame, and run lengths are COCO's."""
    out, _ = parsed
    labels = LabelsMessage.model_validate_json((out / "y.labels.json").read_bytes())
    content = (out / "y.colormap.png").read_bytes()
    label_map = np.asarray(Image.open(io.BytesIO(content)))
    assert label_map.shape == (80, 96) == (labels.image.height, labels.image.width)
    assert png.read_text(content)["frame-id"] == labels.frame_id
    assert labels.frame_id.endswith("a/y.png")
    assert {label.id: label.pixels for label in labels.labels} == {
        int(value): int(count)
        for value, count in zip(*np.unique(label_map[label_map > 0], return_counts=True), strict=True)
    }
    for person in json.loads((out / "y.labels.json").read_text())["persons"]:
        assert coco.decode(person["rle"]).sum() == person["pixels"]


def test_no_progress_bar_without_a_terminal(parsed: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """Standard output stays empty, and standard error has no control characters, where nobody watches."""
    _, ended = parsed
    assert ended.stdout == ""
    assert "\x1b" not in ended.stderr
    assert "\r" not in ended.stderr


def test_what_was_parsed_is_skipped(tmp_path: Path) -> None:
    """A second run parses what is new, changed, cut off or of another place, and says how many it left out."""
    source, out = tmp_path / "photos", tmp_path / "out"
    source.mkdir()
    for name in "abcd":
        (source / f"{name}.jpg").write_bytes(JPEG)
    options = ("--model", "builtin:seeded", "--threads", "1", "--out", out)
    assert "4 of 4 parsed" in commands.run("parse", source, *options).stderr
    kept = (out / "a.labels.json").read_bytes()
    (source / "b.jpg").write_bytes(JPEG)
    (out / "c.labels.json").write_bytes(kept[:-1])
    (source / "d.jpg").rename(source / "e.jpg")
    again = commands.run("parse", source, *options)
    assert "3 of 4 parsed" in again.stderr
    assert "1 skipped, parsed before (--overwrite parses them again)" in again.stderr
    assert (out / "a.labels.json").read_bytes() == kept
    assert "4 of 4 parsed, results in" in commands.run("parse", source, "--overwrite", *options).stderr
    assert (out / "a.labels.json").read_bytes() != kept


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take only names that are text")
def test_names_that_are_no_text_or_not_in_this_locale(tmp_path: Path) -> None:
    """They are parsed, and known again in another locale."""
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for name in (b"\xff.jpg", "tür.jpg".encode()):
        Path(os.fsdecode(os.fsencode(photos) + b"/" + name)).write_bytes(JPEG)
    options = ("--model", "builtin:seeded", "--threads", "1", "--out", out)
    ended = commands.run("parse", photos, *options, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert ended.returncode == 0, ended.stderr
    assert sorted(json.loads(file.read_bytes())["frame_id"] for file in out.glob("*.labels.json")) == [
        str(photos / "\\xff.jpg"),
        str(photos / "tür.jpg"),
    ]
    assert "2 skipped" in commands.run("parse", photos, *options).stderr


def test_results_that_are_asked_for_and_missing_are_made(tmp_path: Path) -> None:
    """With another output than before, masks, or the network's raw answer, an image is parsed again."""
    shutil.copy(GOLDEN / "tiny-multi" / "frame.png", tmp_path / "a.jpg")
    options = ("parse", tmp_path / "a.jpg", "--model", "builtin:seeded", "--threads", "1", "--out", tmp_path / "out")
    more: tuple[str, ...] = ()
    for one in ((), ("--overlay",), ("--masks", "rle"), ("--raw",)):
        more += one
        assert "1 of 1 parsed" in commands.run(*options, *more).stderr, more
    assert LabelsMessage.model_validate_json((tmp_path / "out" / "a.labels.json").read_bytes()).persons
    assert "0 of 1 parsed" in commands.run(*options, *more).stderr


def test_nothing_to_parse_is_a_failure(tmp_path: Path) -> None:
    """A folder without images is no success."""
    ended = commands.run("parse", tmp_path, "--out", tmp_path / "out")
    assert ended.returncode == 1
    assert "no images" in ended.stderr
    assert not (tmp_path / "out").exists()


def test_missing_model_is_told(tmp_path: Path) -> None:
    """A model that is not there is told in a line, with the names of those that are."""
    (tmp_path / "a.jpg").write_bytes(JPEG)
    ended = commands.run("parse", tmp_path, "--model", "builtin:nothing", "--out", tmp_path / "out")
    assert ended.returncode == 78
    assert len(ended.stderr.splitlines()) == 1
    assert "builtin:seeded" in ended.stderr


def test_threads_are_limited_before_numeric_libraries_load() -> None:
    """Libraries size their pools when they are loaded: the module of the command itself loads none."""
    code = "import sys, edge_worker.tools.parse; sys.exit('numpy' in sys.modules or 'cv2' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], check=False, timeout=30, cwd=Path(__file__).parents[2])
    assert ended.returncode == 0
