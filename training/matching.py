"""Optimal assignment of few rows to many columns."""

from __future__ import annotations

import torch
from torch import Tensor


def assign(cost: Tensor) -> Tensor:
    """Return a distinct query for each target at minimum total cost: (Q, n) → int64 (n,), n ≤ Q.

    Hungarian method with shortest augmenting paths (Jonker and Volgenant, Computing 38, 1987).
    """
    matrix = cost.T.tolist()
    targets, queries = len(matrix), len(matrix[0])
    potential_row, potential_column = [0.0] * (targets + 1), [0.0] * (queries + 1)
    owner = [0] * (queries + 1)  # target (1-based) of each query (1-based); column 0 is the one being placed
    for target in range(1, targets + 1):
        owner[0] = target
        _augment(matrix, owner, potential_row, potential_column)
    chosen = [0] * targets
    for query in range(1, queries + 1):
        if owner[query]:
            chosen[owner[query] - 1] = query - 1
    return torch.tensor(chosen)


def _augment(matrix: list[list[float]], owner: list[int], rows: list[float], columns: list[float]) -> None:
    """Find the cheapest alternating path from the target in column 0 to a free query, and switch along it."""
    size = len(columns)
    least, came_from, used = [float("inf")] * size, [0] * size, [False] * size
    column = 0
    while owner[column]:
        used[column] = True
        row = owner[column]
        for other in range(1, size):
            reduced = matrix[row - 1][other - 1] - rows[row] - columns[other]
            if not used[other] and reduced < least[other]:
                least[other], came_from[other] = reduced, column
        nearest = min((j for j in range(1, size) if not used[j]), key=least.__getitem__)
        step = least[nearest]
        for j in range(size):
            if used[j]:
                rows[owner[j]] += step
                columns[j] -= step
            else:
                least[j] -= step
        column = nearest
    while column:
        owner[column] = owner[came_from[column]]
        column = came_from[column]
