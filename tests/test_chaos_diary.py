"""The soak's judgement: a leak must not pass for noise, nor noise for a leak."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from chaos.diary import FLOOR_S, SAMPLE_S, Sample, conclude, is_decided
from chaos.lab import Lab
from chaos.probes import Probes

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(Path(), Random(1), 1) as lab:  # noqa: S311 - to be repeated
        yield lab


def day(*, worker_mb_per_h: float = 0.0, fds_per_h: float = 0.0, minutes: int = 30) -> list[Sample]:
    """Make up half an hour: memory comes and goes with the frames, on a floor that may rise."""
    random, samples = Random(7), []  # noqa: S311 - to be repeated
    for number in range(int(60 * minutes / SAMPLE_S)):
        at_s = number * SAMPLE_S
        rss_mb = 60 + worker_mb_per_h * at_s / 3600 + random.choice((0.0, 0.3, 20.0))
        worker = Probes(rss_mb, 11 + int(fds_per_h * at_s / 3600), 6)
        samples.append(Sample(at_s, worker, Probes(480.0, 8, 11), 7))
    return samples


def test_frames_that_come_and_go_are_no_leak(lab: Lab) -> None:
    """However much they take, as long as the floor is level."""
    conclude(lab, day(), recycles=0)
    assert lab.findings.problems == []
    assert "MB/h" in lab.findings.figures["memory of the worker"]


def test_a_leak_is_found(lab: Lab) -> None:
    """Of a few megabytes an hour, in half an hour, under frames of twenty."""
    conclude(lab, day(worker_mb_per_h=4.0), recycles=0)
    (problem,) = lab.findings.problems
    assert problem.startswith("memory of the worker grows by +4.0")


def test_uncertainty_is_no_excuse(lab: Lab) -> None:
    """A floor that jumped once, near the end, has a slope with a large error: growth until shown otherwise."""
    samples = jumped(day())
    conclude(lab, samples, recycles=0)
    (problem,) = lab.findings.problems
    assert problem.startswith("memory of the worker grows by +")


def test_what_is_uncertain_is_watched_longer() -> None:
    """A jump may be the beginning of growth; a level floor and a leak of 4 MB/h are what they seem."""
    assert not is_decided(jumped(day()))
    assert is_decided(day())
    assert is_decided(day(worker_mb_per_h=4.0))
    assert not is_decided(day(minutes=5)), "too short for a slope"


def jumped(samples: list[Sample]) -> list[Sample]:
    """The same, with 1.5 MB more in the worker in the last eighth."""
    for number in range(len(samples) * 7 // 8, len(samples)):
        worker = samples[number].worker
        samples[number] = replace(samples[number], worker=replace(worker, rss_mb=worker.rss_mb + 1.5))
    return samples


def test_half_a_stretch_has_no_floor(lab: Lab) -> None:
    """The stretch that the warm-up cuts short may show a frame's memory only, which would hide a leak behind it."""
    samples = day(worker_mb_per_h=4.0, minutes=33)
    for number in range(len(samples) // 5, 4 * int(FLOOR_S / SAMPLE_S)):
        worker = samples[number].worker
        samples[number] = replace(samples[number], worker=replace(worker, rss_mb=90.0))
    conclude(lab, samples, recycles=0)
    (problem,) = lab.findings.problems
    assert problem.startswith("memory of the worker grows by +4")


def test_descriptors_are_counted(lab: Lab) -> None:
    """Ten more in half an hour are a leak."""
    conclude(lab, day(fds_per_h=20.0), recycles=0)
    assert len(lab.findings.problems) == 1
    assert "file descriptors of the worker" in lab.findings.problems[0]


def test_a_few_minutes_prove_nothing(lab: Lab) -> None:
    """They are reported, no more."""
    conclude(lab, day(worker_mb_per_h=100.0, minutes=5), recycles=0)
    assert lab.findings.problems == []
