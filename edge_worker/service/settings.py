"""Settings of the cameras in force: the configuration, and what commands have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_worker.inference.outputs import OVERLAY
from edge_worker.integrations.home_assistant.announcer import SeenCamera
from edge_worker.messages import CameraSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_worker.config import Config
    from edge_worker.frames.camera_queue import CameraPace
    from edge_worker.frames.queue import FrameQueue
    from edge_worker.service.overrides import Overrides
    from edge_worker.service.section_outputs import SectionOutputs


class Settings:
    """Reads the parts that commands change. Safe to call from any thread."""

    def __init__(
        self, frame_queue: FrameQueue, overrides: Overrides, sections: Callable[[], Sequence[SectionOutputs]]
    ) -> None:
        """*sections* gives what the configuration in force wants, by camera section."""
        self._frame_queue, self._overrides, self._sections = frame_queue, overrides, sections

    def read(self, config: Config) -> tuple[bool, tuple[SeenCamera, ...]]:
        """Whether all cameras are paused, and each that has sent frames, other than as requests.

        One that several sections of *config* deliver is told of as the first of them has it.
        """
        paused, paces = self._frame_queue.paces()
        published = (pace for pace in paces if config.cameras[pace.source].reply_prefix is None)
        by_name: dict[str, CameraPace] = {}
        for pace in sorted(published, key=lambda pace: pace.source):
            by_name.setdefault(pace.camera, pace)
        return paused, tuple(self._seen(pace) for pace in by_name.values())

    def _seen(self, pace: CameraPace) -> SeenCamera:
        request = self._sections()[pace.source].in_force(pace.camera, self._overrides)
        settings = CameraSettings(
            paused=pace.paused,
            min_interval_s=pace.min_interval_s,
            score_threshold=request.score_threshold,
            overlay=request.image(OVERLAY) is not None,
        )
        return SeenCamera(pace.camera, pace.source, pace.received, settings)
