"""The model processes, seen from the worker: kept up, watched, given frames. Light: no numeric library is imported."""

from edge_worker.pool.pool import ModelPool, PoolState
from edge_worker.pool.slot import ProcessInfo

__all__ = ["ModelPool", "PoolState", "ProcessInfo"]
