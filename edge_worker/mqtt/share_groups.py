"""Leaving the groups of shared subscriptions before a stop, so that the broker chooses other members."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_worker.common.deadline import Deadline
    from edge_worker.mqtt.message import Subscription

_TICK_S: Final = 0.1


class ShareGroups:
    """Any thread may ask for it, the link's does it."""

    def __init__(self, subscriptions: Sequence[Subscription]) -> None:
        """Be a member of the groups in *subscriptions*."""
        self._is_member = any(subscription.share_group for subscription in subscriptions)
        self._answered, self._refusal = Event(), ""
        self.is_leaving = False
        """Whether they are to be given up, until this process ends."""

    def leave(self, deadline: Deadline, wake: Callable[[], None], is_connected: Callable[[], bool]) -> str:
        """Have the link's thread, which *wake* wakes, give them up; returns why that failed, empty if it did not."""
        if not self._is_member:
            return ""
        self.is_leaving = True
        wake()
        while not self._answered.wait(min(_TICK_S, deadline.remaining())):
            if deadline.expired or not is_connected():
                return "the broker does not answer"
        return self._refusal

    def answered(self, refusals: Sequence[str]) -> None:
        """Note the broker's answer: its *refusals*, empty where there was none."""
        self._refusal = ", ".join(refusals)
        self._answered.set()
