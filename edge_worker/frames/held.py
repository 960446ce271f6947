"""Frames of cameras that belong to another node of the group: kept unacknowledged until that node has answered. Pure.

The frames of a camera are returned in order: none while an older one is still held. So a node answers a camera's frames
in the order of arrival and skips only those that others have answered: the first answers are in order, whichever nodes
they come from.

The caller holds one lock around every call.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_worker.frames.frame import Frame

Claim = Callable[[float], bool]
"""Whether this node must answer a frame at a given monotonic time: its owner may be gone by then."""


class HeldFrames:
    """Frames waiting for their owner's answer, and answers that arrived before their frames."""

    def __init__(self, *, remembered: int = 65_536) -> None:
        """Remember the last *remembered* answers to frames that have not arrived yet: more than a broker queues."""
        self._held: dict[tuple[int, str], deque[tuple[Frame, Claim]]] = {}  # by section and camera, in order of arrival
        self._answered: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._remembered = remembered

    def __len__(self) -> int:
        """Number of frames held."""
        return sum(map(len, self._held.values()))

    def hold(self, frame: Frame, claim: Claim) -> None:
        """Keep *frame* until it is answered, or *claim* says that it is ours and no older one of its camera is held."""
        self._held.setdefault(_camera(frame), deque()).append((frame, claim))

    def release(self, camera: str, frame_id: str) -> tuple[Frame, ...]:
        """Remove and return the held arrivals of a frame that another node has answered.

        An id set by the sender identifies one frame, however often it arrives. Equal images without such an id are
        answered one by one, so only one of them is released.
        """
        keys = [key for key in self._held if key[1] == camera]
        found = [(key, held) for key in keys for held in self._held[key] if held[0].frame_id == frame_id]
        if found and not found[0][1][0].sender_id:
            found = found[:1]
        for key, held in found:
            self._held[key].remove(held)
            self._drop_if_empty(key)
        return tuple(frame for _, (frame, _) in found)

    def claim(self, now: float) -> tuple[Frame, ...]:
        """Remove and return the frames that are ours now, those of each camera in the order of their arrival."""
        return tuple(frame for key in tuple(self._held) for frame in self._claim(key, now))

    def claim_of(self, frame: Frame, now: float) -> tuple[Frame, ...]:
        """Remove and return those frames of the camera of *frame* that are ours now, in the order of their arrival."""
        return self._claim(_camera(frame), now)

    def _claim(self, key: tuple[int, str], now: float) -> tuple[Frame, ...]:
        held, ours = self._held.get(key, deque()), []
        while held and held[0][1](now):
            ours.append(held.popleft()[0])
        self._drop_if_empty(key)
        return tuple(ours)

    def _drop_if_empty(self, key: tuple[int, str]) -> None:
        if not self._held.get(key, True):
            del self._held[key]

    def remember(self, camera: str, frame_id: str) -> None:
        """Record the answer to a frame that has not arrived yet."""
        key = (camera, frame_id)
        self._answered[key] = self._answered.pop(key, 0) + 1
        if len(self._answered) > self._remembered:
            self._answered.popitem(last=False)

    def was_answered(self, frame: Frame) -> bool:
        """Whether another node has answered *frame*, which just arrived; forgets that answer."""
        key = (frame.camera, frame.frame_id)
        left = self._answered.pop(key, 0) - 1
        if left > 0 and not frame.sender_id:
            self._answered[key] = left
        return left >= 0


def _camera(frame: Frame) -> tuple[int, str]:
    return frame.source, frame.camera
