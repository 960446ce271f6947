"""The library as its users meet it."""

from __future__ import annotations

import io
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from images import encoded, photo
from PIL import Image

import edge_worker
from edge_worker import CheckpointError, ConfigError, DecodeError, EngineError, Parser, load_parser
from edge_worker.messages import LabelsBody

if TYPE_CHECKING:
    from collections.abc import Iterator

TINY = str(Path(__file__).parent / "golden" / "tiny-multi")
PAGE = Path(__file__).parents[1] / "docs" / "python.md"


@pytest.fixture(scope="module")
def parser() -> Iterator[Parser]:
    """The shipped model, small."""
    with load_parser(threads=1, short_side=128) as loaded:
        yield loaded


def test_every_public_name_can_be_imported() -> None:
    """``from edge_worker import *`` gives what is documented, each from where it lives."""
    assert {name: getattr(edge_worker, name) for name in edge_worker.__all__}
    assert set(edge_worker.__all__) <= set(dir(edge_worker))
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        edge_worker.nothing_of_the_kind  # noqa: B018 - it is what is tried


def test_outputs_are_those_of_the_topics(parser: Parser) -> None:
    """The map's pixels are the label map; the overlay is a JPEG of the image's size; the JSON is a labels body."""
    image = photo(90, 60)
    parsing = parser.parse(image)
    drawn = Image.open(io.BytesIO(parsing.colormap()))
    assert (np.asarray(drawn) == parsing.label_map).all()
    assert Image.open(io.BytesIO(parsing.overlay())).size == (90, 60)
    body = json.loads(parsing.to_json(masks=True))
    assert LabelsBody.model_validate(body, strict=False)
    assert [person["id"] for person in body["persons"]] == [person.number for person in parsing.persons]
    assert (parsing.image == image).all()


def test_persons_are_disjoint_and_their_parts_lie_within(parser: Parser) -> None:
    """Unlike the candidates; all sums are those of the label map."""
    parsing = parser.parse(np.random.default_rng(3).integers(0, 256, (120, 160, 3), np.uint8))
    owners = sum((person.mask.astype(int) for person in parsing.persons), np.zeros((120, 160), int))
    assert owners.max(initial=0) <= 1
    for person in parsing.persons:
        assert all(not (part.mask & ~person.mask).any() for part in person.parts)
    for label in parsing.labels:
        assert label.pixels == (parsing.label_map == label.class_id).sum()


def test_bytes_and_files_are_what_the_worker_takes(parser: Parser, tmp_path: Path) -> None:
    """EXIF orientation is applied; what is no image is a DecodeError with the worker's reason."""
    exif = Image.Exif()
    exif[0x0112] = 6
    payload = encoded(photo(90, 60), "JPEG", exif=exif)
    (tmp_path / "photo.jpg").write_bytes(payload)
    assert parser.parse_bytes(payload).label_map.shape == (90, 60)
    assert parser.parse_file(tmp_path / "photo.jpg").label_map.shape == (90, 60)
    with pytest.raises(DecodeError) as caught:
        parser.parse_bytes(b"GIF89a")
    assert caught.value.reason == "unsupported"
    with pytest.raises(FileNotFoundError):
        parser.parse_file(tmp_path / "nothing.jpg")


RGB = np.zeros((4, 6, 3), np.uint8)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (RGB[..., 0], r"uint8 \(4, 6\).*COLOR_GRAY2RGB"),
        (np.zeros((4, 6, 4), np.uint8), r"uint8 \(4, 6, 4\).*COLOR_BGRA2RGB"),
        (RGB.astype(np.float32), r"float32 \(4, 6, 3\)"),
        (RGB[..., ::-1], r"contiguous.*ascontiguousarray"),
        (RGB[:0], r"has pixels, not uint8 \(0, 6, 3\)"),
        (RGB[None], r"uint8 \(1, 4, 6, 3\)$"),
        (RGB[..., :1], r"uint8 \(4, 6, 1\).*COLOR_GRAY2RGB"),
        (RGB.transpose(2, 0, 1), r"uint8 \(3, 4, 6\)$"),
        ("photo.jpg", "not str"),
        (None, "not NoneType"),
        (Image.fromarray(RGB), "asarray"),
    ],
)
def test_what_is_no_image_is_told_by_its_shape_and_type(parser: Parser, wrong: Any, words: str) -> None:  # noqa: ANN401
    """A ValueError that says what was seen and what makes an image of it."""
    with pytest.raises(ValueError, match=words):
        parser.parse(wrong)


@pytest.mark.parametrize("payload", ["photo.jpg", None, RGB, 7])
def test_a_payload_that_is_not_bytes_is_a_type_error(parser: Parser, payload: Any) -> None:  # noqa: ANN401
    """A path or an array given in its place is told apart from a damaged image."""
    with pytest.raises(TypeError, match=f"a payload is bytes, not {type(payload).__name__}"):
        parser.parse_bytes(payload)


@pytest.mark.parametrize("wrong", [0, -1, 2.5, "2", True])
@pytest.mark.parametrize("name", ["threads", "short_side", "shapes", "max_pixels"])
def test_numbers_of_load_parser_are_checked_first(name: str, wrong: Any) -> None:  # noqa: ANN401
    """The message names the argument; nothing has been loaded by then."""
    with pytest.raises(ValueError, match=f"{name} is a whole number, 1 or more, not {wrong!r}"):
        load_parser("/nowhere", **{name: wrong})


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"path": "/nowhere"}, CheckpointError, "builtin:m2fp-lite"),
        ({"path": "damo/not-here"}, CheckpointError, "edge-worker model pull damo/not-here"),
        ({"engine": "tensorrt"}, EngineError, "known are"),
        ({"precision": "fp16"}, EngineError, "offered"),
        ({"palette": {"Hiar": "#ffffff"}}, ConfigError, "did you mean 'Hair'"),
        ({"palette": {"Hair": 7}}, ConfigError, "not a colour"),
    ],
)
def test_what_cannot_be_loaded_says_why(arguments: Any, error: type[Exception], words: str) -> None:  # noqa: ANN401
    """Each with the error that the page names."""
    with pytest.raises(error, match=words):
        load_parser(**arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"path": 5}, r"path is a str or a pathlib.Path, not 5"),
        ({"path": None}, r"path is a str or a pathlib.Path, not None"),
        ({"path": b"model"}, r"path is a str or a pathlib.Path, not b'model'"),
        ({"cache_directory": 5}, "cache_directory is a str or a pathlib.Path, not 5"),
        ({"engine": None}, "engine is a str, not None"),
        ({"precision": 16}, "precision is a str, not 16"),
        ({"palette": ["#ff8000"]}, "palette maps class names to colours"),
        ({"palette": "Hat"}, "palette maps class names to colours"),
        ({"palette": {2: "#ff8000"}}, "palette maps class names to colours"),
    ],
)
def test_arguments_of_another_type_are_type_errors(arguments: Any, words: str) -> None:  # noqa: ANN401
    """The message names the argument, what it takes and what was given."""
    with pytest.raises(TypeError, match=words):
        load_parser(**arguments)


@pytest.mark.parametrize("name", ["path", "cache_directory"])
def test_an_empty_path_is_not_the_current_directory(name: str) -> None:
    """A variable that was left empty is told, instead of taken for a folder."""
    with pytest.raises(ValueError, match=f"{name} is empty"):
        load_parser(**{name: ""})  # type: ignore[arg-type]


def test_a_parser_is_made_by_load_parser_alone() -> None:
    """Whoever calls the class with a model's name is sent to the function."""
    with pytest.raises(TypeError, match=r"load_parser\(\.\.\.\) makes a Parser; .* 'builtin:m2fp-lite'"):
        Parser("builtin:m2fp-lite")  # type: ignore[arg-type]


@pytest.mark.parametrize("path", [5, None, b"photo.jpg"])
def test_a_file_is_named_by_a_path(parser: Parser, path: Any) -> None:  # noqa: ANN401
    """A number would be a file descriptor, and bytes are for parse_bytes."""
    with pytest.raises(TypeError, match=r"path is a str or a pathlib\.Path"):
        parser.parse_file(path)


def test_a_huge_file_is_not_read_to_its_end(parser: Parser, tmp_path: Path) -> None:
    """A video given in place of an image is a DecodeError, before its terabyte fills the memory."""
    with (tmp_path / "video.mp4").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(DecodeError, match="too_big: more than 16000000 bytes"):
        parser.parse_file(tmp_path / "video.mp4")


def test_an_image_too_long_for_a_jpeg_has_a_map_and_no_overlay(parser: Parser) -> None:
    """The error says what a JPEG can hold."""
    parsing = parser.parse(np.zeros((2, 65_501, 3), np.uint8))
    assert parsing.colormap()
    with pytest.raises(ValueError, match=r"at most 65500 pixels on a side, not \(2, 65501\)"):
        parsing.overlay()


@pytest.mark.parametrize("masks", ["rle", "none", 1, None])
def test_masks_are_wanted_or_not(parser: Parser, masks: Any) -> None:  # noqa: ANN401
    """A word of the configuration is not taken for true."""
    with pytest.raises(TypeError, match=f"masks is True or False, not {masks!r}"):
        parser.parse(RGB).to_json(masks=masks)


def test_options_outside_their_range_are_value_errors(parser: Parser) -> None:
    """The message names the option and its range."""
    parsing = parser.parse(photo(90, 60))
    for threshold in (-0.1, 1.1, float("nan"), "high"):
        with pytest.raises(ValueError, match="score_threshold is a number from 0 to 1"):
            parser.parse(RGB, score_threshold=threshold)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="alpha is a number from 0 to 1, not 2"):
        parsing.overlay(alpha=2)
    with pytest.raises(ValueError, match="quality is a number from 1 to 100, not 0"):
        parsing.overlay(quality=0)


def test_a_closed_parser_says_so_and_its_parsings_stay() -> None:
    """Closing twice does no harm; what was parsed before can still be drawn."""
    with load_parser(threads=1, short_side=64) as loaded:
        parsing = loaded.parse(photo(90, 60))
    loaded.close()
    assert parsing.overlay()
    assert "90x60" in repr(parsing)
    assert "m2fp-lite" in repr(loaded)
    for use in (
        lambda: loaded.parse(RGB),
        lambda: loaded.parse_bytes(b"no image"),
        lambda: loaded.parse_file("/nowhere.jpg"),
        loaded.__enter__,
    ):
        with pytest.raises(RuntimeError, match="closed"):
            use()


def test_a_kept_parsing_is_small(parser: Parser) -> None:
    """Thousands can be kept in a list: neither the network's input nor its output stays with them."""
    parsing = parser.parse(photo(640, 480))
    held = len(pickle.dumps(parsing))
    assert held < 3 * parsing.image.nbytes


PROCESS_WIDE = """
import os, signal, sys, threading, warnings, logging
from importlib import import_module
import cv2, numpy
torch = import_module("torch" if sys.argv[2] == "torch" else "types")
if sys.argv[2] == "torch":
    import torch._dynamo  # PyTorch loads it by itself when a network is made, and it sets TORCHINDUCTOR_CACHE_DIR
def state():
    return (dict(os.environ), [signal.getsignal(s) for s in sorted(signal.valid_signals())], cv2.getNumThreads(),
            cv2.utils.logging.getLogLevel() if hasattr(cv2.utils, "logging") else cv2.getLogLevel(), os.getcwd(),
            logging.getLogger().handlers, logging.getLogger().level, list(sys.path), os.sched_getaffinity(0),
            numpy.get_printoptions(), threading.active_count(), sys.excepthook, threading.excepthook,
            [getattr(torch, name, int)() for name in ("get_num_threads", "get_num_interop_threads", "is_grad_enabled")],
            list(warnings.filters))
before = state()
from edge_worker import load_parser
with load_parser(sys.argv[1], sys.argv[2], threads=1, short_side=64) as parser:
    parser.parse(numpy.zeros((40, 60, 3), numpy.uint8))
after = state()
print([number for number, (one, other) in enumerate(zip(before, after)) if one != other])
"""


@pytest.mark.parametrize(
    ("model", "engine"), [("builtin:m2fp-lite", "openvino"), ("builtin:m2fp-lite", "onnxruntime"), (TINY, "torch")]
)
def test_loading_and_parsing_change_nothing_process_wide(model: str, engine: str) -> None:
    """A library is a guest: environment, signals, logging, warnings and the threads of others stay as they were."""
    command = [sys.executable, "-c", PROCESS_WIDE, model, engine]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples of docs/python.md, one after the other, in a folder with a photo."""
    (tmp_path / "photo.jpg").write_bytes(encoded(photo(320, 240), "JPEG"))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for example in examples:
        exec(compile(example, str(PAGE), "exec"), names)  # noqa: S102 - our own documentation
    assert len(examples) == 4
    assert {"map.png", "overlay.jpg", "labels.json"} <= {file.name for file in tmp_path.iterdir()}
