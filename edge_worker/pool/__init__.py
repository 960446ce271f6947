"""The model processes, seen from the worker: kept up, watched, given frames. Light: no numeric library is imported."""

from edge_worker.pool.pool import ModelPool
from edge_worker.pool.state import PoolState, ProcessInfo, SlotState

__all__ = ["ModelPool", "PoolState", "ProcessInfo", "SlotState"]
