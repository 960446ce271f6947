from __future__ import annotations

import json
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import commands
import pytest
from brokers import wait_until
from links import Client
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from replies import JPEG, PNG, error_of, labels_of

from edge_worker.common.errors import EdgeWorkerError
from edge_worker.config import Config
from edge_worker.imaging import png
from edge_worker.messages import LabelMessage
from edge_worker.tools.watch import Results, error_line, line

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from brokers import Amqtt, Mosquitto


def frame_property(frame_id: str) -> Properties:
    """The user property by which an image names its frame."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.UserProperty = ("frame-id", frame_id)
    return properties


@contextmanager
def watching(port: int, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run ``edge-worker watch --save`` until the block ends."""
    with running(port, "--save", folder) as watch:
        yield watch


@contextmanager
def running(port: int, *options: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Run ``edge-worker watch`` until the block ends; it has subscribed when that begins."""
    place = ("--host", "127.0.0.1", "--port", str(port))
    with commands.start("watch", *options, *place, EDGE_WORKER__MQTT__CONNACK_TIMEOUT_S="1") as watch:
        try:
            assert watch.stderr
            assert any("subscribed" in said for said in watch.stderr)
            yield watch
        finally:
            watch.send_signal(signal.SIGTERM)


def saved(folder: Path) -> dict[str, bytes]:
    """The files without the numbers they begin with."""
    return {file.name.split(".", 1)[1]: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.mosquitto
def test_results_of_a_frame_are_saved_together(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """Over MQTT 5: map, overlay and labels of each frame, and a line for it; the watch ends well on SIGTERM."""
    with Client(mosquitto.port) as worker, watching(mosquitto.port, tmp_path / "out") as watch:
        worker.publish("parsing/door/colormap", PNG, properties=frame_property("f1"))
        worker.publish("parsing/door/overlay", JPEG, properties=frame_property("f1"))
        worker.publish("parsing/door/labels", labels_of("door", "f1").to_json())
        wait_until(lambda: len(list((tmp_path / "out").glob("*.labels.json"))) == 1, "the labels are saved")
        watch.send_signal(signal.SIGTERM)
        output, _ = watch.communicate(timeout=15)
    assert saved(tmp_path / "out") == {
        "door.f1.colormap.png": PNG,
        "door.f1.overlay.jpg": JPEG,
        "door.f1.labels.json": labels_of("door", "f1").to_json(),
    }
    assert "door f1 2x2 0 persons" in output
    assert watch.returncode == 0


def test_results_are_joined_without_properties_too(tmp_path: Path, amqtt: Amqtt) -> None:
    """Over MQTT 3.1.1 the map is known by the text in the PNG, and the overlay by its place before the labels."""
    named = png.with_text(PNG, {"frame-id": "f1"})
    with Client(amqtt.port, v5=False) as worker, watching(amqtt.port, tmp_path / "out"):
        worker.publish("parsing/door/overlay", JPEG)
        worker.publish("parsing/door/colormap", named)
        worker.publish("parsing/door/labels", labels_of("door", "f1").to_json())
        wait_until(lambda: len(list((tmp_path / "out").iterdir())) == 3, "three files are saved")
    assert saved(tmp_path / "out").keys() == {"door.f1.colormap.png", "door.f1.overlay.jpg", "door.f1.labels.json"}


@pytest.mark.mosquitto
def test_json_lines_of_one_camera(mosquitto: Mosquitto) -> None:
    """Labels and errors of the camera that was named, each a line, there as soon as it came, whatever the encoding."""
    with Client(mosquitto.port) as worker, running(mosquitto.port, "--json", "--camera", "döor") as watch:
        assert watch.stdout
        worker.publish("parsing/gate/labels", labels_of("gate", "f0").to_json())
        worker.publish("parsing/döor/labels", labels_of("döor", "f1").to_json())
        first = watch.stdout.readline()
        worker.publish("parsing/döor/error", error_of("döor", "f2", detail="cut\noff").to_json())
        second = watch.stdout.readline()
        watch.send_signal(signal.SIGTERM)
        rest, _ = watch.communicate(timeout=15)
    assert (watch.returncode, rest) == (0, "")
    assert first.isascii()
    assert json.loads(first) == json.loads(labels_of("döor", "f1").to_json())
    assert json.loads(second) == json.loads(error_of("döor", "f2", detail="cut\noff").to_json())


@pytest.mark.mosquitto
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_reader_that_goes_ends_the_watch_quietly(mosquitto: Mosquitto, options: tuple[str, ...]) -> None:
    """`watch | head -1`: after the first line nothing more comes, and the watch ends all the same, as by SIGPIPE."""
    with Client(mosquitto.port) as worker, running(mosquitto.port, *options) as watch:
        assert watch.stdout
        worker.publish("parsing/door/labels", labels_of("door", "f1").to_json())
        assert "f1" in watch.stdout.readline()
        watch.stdout.close()
        assert watch.wait(15) == 128 + signal.SIGPIPE
        assert watch.stderr
        assert watch.stderr.read() == ""


@pytest.mark.mosquitto
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_line_that_nobody_reads_ends_the_watch_quietly(mosquitto: Mosquitto, options: tuple[str, ...]) -> None:
    """The same where the reader went while lines were coming."""
    with Client(mosquitto.port) as worker, running(mosquitto.port, *options) as watch:
        assert watch.stdout
        watch.stdout.close()
        worker.publish("parsing/door/labels", labels_of("door", "f1").to_json())
        assert watch.wait(15) == 128 + signal.SIGPIPE
        assert watch.stderr
        assert watch.stderr.read() == ""


@pytest.mark.parametrize("name", ["", "a/b", "+", "#"])
def test_a_name_that_is_no_camera_s_is_refused(name: str) -> None:
    """A wildcard would show others."""
    config = Config.model_validate({"mqtt": {"host": "localhost"}}, strict=False)
    with pytest.raises(EdgeWorkerError, match="camera's name"):
        Results(config, on_result=lambda _: None, on_error=lambda _: None, camera=name)


def test_every_result_topic_is_subscribed_to_once() -> None:
    """Cameras with topics of their own are watched, too; shared topics are not subscribed to twice."""
    cameras = [{"topic": "a/{camera}"}, {"topic": "b/{camera}", "outputs": {"labels": {"topic": "own/{camera}"}}}]
    config = Config.model_validate({"mqtt": {"host": "localhost"}, "cameras": cameras}, strict=False)
    results = Results(config, on_result=lambda _: None, on_error=lambda _: None)
    filters = sorted(subscription.filter for subscription in results.subscriptions)
    kinds = ("colormap", "crop/+", "error", "labels", "overlay")
    assert filters == ["own/+", *(f"parsing/+/{kind}" for kind in kinds)]


def test_watch_without_labels_is_refused() -> None:
    """Labels tell which images belong to a frame; without them there would be nothing but silence."""
    ended = commands.run("watch", "--host", "127.0.0.1", EDGE_WORKER__OUTPUT__LABELS__ENABLED="false")
    assert ended.returncode == 78
    assert "output.labels.enabled" in ended.stderr


def test_line_says_what_was_found() -> None:
    """Persons are counted, and the largest classes named."""
    coat = LabelMessage(id=7, name="Coat", color="#ff910d", pixels=1, fraction=0.25, score=0.9, box=(0, 0, 1, 1))
    found = labels_of("door", "f1").model_copy(update={"labels": (coat,)})
    assert line(found).plain == "00:00:00.000 door f1 2x2 0 persons ■ Coat 25.0% 5 ms"


def test_lines_cannot_steer_the_terminal() -> None:
    """Names come over the wire: escape sequences and line ends are not passed on."""
    hostile = labels_of("door\x1b[2J\n", "f\r1")
    assert line(hostile).plain.startswith("00:00:00.000 door?[2J? f?1 ")
    error = error_of("c", "f", detail="\x1b]0;title\x07")
    assert error_line(error).plain == "00:00:00.000 c f undecodable: ?]0;title?"
