"""Settings in force for cameras: the configuration, and what commands have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_worker.inference.outputs import OVERLAY
from edge_worker.integrations.home_assistant.announcer import SeenCamera
from edge_worker.messages import CameraSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_worker.config import Config
    from edge_worker.frames.camera_queue import CameraPace
    from edge_worker.frames.queue import FrameQueue
    from edge_worker.service.overrides import Overrides
    from edge_worker.service.section_outputs import SectionOutputs


def seen_cameras(
    config: Config, frame_queue: FrameQueue, overrides: Overrides, sections: Sequence[SectionOutputs]
) -> tuple[bool, tuple[SeenCamera, ...]]:
    """Whether all cameras are paused, and each that has sent frames, other than as requests.

    *sections* are what the configuration in force wants, by camera section. A camera that several sections of *config*
    deliver is described as in the first of them.
    """
    paused, paces = frame_queue.paces()
    published = (pace for pace in paces if config.cameras[pace.source].reply_prefix is None)
    by_name: dict[str, CameraPace] = {}
    for pace in sorted(published, key=lambda pace: pace.source):
        by_name.setdefault(pace.camera, pace)
    return paused, tuple(_seen(pace, sections[pace.source], overrides) for pace in by_name.values())


def _seen(pace: CameraPace, section: SectionOutputs, overrides: Overrides) -> SeenCamera:
    request = section.in_force(pace.camera, overrides)
    settings = CameraSettings(
        paused=pace.paused,
        min_interval_s=pace.min_interval_s,
        score_threshold=request.score_threshold,
        overlay=request.image(OVERLAY) is not None,
    )
    return SeenCamera(pace.camera, pace.source, pace.received, settings)
