"""Names of the annotation formats; the command line offers them without importing their writers."""

from __future__ import annotations

from typing import Final

ANNOTATION_FORMATS: Final = ("coco", "coco-panoptic", "label-studio", "cvat", "yolo-seg", "mask-png")
