"""The account of all frames: the counters of the cameras' queues, added up. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from edge_worker.frames.counters import Count, Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edge_worker.frames.camera_queue import CameraQueue

OTHER: Final = "(other)"
"""Name for the cameras that are counted together, because there are too many."""


@dataclass(frozen=True, slots=True)
class Account:
    """The counts in total and per camera (cameras counted together under :data:`OTHER`)."""

    total: Count
    cameras: Mapping[str, Count]

    @classmethod
    def of(cls, queues: Iterable[CameraQueue], other: Tally, now: float) -> Self:
        """Add up *queues*, and *other* for the cameras that have none, at monotonic *now*."""
        queues = tuple(queues)
        by_camera: dict[str, list[CameraQueue]] = {}
        for queue in queues:
            by_camera.setdefault(queue.camera, []).append(queue)
        cameras = {camera: _count(now, of_camera) for camera, of_camera in sorted(by_camera.items())}
        if other != Tally():
            cameras[OTHER] = _count(now, by_camera.get(OTHER, ()), other)
        return cls(_count(now, queues, other), cameras)


def _count(now: float, queues: Iterable[CameraQueue], *more: Tally) -> Count:
    queues = tuple(queues)
    total = Tally()
    for tally in (*(queue.tally for queue in queues), *more):
        total.add(tally)
    return total.count(
        waiting=sum(len(queue.waiting) for queue in queues),
        in_work=sum(queue.in_work for queue in queues),
        oldest_waiting_s=max((queue.oldest_s(now) for queue in queues), default=0.0),
    )
