"""Fixed cameras: frames with hand-drawn boxes, and a video of people passing one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from rich.progress import track

from training.cache import read_rgb
from training.measure.counts import MATCH_IOU, Counts, corner_iou, count
from training.measure.steadiness import changed_share
from training.passersby import box_iou, views

if TYPE_CHECKING:
    from training.measure.context import Context, Figures, Image

VIDEO = "video/one-by-one-person-detection.mp4"
BOXES = Path(__file__).with_name("boxes.json")
BOX_IOU = 0.4  # hand-drawn boxes are not exact
EVERY = 5  # every n-th frame of the video is evaluated


def measure_boxes(context: Context) -> Figures:
    """Measure persons in the frames of `boxes.json`, by source and in total."""
    totals: dict[str, Counts] = {"all": Counts()}
    for name, boxes in track(json.loads(BOXES.read_text(encoding="utf-8")).items(), "camera frames"):
        image = frame(context.data / name.partition("#")[0], name.partition("#")[2])
        parsing = context.parser.parse(image)
        found = [one.region.box for one in context.persons(parsing)]
        corners = [(box.x, box.y, box.x + box.width, box.y + box.height) for box in found]
        here = count([tuple(box) for box in boxes], corners, corner_iou, BOX_IOU)
        source = Path(name).name.partition("_")[0].partition(".")[0]
        for total in (totals["all"], totals.setdefault(source, Counts())):
            total.add(here)
        context.sheet.add("camera frames", image, parsing, failed=bool(here.wrong + here.missed))
    return {
        name: value for source, total in totals.items() for name, value in total.figures(f"boxes, {source}").items()
    }


def frame(file: Path, number: str) -> Image:
    """Read an image, or one frame of a video, RGB uint8."""
    if not number:
        return read_rgb(file)
    video = cv2.VideoCapture(str(file))
    video.set(cv2.CAP_PROP_POS_FRAMES, int(number))
    image = np.asarray(video.retrieve()[1] if video.grab() else None, dtype=np.uint8)
    video.release()
    return np.ascontiguousarray(image[..., ::-1])


def measure_video(context: Context) -> Figures:
    """Measure recall (box IoU 0.5) where a whole person is in view, and silent frames where nothing moves."""
    whole = found = calm = silent = several = 0
    for view in track(views(context.data / VIDEO, EVERY), "video"):
        parsing = context.parser.parse(view.image)
        boxes = [person.region.box for person in context.persons(parsing)]
        if view.box is None:
            calm, silent = calm + 1, silent + (not boxes)
        elif view.whole:
            hits = [box_iou(box, view.box) >= MATCH_IOU for box in boxes]
            whole, found, several = whole + 1, found + any(hits), several + (len(hits) > 1)
            context.sheet.add("video", view.image, parsing, failed=not any(hits) or len(hits) > 1)
    return {
        "video: frames with a whole person": whole,
        "video: person found": found / max(1, whole),
        "video: more than one person seen": several / max(1, whole),
        "video: frames without change": calm,
        "video: silent when empty": silent / max(1, calm),
    }


def measure_steadiness(context: Context) -> Figures:
    """Measure the share of a person's pixels whose part changes between neighbouring frames other than by motion."""
    shares = []
    video = cv2.VideoCapture(str(context.data / VIDEO))
    for number in track(range(0, int(video.get(cv2.CAP_PROP_FRAME_COUNT)) - 1, EVERY), "steadiness"):
        pair = [frame(context.data / VIDEO, str(number + i)) for i in range(2)]
        maps = [context.parser.parse(image).label_map for image in pair]
        share = changed_share(pair, maps)
        if share is not None:
            shares.append(share)
    return {
        "video: pairs of frames with a person": len(shares),
        "video: parts changed, mean": float(np.mean(shares)) if shares else float("nan"),
        "video: parts changed, 95th percentile": float(np.percentile(shares, 95)) if shares else float("nan"),
    }
