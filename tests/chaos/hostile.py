"""Hostile payloads: many straight into the pipeline, a share of them through a broker into a worker.

``python -m chaos.hostile SEED NUMBER`` writes one of them to standard output, to look into it.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from chaos.account import close_books
from chaos.direct import NUMBER_BYTES
from chaos.payloads import MAX_PAYLOAD, MAX_PIXELS, payload
from chaos.row import Row
from chaos.trial import Tally
from edge_worker.frames.frame import REJECTIONS
from edge_worker.pool.launch import FRAME_BYTES_PER_PIXEL

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from chaos.lab import Lab

CHUNK: Final = 500
ENOUGH: Final = 20
"""Deadly payloads to give up after."""
HANG_S: Final = 20.0
"""Of processor time without progress; a good payload takes a hundredth of a second."""
ASLEEP_S: Final = 60.0
"""Without progress and without asking for the processor: it waits for something that does not come."""
SLOWEST_S: Final = 3.0
"""Of processor time for one payload of at most a megapixel."""
FRAME_MB: Final = MAX_PIXELS * FRAME_BYTES_PER_PIXEL / 1e6
"""That a payload may take for a moment: what the ceiling of a model process allows for the largest image."""
LIMITS: Final = {"max_payload_mb": MAX_PAYLOAD / 1e6, "max_pixels": MAX_PIXELS}
MODEL: Final = {"path": "builtin:seeded", "engine": "onnxruntime", "short_side": 32}
"""Takes images of any shape without compiling for it first."""
WORKERS_MB: Final = 120.0
"""The most that the worker process, which only carries payloads, may ever take."""


class Pace(NamedTuple):
    """How far a process is: the payload at work, processor time spent, when that was, and whether it is running."""

    number: bytes
    spent_s: float
    at: float
    is_running: bool


class Subject:
    """A process with the pipeline (:mod:`chaos.direct`), started again when a payload ended it."""

    def __init__(self, seed: int, directory: Path) -> None:
        """Start it."""
        self._seed, self._progress, self._log = seed, directory / "payload-number", directory / "decoders.log"
        self.idle_mb = 0.0
        self._start()

    def run(self, numbers: list[int]) -> tuple[Tally | None, int]:
        """Give it payloads.

        Returns:
            What came of them, or None and the number of the payload that ended the process or made it hang.
        """
        try:
            return self._ask(numbers), -1
        except (BrokenPipeError, EOFError, TimeoutError):
            number = int.from_bytes(self._progress.read_bytes(), "little")
            self.end()
            self._start()
            return None, number

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def _start(self) -> None:
        self._progress.write_bytes(bytes(NUMBER_BYTES))
        paths = [str(Path(__file__).parents[depth]) for depth in (1, 2)]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "chaos.direct", str(self._seed), str(self._progress)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            )
        self.idle_mb = float(self._answer())

    def _ask(self, numbers: list[int]) -> Tally:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(numbers) + "\n")
        self._process.stdin.flush()
        return Tally(**json.loads(self._answer()))

    def _answer(self) -> str:
        """Wait for the next line as long as payload follows payload, however little of the processor we are given."""
        assert self._process.stdout is not None
        begun = awake = self._pace()  # with the payload at work, and when it last wanted the processor
        while not select.select([self._process.stdout], [], [], 1.0)[0]:
            now = self._pace()
            if now.number != begun.number:
                begun = awake = now
            elif now.is_running:
                awake = now
            if now.spent_s - begun.spent_s > HANG_S or now.at - awake.at > ASLEEP_S:
                raise TimeoutError
        line = self._process.stdout.readline()
        if not line:
            raise EOFError
        return line

    def _pace(self) -> Pace:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        spent_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return Pace(self._progress.read_bytes(), spent_s, time.monotonic(), is_running=fields[0] == "R")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def straight(lab: Lab) -> None:
    """Give all payloads to the pipeline in a process of its own."""
    seed, total, deadly = lab.random.getrandbits(32), Tally(), []
    began = time.monotonic()
    with Subject(seed, lab.directory) as subject:
        for begin in range(0, lab.times, CHUNK):
            numbers = list(range(begin, min(begin + CHUNK, lab.times)))
            tally, number = subject.run(numbers)
            while tally is None:
                deadly.append(number)
                assert len(deadly) < ENOUGH, f"these payloads ended the process or hung in it: {deadly}"
                numbers.remove(number)
                tally, number = subject.run(numbers)
            total.add(tally)
        idle_mb = subject.idle_mb
    lab.measure("payloads a second", round(lab.times / (time.monotonic() - began)))
    _judge(lab, seed, total, deadly, idle_mb)


def _judge(lab: Lab, seed: int, total: Tally, deadly: list[int], idle_mb: float) -> None:
    lab.require(not deadly, f"ended the process or hung in it: seed {seed}, payloads {deadly}")
    for defect in total.defects[:10]:
        lab.require(False, f"seed {seed}, {defect}")
    lab.require(total.slowest_s < SLOWEST_S, f"payload {total.slowest} of seed {seed} took {total.slowest_s:.1f} s")
    taken_mb = total.peak_mb - idle_mb
    lab.require(taken_mb < FRAME_MB, f"payload {total.highest} of seed {seed} took {taken_mb:.0f} MB")
    lab.measure("answers", _listed(total.outcomes))
    lab.measure("crashes, hangs", len(deadly))
    lab.measure("slowest payload, ms of processor time", round(1000 * total.slowest_s))
    lab.measure("memory, MB: idle; highest; allowed", f"{idle_mb:.0f}; {total.peak_mb:.0f}; {idle_mb + FRAME_MB:.0f}")


def through_a_worker(lab: Lab) -> None:
    """Send payloads as a camera does; the worker answers each, and neither of its processes is replaced."""
    seed = lab.random.getrandbits(32)
    broker = lab.running_broker()
    consumer = lab.consumer(broker.port)
    worker = lab.worker(broker.port, limits=LIMITS, model=MODEL).start()
    consumer.wait_state("online")
    camera, model = lab.camera(broker.port, "door"), worker.model_pid()
    began = time.monotonic()
    for number in range(lab.times):
        camera.send(payload(seed, number).content)
    account = close_books(lab, consumer, [camera])["door"]
    lab.measure("frames a second", round(lab.times / (time.monotonic() - began)))
    unknown = set(account.errors) - REJECTIONS
    lab.require(not unknown, f"reasons that the contract does not know: {sorted(unknown)}")
    lab.require("model_error" not in account.errors, "a payload was too much for the model, not for the limits")
    lab.require(account.repeated == 0, "a frame was answered twice")
    lab.require(worker.model_pid() == model, "the model process was replaced")
    lab.require(_peak_mb(worker.pid) < WORKERS_MB, f"the worker took {_peak_mb(worker.pid):.0f} MB")
    lab.measure("answers", _listed({"accepted": account.labelled, **account.errors}))
    lab.measure("peak memory, MB: worker; model process", f"{_peak_mb(worker.pid):.0f}; {_peak_mb(model):.0f}")


def _peak_mb(pid: int) -> float:
    """Resident memory of a process at its highest, MB."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / 1e6


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in Counter(counts).most_common())


ROWS: Final = (
    Row(
        name="hostile-payloads",
        fault="mutated images and JSON, decompression bombs, straight into the pipeline",
        required="no crash, no hang; each accepted or refused with a reason; memory bounded",
        run=straight,
        short=4000,
        full=200_000,
        unit="payloads",
    ),
    Row(
        name="hostile-frames",
        fault="the same, from a camera through the broker into a worker",
        required="each answered once; worker and model process survive; memory bounded",
        run=through_a_worker,
        short=300,
        full=10_000,
        unit="payloads",
    ),
)

if __name__ == "__main__":
    sys.stdout.buffer.write(payload(int(sys.argv[1]), int(sys.argv[2])).content)
