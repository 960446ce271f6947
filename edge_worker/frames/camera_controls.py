"""Pauses and minimum intervals that commands set, for one camera or for all. Pure."""

from __future__ import annotations


class CameraControls:
    """What commands have set, by camera name; None stands for all cameras."""

    def __init__(self, max_cameras: int) -> None:
        """Remember at most *max_cameras* names: senders choose them, and memory is limited."""
        self._max_cameras = max_cameras
        self._paused: set[str | None] = set()
        self._intervals: dict[str | None, float] = {}  # None: for all cameras without an entry

    def knows(self, camera: str | None) -> bool:
        """Whether *camera* may be paused or throttled: its name is remembered already, or there is room for it."""
        named = self._paused | self._intervals.keys()
        return camera is None or camera in named or len(named) < self._max_cameras

    def pause(self, camera: str | None) -> None:
        """Pause *camera*."""
        self._paused.add(camera)

    def resume(self, camera: str | None = None) -> None:
        """End the pause of *camera*; None ends every pause."""
        if camera is None:
            self._paused.clear()
        self._paused.discard(camera)

    def is_paused(self, camera: str) -> bool:
        """Whether *camera*, or all cameras, are paused."""
        return None in self._paused or camera in self._paused

    @property
    def all_paused(self) -> bool:
        """Whether every camera is paused, whatever its name."""
        return None in self._paused

    def set_min_interval(self, camera: str | None, seconds: float | None) -> None:
        """Limit *camera* to one frame per *seconds*; None restores the configured interval.

        An interval for all cameras replaces those set for single ones.
        """
        if camera is None:
            self._intervals.clear()
        if seconds is None:
            self._intervals.pop(camera, None)
        else:
            self._intervals[camera] = seconds

    def min_interval_s(self, camera: str, configured_s: float) -> float:
        """Return the interval in force for *camera*, in seconds."""
        return self._intervals.get(camera, self._intervals.get(None, configured_s))
