"""Messages and images that several tests of the tools use."""

from __future__ import annotations

import cv2
import numpy as np

from edge_worker.common.timestamps import rfc3339
from edge_worker.messages import ErrorMessage, ImageSize, LabelsMessage, ModelName, Timings

PNG = cv2.imencode(".png", np.zeros((2, 2), np.uint8))[1].tobytes()
JPEG = cv2.imencode(".jpg", np.full((24, 32, 3), 200, np.uint8))[1].tobytes()


def labels_of(camera: str, frame_id: str, *, total_ms: float = 5.0, cached: bool = False) -> LabelsMessage:
    """Create the labels of an empty image."""
    return LabelsMessage(
        node="n",
        camera=camera,
        frame_id=frame_id,
        received_at=rfc3339(0.0),
        published_at=rfc3339(0.1),
        image=ImageSize(width=2, height=2),
        labels=(),
        persons=(),
        unassigned=(),
        model=ModelName(name="m", sha256="0" * 64, engine="openvino", precision="f32"),
        timings_ms=Timings(total=total_ms),
        age_ms=100.0,
        cached=cached,
    )


def error_of(camera: str, frame_id: str, *, detail: str = "") -> ErrorMessage:
    """Create the error of an image that cannot be decoded."""
    return ErrorMessage(
        node="n",
        camera=camera,
        frame_id=frame_id,
        received_at=rfc3339(0.0),
        published_at=rfc3339(0.0),
        reason="undecodable",
        detail=detail,
    )
