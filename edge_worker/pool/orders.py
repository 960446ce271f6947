"""What the thread of a slot is told to do: frames, and orders that concern the process."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from edge_worker.errors import ModelProcessDied

if TYPE_CHECKING:
    from edge_worker.inference.types import OutputRequest
    from edge_worker.pool.state import Computed


@dataclass(frozen=True, slots=True)
class Job:
    """One frame to be parsed, and the place where the caller waits for the result."""

    payload: bytes
    payload_sha: str
    request: OutputRequest
    answer: Future[Computed] = field(default_factory=Future)


class Order(Enum):
    """What may be told besides a job; the value is said in the status."""

    RESTART = "restarted by command"
    STOP = "the worker is stopping"


class Orders:
    """A queue of jobs and orders, from any thread to the slot's."""

    def __init__(self) -> None:
        """Start empty."""
        self._queue: SimpleQueue[Job | Order] = SimpleQueue()

    def put(self, order: Job | Order) -> None:
        """Add one at the end."""
        self._queue.put(order)

    def next(self, timeout: float) -> Job | Order | None:
        """Take the first; None when there was none within *timeout* seconds."""
        try:
            return self._queue.get(timeout=timeout)
        except Empty:
            return None

    def void(self, detail: str) -> None:
        """Take all away; who waits for a job learns that there is no process for it, because of *detail*."""
        while not self._queue.empty():  # only the slot's thread takes any
            order = self._queue.get_nowait()
            if isinstance(order, Job):
                order.answer.set_exception(ModelProcessDied(f"not ready: {detail}", phase="idle"))
