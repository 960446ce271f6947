"""Every format, read back: with the tools' own libraries where they are light, else as the format is described."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import commands
import numpy as np
import pytest
import yaml
from annotated import NAMES
from npm_packages import require_package, run_script
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from edge_worker import cli
from edge_worker.common.formats import ANNOTATION_FORMATS
from edge_worker.tools.annotations.command import WRITERS
from edge_worker.tools.annotations.label_studio import brush

if TYPE_CHECKING:
    from edge_worker.m2fp.types import BoolArray
    from edge_worker.tools.annotations.results import ParsedImage

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools

FRAME = Path(__file__).parents[2] / "golden" / "tiny-multi" / "frame.png"


def exported(folder: Path, tmp_path: Path, name: str) -> Path:
    """The results in a format, by the command line."""
    assert cli.main(["export", str(folder), "--format", name, "--out", str(tmp_path)]) == 0
    return tmp_path


def test_coco_reloads_to_the_same_masks(
    folder: Path, tmp_path: Path, images: list[ParsedImage], capsys: pytest.CaptureFixture[str]
) -> None:
    """By pycocotools: masks, areas, boxes, categories and files."""
    loaded = COCO(exported(folder, tmp_path, "coco") / "annotations" / "instances_default.json")
    capsys.readouterr()
    assert [image["file_name"] for image in loaded.loadImgs(loaded.getImgIds())] == list(NAMES)
    for number, image in enumerate(images, start=1):
        annotations = loaded.loadAnns(loaded.getAnnIds(number))
        assert len(annotations) == len(image.segments)
        for annotation, segment in zip(annotations, image.segments, strict=True):
            assert np.array_equal(loaded.annToMask(annotation).astype(bool), segment.mask)
            assert annotation["area"] == coco_mask.area(annotation["segmentation"])
            assert annotation["bbox"] == coco_mask.toBbox(annotation["segmentation"]).tolist()
            assert loaded.loadCats(annotation["category_id"])[0]["name"] == segment.name


def test_panoptic_maps_hold_the_segments(folder: Path, tmp_path: Path, images: list[ParsedImage]) -> None:
    """A pixel's colour is its segment's id (R + 256 G + 65536 B), and segments_info tells class, area and box."""
    written = exported(folder, tmp_path, "coco-panoptic") / "annotations"
    for image, entry in zip(
        images, json.loads((written / "panoptic_default.json").read_text())["annotations"], strict=True
    ):
        colors = np.asarray(Image.open(written / "panoptic_default" / entry["file_name"])).astype(int)
        ids = colors @ [1, 256, 65536]
        for info, segment in zip(entry["segments_info"], image.segments, strict=True):
            assert np.array_equal(ids == info["id"], segment.mask)
            assert (info["area"], info["bbox"]) == (segment.pixels, [*segment.box])


def decoded(brushes: list[list[int]]) -> list[BoolArray]:
    """Brushes as Label Studio's editor sees them: RGBA bytes of which all four are 0 or 255."""
    found = []
    for runs in json.loads(run_script("decode_brushes.mjs", json.dumps(brushes))):
        rgba = np.repeat(np.array(runs[::2], np.uint8), runs[1::2]).reshape(-1, 4)
        assert set(np.unique(rgba)) <= {0, 255}
        assert (rgba == rgba[:, :1]).all()
        found.append(rgba[:, 0] > 0)
    return found


def test_label_studio_s_own_decoder_sees_the_same_masks(
    folder: Path, tmp_path: Path, images: list[ParsedImage]
) -> None:
    """Native brush predictions, each with a label of the interface that comes along."""
    require_package("@thi.ng/rle-pack")
    written = exported(folder, tmp_path, "label-studio")
    tasks = json.loads((written / "tasks.json").read_text())
    labels = {label.get("value") for label in ET.parse(written / "interface.xml").iter("Label")}  # noqa: S314 - ours
    for task, image in zip(tasks, images, strict=True):
        results = task["predictions"][0]["result"]
        masks = decoded([result["value"]["rle"] for result in results])
        for mask, result, segment in zip(masks, results, image.segments, strict=True):
            assert np.array_equal(mask.reshape(result["original_height"], result["original_width"]), segment.mask)
            assert result["value"]["brushlabels"] == [segment.name]
            assert segment.name in labels
    assert tasks[2]["data"]["image"] == "/data/local-files/?d=photos/y%20%26%20%3Cz%3E.png"


def test_brushes_of_any_shape_are_read_back() -> None:
    """Runs of every length that has a word of its own, and longer ones; full, empty, a single pixel, chequered."""
    require_package("@thi.ng/rle-pack")
    masks = [
        np.ones((1, 1), bool),
        np.zeros((3, 5), bool),
        np.ones((300, 301), bool),
        np.indices((9, 8)).sum(0) % 2 == 0,
    ]
    masks += [np.arange(40_000).reshape(100, 400) < length for length in (1, 2, 4, 63, 64, 65, 16_384, 16_385, 39_999)]
    for mask, got in zip(masks, decoded([brush(mask) for mask in masks]), strict=True):
        assert np.array_equal(mask.reshape(-1), got)


def test_cvat_s_masks_are_runs_in_their_box(folder: Path, tmp_path: Path, images: list[ParsedImage]) -> None:
    """Row by row, background first, inside left, top, width and height; any name survives the XML."""
    written = exported(folder, tmp_path, "cvat")
    found = ET.parse(written / "annotations.xml").getroot().findall("image")  # noqa: S314 - ours
    assert [image.get("name") for image in found] == list(NAMES)
    for element, image in zip(found, images, strict=True):
        for mask, segment in zip(element.findall("mask"), image.segments, strict=True):
            left, top, width, height = (int(mask.attrib[key]) for key in ("left", "top", "width", "height"))
            runs = [int(run) for run in mask.attrib["rle"].split(", ")]
            crop = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
            assert np.array_equal(segment.mask[top : top + height, left : left + width], crop)
            assert (mask.get("label"), crop.sum()) == (segment.name, segment.pixels)
    assert {label["name"] for label in json.loads((written / "labels.json").read_text())} >= {"class-2", "class-13"}


def test_yolo_s_polygons_cover_the_masks(folder: Path, tmp_path: Path, images: list[ParsedImage]) -> None:
    """Filled again they are the union of each class, but for holes and slivers; data.yaml names every class id."""
    written = exported(folder, tmp_path, "yolo-seg")
    names = yaml.safe_load((written / "data.yaml").read_text())["names"]
    assert list(names) == list(range(max(names) + 1))
    for image in images:
        lines = (written / "labels" / image.file_name).with_suffix(".txt").read_text().splitlines()
        canvas = Image.new("L", image.size)
        for line in lines:
            _, *values = map(float, line.split())
            assert all(0 <= value <= 1 for value in values)
            corners = np.array(values).reshape(-1, 2) * image.size - 0.5
            ImageDraw.Draw(canvas).polygon([(x, y) for x, y in corners], fill=1, outline=1)
        filled, wanted = np.asarray(canvas) > 0, image.label_map > 0
        assert (filled & wanted).sum() / (filled | wanted).sum() > 0.9
        assert {names[int(line.split()[0])] for line in lines} <= {segment.name for segment in image.segments}


def test_mask_png_has_classes_by_colour_and_segments_by_number(
    folder: Path, tmp_path: Path, images: list[ParsedImage]
) -> None:
    """The colours of labelmap.txt give the label map back, and each segment has its own number."""
    written = exported(folder, tmp_path, "mask-png")
    lines = [line.split(":") for line in (written / "labelmap.txt").read_text().splitlines()[2:]]
    colors = {name: np.array(color.split(","), np.uint8) for name, color, *_ in lines}
    listed = (written / "ImageSets" / "Segmentation" / "default.txt").read_text().splitlines()
    assert listed == ["a/x", "b/x", "y & <z>"]
    for name, image in zip(listed, images, strict=True):
        shown = np.asarray(Image.open(written / "SegmentationClass" / f"{name}.png"))
        numbers = np.asarray(Image.open(written / "SegmentationObject" / f"{name}.png"))
        for number, segment in enumerate(image.segments, start=1):
            assert np.array_equal(numbers == number, segment.mask)
            assert (shown[segment.mask] == colors[segment.name]).all()


def test_the_command_line_offers_what_there_is() -> None:
    """Each format has a writer, and each writer a name."""
    assert set(WRITERS) == set(ANNOTATION_FORMATS)


def test_a_second_export_writes_the_same(folder: Path, tmp_path: Path) -> None:
    """It takes the place of the first, which may have been interrupted."""
    first = exported(folder, tmp_path, "coco") / "annotations" / "instances_default.json"
    content = first.read_bytes()
    first.write_text("[")
    first.with_name(first.name + ".part").write_text("half")
    exported(folder, tmp_path, "coco")
    assert first.read_bytes() == content
    assert [file.name for file in first.parent.iterdir()] == [first.name]


def test_photos_are_parsed_and_exported_in_one_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With masks, though nobody asked for them by name."""
    ended = commands.run(
        *("parse", FRAME, "--model", "builtin:seeded", "--threads", "1", "--out", tmp_path, "--format", "coco")
    )
    assert ended.returncode == 0, ended.stderr
    loaded = COCO(tmp_path / "coco" / "annotations" / "instances_default.json")
    capsys.readouterr()
    (image,) = loaded.loadImgs(loaded.getImgIds())
    label_map = np.asarray(Image.open(tmp_path / "frame.colormap.png"))
    masks = {index: np.zeros(label_map.shape, bool) for index in loaded.getCatIds()}
    for annotation in loaded.loadAnns(loaded.getAnnIds()):
        masks[annotation["category_id"]] |= loaded.annToMask(annotation).astype(bool)
    assert image["file_name"] == "frame.png"
    assert masks
    assert all(np.array_equal(mask, label_map == index) for index, mask in masks.items())
