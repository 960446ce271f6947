"""Which outputs the frames of a camera section get: commands override the configuration, and requests override both."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edge_worker.common.topics import Template
from edge_worker.inference.outputs import KINDS, OVERLAY
from edge_worker.inference.types import OutputRequest
from edge_worker.service.overrides import with_overlay
from edge_worker.service.replies import ReplyBuilder

if TYPE_CHECKING:
    from collections.abc import Collection

    from edge_worker.config import Config, OutputConfig
    from edge_worker.frames.frame import Frame
    from edge_worker.inference.outputs import ImageRequest
    from edge_worker.service.overrides import Overrides


class SectionOutputs:
    """The requests to the model process for the frames of one camera section, and the builder of their replies."""

    def __init__(
        self,
        node: str,
        outputs: OutputConfig,
        *,
        score_threshold: float | None = None,
        answered_topic: str | None = None,
    ) -> None:
        """*outputs* are the section's, overrides included; *answered_topic* as of :class:`ReplyBuilder`."""
        self.builder = ReplyBuilder(node, outputs, answered_topic)
        self._outputs = outputs
        self.configured = OutputRequest(
            images=self._images(outputs.enabled()),
            labels=outputs.labels.enabled,
            masks=outputs.labels.masks,
            instances=outputs.labels.instances,
            score_threshold=score_threshold,
        )

    def in_force(self, camera: str, overrides: Overrides) -> OutputRequest:
        """What is wanted of every frame of *camera*: as configured, or as commands have changed it."""
        return overrides.apply(camera, self.configured, self._image(OVERLAY))

    def wanted(self, frame: Frame, overrides: Overrides, *, snapshot: bool) -> OutputRequest:
        """What is wanted of *frame*: the requester's choices override those in force; a *snapshot* has an overlay."""
        request = self._as_asked(frame, self.in_force(frame.camera, overrides))
        return replace(request, images=with_overlay(request.images, self._image(OVERLAY))) if snapshot else request

    def _as_asked(self, frame: Frame, request: OutputRequest) -> OutputRequest:
        asked = frame.request
        if asked is None:
            return request
        images = request.images if asked.outputs is None else self._images(asked.outputs)
        threshold = request.score_threshold if asked.score_threshold is None else asked.score_threshold
        masks = request.masks if asked.masks is None else "rle" if asked.masks else "none"
        return replace(request, images=images, masks=masks, score_threshold=threshold)

    def _images(self, wanted: Collection[str]) -> tuple[ImageRequest, ...]:
        return tuple(self._image(kind) for kind in KINDS if kind in wanted)

    def _image(self, kind: str) -> ImageRequest:
        return KINDS[kind].request(self._outputs)


def section_outputs(config: Config) -> tuple[SectionOutputs, ...]:
    """By camera section, in the order of *config*."""
    answered = Template(config.node.answered_topic, node=config.node.id).format()
    return tuple(
        SectionOutputs(
            config.node.id,
            config.outputs_for(camera),
            score_threshold=config.model.score_threshold,
            answered_topic=answered if camera.keeps_for_others else None,
        )
        for camera in config.cameras
    )
