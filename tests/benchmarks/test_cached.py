"""A frame seen before, through the worker's own parts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from outputs import encoded_result
from replies import PNG

from benchmarks.cached import Place
from edge_worker.m2fp.parser import ModelInfo

if TYPE_CHECKING:
    from edge_worker.inference.types import EncodedResult, OutputRequest


def test_a_frame_seen_before_is_answered_in_full() -> None:
    """The same messages leave, but for the times in them, and the model is asked once."""
    asked: list[bytes] = []

    class Counted:
        """A pipeline that says one thing."""

        parser = SimpleNamespace(info=ModelInfo("m", "0" * 64, "openvino", "f32", "", 1, ""))

        def run(self, payload: bytes, request: OutputRequest) -> EncodedResult:
            """Count."""
            del request
            asked.append(payload)
            body = {"image": {"width": 2, "height": 2}, "labels": [], "persons": [], "unassigned": []}
            return encoded_result(2, 2, PNG, None, body, {})

    place = Place(Counted())  # type: ignore[arg-type] # what a worker uses of a pipeline
    first, again, other = (place.answer(payload) for payload in (b"a", b"a", b"b"))
    place.stop()
    assert asked == [b"a", b"b"]
    assert first.size == pytest.approx(again.size, abs=40)
    assert min(first.size, other.size) > len(PNG)
