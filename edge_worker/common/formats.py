"""Names of the formats for annotations; the command line offers them without loading what writes them."""

from __future__ import annotations

from typing import Final

ANNOTATION_FORMATS: Final = ("coco", "coco-panoptic", "label-studio", "cvat", "yolo-seg", "mask-png")
