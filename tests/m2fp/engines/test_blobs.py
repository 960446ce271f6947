"""Compiled networks on disk: never mistaken, and made anew where they were damaged."""

from __future__ import annotations

import os
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
from damages import DAMAGES

from edge_worker.m2fp.engines.blobs import BlobStore
from edge_worker.m2fp.parser import load_parser

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.m2fp.parser import Parser

FRAME = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)


def _parser(cache: Path, threads: int = 1) -> Parser:
    return load_parser("builtin:seeded", "openvino", "f32", threads, short_side=64, cache_directory=cache)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_blob_is_made_anew(damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Said once, with its place; the answer is that of before, and the next start finds a sound one."""
    parser = _parser(tmp_path)
    other = parser.preprocess(np.zeros((64, 96, 3), np.uint8))
    parser.compile(other)
    (another,) = (tmp_path / "openvino").iterdir()
    wanted = parser.infer(parser.preprocess(FRAME)).mask_logits
    (blob,) = set((tmp_path / "openvino").iterdir()) - {another}
    DAMAGES[damage](blob, another)
    for said in (1, 0):
        caplog.clear()
        parser = _parser(tmp_path)
        np.testing.assert_array_equal(parser.infer(parser.preprocess(FRAME)).mask_logits, wanted)
        assert [str(blob) in record.getMessage() for record in caplog.records] == [True] * said


def test_a_sound_file_that_the_engine_does_not_load_is_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The digest tells what was written, not that this build of the engine can read it."""
    parser = _parser(tmp_path)
    net_input = parser.preprocess(FRAME)
    shape = (net_input.tensor.shape[2], net_input.tensor.shape[3])
    parser._engine._blobs.store(shape, lambda: BytesIO(b"no network"))  # type: ignore[attr-defined]
    parser.compile(net_input)
    assert "OpenVINO does not load it" in caplog.text
    assert parser._engine._blobs.map(shape) is not None  # type: ignore[attr-defined]


@pytest.mark.timeout(60)
def test_what_has_no_end_is_not_read(tmp_path: Path) -> None:
    """A pipe under the name of a blob is not waited for."""
    store = BlobStore(tmp_path, "openvino", ["key"], 4)
    store.store((32, 64), lambda: BytesIO(b"blob"))
    (blob,) = (tmp_path / "openvino").iterdir()
    blob.unlink()
    os.mkfifo(blob)
    assert store.map((32, 64)) is None
    assert not blob.exists()


def test_blobs_of_another_key_are_not_found(tmp_path: Path) -> None:
    """Another model, runtime, precision, processor or shape has another name; few are kept."""
    store = BlobStore(tmp_path, "openvino", ("model", "f32"), limit=8)
    store.store((32, 64), lambda: BytesIO(b"blob"))
    found = store.map((32, 64))
    assert found is not None
    assert found.content.tobytes() == b"blob"
    assert store.map((64, 32)) is None
    assert BlobStore(tmp_path, "openvino", ("other", "f32"), limit=8).map((32, 64)) is None
    for side in range(20):
        store.store((side, side), lambda: BytesIO(b"blob"))
    assert len(list((tmp_path / "openvino").iterdir())) == 8
