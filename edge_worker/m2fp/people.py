"""People in the output of a network, before it is enlarged: which queries they are, and whose a cell is.

Masks of neighbours overlap. If the person with the higher score got all that both cover, some of it would often be the
other one's, whose mask logits are higher there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from edge_worker.m2fp.types import BoolArray, FloatArray

_LEAST_SCORE = 0.5  # of a person
_MOST = 16  # the highest scores: bounds the time that a crowd takes
_LEAST_CELLS, _LEAST_SHARE = 8, 0.5  # of a person that no better one covers: less is a duplicate's rim
_NOT_THEIRS = -3.0  # mask logit of a cell that is somebody else's


class Found(NamedTuple):
    """A person: its query and the cells, (h, w), that no better person's mask covers."""

    query: int
    cells: BoolArray


def find_people(scores: FloatArray, mask_logits: FloatArray) -> list[Found]:
    """Return the people, best first, without duplicates.

    Args:
        scores: (Q,) of the queries being a person.
        mask_logits: (Q, h, w).
    """
    best = [int(query) for query in np.argsort(-scores)[:_MOST] if scores[query] > _LEAST_SCORE]
    covered = np.zeros(mask_logits.shape[1:], np.bool_)
    people = []
    for query in best:
        whole = mask_logits[query] > 0
        cells = whole & ~covered
        if np.count_nonzero(cells) >= max(_LEAST_CELLS, _LEAST_SHARE * np.count_nonzero(whole)):
            covered |= cells
            people.append(Found(query, cells))
    return people


def decide_overlaps(scores: FloatArray, mask_logits: FloatArray) -> None:
    """Give each cell that masks of several people cover to the one whose logit is highest there, in place.

    Masks of duplicates stay: what would be left of them are rims, which count as people. Somebody may be left without a
    cell.

    Args:
        scores: (Q,) of the queries being a person.
        mask_logits: (Q, h, w).
    """
    queries = [one.query for one in find_people(scores, mask_logits)]
    if len(queries) < 2:  # noqa: PLR2004 - one alone has nobody to overlap
        return
    masks = mask_logits[queries]
    masks[(masks > 0) & (masks < masks.max(axis=0))] = _NOT_THEIRS
    mask_logits[queries] = masks
