"""Parts in the output of a network, before it is enlarged: which class a cell is.

What may be a dress, or a skirt and a blouse, has high mask logits in two or three queries. In the published pipeline
the score of a query has the mean sigmoid of its mask as a factor, so that what is doubtful somewhere loses everywhere
to what is not. Here the cells that it loses by that are given back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edge_worker.m2fp.class_names import BACKGROUND, side_pairs
from edge_worker.m2fp.postprocess import class_probabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_worker.m2fp.types import FloatArray, Logits

_SHARE_OF_SCORE: Final = 0.5  # exponent of a query's score, chosen on training photos
_SEEN: Final = 0.5  # sigmoid times score: where no class has more, a cell is in no label
_ENTERED: Final = 0.5  # mask logit, at least, of a cell that changed its class
_OUTSIDE: Final = 0.0  # the highest mask logit that is in no mask


def decide_parts(logits: Logits, classes: Sequence[str]) -> None:
    """Give cells to the class with the highest product of sigmoid and root of the score, in place.

    Both sides of a limb count as one. Cells that are in no label stay so; those whose class is right already are not
    touched.

    Args:
        logits: of a network with one query for each class.
        classes: names, up to the last part.
    """
    scores = class_probabilities(logits.class_logits)[:, : len(classes)]
    best = scores.argmax(axis=0)
    seen = [i for i, query in enumerate(best) if i != BACKGROUND and scores[query, i] > _SEEN]
    if len(seen) < 2:  # noqa: PLR2004 - one alone has nothing to exchange
        return
    queries = best[seen]
    claims = logits.mask_logits[queries]
    cells = (claims > 0).any(axis=0)  # all that can be in a label: the others are left out, for speed
    if not cells.any():
        return
    claims = claims[:, cells]
    limbs = _limbs(seen, classes)
    changes, won = _changes(scores[queries, seen], claims, limbs)
    cells[cells] = changes
    claims = claims[:, changes]
    if won.size:
        lift = np.maximum(claims.max(axis=0), _ENTERED) - claims[won, np.arange(won.size)]
        for query, limb, claim in zip(queries, limbs, claims, strict=True):
            wins = limbs[won] == limb
            logits.mask_logits[query][cells] = np.where(wins, claim + lift, np.minimum(claim, _OUTSIDE))


def _limbs(seen: Sequence[int], classes: Sequence[str]) -> NDArray[np.intp]:
    """Return the class for each of those *seen*: the left one for both sides of a limb."""
    lefts = {right: left for left, right in side_pairs(classes)}
    return np.array([lefts.get(class_id, class_id) for class_id in seen])


def _changes(
    scores: FloatArray, claims: FloatArray, limbs: NDArray[np.intp]
) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Return which of N cells get another class than in the published pipeline, and for each which of C it is.

    Args:
        scores: (C,) of the queries.
        claims: (C, N), their mask logits in all cells where one is above 0.
        limbs: (C,), the same for both sides of a limb.
    """
    sigmoids = 0.5 + 0.5 * np.tanh(claims / 2)
    inside = claims > 0
    quality = np.where(inside, sigmoids, 0).sum(axis=1) / np.maximum(1, np.count_nonzero(inside, axis=1))
    shown = (sigmoids * (scores * quality)[:, None]).argmax(axis=0)
    won = (sigmoids * scores[:, None] ** _SHARE_OF_SCORE).argmax(axis=0)
    changes = ((sigmoids * scores[:, None]).max(axis=0) > _SEEN) & (limbs[won] != limbs[shown])
    return changes, won[changes]
