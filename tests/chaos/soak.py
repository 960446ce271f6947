"""An ordinary day, for as long as wanted: mixed sizes, formats and modes at a low rate, and what the processes hold.

make chaos ARGS="--only soak --times 14400"     four hours; chaos_out/soak.jsonl is written while it runs
"""

from __future__ import annotations

import base64
import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from statistics import linear_regression
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from pictures import CIHP, encoded, figures, photo

from chaos.account import close_books
from chaos.camera import Traffic, picture
from chaos.row import Row
from chaos.vitals import FDS_ALLOWED, Vitals
from edge_worker.palette import Palette
from edge_worker.render import colorize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from workers import WorkerProcess

    from chaos.camera import Camera
    from chaos.consumer import Consumer
    from chaos.lab import Lab

RATE: Final = 1.0
SIZES: Final = ((320, 240), (640, 480), (720, 1280), (1280, 720), (1920, 1080), (97, 61))
FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "envelope", "damaged")
SAMPLE_S: Final = 5.0
FLOOR_S: Final = 120.0
"""A process's memory is the least of so long: a sample may fall into a frame, whose arrays come and go, or come after
one of another size."""
SHORTEST_S: Final = 1200.0
"""With less, a slope is reported but proves nothing."""
ROUNDS: Final = 12
"""Through all sizes and formats until allocators have found their shape: measured, about 300 frames."""
SLOPE_MB_PER_H: Final = 1.0
MEMORIES: Final = 5000
"""Frames to begin with, more than the worker remembers the ids of; live ones, most of which are superseded."""
CACHE_MB: Final = 2.0
"""Else the cache of results grows for the first hours, as it should."""
SAMPLES: Final = Path("chaos_out") / "soak.jsonl"
"""A line for each look at the processes."""


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
    diary = Diary(worker, consumer)
    with Traffic([door, yard, live], lab.random, RATE, draw):
        diary.keep(lab.times)
    accounts = close_books(lab, consumer, [door, yard])
    _require_answers(lab, accounts)
    diary.conclude(lab)


def _warm_up(live: Camera, door: Camera, consumer: Consumer, rounds: int) -> None:
    """Have the worker know as many frames as it ever will, and every size and format so many times."""
    for _ in range(MEMORIES):
        live.send(picture(0))
    live.wait_accepted()
    for round_ in range(rounds):
        for number in range(len(SIZES) * len(FORMATS)):
            door.send(draw(number), f"warm-up-{round_}-{number}")
        consumer.wait_answered(door.name, door.offered)


def _require_answers(lab: Lab, accounts: dict[str, Any]) -> None:
    """Require that damaged frames, and no others, were answered by errors."""
    errors = {reason for account in accounts.values() for reason in account.errors}
    lab.require(errors <= {"undecodable"}, f"errors: {errors}")


# -- what is watched ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """What both processes held, some seconds after the beginning."""

    at_s: float
    worker: Vitals
    model: Vitals
    model_pid: int
    worker_sockets: int

    @classmethod
    def take(cls, worker: WorkerProcess, at_s: float) -> Sample:
        """Look at both now.

        Raises:
            OSError, LookupError, StopIteration: the model process is just being replaced.
        """
        pid = worker.model_pid()
        return cls(round(at_s, 1), Vitals.of(worker.pid), Vitals.of(pid), pid, _sockets(worker.pid))


def _sockets(pid: int) -> int:
    count = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            count += str(link.readlink()).startswith("socket:")
    return count


class Diary:
    """Looks at a worker every few seconds, and draws conclusions in the end."""

    def __init__(self, worker: WorkerProcess, consumer: Consumer) -> None:
        """Begin an empty file of samples."""
        self._worker, self._consumer = worker, consumer
        self._samples: list[Sample] = []
        SAMPLES.parent.mkdir(exist_ok=True)
        SAMPLES.write_text("", encoding="utf-8")

    def keep(self, seconds: float) -> None:
        """Take samples for a time."""
        began = time.monotonic()
        while (now := time.monotonic() - began) < seconds:
            with suppress(OSError, LookupError, StopIteration):
                self._samples.append(Sample.take(self._worker, now))
                with SAMPLES.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(self._samples[-1])) + "\n")
            time.sleep(SAMPLE_S)

    def conclude(self, lab: Lab) -> None:
        """Require that nothing grew, but for what was recycled by plan."""
        process = self._consumer.account()["processes"][0]
        lab.require(process["crashes"] == 0, f"the model process crashed {process['crashes']} times")
        settled = self._samples[len(self._samples) // 5 :]
        self._judge(lab, "worker", [(sample.at_s, sample.worker.rss_mb) for sample in settled], recycles=0)
        memory = [(sample.at_s, sample.model.rss_mb) for sample in settled]
        self._judge(lab, "model process", memory, process["recycles"])
        for what, read in COUNTED.items():
            _require_no_more(lab, what, [read(sample) for sample in settled])
        lab.measure("model process recycled", process["recycles"])

    def _judge(self, lab: Lab, name: str, memory: Sequence[tuple[float, float]], recycles: int) -> None:
        floors = list(_floors(memory))
        if len(floors) < 2:
            lab.measure(f"memory of the {name}", f"{floors[0][1]:.1f} MB, too short for a slope")
            return
        hours, megabytes = [at_s / 3600 for at_s, _ in floors], [rss_mb for _, rss_mb in floors]
        slope = linear_regression(hours, megabytes).slope
        lab.measure(f"memory of the {name}", f"{megabytes[0]:.1f} → {megabytes[-1]:.1f} MB, slope {slope:+.2f} MB/h")
        long_enough = memory[-1][0] >= SHORTEST_S and not recycles
        lab.require(not long_enough or slope <= SLOPE_MB_PER_H, f"memory of the {name} grows by {slope:.2f} MB/h")


COUNTED: Final[dict[str, Callable[[Sample], int]]] = {
    "file descriptors of the worker": lambda sample: sample.worker.fds,
    "file descriptors of the model process": lambda sample: sample.model.fds,
    "threads of the worker": lambda sample: sample.worker.threads,
    "threads of the model process": lambda sample: sample.model.threads,
    "sockets of the worker": lambda sample: sample.worker_sockets,
}


def _floors(memory: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Give moment and value of the least memory in each stretch of ``FLOOR_S``."""
    for _, stretch in groupby(memory, key=lambda entry: entry[0] // FLOOR_S):
        yield min(stretch, key=lambda entry: entry[1])


def _require_no_more(lab: Lab, what: str, counts: Sequence[int]) -> None:
    quarter = max(1, len(counts) // 4)
    first, last = max(counts[:quarter]), max(counts[-quarter:])
    lab.require(last <= first + FDS_ALLOWED, f"{what} grew from {first} to {last}")
    lab.measure(what, f"{first} → {last}")


# -- what is sent ------------------------------------------------------------------------------------------------------


def draw(number: int) -> bytes:
    """Draw the picture of this *number*: by turns of every size and format, no two alike."""
    width, height = SIZES[number % len(SIZES)]
    form = FORMATS[number // len(SIZES) % len(FORMATS)]
    pixels = np.roll(_scene(width, height), number % 4093, axis=1)
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
        fault="nothing but time: mixed sizes, formats and delivery modes, damaged pictures among them",
        required=f"resident memory of both processes grows by {SLOPE_MB_PER_H:g} MB/h at most after warm-up, or is "
        "recycled by plan with nothing lost; no file descriptors, threads or sockets leak",
        run=run,
        short=90,
        full=1800,
        unit="seconds",
    ),
)
