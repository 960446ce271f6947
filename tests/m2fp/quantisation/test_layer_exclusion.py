"""The search for layers that must stay in floating point."""

from __future__ import annotations

import pytest

from edge_worker.common.errors import ModelError
from edge_worker.m2fp.quantisation.agreement import Agreement
from edge_worker.m2fp.quantisation.gate import Verdict
from edge_worker.m2fp.quantisation.layer_exclusion import leave_out

# How much of the instances' overlap each group of layers costs.
HARM = {"stem": 0.01, "res2": 0.04, "ffn": 0.0, "lateral": 0.08}
GROUPS = tuple(HARM)


class Judges:
    """Judge by HARM; the figures of all frames are a little worse than those of a few."""

    def __init__(self, harm_of_all_frames: float = 0.0) -> None:
        self.harm_of_all_frames = harm_of_all_frames
        self.judged: list[tuple[str, ...]] = []

    def quick_check(self, without: tuple[str, ...], more: float = 0.0) -> list[Verdict]:
        overlap = 1 - more - sum(harm for group, harm in HARM.items() if group not in without)
        return [Verdict("int8+bf16", Agreement(8, 1.0, 1.0, 9, overlap, overlap))]

    def judge(self, without: tuple[str, ...]) -> list[Verdict]:
        self.judged.append(without)
        return self.quick_check(without, self.harm_of_all_frames)


def test_those_that_do_most_harm_are_left_out() -> None:
    """Worst first, no more than needed; what a few frames show to fail is not judged by all."""
    judges, notes = Judges(), list[str]()
    faithful = leave_out(GROUPS, judges.quick_check, judges.judge, notes.append)
    assert faithful.without == ("lateral",)
    assert judges.judged == [("lateral",)]
    assert notes[0].startswith("everything that may be quantised: int8+bf16 missed")
    assert notes[-1].startswith("without lateral: int8+bf16 passed")


def test_what_fails_on_all_frames_is_not_enough() -> None:
    """The search goes on where the few frames were too kind."""
    judges = Judges(harm_of_all_frames=0.02)
    assert leave_out(GROUPS, judges.quick_check, judges.judge, lambda _: None).without == ("lateral", "res2")


def test_a_few_empty_frames_are_no_verdict() -> None:
    """They let an attempt pass on to all frames, which must show something."""
    empty = [Verdict("int8+bf16", Agreement(8, 1.0, 1.0, 0, 1.0, 1.0))]
    judges = Judges()
    assert leave_out(("ffn",), lambda _: empty, lambda _: judges.judge(GROUPS), print).without == ()
    with pytest.raises(ModelError, match="nothing is on the frames"):
        leave_out(("ffn",), lambda _: empty, lambda _: empty, print)


def test_a_model_that_loses_nothing_keeps_everything_quantised() -> None:
    """Then nothing is measured layer by layer."""
    judges = Judges()
    faithful = leave_out(("ffn",), lambda _: judges.quick_check(GROUPS), lambda _: judges.judge(GROUPS), print)
    assert faithful.without == ()


def test_a_model_that_cannot_be_quantised() -> None:
    """When nothing passes the error has the figures; everything in floating point is no quantised network."""
    judges = Judges(harm_of_all_frames=0.5)
    with pytest.raises(ModelError, match=r"not faithful.*without lateral, res2, stem: int8\+bf16 missed"):
        leave_out(GROUPS, judges.quick_check, judges.judge, lambda _: None)
