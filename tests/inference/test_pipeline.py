"""The pipeline with the small seeded model: noise for labels, but everything else as in the field."""

from __future__ import annotations

import base64
import gc
import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING
from unittest.mock import patch

import numpy as np
import pytest
from images import encoded, photo, with_orientation
from outputs import output_request
from PIL import Image
from pycocotools import mask as coco

from edge_worker.common.errors import CheckpointError, ConfigError, DecodeError
from edge_worker.common.image_formats import DecodeLimits
from edge_worker.inference.pipeline import Pipeline, Stages
from edge_worker.inference.types import ModelChoice, ModelSettings, OutputRequest
from edge_worker.messages import LabelsBody
from edge_worker.ops.threads import ThreadPlan

if TYPE_CHECKING:
    from pathlib import Path

STAGES = ["decode", "preprocess", "inference", "postprocess", "render", "encode"]
FRAME = encoded(photo(200, 130), "PNG")


def settings(path: str = "builtin:seeded") -> ModelSettings:
    return ModelSettings(
        model=ModelChoice(path, precision="f32", short_side=128),
        palette={"Hat": "#123456"},
        limits=DecodeLimits(max_payload_bytes=1_000_000, max_pixels=100_000, formats=("png", "jpeg")),
        threads=ThreadPlan(inference=1, opencv=1, cpus=None, nice=0),
        requested_threads={},
        cache_directory=None,
    )


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    """The seeded model, small."""
    return Pipeline.open(settings())


def read_png(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


def test_a_frame_leaves_nothing_for_the_garbage_collector(pipeline: Pipeline) -> None:
    """Which comes seldom: what it would have to find grows with every frame."""
    pipeline.run(FRAME, output_request(overlay=True, masks="rle"))
    gc.collect()
    gc.disable()
    try:
        pipeline.run(FRAME, output_request(overlay=True, masks="rle"))
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_phases_are_announced_and_stages_timed() -> None:
    """The first frame of a shape announces that it compiles; the time counts as inference."""
    pipeline = Pipeline.open(settings())
    phases: list[str] = []
    result = pipeline.run(FRAME, OutputRequest(), phases.append)
    assert phases == [*STAGES[:2], "compile", *STAGES[2:]]
    assert list(result.timings_ms) == STAGES
    assert all(ms >= 0 for ms in result.timings_ms.values())
    phases.clear()
    assert pipeline.run(FRAME, OutputRequest(), phases.append).timings_ms["inference"] < result.timings_ms["inference"]
    assert phases == STAGES


def test_the_palette_png_is_the_label_map(pipeline: Pipeline) -> None:
    """Its pixel values are class indices of the image's size, its palette the class colours, overrides included."""
    result = pipeline.run(FRAME, OutputRequest())
    image = read_png(result.image("colormap") or b"")
    assert (image.mode, image.size, (result.width, result.height)) == ("P", (200, 130), (200, 130))
    counts = np.bincount(np.asarray(image).ravel(), minlength=len(pipeline.palette))
    assert {label["id"]: label["pixels"] for label in result.body["labels"]} == {
        index: count for index, count in enumerate(counts.tolist()) if index and count
    }
    assert pipeline.palette.colors[1] == "#123456"


def test_frames_are_decoded_in_full_where_their_pixels_are_shown() -> None:
    """A model may allow that JPEGs are decoded at a half; sizes are the frame's, and pictures as sharp as it."""
    pipeline = Pipeline.open(replace(settings("builtin:m2fp-lite"), limits=DecodeLimits(10**6, 10**6, ("jpeg",))))
    frame = encoded(photo(641, 361), "JPEG")
    for overlay, shape in ((False, (181, 321, 3)), (True, (361, 641, 3))):
        with patch.object(pipeline, "analyse", wraps=pipeline.analyse) as analyse:
            result = pipeline.run(frame, output_request(overlay=overlay))
        assert analyse.call_args.args[0].shape == shape
        assert (result.width, result.height) == (641, 361)
        assert read_png(result.image("colormap") or b"").size == (641, 361)
    assert read_png(result.image("overlay") or b"").size == (641, 361)


def test_formats_of_the_colormap_show_the_same(pipeline: Pipeline) -> None:
    """RGB PNG is the palette PNG, painted; JPEG is nearly that."""
    painted = np.asarray(read_png(pipeline.run(FRAME, OutputRequest()).image("colormap") or b"").convert("RGB"))
    rgb = read_png(pipeline.run(FRAME, output_request(colormap="rgb-png")).image("colormap") or b"")
    jpeg = read_png(pipeline.run(FRAME, output_request(colormap="jpeg", quality=95)).image("colormap") or b"")
    assert np.array_equal(np.asarray(rgb), painted)
    assert jpeg.format == "JPEG"
    assert np.abs(np.asarray(jpeg).astype(int) - painted).mean() < 15


def test_only_what_was_asked_for_is_made(pipeline: Pipeline) -> None:
    """Map, labels and overlay can each be left out."""
    nothing = pipeline.run(FRAME, output_request(colormap=None, labels=False))
    assert (nothing.image("colormap"), nothing.image("overlay"), nothing.body) == (None, None, {})
    overlay = pipeline.run(FRAME, output_request(colormap=None, labels=False, overlay=True)).image("overlay")
    assert read_png(overlay or b"").size == (200, 130)
    assert "instances" not in pipeline.run(FRAME, OutputRequest()).body


def test_the_body_keeps_to_the_schema_and_adds_up(pipeline: Pipeline) -> None:
    """Plain JSON that the message model accepts; persons and unassigned add up to the labels, class by class."""
    body = pipeline.run(FRAME, output_request(masks="rle", instances="raw")).body
    read = LabelsBody.model_validate_json(json.dumps(body, allow_nan=False))
    assert (read.image.width, read.image.height) == (200, 130)
    assert read.instances
    sums = dict.fromkeys((label.id for label in read.labels), 0)
    for part in (part for person in read.persons for part in person.parts):
        sums[part.id] += part.pixels
    for rest in read.unassigned:
        sums[rest.id] += rest.pixels
    assert sums == {label.id: label.pixels for label in read.labels}


# pycocotools 2.0.11's decode on numpy 2; the encoder does not do it.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_run_lengths_are_the_masks(pipeline: Pipeline) -> None:
    """The run lengths of a person's parts decode to the label map inside the person."""
    result = pipeline.run(FRAME, output_request(masks="rle"))
    label_map = np.asarray(read_png(result.image("colormap") or b""))
    for person in result.body["persons"]:
        inside = coco.decode(person["rle"]).astype(bool)
        assert int(inside.sum()) == person["pixels"]
        for part in person["parts"]:
            assert np.array_equal(coco.decode(part["rle"]).astype(bool), inside & (label_map == part["id"]))


def test_an_envelope_gives_what_its_image_gives(pipeline: Pipeline) -> None:
    """JSON with base64 is only another way to send the bytes."""
    envelope = json.dumps({"image": base64.b64encode(FRAME).decode(), "frame_id": "7"}).encode()
    plain, enveloped = pipeline.run(FRAME, OutputRequest()), pipeline.run(envelope, OutputRequest())
    assert (plain.image("colormap"), plain.body) == (enveloped.image("colormap"), enveloped.body)


def test_results_are_in_displayed_orientation(pipeline: Pipeline) -> None:
    """An image that its EXIF turns by 90 degrees is answered turned."""
    turned = encoded(photo(200, 130), "JPEG", exif=with_orientation(6))
    result = pipeline.run(turned, OutputRequest())
    assert (result.width, result.height) == (130, 200)
    assert result.body["image"] == {"width": 130, "height": 200}


@pytest.mark.parametrize("size", [(1, 1), (3, 1), (1, 200), (700, 2)])
def test_odd_sizes_are_parsed(pipeline: Pipeline, size: tuple[int, int]) -> None:
    """Every size gives a map of that size."""
    image = read_png(pipeline.run(encoded(photo(*size), "PNG"), OutputRequest()).image("colormap") or b"")
    assert image.size == size


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "undecodable"),
        (FRAME[:200], "undecodable"),
        (b'{"image": "!"}', "undecodable"),
        (b'{"image": ""}', "undecodable"),
        (encoded(photo(20, 20), "WEBP"), "unsupported"),
        (encoded(photo(400, 300), "PNG"), "too_many_pixels"),
        (b"x" * 1_000_001, "too_big"),
    ],
)
def test_what_is_no_image_has_a_reason(pipeline: Pipeline, payload: bytes, reason: str) -> None:
    """The limits of the settings hold, inside envelopes too."""
    with pytest.raises(DecodeError) as rejected:
        pipeline.run(payload, OutputRequest())
    assert rejected.value.reason == reason


def test_a_score_threshold_leaves_out_weaker_persons(pipeline: Pipeline) -> None:
    """Above every score there are none, and all is unassigned."""
    body = pipeline.run(FRAME, output_request(score_threshold=1.0)).body
    assert body["persons"] == []
    assert {one["id"]: one["pixels"] for one in body["unassigned"]} == {
        one["id"]: one["pixels"] for one in body["labels"]
    }


def test_an_analysis_holds_what_went_in_between(pipeline: Pipeline) -> None:
    """Tools that want the raw logits find them there."""
    analysis = pipeline.analyse(photo(200, 130), OutputRequest(), Stages())
    assert analysis.raw is not None
    assert analysis.raw.logits.class_logits.shape[1] == len(pipeline.parser.classes) + 1
    assert analysis.raw.net_input.image.shape[0] == 128
    assert analysis.without_raw().raw is None


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    """A model that is not there; a palette for a class that the model does not have."""
    with pytest.raises(CheckpointError, match="no model here"):
        Pipeline.open(settings(path=str(tmp_path)))
    wrong = replace(settings(), palette={"Hatt": "#123456"})
    with pytest.raises(ConfigError, match="did you mean 'Hat'"):
        Pipeline.open(wrong)


def test_crops_show_each_person_where_the_labels_say_it_is(pipeline: Pipeline) -> None:
    """One JPEG for each person, numbered as in the labels and as large as its box."""
    result = pipeline.run(FRAME, output_request(colormap=None, crops=True))
    crops = {image.person: read_png(image.data).size for image in result.images}
    assert crops == {person["id"]: tuple(person["box"][2:]) for person in result.body["persons"]}
    assert crops, "the frame shows persons"
