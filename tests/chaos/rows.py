"""Every row of the report, in its order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chaos import broker_restarts, fuzz, hostile, model_faults, network, rivals, worker_killed

if TYPE_CHECKING:
    from chaos.row import Row

ROWS: Final[tuple[Row, ...]] = (
    *worker_killed.ROWS,
    *model_faults.ROWS,
    *broker_restarts.ROWS,
    *network.ROWS,
    *rivals.ROWS,
    *hostile.ROWS,
    *fuzz.ROWS,
)
