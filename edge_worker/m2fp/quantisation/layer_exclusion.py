"""Which layers of a quantised network to leave in floating point, so that its answers stay those of f32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_worker.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edge_worker.m2fp.quantisation.gate import Verdict

Groups = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Faithful:
    """The first network that passed.

    Attributes:
        without: groups of layers that are left in floating point.
        verdicts: of each precision that runs it.
    """

    without: Groups
    verdicts: Sequence[Verdict]


def leave_out(
    groups: Groups,
    glance: Callable[[Groups], Sequence[Verdict]],
    judge: Callable[[Groups], Sequence[Verdict]],
    note: Callable[[str], None],
) -> Faithful:
    """Leave out one group of layers after another, those that do most harm first, until all precisions pass.

    Args:
        groups: that are quantised.
        glance: judges the network without some groups by a few frames; many attempts end there.
        judge: judges it by all.
        note: is told how each attempt fared.

    Raises:
        ModelError: nothing passed; the message has the last figures.
    """
    verdicts: Sequence[Verdict] = ()
    for without in _attempts(groups, glance):
        verdicts = _tried(glance, without, note)
        if not all(verdict.agrees for verdict in verdicts):  # on a few frames there may be nothing to find
            continue
        verdicts = _tried(judge, without, note)
        if all(verdict.passed for verdict in verdicts):
            return Faithful(without, verdicts)
    raise ModelError(
        f"int8 is not faithful to f32 for this model on these frames, and was not written: {_told(without, verdicts)}"
    )


def _tried(
    trial: Callable[[Groups], Sequence[Verdict]], without: Groups, note: Callable[[str], None]
) -> Sequence[Verdict]:
    """What a *trial* says of the network without some groups, after telling *note*."""
    verdicts = trial(without)
    note(_told(without, verdicts))
    return verdicts


def _attempts(groups: Groups, glance: Callable[[Groups], Sequence[Verdict]]) -> Iterator[Groups]:
    """None left out; then more and more, but never all. What harm a group does is measured by quantising it alone."""
    yield ()
    overlap = {
        group: min(
            verdict.agreement.candidate_iou for verdict in glance(tuple(other for other in groups if other != group))
        )
        for group in groups
    }
    worst_first = sorted(groups, key=lambda group: overlap[group])
    for count in range(1, len(groups)):
        yield tuple(worst_first[:count])


def _told(without: Groups, verdicts: Sequence[Verdict]) -> str:
    left_out = f"without {', '.join(without)}" if without else "everything that may be quantised"
    return f"{left_out}: {'; '.join(map(str, verdicts))}"
