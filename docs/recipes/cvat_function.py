"""A CVAT auto-annotation function: masks of every class in every person.

    pip install cvat-cli edge-worker
    cvat-cli task auto-annotate TASK --function-file cvat_function.py --allow-unmatched-labels

The task needs the labels that `edge-worker parse PHOTOS --out DIR --format cvat` writes into DIR/cvat/labels.json.
"""

import cvat_sdk.auto_annotation as cvataa
import numpy as np
from cvat_sdk.masks import encode_mask
from PIL import Image

from edge_worker import load_parser

_parser = load_parser()  # m2fp-lite; or the directory of another model

spec = cvataa.DetectionFunctionSpec(
    labels=[cvataa.label_spec(name, index, type="mask") for index, name in enumerate(_parser.classes) if index]
)


def detect(_context: cvataa.DetectionFunctionContext, image: Image.Image) -> list[cvataa.DetectionAnnotation]:
    """Parse one image."""
    parsing = _parser.parse(np.array(image.convert("RGB")))
    parts = (part for person in parsing.persons for part in person.parts)
    return [cvataa.mask(part.class_id, encode_mask(part.mask)) for part in parts]
