"""Search for the layers to keep in floating point so that a quantised network agrees with f32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_worker.common.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edge_worker.m2fp.quantisation.gate import Verdict

Groups = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Faithful:
    """The first configuration that passed.

    Attributes:
        without: groups of layers kept in floating point.
        verdicts: one for each precision that runs the network.
    """

    without: Groups
    verdicts: Sequence[Verdict]


def leave_out(
    groups: Groups,
    quick_check: Callable[[Groups], Sequence[Verdict]],
    judge: Callable[[Groups], Sequence[Verdict]],
    note: Callable[[str], None],
) -> Faithful:
    """Exclude one more group of layers at a time, the most harmful first, until all precisions pass.

    Args:
        groups: quantised groups.
        quick_check: judges the network without some groups on a few frames, which rejects most attempts.
        judge: judges it on all frames.
        note: receives the outcome of each attempt.

    Raises:
        ModelError: no attempt passed; the message has the last figures.
    """
    verdicts: Sequence[Verdict] = ()
    for without in _attempts(groups, quick_check):
        verdicts = _tried(quick_check, without, note)
        if not all(verdict.agrees for verdict in verdicts):  # not `passed`: a few frames may contain no instance
            continue
        verdicts = _tried(judge, without, note)
        if all(verdict.passed for verdict in verdicts):
            return Faithful(without, verdicts)
    raise ModelError(
        "int8 is not faithful to f32 for this model on these frames, and was not written:"
        f" {_summary(without, verdicts)}"
    )


def _tried(
    trial: Callable[[Groups], Sequence[Verdict]], without: Groups, note: Callable[[str], None]
) -> Sequence[Verdict]:
    """Run *trial* on the network without some groups and report the outcome to *note*."""
    verdicts = trial(without)
    note(_summary(without, verdicts))
    return verdicts


def _attempts(groups: Groups, quick_check: Callable[[Groups], Sequence[Verdict]]) -> Iterator[Groups]:
    """Yield the exclusions to try: none, then more, never all. Harm is measured by quantising a group alone."""
    yield ()
    overlap = {
        group: min(
            verdict.agreement.candidate_iou
            for verdict in quick_check(tuple(other for other in groups if other != group))
        )
        for group in groups
    }
    worst_first = sorted(groups, key=lambda group: overlap[group])
    for count in range(1, len(groups)):
        yield tuple(worst_first[:count])


def _summary(without: Groups, verdicts: Sequence[Verdict]) -> str:
    left_out = f"without {', '.join(without)}" if without else "everything that may be quantised"
    return f"{left_out}: {'; '.join(map(str, verdicts))}"
