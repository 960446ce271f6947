"""Dispatchers with a scripted pool: one reply to each frame, whatever happens to it."""

from __future__ import annotations

import json
from threading import Barrier, Event
from typing import TYPE_CHECKING, Any

import pytest
from brokers import wait_until
from outputs import encoded_result
from samples import SimplePolicy, make_frame
from structlog.testing import capture_logs

from edge_worker.common import log_events
from edge_worker.common.deadline import Deadline
from edge_worker.common.errors import ConfigError, FrameRejected, ModelProcessDied, ResultTooLarge
from edge_worker.config import ColormapConfig, OutputConfig, OverlayConfig
from edge_worker.frames.frame import Delivery, Frame
from edge_worker.frames.queue import FrameQueue
from edge_worker.messages import ModelName
from edge_worker.mqtt.size_limit import PacketLimit
from edge_worker.pool.state import Computed, LoadedModel
from edge_worker.service.dispatcher import Dispatchers, Outlets
from edge_worker.service.overrides import Overrides
from edge_worker.service.result_cache import ResultCache
from edge_worker.service.section_outputs import SectionOutputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge_worker.inference.types import EncodedResult, OutputRequest
    from edge_worker.mqtt.message import Outgoing

SOON_S = 30.0
BODY: dict[str, Any] = {"image": {"width": 2, "height": 1}, "labels": [], "persons": [], "unassigned": []}
RESULT = encoded_result(2, 1, None, None, BODY, {"inference": 1.0})
NO_MAP = ColormapConfig(enabled=False)
WITHOUT_MAP = OutputConfig(colormap=NO_MAP)
MODEL = LoadedModel(ModelName(name="tiny", sha256="0" * 64, engine="openvino", precision="f32"), "1")


class ScriptedPool:
    """Answers runs from a script; the last line repeats."""

    slots = 1

    def __init__(self, *script: EncodedResult | Exception) -> None:
        """*script*: what each run returns or raises."""
        self._script = list(script)
        self.runs = 0
        self.ended: list[int] = []
        self.running = self.loaded_last = MODEL
        self.requests: list[OutputRequest] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def model(self) -> LoadedModel:
        """Give the one loaded last, by whichever process."""
        return self.loaded_last

    def make_ready(self, slot: int) -> bool:
        """Be ready."""
        del slot
        return True

    def ask_stop(self) -> None:
        """Load nothing."""

    def end(self, slot: int) -> None:
        """Note which slot was ended."""
        self.ended.append(slot)

    def run(self, slot: int, payload: bytes, payload_sha: str, request: OutputRequest) -> Computed:
        """Do the next line."""
        del slot, payload, payload_sha
        self.runs += 1
        self.requests.append(request)
        self.meanwhile()
        line = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(line, Exception):
            raise line
        return Computed(line, self.running)


class Bench:
    """Dispatchers between a frame queue and recorders."""

    def __init__(self, pool: ScriptedPool, limit: PacketLimit, outputs: OutputConfig) -> None:
        """Start it."""
        self.pool = pool
        self.frame_queue = FrameQueue([SimplePolicy(delivery="every")], self._acknowledge)
        self.published: list[Outgoing] = []
        self.acknowledged: list[Delivery] = []
        self.refuses: Callable[[Outgoing], bool] = lambda _: False
        self.failures: list[str] = []
        self.misfits: list[ConfigError] = []
        self.overrides = Overrides()
        self._done = Event()
        outlets = Outlets(
            publish=self._publish,
            packet_limit=lambda _, _topic: limit,
            observe=lambda _timings, _age: None,
            fatal=self._fail,
            misconfigured=self.misfits.append,
        )
        self.dispatchers = Dispatchers(
            frame_queue=self.frame_queue,
            pool=pool,  # type: ignore[arg-type] # the part of ModelPool that they use
            cache=ResultCache(1.0),
            overrides=self.overrides,
            max_payload_bytes=100,
            outlets=outlets,
        )
        self.dispatchers.sections = [SectionOutputs("box-1", outputs)]
        self.dispatchers.start()

    def _acknowledge(self, delivery: Delivery) -> None:
        self.acknowledged.append(delivery)

    def _publish(self, frame: Frame, message: Outgoing) -> None:
        del frame
        if self.refuses(message):
            raise ResultTooLarge(1_000, 500)
        self.published.append(message)
        if "labels" in message.topic or "error" in message.topic:
            self._done.set()

    def _fail(self, what: str, error: BaseException) -> None:
        del error
        self.failures.append(what)
        self._done.set()

    def reply_to(self, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field of Frame
        """Have a frame processed; returns the content of the last message of its reply."""
        self._done.clear()
        self.frame_queue.arrive(make_frame(delivery=Delivery("every", 1, 1), **fields))
        assert self._done.wait(SOON_S)
        content = json.loads(self.published[-1].payload)
        assert isinstance(content, dict)
        return content

    def stop(self) -> None:
        """End the dispatchers."""
        self.frame_queue.close()
        assert self.dispatchers.stop(Deadline(SOON_S))


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(
        *script: EncodedResult | Exception,
        max_packet: int = 1_000_000,
        supposed: bool = False,
        outputs: OutputConfig | None = None,
        pool: ScriptedPool | None = None,
    ) -> Bench:
        limit = PacketLimit(max_packet, supposed)
        benches.append(Bench(pool or ScriptedPool(*script), limit, outputs or WITHOUT_MAP))
        return benches[-1]

    yield make
    for one in benches:
        one.stop()


def test_a_frame_is_parsed_and_answered(bench: Callable[..., Bench]) -> None:
    """And counted as processed."""
    one = bench(RESULT)
    assert one.reply_to()["schema"] == "edge-worker.labels/1"
    one.stop()
    assert one.frame_queue.account().total.processed == 1


def test_a_frame_seen_before_costs_no_run(bench: Callable[..., Bench]) -> None:
    """The same bytes are answered from memory, and say so."""
    one = bench(RESULT)
    assert not one.reply_to(frame_id="1")["cached"]
    assert one.reply_to(frame_id="2", arrived=1.0)["cached"]
    assert one.pool.runs == 1


def test_a_result_names_the_model_that_computed_it(bench: Callable[..., Bench]) -> None:
    """Its model replaced on disk, a process goes on with the old one; that is said, and not remembered for the new."""
    one = bench(RESULT)
    one.pool.loaded_last = LoadedModel(MODEL.name.model_copy(update={"name": "new"}), "2")
    assert one.reply_to(frame_id="1")["model"]["name"] == "tiny"
    one.pool.running = one.pool.loaded_last
    again = one.reply_to(frame_id="2", arrived=1.0)
    assert (again["model"]["name"], again["cached"]) == ("new", False)
    assert one.reply_to(frame_id="3", arrived=2.0)["cached"]


def test_a_model_of_the_same_name_that_computes_otherwise_shares_no_results(bench: Callable[..., Bench]) -> None:
    """Its configuration or quantised network was replaced on disk: the fingerprint tells them apart."""
    one = bench(RESULT)
    assert not one.reply_to(frame_id="1")["cached"]
    one.pool.running = one.pool.loaded_last = LoadedModel(MODEL.name, "2")
    assert not one.reply_to(frame_id="2", arrived=1.0)["cached"]


def test_a_rejected_frame_gets_one_error_and_the_next_goes_on(bench: Callable[..., Bench]) -> None:
    """One camera's bad image is nobody else's matter."""
    one = bench(FrameRejected("undecodable", "no image"), RESULT)
    assert one.reply_to(frame_id="bad")["reason"] == "undecodable"
    assert one.reply_to(frame_id="good", arrived=1.0)["schema"] == "edge-worker.labels/1"
    one.stop()
    assert dict(one.frame_queue.account().total.rejected) == {"undecodable": 1}


def test_a_frame_whose_process_died_is_tried_again(bench: Callable[..., Bench]) -> None:
    """The quarantine ends it, not the dispatcher."""
    one = bench(ModelProcessDied("killed by SIGKILL", phase="inference"), RESULT)
    assert one.reply_to()["schema"] == "edge-worker.labels/1"
    assert one.pool.runs == 2


def test_a_payload_over_the_limit_never_reaches_the_model(bench: Callable[..., Bench]) -> None:
    """It is rejected by its size alone."""
    one = bench(RESULT)
    assert one.reply_to(payload=b"x" * 101)["reason"] == "too_big"
    assert one.pool.runs == 0


def test_a_result_the_broker_would_not_take_becomes_an_error(bench: Callable[..., Bench]) -> None:
    """Sending it anyway would end the connection, again and again."""
    one = bench(RESULT, max_packet=10)
    assert one.reply_to()["reason"] == "too_big"
    assert len(one.published) == 1


def test_a_size_that_may_be_a_permission_is_called_refused(bench: Callable[..., Bench]) -> None:
    """A broker that only closes the connection over a topic does not tell; the error names the topic."""
    one = bench(RESULT, max_packet=10, supposed=True)
    error = one.reply_to()
    assert (error["reason"], "parsing/door/labels" in error["detail"]) == ("refused", True)


def test_an_overlay_the_broker_would_not_take_is_left_out(bench: Callable[..., Bench]) -> None:
    """The map and the labels are what programs wait for."""
    with_overlay = encoded_result(2, 1, None, b"x" * 5_000, BODY, {})
    one = bench(
        with_overlay, max_packet=4_000, outputs=OutputConfig(colormap=NO_MAP, overlay=OverlayConfig(enabled=True))
    )
    assert one.reply_to()["schema"] == "edge-worker.labels/1"
    assert [message.topic for message in one.published] == ["parsing/door/labels"]


def test_a_limit_that_shrank_meanwhile_makes_an_error(bench: Callable[..., Bench]) -> None:
    """The broker of the next connection may take less than the one that was asked."""
    one = bench(RESULT)
    one.refuses = lambda message: "labels" in message.topic
    assert one.reply_to()["reason"] == "too_big"


def test_what_a_snapshot_cannot_show_is_not_tried_for_ever(bench: Callable[..., Bench]) -> None:
    """The wish is done with, and the log says why; labels come as ever."""
    one = bench(RESULT)
    one.overrides.snapshot("door")
    with capture_logs() as lines:
        assert one.reply_to()["schema"] == "edge-worker.labels/1"
        one.stop()
    assert not one.overrides.claim_snapshot("door")
    assert log_events.OUTPUT_LEFT_OUT in [line["event"] for line in lines]


def test_two_processes_make_one_snapshot(bench: Callable[..., Bench]) -> None:
    """Of two frames of the camera in work at once, one has the overlay that was asked for."""
    pool = ScriptedPool(RESULT)
    pool.slots, pool.meanwhile = 2, Barrier(2, timeout=SOON_S).wait
    one = bench(pool=pool)
    one.overrides.snapshot("door")
    for number in range(2):
        one.frame_queue.arrive(make_frame(frame_id=str(number), payload=b"%d" % number, arrived=float(number)))
    wait_until(lambda: one.frame_queue.account().total.processed == 2, "both are answered")
    assert sorted(request.image("overlay") is not None for request in pool.requests) == [False, True]


def test_a_snapshot_outlives_a_frame_without_result(bench: Callable[..., Bench]) -> None:
    """The next frame of the camera has it."""
    one = bench(FrameRejected("undecodable", "no image"), ModelProcessDied("killed", phase="inference"), RESULT)
    one.overrides.snapshot("door")
    one.reply_to(frame_id="1")
    one.reply_to(frame_id="2", arrived=1.0)
    one.reply_to(frame_id="3", arrived=2.0, payload=b"3")
    assert [request.image("overlay") is not None for request in one.pool.requests] == [True, True, True, False]


def test_an_overlay_is_asked_for_in_a_size_that_fits(bench: Callable[..., Bench]) -> None:
    """The model process makes it small enough; without an overlay the limit is no part of the request."""
    one = bench(RESULT, max_packet=10_000)
    one.overrides.snapshot("door")
    one.reply_to(frame_id="1")
    one.reply_to(frame_id="2", arrived=1.0)
    assert [[image.max_bytes for image in request.images] for request in one.pool.requests] == [[10_000 - 4096], []]


def test_a_reload_takes_effect_with_the_next_frame(bench: Callable[..., Bench]) -> None:
    """The one in work is answered as it was asked for: its map is a JPEG, and says so."""
    one = bench(encoded_result(2, 1, b"a JPEG", None, BODY, {}))
    one.dispatchers.sections = [SectionOutputs("box-1", OutputConfig(colormap=ColormapConfig(format="jpeg")))]
    one.pool.meanwhile = lambda: setattr(one.dispatchers, "sections", [SectionOutputs("box-1", OutputConfig())])
    assert one.reply_to()["schema"] == "edge-worker.labels/1"
    assert one.published[0].content_type == "image/jpeg"
    assert one.failures == []


def test_a_frame_answered_otherwise_meanwhile_is_no_defect(bench: Callable[..., Bench]) -> None:
    """Its map was given up and its error confirmed while its labels were being published: the dispatcher goes on."""
    one = bench(RESULT)
    frame = make_frame(delivery=Delivery("every", 1, 1))

    def refuse(message: Outgoing) -> bool:
        if "labels" in message.topic:
            one.frame_queue.replied(frame, ())
        return "labels" in message.topic

    one.refuses = refuse
    one.frame_queue.arrive(frame)
    wait_until(lambda: one.frame_queue.account().total.rejected, "it is counted")
    assert one.failures == []
    assert one.acknowledged == [frame.delivery]


@pytest.mark.parametrize(("refused", "published"), [("", []), ("error", ["edge-worker/box-1/answered"])])
def test_a_frame_that_cannot_be_answered_at_all_is_let_go(
    refused: str, published: list[str], bench: Callable[..., Bench]
) -> None:
    """Where not even an error fits, waiting for a better broker would stop the camera; others are told if possible."""
    one = bench(FrameRejected("undecodable", "no image"))
    one.dispatchers.sections = [SectionOutputs("box-1", WITHOUT_MAP, answered_topic="edge-worker/box-1/answered")]
    one.refuses = lambda message: refused in message.topic
    frame = make_frame(delivery=Delivery("every", 1, 1))
    one.frame_queue.arrive(frame)
    wait_until(lambda: one.frame_queue.account().total.rejected, "it is counted")
    assert one.acknowledged == [frame.delivery]
    assert [message.topic for message in one.published] == published
    assert one.failures == []


def test_a_defect_ends_the_worker(bench: Callable[..., Bench]) -> None:
    """An unknown exception is reported, not swallowed: a silent dispatcher looks like a silent camera."""
    one = bench(ZeroDivisionError("a bug"))
    one.frame_queue.arrive(make_frame())
    assert one._done.wait(SOON_S)
    assert one.failures == ["dispatcher 0 failed"]
    one.stop()
    assert one.pool.ended == [0]


def test_a_dispatcher_ends_the_process_it_owns(bench: Callable[..., Bench]) -> None:
    """Once, when it stops; nobody else does."""
    one = bench(RESULT)
    one.reply_to()
    assert one.pool.ended == []
    one.stop()
    assert one.pool.ended == [0]
