"""Latency of a frame whose result is cached, from the arriving message to the replies, through the worker's components.

Inbox, router, frame queue, dispatcher, cache and replies are those of ``edge-worker run`` with its default settings,
including logging. There is no broker, and a pipeline in this process, used once per frame, replaces the model process.
``python -m benchmarks.cached`` is the subprocess that measures.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.apart import measured_apart
from edge_worker.common.deadline import Deadline
from edge_worker.common.topics import Template
from edge_worker.config import CacheConfig, CameraConfig, LimitsConfig, LogConfig, OutputConfig
from edge_worker.frames.queue import FrameQueue
from edge_worker.inference.types import ModelSettings
from edge_worker.messages import ModelName
from edge_worker.mqtt.events import Arrived
from edge_worker.mqtt.inbox import Inbox
from edge_worker.mqtt.message import Incoming
from edge_worker.mqtt.size_limit import PacketLimit
from edge_worker.ops import logs
from edge_worker.pool.state import Computed, LoadedModel
from edge_worker.service.dispatcher import Dispatchers, Outlets
from edge_worker.service.overrides import Overrides
from edge_worker.service.result_cache import ResultCache
from edge_worker.service.router import Handlers, Route, Router
from edge_worker.service.section_outputs import SectionOutputs
from edge_worker.tools.bench.statistics import Summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_worker.frames.frame import Frame
    from edge_worker.inference.pipeline import Pipeline
    from edge_worker.inference.types import OutputRequest
    from edge_worker.mqtt.message import Outgoing
    from edge_worker.tools.bench.variants import Variant

_LINK = "bench"
_TOPIC = "camera/{camera}"
_STOP_S = 10.0
_UNLIMITED = 1 << 30
_NODE = "bench"
_MAX_PAYLOAD_BYTES = LimitsConfig().max_payload_bytes


class _Parse:
    """The interface of the model pool, implemented in this process."""

    slots = 1

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline, info = pipeline, pipeline.parser.info
        name = ModelName(name=info.name, sha256=info.sha256, engine=info.engine, precision=info.precision)
        self._model = LoadedModel(name, info.fingerprint)

    def model(self) -> LoadedModel:
        return self._model

    def make_ready(self, slot: int) -> bool:
        del slot
        return True

    def run(self, slot: int, payload: bytes, payload_sha: str, request: OutputRequest) -> Computed:
        del slot, payload_sha
        return Computed(self._pipeline.run(payload, request), self._model)

    def ask_stop(self) -> None:
        """Do nothing: nothing is loading."""

    def end(self, slot: int) -> None:
        """Do nothing: there is no process."""


class _Answer(NamedTuple):
    """Time until a frame was answered, and total size of its messages in bytes."""

    ms: float
    size: int


class Place:
    """A worker from the arriving message to the outgoing ones."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Start the threads."""
        self._left: list[Outgoing] = []
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()
        self._inbox, self._frame_queue = Inbox(), FrameQueue([CameraConfig()], lambda _delivery: None)
        self._dispatchers = self._make_dispatchers(pipeline)
        self._router = self._make_router()
        self._router.start()
        self._dispatchers.start()

    def answer(self, payload: bytes) -> _Answer:
        """Send a frame through the worker and wait for the reply."""
        self._left.clear()
        began = time.perf_counter()
        self._inbox.put(Arrived(_LINK, _message(payload)))
        if error := self._done.get():
            raise error
        return _Answer(1000 * (time.perf_counter() - began), sum(len(message.payload) for message in self._left))

    def stop(self) -> None:
        """Stop the threads."""
        self._frame_queue.close()
        self._dispatchers.stop(Deadline(_STOP_S))
        self._router.stop(_STOP_S)

    def _make_dispatchers(self, pipeline: Pipeline) -> Dispatchers:
        outlets = Outlets(
            publish=lambda _frame, message: self._left.append(message),
            packet_limit=lambda _frame, _topic: PacketLimit(_UNLIMITED),
            observe=lambda _timings, _age: self._done.put(None),
            fatal=self._fatal,
            misconfigured=lambda error: self._fatal("the model", error),
        )
        dispatchers = Dispatchers(
            frame_queue=self._frame_queue,
            pool=_Parse(pipeline),  # type: ignore[arg-type] # what a worker uses of ModelPool
            cache=ResultCache(CacheConfig().max_mb),
            overrides=Overrides(),
            max_payload_bytes=_MAX_PAYLOAD_BYTES,
            outlets=outlets,
        )
        dispatchers.sections = [SectionOutputs(_NODE, OutputConfig())]
        return dispatchers

    def _make_router(self) -> Router:
        handlers = Handlers(
            frames=self._frame_queue,
            node=lambda _link, _message: False,
            arrive=self._frame_queue.arrive,
            published=lambda _event: None,
            link_changed=lambda _event: None,
            results_lost=self._results_lost,
            fatal=self._fatal,
        )
        return Router(self._inbox, [Route(_LINK, Template(_TOPIC), 0)], handlers, max_payload=_MAX_PAYLOAD_BYTES)

    def _results_lost(self, frame: Frame, reason: str, problem: str) -> None:
        raise AssertionError((frame.frame_id, reason, problem))  # without a link no result can be lost

    def _fatal(self, what: str, error: BaseException | None) -> None:
        self._done.put(error or RuntimeError(what))


def _message(payload: bytes) -> Incoming:
    return Incoming(
        topic=Template(_TOPIC).format(camera="one"),
        payload=payload,
        qos=0,
        retained=False,
        redelivered=False,
        properties={},
        content_type="image/jpeg",
        response_topic="",
        correlation=None,
        arrived=time.monotonic(),
        delivery=None,
    )


def measure(variant: Variant, frames: Sequence[Path], turns: int) -> list[dict[str, Any]]:
    """Return a row per frame: milliseconds of its first reply, and of *turns* more from the cache.

    Raises:
        EdgeWorkerError: it cannot be measured here.
    """
    order = {"settings": variant.settings, "frames": [str(frame) for frame in frames], "turns": turns}
    rows: list[dict[str, Any]] = measured_apart(__name__, order, variant.environment)
    return rows


def _main(order: str) -> None:
    wanted = json.loads(order)
    settings = ModelSettings.from_wire(wanted["settings"])
    settings.threads.apply_to_process()
    # Imported here because numeric libraries size their thread pools when they are loaded.
    from edge_worker.inference.pipeline import Pipeline  # noqa: PLC0415

    pipeline = Pipeline.open(settings)
    place = Place(pipeline)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        logs.configure(LogConfig(format="json"), nowhere)
        rows = [_row(place, Path(frame), wanted["turns"]) for frame in wanted["frames"]]
        place.stop()
    pipeline.parser.close()
    sys.stdout.write(json.dumps(rows) + "\n")


def _row(place: Place, file: Path, turns: int) -> dict[str, Any]:
    payload = file.read_bytes()
    first, *again = (place.answer(payload) for _ in range(turns + 1))
    return {
        "frame": file.name,
        "payload, kB": len(payload) / 1000,
        "answer, kB": first.size / 1000,
        "parsed, ms": first.ms,
        "from the cache, ms": asdict(Summary.of([answer.ms for answer in again])),
    }


if __name__ == "__main__":
    _main(sys.argv[1])
