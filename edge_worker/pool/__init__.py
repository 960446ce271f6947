"""Worker-side supervision of the model processes; imports no numeric library."""

from edge_worker.pool.pool import ModelPool
from edge_worker.pool.state import PoolState, ProcessInfo, SlotState

__all__ = ["ModelPool", "PoolState", "ProcessInfo", "SlotState"]
