"""Frames of cameras that belong to another node of the group: kept unacknowledged until that node has answered. Pure.

The frames of a camera are given back in their order: none while an older one is still held. So a node answers a
camera's frames in the order in which they came, leaves out only those that others have answered, and whoever is the
first to answer, the answers are in order.

The caller holds one lock around every call.
"""

from __future__ import annotations

from collections import OrderedDict, deque
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
        self._held: dict[tuple[int, str], deque[tuple[Frame, Claim]]] = {}  # by section and camera, as they came
        self._answered: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._remembered = remembered

    def __len__(self) -> int:
        """Frames that are held."""
        return sum(map(len, self._held.values()))

    def hold(self, frame: Frame, claim: Claim) -> None:
        """Keep *frame* until it is answered, or *claim* says that it is ours and none of its camera is before it."""
        self._held.setdefault(_camera(frame), deque()).append((frame, claim))

    def release(self, camera: str, frame_id: str) -> tuple[Frame, ...]:
        """Give back what was held of the frame that another node has answered.

        An id that its sender gave stands for one frame, however often it came; equal images without one were each
        answered.
        """
        keys = [key for key in self._held if key[1] == camera]
        found = [(key, held) for key in keys for held in self._held[key] if held[0].frame_id == frame_id]
        if found and not found[0][1][0].sender_id:
            found = found[:1]
        for key, held in found:
            self._held[key].remove(held)
            self._tidy(key)
        return tuple(frame for _, (frame, _) in found)

    def claim(self, now: float) -> tuple[Frame, ...]:
        """Give back the frames that are ours now, those of each camera in the order of their arrival."""
        return tuple(frame for key in tuple(self._held) for frame in self._claim(key, now))

    def claim_of(self, frame: Frame, now: float) -> tuple[Frame, ...]:
        """Give back those frames of the camera of *frame* that are ours now, in the order of their arrival."""
        return self._claim(_camera(frame), now)

    def _claim(self, key: tuple[int, str], now: float) -> tuple[Frame, ...]:
        held, ours = self._held.get(key, deque()), []
        while held and held[0][1](now):
            ours.append(held.popleft()[0])
        self._tidy(key)
        return tuple(ours)

    def _tidy(self, key: tuple[int, str]) -> None:
        if not self._held.get(key, True):
            del self._held[key]

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


def _camera(frame: Frame) -> tuple[int, str]:
    return frame.source, frame.camera
