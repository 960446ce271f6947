"""The real Home Assistant, from PyPI, sees a real worker on a real broker. ``make home-assistant`` installs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from brokers import free_port, wait_until
from links import Client
from workers import IMAGE, WorkerProcess

from edge_worker.common import log_events
from edge_worker.integrations.home_assistant.announcer import MAX_CAMERAS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from brokers import Mosquitto

PYTHON = Path(os.environ.get("HOME_ASSISTANT_VENV", Path(__file__).parents[3] / ".venv-home-assistant")) / "bin/python"
ODD_NAME = 'höf {{ 7 * 7 }} "1"'
WAIT_S = 60.0
pytestmark = [
    pytest.mark.mosquitto,
    pytest.mark.skipif(not PYTHON.exists(), reason="Home Assistant is not installed: make home-assistant"),
]


class HomeAssistantProcess:
    """A Home Assistant that is asked for its states, and told to call services."""

    def __init__(self, directory: Path, port: int) -> None:
        self._directory, self._port = directory, port
        directory.mkdir(exist_ok=True)

    def ask(self, service: str = "", entity: str = "", **data: Any) -> dict[str, Any]:  # noqa: ANN401 - of the service
        """Call *service*, if one is named, and return what Home Assistant knows then."""
        order = {"service": service, "entity": entity, "data": data} if service else {}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer
        return dict(answer)

    def state(self, entity: str) -> str | None:
        """The state of *entity*; None where there is none."""
        found = self.ask()["states"].get(entity)
        return None if found is None else str(found["state"])

    def wait_for(self, entity: str, state: str) -> None:
        """Wait until *entity* is in *state*."""
        wait_until(lambda: self.state(entity) == state, f"{entity} is {state}", WAIT_S)

    def wait_for_devices(self, *names: str) -> None:
        """Wait until there are devices of these *names* and no others."""
        wait_until(lambda: self.ask()["devices"].keys() == set(names), f"the devices {names}", WAIT_S)

    def restart(self) -> None:
        """End it as its service manager does, with time to write things down, and start it anew."""
        self._process.communicate()
        self.__enter__()
        self.ask()  # answered when it has started

    def log(self) -> str:
        """What it has logged: warnings and worse."""
        return (self._directory / "home-assistant.log").read_text()

    def __enter__(self) -> Self:
        script = Path(__file__).with_name("real_home_assistant.py")
        with (self._directory / "home-assistant.log").open("ab") as log:
            self._process = subprocess.Popen(
                [PYTHON, script, self._directory, str(self._port), str(free_port())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def home_assistant(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[HomeAssistantProcess]:
    """A running one, with its own directory."""
    with HomeAssistantProcess(tmp_path / "home-assistant", mosquitto.port) as process:
        yield process


@pytest.fixture
def worker(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[WorkerProcess]:
    """A worker that announces itself."""
    settings = {
        "ops": {"stats_interval_s": 1},
        "integrations": {"home_assistant": {"enabled": True, "parts": ["Hair"]}},
    }
    with WorkerProcess(tmp_path, mosquitto.port, settings) as process:
        yield process


def test_home_assistant_shows_and_commands_a_worker(
    mosquitto: Mosquitto, home_assistant: HomeAssistantProcess, worker: WorkerProcess
) -> None:
    """Entities exist, follow the frames, command the worker, and become unavailable when it is killed."""
    worker.ready()
    with Client(mosquitto.port) as camera:
        for name in ("door", ODD_NAME):
            camera.publish(f"cameras/{name}/frame", IMAGE.read_bytes())
        home_assistant.wait_for("switch.door_pause", "off")  # by then Home Assistant has subscribed to what it shows
        camera.publish("cameras/door/frame", IMAGE.read_bytes() + b" ")
        home_assistant.wait_for("sensor.door_persons", "1")
        home_assistant.wait_for("binary_sensor.door_occupancy", "on")
        home_assistant.wait_for("sensor.edge_worker_box_state", "online")
        home_assistant.wait_for("binary_sensor.edge_worker_box_problem", "off")
        devices = home_assistant.ask()["devices"]
        assert devices == {"edge-worker box": None, "door": "edge-worker box", ODD_NAME: "edge-worker box"}

        home_assistant.ask("switch.turn_on", "switch.door_pause")
        home_assistant.wait_for("switch.door_pause", "on")
        camera.publish("cameras/door/frame", IMAGE.read_bytes())
        home_assistant.wait_for("sensor.door_dropped_frames", "1")
        home_assistant.ask("switch.turn_off", "switch.door_pause")
        home_assistant.wait_for("switch.door_pause", "off")

        home_assistant.ask("number.set_value", "number.door_score_threshold", value=0.25)
        home_assistant.wait_for("number.door_score_threshold", "0.25")
        home_assistant.ask("number.set_value", "number.hof_7_7_1_minimum_interval", value=0.5)
        home_assistant.wait_for("number.hof_7_7_1_minimum_interval", "0.5")
        home_assistant.ask("switch.turn_on", "switch.hof_7_7_1_overlay")
        home_assistant.wait_for("switch.hof_7_7_1_overlay", "on")
        home_assistant.ask("button.press", "button.door_snapshot")
        home_assistant.ask("button.press", "button.edge_worker_box_restart_model")
        commands = ["set", "set", "set", "set", "set", "snapshot", "restart"]
        wait_until(
            lambda: [line["command"] for line in worker.log() if line["event"] == "command"] == commands, "the commands"
        )
        assert all(line["status"] == "ok" for line in worker.log() if line["event"] == "command")

        camera.publish("cameras/door/frame", b"no image")
        wait_until(
            lambda: home_assistant.ask()["states"]["event.door_frames_without_result"].get("event_type") == "rejected",
            "the event",
            WAIT_S,
        )
    worker.kill()
    home_assistant.wait_for("sensor.door_persons", "unavailable")
    states = home_assistant.ask()["states"]
    assert {state["state"] for state in states.values()} == {"unavailable"}
    worker.ready()
    home_assistant.wait_for("sensor.edge_worker_box_state", "online")
    assert states.keys() >= {"camera.door_overlay", "image.door_map"}
    assert not [line for line in home_assistant.log().splitlines() if "edge_worker" in line or "edge-worker" in line]


def test_what_was_announced_outlives_restarts(
    mosquitto: Mosquitto, home_assistant: HomeAssistantProcess, worker: WorkerProcess
) -> None:
    """Of the broker, which makes everything unavailable for a while, and of Home Assistant."""
    worker.ready()
    with Client(mosquitto.port) as camera:
        camera.publish("cameras/door/frame", IMAGE.read_bytes())
        home_assistant.wait_for("switch.door_pause", "off")
        mosquitto.stop()
        home_assistant.wait_for("switch.door_pause", "unavailable")
        mosquitto.start()
        home_assistant.wait_for("switch.door_pause", "off")
        home_assistant.ask("switch.turn_on", "switch.door_pause")
        home_assistant.wait_for("switch.door_pause", "on")
        home_assistant.restart()
        home_assistant.wait_for("switch.door_pause", "on")
        home_assistant.ask("switch.turn_off", "switch.door_pause")
        home_assistant.wait_for("switch.door_pause", "off")


def test_a_camera_is_removed_on_request_and_by_configuration(
    mosquitto: Mosquitto, home_assistant: HomeAssistantProcess, worker: WorkerProcess
) -> None:
    """With all its entities; and everything when the integration is turned off."""
    worker.ready()
    with Client(mosquitto.port) as operator:
        for name in ("door", "gate", "yard"):
            operator.publish(f"cameras/{name}/frame", IMAGE.read_bytes())
            home_assistant.wait_for(f"switch.{name}_pause", "off")
        operator.publish("edge-worker/box/request/forget", b'{"camera": "gate"}')
        home_assistant.wait_for_devices("edge-worker box", "door", "yard")
        settings = yaml.safe_load(worker.configuration.read_text())
        settings["integrations"]["home_assistant"]["cameras"] = ["door"]
        worker.configure(settings)
        worker.signal(signal.SIGHUP)
        home_assistant.wait_for_devices("edge-worker box", "door")
        assert not [entity for entity in home_assistant.ask()["states"] if "gate" in entity or "yard" in entity]
        worker.kill()
        settings["integrations"]["home_assistant"]["enabled"] = False
        worker.configure(settings)
        worker.ready()
        home_assistant.wait_for_devices()
        assert home_assistant.ask()["entities"] == 0


def test_of_more_cameras_than_are_announced_the_log_says_so(
    mosquitto: Mosquitto, home_assistant: HomeAssistantProcess, worker: WorkerProcess
) -> None:
    """Once; Home Assistant has the first hundred."""
    worker.ready()
    with Client(mosquitto.port) as cameras:
        for number in range(MAX_CAMERAS + 20):
            cameras.publish(f"cameras/c{number}/frame", b"no image")
    wait_until(lambda: len(home_assistant.ask()["devices"]) == 1 + MAX_CAMERAS, "a hundred devices", WAIT_S)
    said = [line for line in worker.log() if line["event"] == log_events.HOME_ASSISTANT_FULL]
    assert [line["cameras"] for line in said] == [MAX_CAMERAS]
    assert worker.states()[-1] == "online"
