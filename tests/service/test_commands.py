"""Commands: each gets one reply, good or bad, in the right place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from samples import SimplePolicy, make_frame, make_incoming

from edge_worker.config import CommandsConfig, Config, MqttConfig, NodeConfig
from edge_worker.frames.queue import FrameQueue
from edge_worker.inference.outputs import ImageRequest
from edge_worker.inference.types import OutputRequest
from edge_worker.service.commands import Commands
from edge_worker.service.overrides import MAX_CAMERAS, Overrides

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_worker.mqtt.message import Incoming, Outgoing

OVERLAY = ImageRequest("overlay")


class Bench:
    """Commands with their surroundings, and what they published."""

    def __init__(self, *, stats: Mapping[str, Any] | None = None, **commands: Any) -> None:  # noqa: ANN401 - any key
        """Build them with the section *commands*."""
        self.published: list[Outgoing] = []
        self.max_bytes = 100_000
        self.restarts = 0
        self.overrides = Overrides()
        self.frame_queue = FrameQueue([SimplePolicy()], lambda _: None)
        config = Config(
            node=NodeConfig(id="box-1"), mqtt=MqttConfig(host="localhost"), commands=CommandsConfig(**commands)
        )
        self.commands = Commands(
            config,
            frame_queue=self.frame_queue,
            overrides=self.overrides,
            stats=lambda: {**(stats or {"uptime_s": 1.0})},
            settings=lambda: {"node": {"id": "box-1"}},
            restart=self._restart,
            forget=lambda camera: camera == "announced",
            publish=self._publish,
        )

    def _publish(self, message: Outgoing) -> bool:
        fits = len(message.payload) <= self.max_bytes
        if fits:
            self.published.append(message)
        return fits

    def _restart(self) -> None:
        self.restarts += 1

    def ask(self, command: str, payload: bytes = b"", **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field of Incoming
        """Ask, and return the one reply."""
        before = len(self.published)
        assert self.commands.take(request(command, payload, **fields))
        (answer,) = self.published[before:]
        content = json.loads(answer.payload)
        assert isinstance(content, dict)
        return content


def request(command: str, payload: bytes = b"", **fields: Any) -> Incoming:  # noqa: ANN401 - any field of Incoming
    return make_incoming(f"edge-worker/box-1/request/{command}", payload, **fields)


@pytest.mark.parametrize(("command", "data"), [("ping", None), ("stats", {"uptime_s": 1.0}), ("restart", None)])
def test_a_command_is_answered(command: str, data: object) -> None:
    """On the response topic, with the transaction given."""
    bench = Bench()
    answer = bench.ask(command, b'{"transaction": "t-1"}')
    assert (answer["status"], answer["transaction"], answer.get("data")) == ("ok", "t-1", data)
    assert bench.published[0].topic == f"edge-worker/box-1/response/{command}"


def test_a_reply_larger_than_the_broker_takes_is_replaced_by_one_that_says_so() -> None:
    """Who asks is not left waiting, though the data cannot reach him."""
    bench = Bench(stats={"cameras": "x" * 400})
    bench.max_bytes = 300
    answer = bench.ask("stats", b'{"transaction": "t-1"}')
    assert (answer["status"], answer["transaction"], answer["command"]) == ("error", "t-1", "stats")
    assert "large" in answer["error"]


def test_correlation_data_comes_back() -> None:
    """As MQTT 5 requesters expect."""
    bench = Bench()
    bench.commands.take(request("ping", correlation=b"\x01\x02"))
    assert bench.published[0].correlation == b"\x01\x02"


def test_settings_take_effect() -> None:
    """``set`` and ``snapshot`` change what is asked of the model process."""
    bench = Bench()
    assert bench.ask("set", b'{"camera": "door", "score_threshold": 0.4}')["status"] == "ok"
    assert bench.ask("snapshot", b'{"camera": "yard"}')["status"] == "ok"
    assert bench.overrides.apply("door", OutputRequest(), OVERLAY).score_threshold == 0.4
    assert bench.overrides.claim_snapshot("yard")


@pytest.mark.parametrize(("command", "settings"), [("pause", {}), ("set", {"min_interval_s": 1})])
def test_names_from_outside_do_not_fill_the_memory(command: str, settings: dict[str, int]) -> None:
    """Past a bound, orders for further cameras are refused; those for all, and for known ones, are not."""
    bench = Bench()

    def order(**camera: str) -> str:
        return str(bench.ask(command, json.dumps(camera | settings).encode())["status"])

    assert {order(camera=f"camera-{number}") for number in range(MAX_CAMERAS)} == {"ok"}
    assert (order(camera="one more"), order(camera="camera-0")) == ("error", "ok")
    bench.ask("resume")
    assert order(camera="one more") == ("ok" if command == "pause" else "error")
    assert (order(), order(camera="one more")) == ("ok", "ok"), "what is said of all takes the place of the rest"


@pytest.mark.parametrize("full", [{"overlay": False}, {"min_interval_s": 0}])
def test_settings_take_effect_together_or_not_at_all(full: dict[str, int]) -> None:
    """Where one of them has no room for a further camera, the reply is an error and the others stay as they were."""
    bench = Bench()
    for number in range(MAX_CAMERAS):
        bench.ask("set", json.dumps({"camera": f"camera-{number}", **full}).encode())
    assert bench.ask("set", b'{"camera": "door", "min_interval_s": 1000, "overlay": true}')["status"] == "error"
    assert bench.overrides.apply("door", OutputRequest(), OVERLAY).image("overlay") is None
    for _ in range(2):
        bench.frame_queue.arrive(make_frame("door"))
        assert bench.frame_queue.take(0), "no interval keeps the second frame back"


@pytest.mark.parametrize(
    ("command", "payload", "hint"),
    [
        ("pong", b"", "did you mean ping"),
        ("set", b"{}", "nothing to set"),
        ("ping", b"[1]", "JSON object"),
        ("ping", b"\xff", "not JSON"),
        ("snapshot", b"{}", "camera"),
    ],
)
def test_a_bad_request_is_told_what_would_be_right(command: str, payload: bytes, hint: str) -> None:
    """Unknown commands and bad arguments get an error response, and change nothing."""
    answer = Bench().ask(command, payload)
    assert answer["status"] == "error"
    assert hint in answer["error"]


@pytest.mark.parametrize(("command", "level"), [("pong", "pong"), ("a+b#", "a_b_~")])
def test_an_unknown_command_is_answered_where_it_is_waited_for(command: str, level: str) -> None:
    """On the response topic of its own name, made publishable where it was not."""
    bench = Bench()
    bench.ask(command)
    assert bench.published[0].topic.startswith(f"edge-worker/box-1/response/{level}")


def test_retained_commands_are_ignored() -> None:
    """One left on the broker would be carried out at every connect."""
    bench = Bench()
    assert bench.commands.take(request("restart", retained=True))
    assert (bench.restarts, bench.published) == (0, [])


@pytest.mark.parametrize(
    ("prefix", "asked", "topic"),
    [
        (None, "anywhere", "edge-worker/box-1/response/ping"),
        ("replies/", "replies/me", "replies/me"),
        ("replies/", "elsewhere/me", "edge-worker/box-1/response/ping"),
        ("replies/", "replies/#", "edge-worker/box-1/response/ping"),
        ("replies/", "replies/\ufeff", "edge-worker/box-1/response/ping"),
    ],
)
def test_replies_go_only_where_the_configuration_allows(prefix: str | None, asked: str, topic: str) -> None:
    """A request cannot make the worker publish wherever its rights reach."""
    bench = Bench(response_prefix=prefix)
    bench.ask("ping", response_topic=asked)
    assert bench.published[0].topic == topic


def test_commands_can_be_turned_off() -> None:
    """Then nothing is taken, though a session may remember what an earlier configuration subscribed to."""
    assert not Bench(enabled=False).commands.take(request("ping"))
