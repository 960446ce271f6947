"""An ordinary day, for as long as wanted: mixed sizes, formats and modes at a low rate, and what the processes hold.

make chaos ARGS="--only soak --times 14400"     four hours; chaos_out/soak.jsonl is written while it runs
"""

from __future__ import annotations

import base64
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from images import CIHP, encoded, figures, photo

from chaos.account import close_books
from chaos.camera import Traffic, image
from chaos.diary import SHORTEST_S, SLOPE_MB_PER_H, Diary, conclude, is_decided
from chaos.row import Row
from edge_worker.imaging.palette import Palette
from edge_worker.imaging.render import colorize

if TYPE_CHECKING:
    from chaos.camera import Camera
    from chaos.consumer import Consumer
    from chaos.lab import Lab

RATE: Final = 1.0
SIZES: Final = ((320, 240), (640, 480), (720, 1280), (1280, 720), (1920, 1080), (97, 61))
FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "envelope", "damaged")
ROUNDS: Final = 12
"""Through all sizes and formats until allocators have found their shape: measured, about 300 frames."""
MEMORIES: Final = 5000
"""Frames to begin with, more than the worker remembers the ids of; live ones, most of which are superseded."""
LONGEST: Final = 4
"""Times as long as asked, where what was seen leaves open whether memory grows by more than allowed."""
SAMPLES: Final = Path("chaos_out") / "soak.jsonl"
CACHE_MB: Final = 2.0
"""Else the cache of results grows for the first hours, as it should."""


def run(lab: Lab) -> None:
    """Work for a time, watch both processes, and account for every frame."""
    broker = lab.running_broker()
    consumer = lab.consumer(broker.port)
    cameras = [{"topic": "cameras/{camera}/frame", "delivery": "every"}, {"topic": "live/{camera}/frame"}]
    outputs, memory = {"overlay": {"enabled": True}, "labels": {"masks": "rle"}}, {"max_mb": CACHE_MB}
    worker = lab.worker(broker.port, cameras=cameras, output=outputs, cache=memory, model={}).start()
    consumer.wait_state("online", pid=worker.pid, timeout_s=300.0)
    door, yard = lab.camera(broker.port, "door"), lab.camera(broker.port, "yard", sender_ids=False)
    live = lab.camera(broker.port, "live", topic="live/{camera}/frame")
    _warm_up(live, door, consumer, rounds=ROUNDS if lab.times >= SHORTEST_S else 1)
    diary = Diary(worker, SAMPLES)
    with Traffic([door, yard, live], lab.random, RATE, draw):
        diary.keep(lab.times)
        for longer in range(2, 1 + LONGEST if lab.times >= SHORTEST_S else 0):
            if is_decided(diary.samples):
                break
            diary.keep(longer * lab.times)
    accounts = close_books(lab, consumer, [door, yard])
    _require_answers(lab, accounts)
    process = consumer.account()["processes"][0]
    lab.require(process["crashes"] == 0, f"the model process crashed {process['crashes']} times")
    conclude(lab, diary.samples, recycles=process["recycles"])


def _warm_up(live: Camera, door: Camera, consumer: Consumer, rounds: int) -> None:
    """Have the worker know as many frames as it ever will, and every size and format so many times."""
    for _ in range(MEMORIES):
        live.send(image(0))
    live.wait_accepted()
    for round_ in range(rounds):
        for number in range(len(SIZES) * len(FORMATS)):
            door.send(draw(number), f"warm-up-{round_}-{number}")
        consumer.wait_answered(door.name, door.offered)


def _require_answers(lab: Lab, accounts: dict[str, Any]) -> None:
    """Require that damaged frames, and no others, were answered by errors."""
    errors = {reason for account in accounts.values() for reason in account.errors}
    lab.require(errors <= {"undecodable"}, f"errors: {errors}")


# -- what is sent ------------------------------------------------------------------------------------------------------


def draw(number: int) -> bytes:
    """Draw the image of this *number*: by turns of every size and format, no two alike."""
    width, height = SIZES[number % len(SIZES)]
    form = FORMATS[number // len(SIZES) % len(FORMATS)]
    pixels = np.roll(_scene(width, height), 3 * number)  # by whole pixels, along the rows one after another
    if form == "envelope":
        image = base64.b64encode(encoded(pixels, "JPEG")).decode()
        return json.dumps({"image": image}).encode()
    if form == "damaged":
        return encoded(pixels, "JPEG")[: 2000 + number % 1000]
    return encoded(pixels, form, **({"compress_level": 1} if form == "PNG" else {}))


@cache
def _scene(width: int, height: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Draw people before something like a photograph."""
    people = figures(width, height, 2) if min(width, height) > 100 else np.zeros((height, width), np.uint8)
    colors = colorize(people, Palette.for_classes(CIHP))
    return np.asarray(cv2.addWeighted(photo(width, height), 0.7, colors, 0.5, 0), np.uint8)


ROWS: Final = (
    Row(
        name="soak",
        fault="time: mixed sizes, formats and delivery modes, damaged images",
        required=f"memory of both processes grows by {SLOPE_MB_PER_H:g} MB/h at most, or is recycled with nothing "
        "lost; no leak of descriptors, threads or sockets",
        run=run,
        short=90,
        full=1800,
        unit="seconds",
    ),
)
