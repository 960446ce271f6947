"""The whole worker on real brokers: frames in, results out, and what an operator does to it meanwhile."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from brokers import free_port, wait_until
from links import Client
from workers import IMAGE, START_S, WorkerProcess

from edge_worker.frames.frame import content_id
from edge_worker.imaging import png
from edge_worker.mqtt.paho import properties
from edge_worker.service import app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import paho.mqtt.client as paho
    from brokers import Amqtt, Mosquitto

EVERY = {"cameras": [{"topic": "cameras/{camera}/frame", "delivery": "every"}]}
FRAME = IMAGE.read_bytes()


@pytest.fixture
def make_worker(tmp_path: Path) -> Iterator[Callable[..., WorkerProcess]]:
    """Makes a worker for the broker on a port, with sections of the configuration; it ends with the test."""
    made: list[WorkerProcess] = []

    def make(port: int, **settings: Any) -> WorkerProcess:  # noqa: ANN401 - sections of the configuration
        made.append(WorkerProcess(tmp_path, port, settings))
        return made[-1]

    yield make
    for worker in made:
        worker.__exit__(None, None, None)


def labelled(client: Client) -> list[dict[str, Any]]:
    """The labels messages that *client* has seen."""
    return [json.loads(message.payload) for message in client.messages if message.topic.endswith("/labels")]


def identity_in(image: paho.MQTTMessage) -> str:
    """The frame id written into a PNG."""
    return png.read_text(bytes(image.payload))["frame-id"]


def last(client: Client, topic: str) -> dict[str, Any]:
    """The newest message on *topic*."""
    found = [message for message in client.messages if message.topic == topic]
    content = json.loads(found[-1].payload)
    assert isinstance(content, dict)
    return content


def numbered(count: int) -> list[bytes]:
    """Images that differ: each its own frame id. A PNG reader ignores what comes after the end."""
    return [png.with_text(FRAME, {"number": str(number)}) for number in range(count)]


def wait_for_labels(client: Client, frame_ids: set[str], timeout_s: float = START_S) -> None:
    wait_until(
        lambda: frame_ids <= {labels["frame_id"] for labels in labelled(client)},
        f"all of {len(frame_ids)} frames are answered",
        timeout_s,
    )


def test_a_precision_that_does_not_run_is_an_error_of_the_configuration(
    make_worker: Callable[..., WorkerProcess], mosquitto: Mosquitto
) -> None:
    """Not a restart for ever: exit code 78, file, line, key and remedy on standard error, and on the status topic."""
    worker = make_worker(
        mosquitto.port, model={"path": "builtin:seeded", "engine": "onnxruntime", "precision": "bf16"}
    ).start()
    assert worker.wait() == 78
    lines = worker.configuration.read_text().splitlines()
    line = 1 + next(number for number, text in enumerate(lines) if "precision: bf16" in text)
    said = worker.log_file.read_text().splitlines()[-1]
    assert said.startswith(
        f"{worker.configuration}:{line}: model.precision: precision bf16 is not offered by onnxruntime"
    )
    assert "offered: f32" in said
    with Client(mosquitto.port, "edge-worker/box/status") as late:
        wait_until(lambda: bool(late.messages), "the status is retained")
        status = last(late, "edge-worker/box/status")
    assert (status["state"], status["reason"]) == ("offline", "misconfigured")
    assert "model.precision" in status["detail"]


def send(camera: Client, frames: list[bytes], name: str = "door") -> set[str]:
    """Publish *frames* in QoS 1; returns the frame ids they must be answered with."""
    for frame in frames:
        camera.publish(f"cameras/{name}/frame", frame)
    return {content_id(name, frame) for frame in frames}


@pytest.mark.mosquitto
def test_a_frame_goes_in_and_a_map_and_labels_come_out(
    mosquitto: Mosquitto, make_worker: Callable[..., WorkerProcess]
) -> None:
    """With the frame's identity on all of them, the labels last; all messages name their type; a stop says goodbye."""
    with Client(mosquitto.port, "parsing/#", "edge-worker/#") as consumer:
        worker = make_worker(mosquitto.port).ready()
        (frame_id,) = send(consumer, [FRAME])
        wait_for_labels(consumer, {frame_id})
        results = [message for message in consumer.messages if message.topic.startswith("parsing/")]
        assert [message.topic for message in results] == ["parsing/door/colormap", "parsing/door/labels"]
        assert identity_in(results[0]) == frame_id
        assert dict(properties.incoming(results[0]).properties)["frame-id"] == frame_id
        assert last(consumer, "edge-worker/box/model")["classes"][2]["name"] == "Hair"
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
        wait_until(lambda: last(consumer, "edge-worker/box/status")["state"] == "offline", "the goodbye")
        types = {message.topic: properties.incoming(message).content_type for message in consumer.messages}
        assert types.pop("parsing/door/colormap") == "image/png"
        assert set(types.values()) == {"application/json"}
    with Client(mosquitto.port, "edge-worker/box/status") as late:
        (status,) = late.wait_for(1)
        content = json.loads(status.payload)
        assert (status.retain, content["state"], content["reason"]) == (True, "offline", "stopped")


@pytest.mark.mosquitto
def test_bad_images_get_one_error_each_and_disturb_nobody(
    mosquitto: Mosquitto, make_worker: Callable[..., WorkerProcess]
) -> None:
    """Empty, cut off, no image, broken envelope: a reason for each, then the next frame as ever."""
    bad = [b"", FRAME[:1000], b"no image", b'{"image": "!"}']
    with Client(mosquitto.port, "parsing/#", "edge-worker/#") as consumer:
        make_worker(mosquitto.port, **EVERY).ready()
        send(consumer, bad)
        wait_for_labels(consumer, send(consumer, [FRAME], name="other"))
        errors = [json.loads(m.payload) for m in consumer.messages if m.topic == "parsing/door/error"]
        assert [error["reason"] for error in errors] == ["undecodable", "undecodable", "unsupported", "undecodable"]
        consumer.publish("edge-worker/box/request/stats")
        wait_until(lambda: any("response" in m.topic for m in consumer.messages), "stats are answered")
        total = last(consumer, "edge-worker/box/response/stats")["data"]["total"]
        assert (total["received"], total["processed"], sum(total["rejected"].values())) == (5, 1, 4)


@pytest.mark.mosquitto
def test_kill_9_of_the_worker_loses_no_frame(mosquitto: Mosquitto, make_worker: Callable[..., WorkerProcess]) -> None:
    """``every``: what the broker accepted is answered by the next process."""
    with Client(mosquitto.port, "parsing/#") as consumer:
        worker = make_worker(mosquitto.port, **EVERY).ready()
        frame_ids = send(consumer, numbered(30))
        for answered in (5, 15):
            wait_until(lambda: len(labelled(consumer)) >= answered, f"{answered} frames", START_S)  # noqa: B023
            worker.kill()
            worker.start()
        wait_for_labels(consumer, frame_ids)
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0


@pytest.mark.mosquitto
def test_kill_9_of_the_model_process_loses_no_frame(
    mosquitto: Mosquitto, make_worker: Callable[..., WorkerProcess]
) -> None:
    """The frame it died under is done again; the worker is degraded meanwhile, and online afterwards."""
    with Client(mosquitto.port, "parsing/#") as consumer:
        worker = make_worker(mosquitto.port, **EVERY).ready()
        frame_ids = send(consumer, numbered(20))
        wait_until(lambda: len(labelled(consumer)) >= 5, "5 frames", START_S)
        os.kill(worker.model_pid(), signal.SIGKILL)
        wait_for_labels(consumer, frame_ids)
        wait_until(lambda: worker.states()[-2:] == ["degraded", "online"], "degraded, then online")


@pytest.mark.mosquitto
def test_a_broker_that_is_not_there_yet_is_waited_for(
    make_mosquitto: Callable[..., Mosquitto], make_worker: Callable[..., WorkerProcess]
) -> None:
    """The model loads meanwhile; frames flow as soon as there is a broker."""
    port = free_port()
    worker = make_worker(port, **EVERY).start()
    wait_until(lambda: "degraded" in worker.states(), "the absence is noticed", START_S)
    make_mosquitto(port=port)
    wait_until(lambda: "online" in worker.states(), "online", START_S)
    with Client(port, "parsing/#") as consumer:
        wait_for_labels(consumer, send(consumer, [FRAME]))


@pytest.mark.mosquitto
def test_a_broker_restart_loses_no_frame_and_forgets_no_status(
    mosquitto: Mosquitto, make_worker: Callable[..., WorkerProcess]
) -> None:
    """Frames it had accepted and kept are answered, and status and model card are there again."""
    worker = make_worker(mosquitto.port, **EVERY).ready()
    with Client(mosquitto.port) as camera:
        frame_ids = send(camera, numbered(20))
    mosquitto.stop()
    wait_until(lambda: worker.states()[-1] == "degraded", "the absence is noticed")
    mosquitto.start()
    with Client(mosquitto.port, "parsing/#", "edge-worker/#", client_id="consumer") as consumer:
        wait_until(lambda: worker.states()[-1] == "online", "online again")
        answered = {line["frame_id"] for line in worker.log() if line["event"] == "frame"}
        wait_for_labels(consumer, frame_ids - answered)
        assert last(consumer, "edge-worker/box/status")["state"] in {"degraded", "online"}
        assert last(consumer, "edge-worker/box/model")["classes"]


@pytest.mark.mosquitto
def test_a_broker_that_takes_only_small_messages_is_lived_with(
    make_mosquitto: Callable[..., Mosquitto], make_worker: Callable[..., WorkerProcess]
) -> None:
    """The model card does not fit and is left out, with a word in the log; frames are answered."""
    broker = make_mosquitto("max_packet_size 1000")
    with Client(broker.port, "parsing/#") as consumer:
        worker = make_worker(broker.port, **EVERY).ready()
        consumer.publish("cameras/door/frame", b"no image")
        (error,) = consumer.wait_for(1)
        assert json.loads(error.payload)["reason"] == "unsupported"
        assert any(line.get("topic") == "edge-worker/box/model" for line in worker.log() if line["level"] == "warning")
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0


@pytest.mark.mosquitto
def test_a_lost_session_is_said_and_outlived(
    tmp_path: Path, mosquitto: Mosquitto, make_worker: Callable[..., WorkerProcess]
) -> None:
    """The broker was killed and its store is gone: subscriptions are made again, and the loss is in the log."""
    worker = make_worker(mosquitto.port, **EVERY).ready()
    mosquitto.kill()
    (tmp_path / "mosquitto.db").unlink(missing_ok=True)
    wait_until(lambda: worker.states()[-1] == "degraded", "the absence is noticed")
    mosquitto.start()
    wait_until(lambda: worker.states()[-1] == "online", "online again")
    with Client(mosquitto.port, "parsing/#") as consumer:
        wait_for_labels(consumer, send(consumer, [FRAME]))
    assert any(line["event"] == "link: session lost" for line in worker.log())


@pytest.mark.mosquitto
def test_a_stop_answers_the_frame_in_work(mosquitto: Mosquitto, make_worker: Callable[..., WorkerProcess]) -> None:
    """SIGTERM mid-frame: answered and acknowledged, so not done again after the next start; the rest waits."""
    with Client(mosquitto.port, "parsing/#") as consumer:
        worker = make_worker(mosquitto.port, **EVERY).ready()
        frame_ids = send(consumer, numbered(20))
        wait_until(lambda: len(labelled(consumer)) >= 3, "3 frames", START_S)
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
        worker.start()
        wait_for_labels(consumer, frame_ids)
        answers = [labels["frame_id"] for labels in labelled(consumer)]
        assert sorted(answers) == sorted(set(answers))


SHARED = {"cameras": [{**EVERY["cameras"][0], "share_group": "parsers"}]}
OTHER_MEMBER = "$share/parsers/cameras/+/frame"


@pytest.mark.mosquitto
def test_a_stop_leaves_the_share_group(mosquitto: Mosquitto, make_worker: Callable[..., WorkerProcess]) -> None:
    """All new frames go to the other members, and the status says so; after the next start it is a member again."""
    with Client(mosquitto.port, "edge-worker/box/status") as watcher:
        worker = make_worker(mosquitto.port, **SHARED).ready()
        with Client(mosquitto.port, OTHER_MEMBER) as other:
            worker.signal(signal.SIGTERM)
            assert worker.wait() == 0
            send(watcher, numbered(20))
            other.wait_for(20)
            wait_until(lambda: last(watcher, "edge-worker/box/status")["state"] == "offline", "offline")
            assert "left share group parsers" in last(watcher, "edge-worker/box/status")["detail"]
            worker.ready()
            send(watcher, numbered(20))
            other.wait_for(30)
        assert len(other.messages) == 30


@pytest.mark.mosquitto
def test_a_restart_keeps_the_share_group(mosquitto: Mosquitto, make_worker: Callable[..., WorkerProcess]) -> None:
    """After SIGUSR1 the worker's part of the frames waits for it: a group with no other member loses nothing."""
    with Client(mosquitto.port, "parsing/#", "edge-worker/box/status") as consumer:
        worker = make_worker(mosquitto.port, **SHARED).ready()
        worker.signal(signal.SIGUSR1)
        assert worker.wait() == 0
        frame_ids = send(consumer, numbered(5))
        assert "still a member of share group parsers" in last(consumer, "edge-worker/box/status")["detail"]
        worker.start()
        wait_for_labels(consumer, frame_ids)


@pytest.mark.mosquitto
def test_frames_that_are_all_too_old_are_said(mosquitto: Mosquitto, make_worker: Callable[..., WorkerProcess]) -> None:
    """A camera whose clock is behind gets neither results nor errors; the log names it, and the account the reason."""
    with Client(mosquitto.port, "edge-worker/box/stats") as consumer:
        worker = make_worker(mosquitto.port, ops={"stats_interval_s": 1.0}).ready()
        an_hour_ago = datetime.fromtimestamp(time.time() - 3600, UTC).isoformat()
        image = base64.b64encode(FRAME).decode()
        consumer.publish("cameras/door/frame", json.dumps({"image": image, "captured_at": an_hour_ago}).encode())
        wait_until(lambda: "door" in {line.get("camera") for line in worker.log()}, "a word in the log", START_S)
        wait_until(lambda: any(b'"too_old":1' in message.payload for message in consumer.messages), "the account")


@pytest.mark.mosquitto
def test_a_reload_applies_what_can_be_applied(mosquitto: Mosquitto, make_worker: Callable[..., WorkerProcess]) -> None:
    """SIGHUP: the overlay is published from now on; a new node id waits for a restart, and both are said."""
    with Client(mosquitto.port, "parsing/#") as consumer:
        worker = make_worker(mosquitto.port).ready()
        text = worker.configuration.read_text()
        worker.configuration.write_text(text.replace("id: box", "id: crate") + "output: {overlay: {enabled: true}}\n")
        worker.signal(signal.SIGHUP)
        wait_until(lambda: any(line["event"] == "configuration reloaded" for line in worker.log()), "the reload")
        send(consumer, [FRAME])
        wait_until(lambda: any(m.topic == "parsing/door/overlay" for m in consumer.messages), "an overlay", START_S)
        (said,) = [line for line in worker.log() if line["event"] == "configuration reloaded"]
        assert (said["applied"], said["needs_restart"]) == (["output.overlay.enabled"], ["node.id"])


def test_the_service_manager_hears_when_the_worker_is_ready(tmp_path: Path) -> None:
    """Not before: a reload while the model loads is done without it, and asks for the time that loading takes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(START_S)
        with WorkerProcess(tmp_path, free_port(), {}, {"NOTIFY_SOCKET": str(tmp_path / "notify")}).start() as worker:
            wait_until(worker.states, "it is loading", START_S)
            worker.signal(signal.SIGHUP)
            heard = hear(manager, "READY")
            assert "EXTEND_TIMEOUT_USEC" in heard
            assert "RELOADING" not in heard
            wait_until(lambda: any(line["event"] == "configuration reloaded" for line in worker.log()), "the reload")
            worker.signal(signal.SIGHUP)
            assert "RELOADING" in hear(manager, "READY")
            worker.signal(signal.SIGTERM)
            hear(manager, "STOPPING")
            assert worker.wait() == 0


def hear(manager: socket.socket, last: str) -> list[str]:
    """The variables that a worker sets up to *last*."""
    heard: list[str] = []
    while last not in heard:
        heard += [line.partition("=")[0] for line in manager.recv(4096).decode().splitlines()]
    return heard


@pytest.mark.mosquitto
def test_a_stop_does_not_wait_for_a_broker_that_is_gone(
    mosquitto: Mosquitto, make_worker: Callable[..., WorkerProcess]
) -> None:
    """Answers that nobody can confirm are given up after a moment; the frames are redelivered one day."""
    worker = make_worker(mosquitto.port, **EVERY).ready()
    model = worker.model_pid()
    os.kill(model, signal.SIGSTOP)
    with Client(mosquitto.port) as camera:
        send(camera, [FRAME])
    wait_until(lambda: "Sending PUBLISH to edge-worker-box-every" in mosquitto.log(), "the frame is under way")
    mosquitto.kill()
    os.kill(model, signal.SIGCONT)
    wait_until(lambda: any(line["event"] == "frame" for line in worker.log()), "the frame is parsed", START_S)
    began = time.monotonic()
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert time.monotonic() - began < app.STOP_S / 2


def test_a_broker_that_speaks_only_3_1_1_is_served(amqtt: Amqtt, make_worker: Callable[..., WorkerProcess]) -> None:
    """The worker falls back by itself; the PNG tells whose map it is."""
    mqtt = {"host": "127.0.0.1", "port": amqtt.port, "connack_timeout_s": 1.0}  # amqtt leaves MQTT 5 unanswered
    worker = make_worker(amqtt.port, mqtt=mqtt).ready()
    with Client(amqtt.port, "parsing/#", v5=False) as consumer:
        (frame_id,) = send(consumer, [FRAME])
        wait_for_labels(consumer, {frame_id})
        colormap = next(m for m in consumer.messages if m.topic == "parsing/door/colormap")
        assert identity_in(colormap) == frame_id
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
