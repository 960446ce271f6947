"""State of the model processes as seen by the rest of the worker."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from edge_worker.messages import ModelName

if TYPE_CHECKING:
    from edge_worker.inference.types import EncodedResult, ModelCardFacts


class SlotState(StrEnum):
    """State of a slot; a busy process is ``READY``."""

    NEW = "new"
    LOADING = "loading"
    READY = "ready"
    PAUSED = "paused"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """One model process as seen from the worker.

    Attributes:
        pid: None without a process.
        state: what the slot is doing.
        phase: start, load, compile, warm_up, idle, decode … encode; or the slot's state without a process.
        detail: why it is not ready; empty when it is.
        rss_mb: resident memory, MB.
        frames: answered with a result since the worker started.
        crashes, recycles: unplanned and planned ends since the worker started.
        frame_limit_s: time limit of a frame, after which the process is killed.
    """

    pid: int | None
    state: SlotState
    phase: str
    detail: str
    rss_mb: float
    frames: int
    crashes: int
    recycles: int
    frame_limit_s: float

    @property
    def ready(self) -> bool:
        """Whether it can take a frame or is processing one."""
        return self.state is SlotState.READY

    @property
    def restarts(self) -> int:
        """All restarts, planned or not."""
        return self.crashes + self.recycles


@dataclass(frozen=True, slots=True)
class PoolState:
    """The pool at one moment.

    Attributes:
        ready: every process can take frames.
        loading: still loading for the first time: not ready, and no process has failed or been replaced yet.
        detail: why it is not ready, for the status; empty when it is.
    """

    ready: bool
    loading: bool
    detail: str
    processes: tuple[ProcessInfo, ...]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model as one process loaded it: its name in messages, and a fingerprint of all that its results depend on."""

    name: ModelName
    fingerprint: str

    @classmethod
    def of(cls, card: ModelCardFacts) -> LoadedModel:
        """Return the model that *card* describes."""
        return cls(ModelName.of(card), card.fingerprint)


@dataclass(frozen=True, slots=True)
class Computed:
    """A result and the model that computed it: processes load a model replaced on disk one after the other."""

    result: EncodedResult
    model: LoadedModel
