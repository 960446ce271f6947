"""When a frame may be acknowledged: after all its results were. Pure; the caller holds the lock it holds for the intake."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from edge_worker.frames import Delivery, Frame


class Verdict(Enum):
    """What is known of an arriving frame."""

    NEW = "new"
    IN_WORK = "in_work"
    """A duplicate of one not answered yet: nothing to do, both will be acknowledged together."""
    DONE = "done"
    """A duplicate of one answered already: acknowledge ``frame.delivery`` at once."""


class AckLedger:
    """Knows the frames not acknowledged yet and the publications each still waits for."""

    def __init__(self, *, remembered: int = 4096) -> None:
        """Remember the identities of the last *remembered* answered frames."""

    def opened(self, frame: Frame) -> Verdict:
        """Enter an arriving frame. Only a NEW one goes on to the intake."""
        raise NotImplementedError

    def answered(self, frame: Frame, publications: Collection[int]) -> tuple[Delivery, ...]:
        """Say which *publications* (``Outgoing.publication``) answer *frame*; call it before publishing them.

        An empty collection settles the frame at once (it was dropped). Called again, it replaces what was said before.
        Returns what may be acknowledged now.
        """
        raise NotImplementedError

    def published(self, publication: int) -> tuple[Delivery, ...]:
        """Note that the broker has *publication*; returns what may be acknowledged now."""
        raise NotImplementedError

    def failed(self, publication: int) -> Frame | None:
        """Note that *publication* was given up; returns its frame (without payload), which now needs another answer."""
        raise NotImplementedError
