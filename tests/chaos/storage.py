"""Trouble with what a worker keeps and reads: disks that are full or read-only, damaged models."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import contextmanager, suppress
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import edge_worker
from chaos.account import close_books
from chaos.camera import image
from chaos.row import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workers import WorkerProcess

    from chaos.camera import Camera
    from chaos.consumer import Consumer
    from chaos.lab import Lab

FRAMES: Final = 5
SEEDED: Final = Path(edge_worker.__file__).parent / "models" / "seeded"
CONFIGURATION_EXIT: Final = 78

# -- disks -------------------------------------------------------------------------------------------------------------


@contextmanager
def _mounted(place: Path, options: str) -> Iterator[None]:
    """Mount a small disk in memory; raises PermissionError where we may not."""
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        raise PermissionError
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def full(place: Path, _worker: WorkerProcess) -> Iterator[str]:
    """Not a byte can be written."""
    with _mounted(place, "size=64k"):
        with suppress(OSError):
            (place / "ballast").write_bytes(bytes(1 << 20))
        yield "No space left on device"


@contextmanager
def read_only(place: Path, _worker: WorkerProcess) -> Iterator[str]:
    """Mounted for reading."""
    with _mounted(place, "ro"):
        yield "Read-only file system"


@contextmanager
def no_directory(place: Path, _worker: WorkerProcess) -> Iterator[str]:
    """A file is in the way."""
    place.rmdir()
    place.touch()
    yield "File exists"


@contextmanager
def full_log(_place: Path, worker: WorkerProcess) -> Iterator[str]:
    """The log goes to a disk that is full; there is nowhere to say so."""
    worker.log_file.symlink_to("/dev/full")
    yield ""


Disk: TypeAlias = "Callable[[Path, WorkerProcess], Any]"
DISKS: Final[tuple[Disk, ...]] = (full, read_only, no_directory, full_log)


def bad_disks(lab: Lab) -> None:
    """Let a worker with a bad disk answer frames, one of which ends its model process."""
    broker = lab.running_broker()
    consumer, camera = lab.consumer(broker.port), lab.camera(broker.port, "door")
    for disk in islice(cycle(DISKS), lab.times):
        place = lab.place(disk.__name__)
        kept = {"STATE_DIRECTORY": str(place), "CACHE_DIRECTORY": str(place)}
        worker = lab.worker(broker.port, environment=kept)
        try:
            with disk(place, worker) as problem:
                _live_with_it(lab, worker, consumer, camera)
                if problem:
                    _require_said(lab, worker, disk.__name__, str(place), problem)
        except PermissionError:
            lab.measure(disk.__name__.replace("_", " "), "not tried: a disk cannot be mounted here")
    consumer.wait_state("online", pid=lab.worker(broker.port).start().pid)
    accounts = close_books(lab, consumer, [camera])
    lab.require(not accounts["door"].errors, f"frames answered by errors: {accounts['door'].errors}")


def _live_with_it(lab: Lab, worker: WorkerProcess, consumer: Consumer, camera: Camera) -> None:
    consumer.wait_state("online", pid=worker.start().pid)
    known = len(consumer.statuses)
    for number in range(FRAMES):
        camera.send(image(lab.random.getrandbits(60)))
        if number == FRAMES // 2:
            os.kill(worker.model_pid(), signal.SIGKILL)
            consumer.wait_state("degraded", pid=worker.pid, after=known)
    camera.wait_accepted()
    consumer.wait_answered("door", camera.accepted)
    _stop(lab, worker)


def _stop(lab: Lab, worker: WorkerProcess) -> None:
    worker.signal(signal.SIGTERM)
    lab.require((code := worker.wait()) == 0, f"exit code {code}")


def _require_said(lab: Lab, worker: WorkerProcess, name: str, place: str, problem: str) -> None:
    said = [line for line in worker.log() if line.get("directory") == place and line["level"] == "warning"]
    lab.require([line["problem"] for line in said] == [problem] * 2, f"{name}: the log says {said}")


# -- models ------------------------------------------------------------------------------------------------------------


def missing(model: Path) -> str:
    """The network is not there."""
    (model / "model.onnx").unlink()
    return "model.onnx: No such file or directory"


def cut_off(model: Path) -> str:
    """A copy that broke off."""
    os.truncate(model / "model.onnx", 1000)
    return "the file was altered or cut off"


def altered(model: Path) -> str:
    """One bit is not what it was."""
    content = bytearray((model / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (model / "model.onnx").write_bytes(content)
    return "model.onnx: SHA-256 is"


def no_manifest(model: Path) -> str:
    """Nothing says what the files should be."""
    (model / "manifest.json").write_text("{")
    return "manifest.json"


Damage: TypeAlias = "Callable[[Path], str]"
DAMAGES: Final[tuple[Damage, ...]] = (missing, cut_off, altered, no_manifest)


def bad_models(lab: Lab) -> None:
    """Damage the model before a start, or under a worker that has it loaded, and mend it again."""
    broker = lab.running_broker()
    consumer, camera = lab.consumer(broker.port), lab.camera(broker.port, "door")
    model = lab.place("model")
    worker = lab.worker(broker.port, model={"path": str(model), "short_side": 64})
    _mend(model)
    consumer.wait_state("online", pid=worker.start().pid)
    for number, damage in enumerate(islice(cycle(DAMAGES), lab.times)):
        if number % 2:  # it goes on with the one in memory, until that is to be loaded again
            problem = damage(model)
            _answer_one(lab, consumer, camera)
            known = len(consumer.statuses)
            consumer.ask("restart")
        else:
            _stop(lab, worker)
            problem, known = damage(model), len(consumer.statuses)
            worker.start()
        _wait_told(consumer, problem, known)
        lab.require(consumer.ask("ping")["status"] == "ok", "ping is not answered without a model")
        frame_id = camera.send(image(lab.random.getrandbits(60)))
        known = len(consumer.statuses)
        _mend(model)
        consumer.wait_state("online", pid=worker.pid, after=known)
        consumer.wait_answered("door", [frame_id])
    accounts = close_books(lab, consumer, [camera])
    lab.require(not accounts["door"].errors, f"frames answered by errors: {accounts['door'].errors}")
    _stop(lab, worker)
    _require_refused(lab, worker, model)


def _mend(model: Path) -> None:
    for file in SEEDED.iterdir():
        draft = model / "draft"
        shutil.copyfile(file, draft)
        draft.replace(model / file.name)


def _answer_one(lab: Lab, consumer: Consumer, camera: Camera) -> None:
    consumer.wait_answered("door", [camera.send(image(lab.random.getrandbits(60)))])


def _wait_told(consumer: Consumer, problem: str, known: int) -> None:
    """Wait until a status after the first *known* ones is degraded because of *problem*."""

    def is_told() -> bool:
        fresh = [said.content for said in consumer.statuses[known:]]
        return any(said["state"] == "degraded" and problem in said.get("detail", "") for said in fresh)

    consumer.wait(is_told, f"the status says: {problem}")


def _require_refused(lab: Lab, worker: WorkerProcess, model: Path) -> None:
    """Without the directory the configuration is wrong, and is said to be, with its line."""
    shutil.rmtree(model)
    code = worker.start().wait()
    lab.require(code == CONFIGURATION_EXIT, f"exit code {code} without a model directory")
    said = worker.log_file.read_text().splitlines()[-1]
    right = all(part in said for part in (f"{worker.configuration}:", "model.path", str(model)))
    lab.require(right, f"without a model directory the log says {said}")


ROWS: Final = (
    Row(
        name="disks",
        fault="state and cache on a full, read-only or missing disk; log on a full disk; model process killed",
        required="a warning names directory and reason; every frame answered by labels",
        run=bad_disks,
        short=4,
        full=20,
        unit="starts",
    ),
    Row(
        name="models",
        fault="model files missing or damaged, at the start or later; no model directory",
        required="`degraded` with the file and the problem; frames kept and answered once the files are repaired; no "
        "directory: exit code 78 with file, line and key",
        run=bad_models,
        short=4,
        full=20,
        unit="damages",
    ),
)
