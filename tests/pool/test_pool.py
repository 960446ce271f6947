"""The pool with real child processes that misbehave on command (see fake_model_process.py)."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import TypeVar

import pytest
from outputs import encoded_result, output_request
from pool.fake_model_process import body, echo
from structlog.testing import capture_logs

from edge_worker.common.errors import ConfigError, FrameRejected, ModelProcessDied, ModelProcessError, ModelProcessStuck
from edge_worker.config import (
    Config,
    LimitsConfig,
    MemoryConfig,
    ModelConfig,
    MqttConfig,
    ThreadsConfig,
    WatchdogConfig,
)
from edge_worker.inference.types import EncodedResult, OutputRequest
from edge_worker.m2fp.kernels.loader import ISA_LIMITS, WITHOUT
from edge_worker.pool import ModelPool, PoolState, SlotState
from edge_worker.pool.validation import MAX_LINES

FAKE = (sys.executable, str(Path(__file__).with_name("fake_model_process.py")))
ENVIRON = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
SOON_S = 15.0  # a process starts in a tenth of this on a busy machine

T = TypeVar("T")
PoolFactory = Callable[..., ModelPool]


WATCHDOG = WatchdogConfig(frame_min_s=1, frame_factor=1, load_s=5, crash_limit=5, crash_window_s=60)
ONE_THREAD = ThreadsConfig(inference=1)
MEMORY = MemoryConfig()
LIMITS = LimitsConfig()
REQUEST = OutputRequest()
SHA = hashlib.sha256(b"next").hexdigest()


def config(
    model: str = "fake:",
    watchdog: WatchdogConfig = WATCHDOG,
    threads: ThreadsConfig = ONE_THREAD,
    memory: MemoryConfig = MEMORY,
    limits: LimitsConfig = LIMITS,
) -> Config:
    return Config(
        mqtt=MqttConfig(host="localhost"),
        model=ModelConfig(path=model),
        watchdog=watchdog,
        threads=threads,
        memory=memory,
        limits=limits,
    )


@pytest.fixture
def make_pool(tmp_path: Path) -> Iterator[PoolFactory]:
    """Makes pools, with slot 0 ready unless told not to wait, and ends their processes after the test."""
    pools = []

    def make(settings: Config | None = None, *, wait: bool = True, environ: Mapping[str, str] = ENVIRON) -> ModelPool:
        pool = ModelPool(
            settings or config(),
            state_directory=tmp_path / "state",
            cache_directory=None,
            environ=environ,
            command=FAKE,
        )
        pools.append(pool)
        assert not wait or pool.make_ready(0)
        return pool

    yield make
    for pool in pools:
        end(pool)


def end(pool: ModelPool) -> None:
    for slot in range(pool.slots):
        pool.end(slot)
    pool.close()


@contextmanager
def kept_up(pool: ModelPool) -> Iterator[None]:
    """Has a thread do what a dispatcher without frames does, and ends the process of slot 0 after the block."""
    done = Event()

    def keep() -> None:
        while not done.is_set():
            pool.make_ready(0)
            done.wait(0.01)
        pool.end(0)

    thread = Thread(target=keep)
    thread.start()
    try:
        yield
    finally:
        done.set()
        pool.ask_stop()
        thread.join(SOON_S)
    assert not thread.is_alive()


def run(pool: ModelPool, payload: bytes, slot: int = 0, request: OutputRequest = REQUEST) -> EncodedResult:
    return pool.run(slot, payload, hashlib.sha256(payload).hexdigest(), request).result


def maker(result: EncodedResult) -> int:
    """The number of the process that made *result*."""
    return int(result.body["unassigned"][0]["id"])


def run_when_ready(pool: ModelPool, payload: bytes) -> EncodedResult:
    until(lambda: pool.make_ready(0))
    return run(pool, payload)


def recycled(pool: ModelPool) -> int:
    """Looks after the process until it has been replaced by plan; returns its number."""
    until(lambda: pool.make_ready(0) and pool.state().processes[0].recycles)
    return pid_of(pool)


def until(condition: Callable[[], T], within_s: float = SOON_S) -> T:
    """Waits for *condition* to become true and returns its value."""
    end = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return value


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def pid_of(pool: ModelPool) -> int:
    pid = pool.state().processes[0].pid
    assert pid is not None
    return pid


def test_a_frame_comes_back_as_it_was_encoded(make_pool: PoolFactory) -> None:
    """Images, body and timings of the result are those the model process made."""
    pool = make_pool()
    large = b"sleep 0." + b"0" * 3_000_000
    result = run(pool, b"hello")
    assert result == encoded_result(2, 1, echo(b"hello"), None, result.body, {"inference": 1.0})
    assert maker(result) == pid_of(pool)
    assert run(pool, b"hello", request=output_request(colormap=None)).image("colormap") is None
    assert run(pool, large).image("colormap") == echo(large)


def test_state_tells_what_goes_on(make_pool: PoolFactory) -> None:
    """Loading first, then ready with the process's number, memory and limit; each answered frame is counted."""
    pool = make_pool(config("fake:sleep 0.3"), wait=False)
    with ThreadPoolExecutor() as threads:
        seen = threads.submit(until, lambda: pool.state().processes[0].pid and pool.state())
        assert pool.card() is None
        assert pool.make_ready(0)
    loading = seen.result()
    assert isinstance(loading, PoolState)
    assert loading.loading
    assert "loading" in loading.detail
    run(pool, b"hello")
    state = pool.state()
    assert (state.ready, state.loading, state.detail) == (True, False, "")
    (process,) = state.processes
    assert process.frames == 1
    assert process.rss_mb > 1
    assert process.frame_limit_s == 1
    assert process.phase == "idle"


def test_the_card_comes_from_the_process(make_pool: PoolFactory) -> None:
    """The facts of the model card are those of the model that was loaded."""
    card = make_pool().card()
    assert card is not None
    assert (card.name, card.classes, card.colors) == ("fake", ("Background", "Hat"), ("#000000", "#ffffff"))
    assert card.threads["requested"]["inference"] == 1


def test_the_child_gets_no_secrets_and_its_thread_limits(make_pool: PoolFactory) -> None:
    """Of the worker's environment only what is needed is passed on; thread limits are set before it starts."""
    environ = {**ENVIRON, "EDGE_WORKER__MQTT__PASSWORD": "s3cret", "CREDENTIALS_DIRECTORY": "/run/x"}
    card = make_pool(environ=environ).card()
    assert card is not None
    environment = card.threads["effective"]["environment"]
    assert environment["OMP_NUM_THREADS"] == environment["OPENBLAS_NUM_THREADS"] == "1"
    assert "s3cret" not in environment.values()
    assert "CREDENTIALS_DIRECTORY" not in environment


def test_the_child_is_held_to_the_instructions_that_the_worker_is_held_to(make_pool: PoolFactory) -> None:
    """An operator sets these for `run`, where a processor or its hypervisor has faults."""
    limits = {**dict.fromkeys(ISA_LIMITS, "AVX2"), "ATEN_CPU_CAPABILITY": "avx2", WITHOUT: "gemm"}
    card = make_pool(environ={**ENVIRON, **limits}).card()
    assert card is not None
    assert limits.items() <= card.threads["effective"]["environment"].items()


@pytest.mark.parametrize("lines", [1, MAX_LINES + 20])
def test_log_lines_of_the_child_are_in_the_log(
    make_pool: PoolFactory, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], lines: int
) -> None:
    """Whether it loads or is at a frame, and not as plain text beside it; too many are left out."""
    pool = make_pool(config(f"fake:log {lines}"))
    run(pool, b"log 1")
    logged = [record.getMessage() for record in caplog.records if record.name == "edge_worker.fake"]
    assert logged == [*(f"line {number}" for number in range(lines)), "line 0"][:MAX_LINES]
    assert "line" not in capfd.readouterr().err


def test_a_model_process_has_no_network(make_pool: PoolFactory) -> None:
    """Before the first payload it has given it up; what it gave up besides is on the card."""
    pool = make_pool()
    with socket.create_server(("127.0.0.1", 0)) as listening, pytest.raises(FrameRejected) as rejected:
        run(pool, b"connect %d" % listening.getsockname()[1])
    assert rejected.value.reason == "model_error"
    assert "PermissionError" in rejected.value.detail
    card = pool.card()
    assert card is not None
    assert (card.sandbox["refused"], "network" in card.sandbox["in_force"]) == ({}, True)


def test_a_frame_cannot_take_all_memory(make_pool: PoolFactory) -> None:
    """A frame that asks for far more than the largest image may take is answered; the process goes on."""
    pool = make_pool(config(memory=MemoryConfig(limit_mb=100), limits=LimitsConfig(max_pixels=100_000)))
    pid = pid_of(pool)
    with pytest.raises(FrameRejected) as rejected:
        run(pool, b"grow 2000")
    assert rejected.value.reason == "model_error"
    assert maker(run(pool, b"next")) == pid


def test_a_cpu_that_cannot_be_used_is_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    """It is found before anything starts, and names the key."""
    with pytest.raises(ConfigError, match=r"threads\.cpus"):
        ModelPool(config(threads=ThreadsConfig(cpus=(4095,))), state_directory=tmp_path, cache_directory=None)


@pytest.mark.parametrize(
    ("payload", "reason", "detail"),
    [(b"image", "undecodable", "not an image"), (b"bug", "model_error", "ZeroDivisionError: a defect")],
)
def test_a_rejected_frame_costs_no_process(make_pool: PoolFactory, payload: bytes, reason: str, detail: str) -> None:
    """An image that cannot be read, and a defect in the pipeline, are reported with a reason; the process goes on."""
    pool = make_pool()
    pid = pid_of(pool)
    with pytest.raises(FrameRejected, match=detail) as rejected:
        run(pool, payload)
    assert rejected.value.reason == reason
    assert maker(run(pool, b"next")) == pid


class Payload(bytes):
    """One that the garbage collector knows."""


def test_a_rejected_frame_is_not_left_to_the_garbage_collector(make_pool: PoolFactory) -> None:
    """Which comes seldom, and payloads are large: the frame is free when the rejection has been dealt with."""
    pool = make_pool()
    gc.collect()
    gc.disable()
    try:
        with suppress(FrameRejected):
            run(pool, Payload(b"image"))
        assert not any(type(kept) is Payload for kept in gc.get_objects())
    finally:
        gc.enable()


def test_who_learns_of_a_death_finds_the_slot_not_ready(make_pool: PoolFactory) -> None:
    """No frame is taken for a process that is known to be dead; when one is ready, it is another."""
    pool = make_pool()
    for number in range(4):
        with pytest.raises(ModelProcessDied, match="ended with status 1"):
            run(pool, b"exit " + b"0" * number + b"1")
        assert run_when_ready(pool, b"hello").image("colormap") == echo(b"hello")


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"raise SIGSEGV", "ended by SIGSEGV"),
        (b"raise SIGABRT", "ended by SIGABRT"),
        (b"raise SIGKILL", r"ended by SIGKILL \(out of memory, or killed from outside\)"),
        (b"exit 3", "ended with status 3"),
        (b"exit 0", "ended with status 0"),
        (b"babble", "invalid reply"),
    ],
)
def test_a_dead_process_is_named_and_replaced(make_pool: PoolFactory, payload: bytes, words: str) -> None:
    """However it ends, the error says how and in which phase, and another process takes the next frame."""
    pool = make_pool()
    with pytest.raises(ModelProcessDied, match=words) as died:
        run(pool, payload)
    assert died.value.phase == "inference"
    assert run_when_ready(pool, b"next").image("colormap") == echo(b"next")
    assert pool.state().processes[0].crashes == 1


HUGE = "a number that is infinite to Python"
HONEST = {
    "type": "result",
    "width": 2,
    "height": 1,
    "images": [],
    "body": body(),
    "timings_ms": {},
    "blobs": [],
}


def say(header: Mapping[str, object]) -> bytes:
    """The payload that makes a process say so, a float in it that Python would not write included."""
    text = json.dumps(header, separators=(",", ":")).replace(json.dumps(HUGE), "1e400")
    return b"say " + text.encode()


def test_an_honest_process_is_believed(make_pool: PoolFactory) -> None:
    """Else the lies below, each of which is this with one thing wrong, would prove nothing."""
    assert run(make_pool(), say(HONEST), request=output_request(colormap=None)).width == 2


@pytest.mark.parametrize(
    "lie",
    [
        {"width": HUGE},
        {"timings_ms": {"decode": "nan"}},
        {"timings_ms": {"lunch": 1}},
        {"timings_ms": {"decode": 1e308}},
        {"timings_ms": {"queued": 1}},
        {"body": {**body(), "unassigned": [{"id": 1, "name": "\ud800", "pixels": 1}]}},
        {"body": {**body(), "node": "another"}},
        {"body": {}},
        {"images": [("overlay", None)], "blobs": [0]},
        {"images": [("colormap", None)], "blobs": [0]},
        {"type": "rejected", "reason": "boredom", "detail": ""},
        {"type": "phase", "phase": "lunch"},
        {"type": "log", "level": "loud", "logger": "edge_worker.fake", "event": "hello"},
        {"type": "log", "level": "error", "logger": "root", "event": "hello"},
    ],
)
def test_a_process_may_lie_about_the_image_and_no_more(make_pool: PoolFactory, lie: dict[str, object]) -> None:
    """What could not be published, or was not asked for, is the end of the process and not of its worker."""
    pool = make_pool()
    with pytest.raises(ModelProcessDied, match="invalid reply"):
        run(pool, say({**HONEST, **lie}), request=output_request(colormap=None))
    assert run_when_ready(pool, b"next").image("colormap") == echo(b"next")


CARD = {
    "name": "rogue",
    "sha256": "0" * 64,
    "engine": "none",
    "precision": "f32",
    "reason": "a test",
    "classes": ["Background"],
    "colors": ["#000000"],
    "threads": {"requested": {}, "effective": {}},
    "warning": "",
    "kernels": ["masks"],
    "sandbox": {"in_force": [], "refused": {}},
    "fingerprint": "",
}


@pytest.mark.parametrize(
    "lie",
    [
        {"name": 5},
        {"sha256": "short"},
        {"colors": []},
        {"colors": ["red"]},
        {"classes": ["\ud800"]},
        {"kernels": [5]},
        {"sandbox": {"in_force": [1], "refused": {}}},
    ],
)
def test_a_model_card_is_validated(make_pool: PoolFactory, lie: dict[str, object]) -> None:
    """A process may be taken over by what an earlier one left in the cache; the worker would end over the card."""
    ready = {"type": "ready", "card": {**CARD, **lie}, "warm_up_s": 0, "blobs": []}
    pool = make_pool(config(f"fake:{say(ready).decode()}"), wait=False)
    assert not pool.make_ready(0)
    assert "invalid reply" in pool.state().detail
    assert pool.card() is None


def test_a_result_is_no_larger_than_its_image_can_make_it(make_pool: PoolFactory) -> None:
    """What a process announces would be taken into memory before it is looked at."""
    pool = make_pool(config(limits=LimitsConfig(max_pixels=1000)))
    with pytest.raises(ModelProcessDied, match="invalid reply"):
        run(pool, say({**HONEST, "images": [("overlay", None)], "blobs": [2_000_000]}))


def test_a_process_cannot_grant_itself_time(make_pool: PoolFactory) -> None:
    """How long the warm-up took says how long a frame may take; it was no longer than all of loading."""
    ready = {"type": "ready", "card": CARD, "warm_up_s": HUGE, "blobs": []}
    pool = make_pool(config(f"fake:{say(ready).decode()}"))
    assert pool.state().processes[0].frame_limit_s <= WATCHDOG.load_s


def test_a_map_that_is_no_png_is_invalid(make_pool: PoolFactory) -> None:
    """The frame's identity could not be put into it."""
    pool = make_pool()
    with pytest.raises(ModelProcessDied, match="invalid reply"):
        run(pool, say({**HONEST, "images": [("colormap", None)], "blobs": [0]}))


def test_what_a_process_says_of_a_rejection_is_cut_to_size(make_pool: PoolFactory) -> None:
    """It stands in the log and in the reply."""
    pool = make_pool()
    said = {"type": "rejected", "reason": "undecodable", "detail": "x" * 100_000, "trace": "y" * 100_000, "blobs": []}
    with capture_logs() as lines, pytest.raises(FrameRejected) as rejected:
        run(pool, say(said))
    assert len(rejected.value.detail) == 1000
    assert [len(line["trace"]) for line in lines if "trace" in line] == [10_000]


def test_a_process_that_goes_to_and_fro_gains_no_time(make_pool: PoolFactory) -> None:
    """Not even by compiling again and again; meanwhile the pool shows signs of life."""
    pool = make_pool(config(watchdog=WatchdogConfig(frame_min_s=2, frame_factor=1, load_s=2)))
    with ThreadPoolExecutor() as threads:
        reply = threads.submit(run, pool, b"dither")
        while not reply.done():
            assert time.monotonic() - pool.alive_at() < 2
            time.sleep(0.05)
        assert isinstance(reply.exception(SOON_S), ModelProcessStuck)


@pytest.mark.parametrize(("payload", "words"), [(b"sleep 60", "no reply for 1.0 s"), (b"raise SIGSTOP", "stopped")])
def test_a_stuck_process_is_killed_at_its_limit(make_pool: PoolFactory, payload: bytes, words: str) -> None:
    """A hang and a stopped process are noticed at the frame's limit, not later, and nothing of them is left."""
    pool = make_pool()
    pid = pid_of(pool)
    began = time.monotonic()
    with pytest.raises(ModelProcessStuck, match=words):
        run(pool, payload)
    assert 0.9 < time.monotonic() - began < 5
    assert run_when_ready(pool, b"next").image("colormap") == echo(b"next")
    assert is_gone(pid)


def test_a_stopped_process_that_cannot_even_take_the_payload_is_stuck(make_pool: PoolFactory) -> None:
    """The limit holds while the payload is being handed over, too."""
    pool = make_pool()
    os.kill(pid_of(pool), signal.SIGSTOP)
    with pytest.raises(ModelProcessStuck, match="stopped"):
        run(pool, b"sleep 0." + b"0" * 5_000_000)


def test_compiling_has_the_limit_of_loading(make_pool: PoolFactory) -> None:
    """A frame that waits for the compiler may take longer, does not raise the limit of the next ones, and is logged."""
    pool = make_pool()
    with capture_logs() as said:
        assert run(pool, b"compile 2").image("colormap")
    assert [line["seconds"] for line in said if "another shape" in line["event"]] == [pytest.approx(2, abs=1)]
    assert pool.state().processes[0].frame_limit_s == 1
    assert pool.state().processes[0].crashes == 0


def test_the_limit_follows_the_slowest_recent_frame(make_pool: PoolFactory) -> None:
    """It is frame_factor times what a frame took, once that is more than frame_min_s."""
    pool = make_pool(config(watchdog=WatchdogConfig(frame_min_s=0.6, frame_factor=4, load_s=5)))
    run(pool, b"sleep 0.4")
    assert 1.6 <= pool.state().processes[0].frame_limit_s < 4


def test_an_idle_process_that_is_stopped_is_replaced(make_pool: PoolFactory) -> None:
    """Before a frame has to wait for it."""
    pool = make_pool()
    pid = pid_of(pool)
    os.kill(pid, signal.SIGSTOP)
    until(lambda: not pool.make_ready(0))
    assert pool.state().processes[0].crashes == 1
    assert maker(run_when_ready(pool, b"next")) != pid


def test_a_stopped_process_does_not_use_up_a_long_limit(make_pool: PoolFactory) -> None:
    """A stop is noticed within seconds, however long a frame may take."""
    pool = make_pool(config(watchdog=WatchdogConfig(frame_min_s=60)))
    with pytest.raises(ModelProcessStuck, match="stopped by a signal"):
        run(pool, b"raise SIGSTOP")


def test_a_stop_that_ends_in_time_does_no_harm(make_pool: PoolFactory) -> None:
    """The frame is answered by the same process."""
    pool = make_pool(config(watchdog=WatchdogConfig(frame_min_s=60)))
    pid = pid_of(pool)
    with ThreadPoolExecutor() as threads:
        reply = threads.submit(run, pool, b"sleep 0.1")
        os.kill(pid, signal.SIGSTOP)
        time.sleep(1)
        os.kill(pid, signal.SIGCONT)
        assert maker(reply.result()) == pid


def test_a_process_that_fails_under_every_frame_is_replaced(make_pool: PoolFactory) -> None:
    """After the third error of the model in a row, by plan; errors of images do not count, nor others in between."""
    pool = make_pool()
    pid = pid_of(pool)
    for payload in (b"bug", b"bug", b"hello", b"bug", b"image", b"bug"):
        with suppress(FrameRejected):
            assert maker(run(pool, payload)) == pid
    with pytest.raises(FrameRejected):
        run(pool, b"bug")
    assert recycled(pool) != pid


def test_an_idle_process_that_dies_is_replaced(make_pool: PoolFactory) -> None:
    """Nobody has to send a frame to find out."""
    pool = make_pool()
    pid = pid_of(pool)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not pool.make_ready(0))
    assert run_when_ready(pool, b"next").image("colormap") == echo(b"next")


def test_a_payload_that_ended_the_process_twice_is_refused_even_after_a_restart_of_the_worker(
    make_pool: PoolFactory,
) -> None:
    """The third try is refused at once as poisoned, by this worker and by the next one."""
    pool = make_pool()
    for _ in range(2):
        with pytest.raises(ModelProcessDied):
            run_when_ready(pool, b"raise SIGSEGV")
    for _ in range(2):
        with pytest.raises(FrameRejected, match="SIGSEGV") as refused:
            run(pool, b"raise SIGSEGV")
        assert refused.value.reason == "poisoned"
        end(pool)
        pool = make_pool()
    assert pool.state().processes[0].crashes == 0


def test_one_death_is_remembered_across_a_restart_of_the_worker(make_pool: PoolFactory) -> None:
    """A frame that ends the process once before and once after it is poisoned."""
    for _ in range(2):
        with pytest.raises(ModelProcessDied):
            run(make_pool(), b"exit 1")
    with pytest.raises(FrameRejected, match="poisoned"):
        run(make_pool(), b"exit 1")


def test_an_innocent_payload_is_not_quarantined(make_pool: PoolFactory, tmp_path: Path) -> None:
    """Killed from outside once, then parsed: the next kill counts from one again. A stopped process never counts."""
    pool = make_pool(config(watchdog=WATCHDOG.model_copy(update={"frame_min_s": 3.0})))  # a frame takes 1 s
    for _ in range(2):
        with ThreadPoolExecutor() as threads:
            reply = threads.submit(run, pool, b"sleep 1")
            until(lambda: pool.state().processes[0].phase == "inference")
            os.kill(pid_of(pool), signal.SIGKILL)
            assert isinstance(reply.exception(), ModelProcessDied)
        assert run_when_ready(pool, b"sleep 1").image("colormap")
    for _ in range(2):
        with pytest.raises(ModelProcessStuck):
            run_when_ready(pool, b"raise SIGSTOP")
    assert json.loads((tmp_path / "state" / "quarantine.json").read_text())["payloads"] == {}


def test_a_frame_is_not_blamed_for_a_process_that_was_gone_before(make_pool: PoolFactory, tmp_path: Path) -> None:
    """Killed while it was idle, and not yet missed: the frame that finds out is requeued as innocent."""
    pool = make_pool()
    for _ in range(3):
        until(lambda: pool.make_ready(0))
        pid = pid_of(pool)
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: is_gone(pid))  # type: ignore[misc]
        with pytest.raises(ModelProcessDied):
            run(pool, b"innocent")
    assert run_when_ready(pool, b"innocent").image("colormap")
    assert not (tmp_path / "state" / "quarantine.json").exists()


def test_a_payload_that_ended_the_worker_twenty_times_is_refused(make_pool: PoolFactory, tmp_path: Path) -> None:
    """The model process dies with its worker and can tell nobody; what was in work is on disk."""
    for _ in range(20):
        make_pool(wait=False).close()
        (tmp_path / "state" / "in_work").write_text(hashlib.sha256(b"one").hexdigest() + "\n")
    pool = make_pool()
    with pytest.raises(FrameRejected, match="poisoned"):
        run(pool, b"one")
    assert run(pool, b"another").image("colormap") == echo(b"another")


def test_damaged_images_cannot_flood_standard_error(make_pool: PoolFactory, capfd: pytest.CaptureFixture[str]) -> None:
    """What libraries write while they decode is not let through; what they write else is, and where one crashed."""
    pool = make_pool()
    with pytest.raises(ModelProcessDied):
        run(pool, b"decode: raise SIGSEGV")
    run_when_ready(pool, b"hello")
    said = capfd.readouterr().err
    assert "Segmentation fault" in said
    assert "words of inference" in said
    assert "words of decode" not in said


def test_a_grown_process_is_replaced_between_frames(make_pool: PoolFactory) -> None:
    """The frame is answered; the restart is counted as planned; nothing is lost."""
    pool = make_pool(config(memory=MemoryConfig(limit_mb=100), watchdog=WatchdogConfig(frame_min_s=10)))
    before = maker(run(pool, b"grow 1"))
    assert maker(run(pool, b"grow 150")) == before
    assert recycled(pool) != before
    assert pool.state().processes[0].crashes == 0


def test_a_limit_below_what_the_model_takes_is_not_in_force(
    make_pool: PoolFactory,
) -> None:
    """Another process would be no better, and each frame would pay for it; it is said once a process."""
    with capture_logs() as said:
        pool = make_pool(config(memory=MemoryConfig(limit_mb=1)))
        pids = {maker(run(pool, payload)) for payload in (b"one", b"two", b"three")}
    assert len(pids) == 1
    assert [line["event"].startswith("memory.limit_mb") for line in said if line["log_level"] == "warning"] == [True]


def test_restart_replaces_the_process_after_its_frame(make_pool: PoolFactory) -> None:
    """The frame in work is answered by the old process."""
    pool = make_pool()
    pid = pid_of(pool)
    with ThreadPoolExecutor() as threads:
        reply = threads.submit(run, pool, b"sleep 0.3")
        until(lambda: pool.state().processes[0].phase == "inference")
        pool.restart()
        assert maker(reply.result()) == pid
    assert recycled(pool) != pid


def test_a_model_that_cannot_be_used_is_tried_again_with_pauses(make_pool: PoolFactory) -> None:
    """The state says why and when; the pause ends at once on restart(); run() raises rather than waits."""
    once = WatchdogConfig(frame_min_s=0.6, load_s=5, crash_limit=1, crash_window_s=60)
    pool = make_pool(config("fake:unusable", watchdog=once), wait=False)
    with kept_up(pool):
        until(lambda: pool.state().processes[0].state is SlotState.PAUSED)
        assert "pytorch_model.pt is missing; next start in 1 s" in pool.state().detail
        assert not pool.state().loading
        with pytest.raises(ModelProcessDied, match=r"not ready: pytorch_model\.pt is missing"):
            run(pool, b"hello")
        for pause_s in (2, 4, 8):
            pool.restart()
            until(lambda: f"next start in {pause_s} s" in pool.state().detail)  # noqa: B023 - called at once
        pool.restart()
        until(lambda: "next start in 16 s" in pool.state().detail, within_s=7.9)


def test_a_model_that_cannot_run_as_configured_is_not_tried_again(make_pool: PoolFactory) -> None:
    """The owner is told which key to change; the state says it, too."""
    pool = make_pool(config("fake:misfit"), wait=False)
    with pytest.raises(ConfigError, match=r"model\.precision: precision int8 is not offered"):
        pool.make_ready(0)
    assert "model.precision" in pool.state().detail


@pytest.mark.parametrize("model", ["fake:sleep 60", "fake:raise SIGSEGV", "fake:babble"])
def test_a_failure_while_loading_is_a_failure(make_pool: PoolFactory, model: str) -> None:
    """A hang, a crash and nonsense while loading are noticed, and loading is tried again."""
    watchdog = WatchdogConfig(frame_min_s=0.6, load_s=0.6, crash_limit=1)
    pool = make_pool(config(model, watchdog=watchdog), wait=False)
    assert not pool.make_ready(0)
    assert pool.state().processes[0].crashes == 1
    assert "phase: load" in pool.state().detail
    assert not pool.make_ready(0)
    assert pool.state().processes[0].crashes == 2


def test_a_program_that_cannot_be_started_is_a_failure(tmp_path: Path) -> None:
    """The state says so; the pool keeps trying."""
    pool = ModelPool(config(), state_directory=None, cache_directory=None, command=(str(tmp_path / "no"),))
    for crashes in (1, 2):
        assert not pool.make_ready(0)
        assert pool.state().processes[0].crashes == crashes
    assert "cannot be started" in pool.state().detail


def test_two_processes_work_side_by_side(make_pool: PoolFactory) -> None:
    """Each slot has its own process; the death of one does not touch the frame of the other."""
    pool = make_pool(config(threads=ThreadsConfig(processes=2)))
    assert pool.slots == 2
    assert pool.make_ready(1)
    with ThreadPoolExecutor() as threads:
        other = threads.submit(run, pool, b"sleep 0.4", 1)
        with pytest.raises(ModelProcessDied):
            run(pool, b"exit 1")
        assert other.result().image("colormap") == echo(b"sleep 0.4")


def test_a_result_names_the_model_of_its_own_process(make_pool: PoolFactory, tmp_path: Path) -> None:
    """Replaced on disk, a model is loaded by one process after the other; the card is of the one loaded last."""
    name = tmp_path / "name"
    name.write_text("old")
    pool = make_pool(config(f"fake:named {name}", threads=ThreadsConfig(processes=2)))
    assert pool.make_ready(1)
    name.write_text("new")
    with pytest.raises(ModelProcessDied):
        run(pool, b"exit 1")
    assert pool.make_ready(0)
    made = [pool.run(slot, b"next", SHA, REQUEST).model.name.name for slot in range(2)]
    card = pool.card()
    assert card is not None
    assert (made, card.name) == (["new", "old"], "new")


def test_stop_lets_the_frame_in_work_finish(make_pool: PoolFactory) -> None:
    """It is answered, later ones are refused, no process is left, and that is no restart."""
    pool = make_pool()
    pid = pid_of(pool)
    with ThreadPoolExecutor() as threads:
        reply = threads.submit(run, pool, b"sleep 0.3")
        until(lambda: pool.state().processes[0].phase == "inference")
        pool.ask_stop()
        assert reply.result().image("colormap") == echo(b"sleep 0.3")
    pool.end(0)
    assert is_gone(pid)
    assert pool.state().processes[0].restarts == 0
    with pytest.raises(ModelProcessError, match="not ready: stopped"):
        run(pool, b"late")


def test_a_stop_may_end_the_process_under_its_frame(make_pool: PoolFactory, tmp_path: Path) -> None:
    """A frame that takes too long is given up with the error that lets it be tried again, and is not blamed."""
    pool = make_pool(config(watchdog=WatchdogConfig(frame_min_s=30)))
    with ThreadPoolExecutor() as threads:
        reply = threads.submit(run, pool, b"sleep 20")
        until(lambda: pool.state().processes[0].phase == "inference")
        pool.ask_stop()
        pool.kill()
        assert isinstance(reply.exception(15), ModelProcessError)
    assert pool.state().processes[0].crashes == 0
    assert not (tmp_path / "state" / "quarantine.json").exists()


def test_stop_while_loading_does_not_wait(make_pool: PoolFactory) -> None:
    """There is nothing to finish."""
    pool = make_pool(config("fake:sleep 60", watchdog=WatchdogConfig(load_s=60)), wait=False)
    with ThreadPoolExecutor() as threads:
        ready = threads.submit(pool.make_ready, 0)
        until(lambda: pool.state().processes[0].pid)
        pid = pid_of(pool)
        pool.ask_stop()
        assert not ready.result(SOON_S)
    pool.end(0)
    assert is_gone(pid)
    assert pool.state().processes[0].state is SlotState.STOPPED
    assert pool.state().processes[0].crashes == 0


def test_a_slot_at_work_shows_signs_of_life(make_pool: PoolFactory) -> None:
    """However long the frame takes, it was last seen a moment ago."""
    pool = make_pool(config(watchdog=WatchdogConfig(frame_min_s=10)))
    with ThreadPoolExecutor() as threads:
        reply = threads.submit(run, pool, b"sleep 2.5")
        while not reply.done():
            assert time.monotonic() - pool.alive_at() < 2
            time.sleep(0.05)


@pytest.mark.parametrize("model", ["fake:unusable", "fake:sleep 2.5"])
def test_a_slot_without_a_process_shows_signs_of_life(make_pool: PoolFactory, model: str) -> None:
    """In a pause after a failure, and while a model is loading."""
    pool = make_pool(config(model, watchdog=WatchdogConfig(load_s=5, crash_limit=1)), wait=False)
    end_s = time.monotonic() + 2.5
    with kept_up(pool):
        while time.monotonic() < end_s:
            assert time.monotonic() - pool.alive_at() < 2
            time.sleep(0.05)


def test_an_owner_that_does_not_come_back_is_noticed(make_pool: PoolFactory) -> None:
    """The last sign of life is the one of its last call; the next call is another."""
    pool = make_pool()
    last = pool.alive_at()
    until(lambda: time.monotonic() - pool.alive_at() > 1)
    assert pool.alive_at() == last
    pool.make_ready(0)
    assert pool.alive_at() > last


def test_changes_are_announced(tmp_path: Path) -> None:
    """Every change of state calls on_change, when the state can already be seen."""
    seen: list[SlotState] = []
    pool = ModelPool(
        config(),
        state_directory=tmp_path,
        cache_directory=None,
        environ=ENVIRON,
        command=FAKE,
        on_change=lambda: seen.append(pool.state().processes[0].state),
    )
    assert pool.make_ready(0)
    end(pool)
    assert seen == [SlotState.LOADING, SlotState.READY, SlotState.STOPPED]


def test_signals_for_the_worker_do_not_end_the_process(make_pool: PoolFactory) -> None:
    """SIGINT, SIGTERM and SIGHUP are the worker's business."""
    pool = make_pool()
    pid = pid_of(pool)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    assert maker(run(pool, b"next")) == pid


WORKER = """
import os, sys, threading
sys.path[:0] = sys.argv[1:]
from test_pool import ENVIRON, FAKE, config, run
from edge_worker.pool import ModelPool
pool = ModelPool(config(), state_directory=None, cache_directory=None, environ=ENVIRON, command=FAKE)
assert pool.make_ready(0)
os.write(1, f"\\npid {pool.state().processes[0].pid}\\n".encode())  # a line of its own, wherever the log stands
threading.Thread(target=run, args=(pool, b"compile 50")).start()
"""


def test_no_process_outlives_a_killed_worker() -> None:
    """SIGKILL of the worker ends the model process too, even in the middle of a frame."""
    here = Path(__file__).parent
    command = [sys.executable, "-c", WORKER, str(here), str(here.parent)]
    with subprocess.Popen(command, env=ENVIRON, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        pid = int(next(line.split()[1] for line in worker.stdout if line.startswith("pid")))
        worker.kill()
    until(lambda: is_gone(pid), within_s=30)
