"""Every row of the report, in its order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chaos import (
    broker_refusals,
    broker_restarts,
    clock,
    crowd,
    fleet,
    fuzz,
    gateway_load,
    hostile,
    model_faults,
    network,
    overload,
    rivals,
    soak,
    stopping,
    storage,
    worker_killed,
)

if TYPE_CHECKING:
    from chaos.row import Row

ROWS: Final[tuple[Row, ...]] = (
    *worker_killed.ROWS,
    *model_faults.ROWS,
    *broker_restarts.ROWS,
    *broker_refusals.ROWS,
    *network.ROWS,
    *rivals.ROWS,
    *overload.ROWS,
    *gateway_load.ROWS,
    *crowd.ROWS,
    *fleet.ROWS,
    *hostile.ROWS,
    *fuzz.ROWS,
    *stopping.ROWS,
    *storage.ROWS,
    *clock.ROWS,
    *soak.ROWS,
)
