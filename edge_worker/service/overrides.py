"""Settings that an operator changed by command; forgotten when the worker restarts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING

from edge_worker.inference.outputs import OVERLAY

if TYPE_CHECKING:
    from edge_worker.inference.outputs import ImageRequest
    from edge_worker.inference.types import OutputRequest

MAX_CAMERAS = 1024  # commands come from outside, and must not fill the memory with names


@dataclass(frozen=True, slots=True)
class CameraOverrides:
    """Settings of a camera that override the configuration's; None: as configured."""

    score_threshold: float | None = None
    overlay: bool | None = None

    def over(self, other: CameraOverrides) -> CameraOverrides:
        """These settings, and *other*'s where these are None."""
        return CameraOverrides(
            other.score_threshold if self.score_threshold is None else self.score_threshold,
            other.overlay if self.overlay is None else self.overlay,
        )


class Overrides:
    """CameraOverrides for all cameras and for each, and the snapshots asked for. Safe to call from any thread."""

    def __init__(self) -> None:
        """Start without any."""
        self._lock = Lock()
        self._general = CameraOverrides()
        self._cameras: dict[str, CameraOverrides] = {}
        self._snapshots: set[str] = set()

    def has_room(self, camera: str | None, overrides: CameraOverrides) -> bool:
        """Whether :meth:`set` would take *overrides* for *camera*, or there are too many cameras already."""
        with self._lock:
            known = camera is None or camera in self._cameras
            return known or overrides == CameraOverrides() or len(self._cameras) < MAX_CAMERAS

    def set(self, camera: str | None, overrides: CameraOverrides) -> None:
        """Change what *overrides* says for *camera* (None: for all), for which there must be room."""
        with self._lock:
            if camera is None:
                self._general = overrides.over(self._general)
                self._cameras = {name: _without(own, overrides) for name, own in self._cameras.items()}
            elif overrides != CameraOverrides():
                self._cameras[camera] = overrides.over(self._cameras.get(camera, CameraOverrides()))

    def snapshot(self, camera: str) -> bool:
        """Request the overlay of *camera*'s next frame; False when too many such requests are open."""
        with self._lock:
            if camera not in self._snapshots and len(self._snapshots) >= MAX_CAMERAS:
                return False
            self._snapshots.add(camera)
            return True

    def apply(self, camera: str, request: OutputRequest, overlay: ImageRequest) -> OutputRequest:
        """Return the configuration's *request* for a frame of *camera*, with the operator's changes.

        *overlay* is how to draw an overlay that the operator has turned on.
        """
        with self._lock:
            overrides = self._cameras.get(camera, CameraOverrides()).over(self._general)
        wanted = request.image(OVERLAY) is not None if overrides.overlay is None else overrides.overlay
        threshold = request.score_threshold if overrides.score_threshold is None else overrides.score_threshold
        return replace(
            request, images=with_overlay(request.images, overlay if wanted else None), score_threshold=threshold
        )

    def claim_snapshot(self, camera: str) -> bool:
        """Take the request for a snapshot of *camera*, if there is one; a caller that cannot fulfil it puts it back."""
        with self._lock:
            wanted = camera in self._snapshots
            self._snapshots.discard(camera)
            return wanted


def with_overlay(images: tuple[ImageRequest, ...], overlay: ImageRequest | None) -> tuple[ImageRequest, ...]:
    """Return *images* with this *overlay* in place of any other; None: without one."""
    others = tuple(image for image in images if image.kind != OVERLAY)
    return others if overlay is None else (overlay, *others)


def _without(own: CameraOverrides, general: CameraOverrides) -> CameraOverrides:
    """Clear of *own* what *general* sets for all: the newest command wins."""
    return CameraOverrides(
        None if general.score_threshold is not None else own.score_threshold,
        None if general.overlay is not None else own.overlay,
    )
