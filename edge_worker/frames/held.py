"""Frames of cameras that belong to another node of the group: kept unacknowledged until that node has answered. Pure.

The caller holds one lock around every call.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_worker.frames.frame import Frame

Claim = Callable[[float], bool]
"""Whether a frame is for this node to answer, at a monotonic time: its owner may be gone by then."""


class HeldFrames:
    """Frames waiting for their owner's answer, and answers that came before their frame did."""

    def __init__(self, *, remembered: int = 65_536) -> None:
        """Remember the last *remembered* answers to frames that have not come yet: more than a broker queues."""
        self._held: OrderedDict[int, tuple[Frame, Claim]] = OrderedDict()  # in the order of arrival
        self._arrivals = 0
        self._answered: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._remembered = remembered

    def __len__(self) -> int:
        """Frames that are held."""
        return len(self._held)

    def hold(self, frame: Frame, claim: Claim) -> None:
        """Keep *frame* until it is answered, or *claim* says that it is ours."""
        self._arrivals += 1
        self._held[self._arrivals] = (frame, claim)

    def release(self, camera: str, frame_id: str) -> tuple[Frame, ...]:
        """Give back what was held of the frame that another node has answered.

        An id that its sender gave stands for one frame, however often it came; equal images without one were each
        answered.
        """
        found = [
            number for number, (frame, _) in self._held.items() if (frame.camera, frame.frame_id) == (camera, frame_id)
        ]
        if found and not self._held[found[0]][0].sender_id:
            found = found[:1]
        return tuple(self._held.pop(number)[0] for number in found)

    def claim(self, now: float) -> tuple[Frame, ...]:
        """Give back the frames that are ours now, in the order of their arrival."""
        ours = [number for number, (_, claim) in self._held.items() if claim(now)]
        return tuple(self._held.pop(number)[0] for number in ours)

    def remember(self, camera: str, frame_id: str) -> None:
        """Note the answer to a frame that has not come yet."""
        key = (camera, frame_id)
        self._answered[key] = self._answered.pop(key, 0) + 1
        if len(self._answered) > self._remembered:
            self._answered.popitem(last=False)

    def was_answered(self, frame: Frame) -> bool:
        """Whether another node has answered *frame*, which just came; what was remembered of that is used up."""
        key = (frame.camera, frame.frame_id)
        left = self._answered.pop(key, 0) - 1
        if left > 0 and not frame.sender_id:
            self._answered[key] = left
        return left >= 0
