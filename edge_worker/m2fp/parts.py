"""Parts in the output of a network, before it is enlarged: which class a cell is.

What may be a dress, or a skirt and a blouse, has high mask logits in two or three queries. In the published pipeline
the score of a query has the mean sigmoid of its mask as a factor, so that what is doubtful somewhere loses everywhere
to what is not. Here the cells that it loses by that are given back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edge_worker.m2fp.class_names import BACKGROUND, side_pairs
from edge_worker.m2fp.postprocess.semantic_map import PIXEL_THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_worker.m2fp.types import FloatArray

OUTSIDE: Final = 0.0
"""The highest mask logit that is in no mask."""

_SHARE_OF_SCORE: Final = 0.5  # exponent of a query's score, chosen on training photos
_INSIDE: Final = 0.5  # mask logit, at least, of a cell that changed its class


def decide_parts(scores: FloatArray, mask_logits: FloatArray, classes: Sequence[str]) -> None:
    """Give cells to the class with the highest product of sigmoid and root of the score, in place.

    Both sides of a limb count as one. Cells that are in no label stay so; those whose class is right already are not
    touched.

    Args:
        scores: (Q, classes) of the queries, of which there is one for each class.
        mask_logits: (Q, h, w).
        classes: names, up to the last part.
    """
    scores = scores[:, : len(classes)]
    best = scores.argmax(axis=0)
    shown = [i for i, query in enumerate(best) if i != BACKGROUND and scores[query, i] > PIXEL_THRESHOLD]
    if len(shown) < 2:  # noqa: PLR2004 - one alone has nothing to exchange
        return
    queries = best[shown]
    masks = mask_logits[queries]
    cells = (masks > 0).any(axis=0)  # all that can be in a label: the others are left out, for speed
    unsided = _without_sides(shown, classes)
    changes, winners = _changes(scores[queries, shown], masks[:, cells], unsided)
    if not changes.any():
        return
    cells[cells] = changes
    masks = masks[:, cells]
    lift = np.maximum(masks.max(axis=0), _INSIDE) - masks[winners, np.arange(winners.size)]
    for query, class_id, logits in zip(queries, unsided, masks, strict=True):
        wins = unsided[winners] == class_id
        mask_logits[query][cells] = np.where(wins, logits + lift, np.minimum(logits, OUTSIDE))


def _without_sides(class_ids: Sequence[int], classes: Sequence[str]) -> NDArray[np.intp]:
    """Return *class_ids* with the left side of a limb in place of the right one."""
    lefts = {right: left for left, right in side_pairs(classes)}
    return np.array([lefts.get(class_id, class_id) for class_id in class_ids])


def _changes(
    scores: FloatArray, mask_logits: FloatArray, unsided: NDArray[np.intp]
) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Return which of N cells get another class than in the published pipeline, and for each of these which of C.

    Args:
        scores: (C,) of the queries.
        mask_logits: (C, N), in all cells where one is above 0.
        unsided: (C,), the class, the same for both sides of a limb.
    """
    sigmoids = 0.5 + 0.5 * np.tanh(mask_logits / 2)
    inside = mask_logits > 0
    quality = np.where(inside, sigmoids, 0).sum(axis=1) / np.maximum(1, np.count_nonzero(inside, axis=1))
    products = sigmoids * scores[:, None]
    published = (products * quality[:, None]).argmax(axis=0)
    winners = (sigmoids * scores[:, None] ** _SHARE_OF_SCORE).argmax(axis=0)
    changes = (products.max(axis=0) > PIXEL_THRESHOLD) & (unsided[winners] != unsided[published])
    return changes, winners[changes]
