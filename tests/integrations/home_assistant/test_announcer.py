"""When Home Assistant is told of what; without a broker, and with a clock that the test moves."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from samples import make_incoming
from structlog.testing import capture_logs

from edge_worker.common import log_events
from edge_worker.config import Config
from edge_worker.integrations.home_assistant import HomeAssistant, Memory, announcer
from edge_worker.integrations.home_assistant.announcer import MAX_CAMERAS, QUIET_S, SeenCamera
from edge_worker.integrations.home_assistant.memory import Announced
from edge_worker.messages import CameraSettings

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.mqtt.message import Outgoing

NODE = "homeassistant/device/edge_worker_box/config"
SETTINGS = "edge-worker/box/settings"


def config(**home_assistant: Any) -> Config:  # noqa: ANN401 - keys of the section
    values = {
        "node": {"id": "box"},
        "mqtt": {"host": "127.0.0.1"},
        "integrations": {"home_assistant": {"enabled": True, **home_assistant}},
    }
    return Config.model_validate_json(json.dumps(values))


def seen(name: str, received: int = 1, **settings: Any) -> SeenCamera:  # noqa: ANN401 - of CameraSettings
    return SeenCamera(
        name, 0, received, CameraSettings(**{"paused": False, "min_interval_s": 0, "overlay": False} | settings)
    )


class Bench:
    """An announcer that is connected, with what it published."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, directory: Path, **home_assistant: Any) -> None:  # noqa: ANN401
        self.now = 1000.0
        monkeypatch.setattr(announcer, "time", SimpleNamespace(monotonic=lambda: self.now))
        self._directory = directory
        self._published: list[Outgoing] = []
        self.start(**home_assistant)

    def start(self, **home_assistant: Any) -> None:  # noqa: ANN401 - keys of the section
        """Start anew, with what the last run left on disk."""
        memory = Memory.load(self._directory)
        self.announcer = HomeAssistant(config(**home_assistant), memory, self._published.append)
        self.announcer.connected()

    def look(self, *cameras: SeenCamera, paused: bool = False) -> dict[str, Any]:
        """Have a look; returns what was published, by topic."""
        self._published.clear()
        self.announcer.publish_due(cameras, paused=paused)
        assert all(message.retain for message in self._published)
        return {one.topic: json.loads(one.payload) if one.payload else None for one in self._published}

    def later(self) -> None:
        """Let the quiet time pass."""
        self.now += QUIET_S + 1

    def birth(self, payload: bytes = b"online", *, retained: bool = False) -> bool:
        """Have Home Assistant say that it has started."""
        return self.announcer.take(make_incoming("homeassistant/status", payload, retained=retained))


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    return Bench(monkeypatch, tmp_path)


def camera_topics(said: dict[str, Any]) -> list[str]:
    return [topic for topic in said if topic not in {NODE, SETTINGS}]


def test_devices_are_announced_once_and_settings_when_they_change(bench: Bench) -> None:
    """The worker at once, a camera when first seen; nothing is said twice."""
    assert bench.look().keys() == {NODE, SETTINGS}
    said = bench.look(seen("door"))
    assert len(camera_topics(said)) == 1
    assert said[SETTINGS]["cameras"] == {"door": {"paused": False, "min_interval_s": 0, "overlay": False}}
    assert bench.look(seen("door", 2)) == {}
    assert bench.look(seen("door", 3, paused=True))[SETTINGS]["cameras"]["door"]["paused"] is True
    assert bench.look(seen("door", 3, paused=True), paused=True)[SETTINGS]["paused"] is True


def test_nothing_is_said_before_the_broker_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Messages would wait in memory for a broker that refuses this client."""
    bench = Bench(monkeypatch, tmp_path)
    bench.announcer = HomeAssistant(config(), Memory(), bench._published.append)
    assert bench.look(seen("door")) == {}


def test_all_is_said_again_when_home_assistant_starts_but_not_twice_in_quick_succession(bench: Bench) -> None:
    """Its birth message asks for it; a second within seconds is answered once the quiet time is over."""
    everything = bench.look(seen("door"))
    assert bench.birth()
    assert bench.look(seen("door")) == {}
    bench.later()
    assert bench.look(seen("door")) == everything
    assert bench.look(seen("door")) == {}
    bench.later()
    assert bench.birth()
    assert bench.birth()
    assert bench.look(seen("door")) == everything
    assert bench.look(seen("door")) == {}


def test_other_words_of_home_assistant_ask_for_nothing(bench: Bench) -> None:
    """Its end, an old word that the broker kept, and a message elsewhere."""
    bench.look()
    bench.later()
    assert bench.birth(b"offline")
    assert bench.birth(retained=True)
    assert bench.look() == {}


def test_thousands_of_cameras_are_bounded_and_the_log_says_so_once(bench: Bench) -> None:
    """Names are the senders' to invent; those that were first stay, and there is room again for one forgotten."""
    many = [seen(f"camera {number}") for number in range(2000)]
    with capture_logs() as logs:
        said = bench.look(*many)
        bench.look(*many)
    assert len(camera_topics(said)) == len(said[SETTINGS]["cameras"]) == MAX_CAMERAS
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == [log_events.HOME_ASSISTANT_FULL]
    assert bench.announcer.forget("camera 0")
    assert len(camera_topics(bench.look(*many))) == 1


def test_a_forgotten_camera_is_removed_until_it_sends_again(bench: Bench) -> None:
    """An empty message removes the device; what is not there cannot be forgotten."""
    (topic,) = camera_topics(bench.look(seen("door", 5)))
    bench._published.clear()
    assert bench.announcer.forget("door")
    assert [(one.topic, one.payload) for one in bench._published] == [(topic, b"")]
    assert bench.look(seen("door", 5)) == {SETTINGS: {**_settings(), "cameras": {}}}
    assert not bench.announcer.forget("door")
    assert topic in bench.look(seen("door", 6))


def _settings() -> dict[str, Any]:
    return {"schema": "edge-worker.settings/1", "node": "box", "paused": False}


def test_a_camera_left_out_of_the_configuration_is_removed(bench: Bench) -> None:
    """At a reload, without a restart."""
    said = bench.look(seen("door"), seen("gate"))
    door, gate = camera_topics(said)
    bench.announcer.apply(config(cameras=["door"]))
    assert bench.look(seen("door"), seen("gate"))[gate] is None
    bench.later()
    assert camera_topics(bench.look(seen("door"), seen("gate"))) == [door]


def test_a_part_left_out_is_taken_back_once_and_then_not_mentioned(bench: Bench) -> None:
    """By its platform alone, which is how Home Assistant is told; by the next message it is forgotten."""
    bench.announcer.apply(config(parts=["Hat"]))
    (topic,) = camera_topics(bench.look(seen("door")))
    bench.announcer.apply(config())
    bench.later()
    assert bench.look(seen("door"))[topic]["components"]["part_Hat"] == {"platform": "sensor"}
    bench.later()
    assert "part_Hat" not in bench.look(seen("door"))[topic]["components"]


@pytest.mark.parametrize("change", [{"enabled": False}, {"prefix": "elsewhere"}])
def test_a_later_run_takes_back_what_an_earlier_one_announced(bench: Bench, change: dict[str, Any]) -> None:
    """Turned off, or with another prefix: empty messages on the topics from before; then nothing is left to do."""
    before = bench.look(seen("door")).keys() - {SETTINGS}
    bench.start(**change)
    said = bench.look(seen("door"))
    assert {topic for topic, payload in said.items() if payload is None} == before | (
        {SETTINGS} if change == {"enabled": False} else set()
    )
    bench.start(enabled=False, **{key: value for key, value in change.items() if key != "enabled"})
    bench.look()
    bench.start(enabled=False)
    assert not bench.announcer.wanted


def test_off_it_wants_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither a link, nor a file, nor a word."""
    bench = Bench(monkeypatch, tmp_path, enabled=False)
    assert not bench.announcer.wanted
    assert bench.look(seen("door")) == {}
    assert not bench.birth()
    assert not [*tmp_path.iterdir()]


def test_without_commands_there_are_no_settings_to_show(bench: Bench) -> None:
    """Nobody could change them."""
    off = config().model_copy(update={"commands": config().commands.model_copy(update={"enabled": False})})
    bench.announcer.apply(off)
    assert SETTINGS not in bench.look(seen("door"))


def test_parts_that_the_model_does_not_know_are_named(bench: Bench) -> None:
    """With the names that it has."""
    bench.announcer.apply(config(parts=["Hat", "Hta"]))
    with capture_logs() as logs:
        bench.announcer.check_parts(["Hat", "Face"])
    (line,) = logs
    assert (line["event"], line["part"], line["classes"]) == (log_events.HOME_ASSISTANT_PART, "Hta", ("Hat", "Face"))


@pytest.mark.parametrize("content", [b"", b"{", b'{"devices": {"a": 1}}', b"\xff\xfe"])
def test_a_damaged_memory_costs_a_warning(tmp_path: Path, content: bytes) -> None:
    """And no more: everything is announced anew."""
    (tmp_path / "home-assistant.json").write_bytes(content)
    with capture_logs() as logs:
        memory = Memory.load(tmp_path)
    assert memory.devices == {}
    assert [line["event"] for line in logs] == [log_events.HOME_ASSISTANT_MEMORY]


def test_a_topic_that_the_disk_altered_is_never_published_to(tmp_path: Path) -> None:
    """What was announced by it is forgotten, and what is sound is not."""
    memory = Memory.load(tmp_path)
    memory.devices |= {f"homeassistant/device/{name}/config": Announced(camera=name, platforms={}) for name in "ab"}
    memory.save()
    file = tmp_path / "home-assistant.json"
    file.write_text(file.read_text().replace("device/a/config", "device/z/config"))
    with capture_logs() as logs:
        assert list(Memory.load(tmp_path).devices) == ["homeassistant/device/b/config"]
    assert [line["event"] for line in logs] == [log_events.HOME_ASSISTANT_MEMORY]


def test_a_memory_that_cannot_be_written_costs_a_warning(tmp_path: Path) -> None:
    """The worker goes on."""
    file = tmp_path / "no folder"
    file.touch()
    with capture_logs() as logs:
        Memory(file / "below").save()
        Memory(None).save()
    assert [line["event"] for line in logs] == [log_events.HOME_ASSISTANT_MEMORY]
