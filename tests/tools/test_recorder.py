from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from replies import PNG, labels_of

from edge_worker.tools.joiner import FrameResult
from edge_worker.tools.recorder import Recorder, safe_name

if TYPE_CHECKING:
    from pathlib import Path


def test_results_are_saved_as_they_came(tmp_path: Path) -> None:
    """Labels and images are written byte for byte; the ending says what an image is."""
    images: dict[str, bytes] = {"colormap": PNG, "overlay": b"\xff\xd8jpeg"}
    files = Recorder(tmp_path).save(FrameResult(labels_of("door", "f-1"), b'{"a": 1}', images))
    assert {file.name: file.read_bytes() for file in files} == {
        "000001.door.f-1.colormap.png": PNG,
        "000001.door.f-1.overlay.jpg": b"\xff\xd8jpeg",
        "000001.door.f-1.labels.json": b'{"a": 1}',
    }


def test_same_frame_answered_twice_is_kept_twice(tmp_path: Path) -> None:
    """A recorder overwrites nothing."""
    recorder, result = Recorder(tmp_path), FrameResult(labels_of("c", "f"), b"{}", {})
    assert recorder.save(result) != recorder.save(result)


@given(st.text())
def test_no_name_leaves_the_folder(text: str) -> None:
    """Names from the wire become one short level of letters, digits, _ and -."""
    name = safe_name(text)
    assert name
    assert len(name) <= 60
    assert name.isascii()
    assert all(letter.isalnum() or letter in "_-" for letter in name)


@given(st.text(), st.text())
def test_different_names_stay_different(one: str, other: str) -> None:
    """What is replaced is told apart by a hash."""
    assert (safe_name(one) == safe_name(other)) == (one == other)
