"""Acknowledgement tracker: a frame is acknowledged once the broker has acknowledged all its results. Pure.

The caller must hold the scheduler's lock.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from edge_worker.frames.frame import Delivery, Frame


class Verdict(Enum):
    """Classification of an arriving frame."""

    NEW = "new"
    """Not seen before: it goes on to the scheduler."""
    IN_WORK = "in_work"
    """A duplicate of a frame without a reply yet: both will be acknowledged together."""
    DONE = "done"
    """A duplicate of an answered frame: acknowledge ``frame.delivery`` at once."""


class Remedy(Enum):
    """Action after a reply was given up."""

    NOTHING = "nothing"
    """It was an optional image; the rest of the reply stands."""
    ERROR = "error"
    """The frame needs an error message in place of its results."""
    UNANSWERED = "unanswered"
    """No other reply can be sent; the frame is settled without one."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A reply that was given up: its frame (without payload), and what may be acknowledged now."""

    frame: Frame
    remedy: Remedy
    deliveries: tuple[Delivery, ...] = ()


@dataclass(slots=True)
class _Entry:
    frame: Frame  # without its payload
    deliveries: list[Delivery] = field(default_factory=list)
    publications: set[int] = field(default_factory=set)
    optional: frozenset[int] = frozenset()
    final: bool = False
    replied: bool = False

    @property
    def must_be_acknowledged(self) -> bool:
        """Whether the frame must be acknowledged, and therefore is not dropped for another."""
        return self.frame.delivery is not None

    def add_delivery(self, delivery: Delivery | None) -> None:
        """Add a delivery to acknowledge; those of older connections no longer can be."""
        if delivery is None or delivery in self.deliveries:
            return
        current = (delivery.link, delivery.epoch)
        self.deliveries = [d for d in self.deliveries if (d.link, d.epoch) == current or d.link != delivery.link]
        self.deliveries.append(delivery)


class AckTracker:
    """Tracks frames without a complete reply and the publications each still waits for.

    Two frames are the same if their sender gave them the same id, or if the broker marks one as redelivered and the
    content is equal. Equal content alone is not enough: nothing may have moved. A frame that must be acknowledged is
    not a duplicate of one that was dropped, or may be dropped, without a reply.
    """

    def __init__(self, *, remembered: int = 4096) -> None:
        """Remember the identities of the last *remembered* frames that were replied to."""
        self._remembered = remembered
        self._open: dict[tuple[str, str, float], _Entry] = {}
        self._newest: dict[tuple[str, str], tuple[str, str, float]] = {}
        self._by_publication: dict[int, tuple[str, str, float]] = {}
        self._done: OrderedDict[tuple[str, str], bool] = OrderedDict()  # value: replied to, or had to be acknowledged

    @property
    def awaited(self) -> int:
        """Number of reply publications that the broker has not acknowledged yet."""
        return len(self._by_publication)

    def opened(self, frame: Frame) -> Verdict:
        """Register an arriving frame. Only a NEW one goes on to the scheduler."""
        if (frame.sender_id or frame.redelivered) and (known := self._duplicate(frame)) is not None:
            return known
        key = _key(frame)
        entry = self._open[key] = _Entry(replace(frame, payload=b""))
        entry.add_delivery(frame.delivery)
        self._newest[key[:2]] = key
        return Verdict.NEW

    def _duplicate(self, frame: Frame) -> Verdict | None:
        """Register *frame* as a duplicate of the frame with its id; None if it is not one."""
        identity = (frame.camera, frame.frame_id)
        if identity in self._newest:
            entry = self._open[self._newest[identity]]
            if frame.delivery is None or entry.must_be_acknowledged:
                entry.add_delivery(frame.delivery)
                return Verdict.IN_WORK
        elif identity in self._done and (frame.delivery is None or self._done[identity]):
            self._done.move_to_end(identity)
            return Verdict.DONE
        return None

    def is_open(self, camera: str, frame_id: str) -> bool:
        """Whether a frame of this identity waits, is in work, or has replies on their way."""
        return (camera, frame_id) in self._newest

    def has_open(self, link: str, until: float) -> bool:
        """Whether a frame that arrived by *link* at or before monotonic *until* has no complete reply yet."""
        frames = (entry.frame for entry in self._open.values())
        return any(one.arrived <= until and one.delivery is not None and one.delivery.link == link for one in frames)

    def is_done(self, frame: Frame) -> bool:
        """Whether a frame with the identity of *frame* was settled here."""
        return (frame.camera, frame.frame_id) in self._done

    def replied(
        self, frame: Frame, publications: Collection[int], *, optional: Collection[int] = (), final: bool = False
    ) -> tuple[Delivery, ...]:
        """Register *publications* (``Outgoing.publication``) as the reply to *frame*; call it before publishing them.

        A later call replaces an earlier one; an empty collection settles the frame at once (it was dropped, or nothing
        is published). If a publication is given up: *optional* ones can be left out, and a *final* reply has no
        replacement. A frame that another reply has settled meanwhile stays settled.

        Returns:
            What may be acknowledged now.
        """
        key = _key(frame)
        entry = self._open.get(key)
        if entry is None:
            return ()
        self._forget_publications(entry)
        entry.publications, entry.optional, entry.final = set(publications), frozenset(optional), final
        entry.replied = bool(publications)
        self._by_publication.update(dict.fromkeys(publications, key))
        return self._settle_if_complete(key, entry)

    def published(self, publication: int) -> tuple[Delivery, ...]:
        """Register that the broker acknowledged *publication*; returns what may be acknowledged now."""
        key = self._by_publication.pop(publication, None)
        if key is None:
            return ()  # a status message, or part of a reply that has been replaced
        entry = self._open[key]
        entry.publications.discard(publication)
        return self._settle_if_complete(key, entry)

    def failed(self, publication: int) -> Loss | None:
        """Register that *publication* was given up; returns the effect on its frame, None if it was not a reply."""
        key = self._by_publication.get(publication)
        if key is None:
            return None
        entry = self._open[key]
        if publication in entry.optional:
            return Loss(entry.frame, Remedy.NOTHING, self.published(publication))
        if entry.final:
            return Loss(entry.frame, Remedy.UNANSWERED, self.replied(entry.frame, ()))
        return Loss(entry.frame, Remedy.ERROR)

    def _settle_if_complete(self, key: tuple[str, str, float], entry: _Entry) -> tuple[Delivery, ...]:
        if entry.publications:
            return ()
        self._close(key)
        self._done[key[:2]] = self._done.pop(key[:2], False) or entry.replied or entry.must_be_acknowledged
        if len(self._done) > self._remembered:
            self._done.popitem(last=False)
        return tuple(entry.deliveries)

    def _close(self, key: tuple[str, str, float]) -> None:
        del self._open[key]
        if self._newest.get(key[:2]) == key:
            del self._newest[key[:2]]

    def _forget_publications(self, entry: _Entry) -> None:
        for publication in entry.publications:
            self._by_publication.pop(publication, None)


def _key(frame: Frame) -> tuple[str, str, float]:
    """Identify an arrival: equal images of a camera differ in their arrival time."""
    return (frame.camera, frame.frame_id, frame.arrived)
