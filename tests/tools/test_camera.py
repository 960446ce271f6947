from __future__ import annotations

import re
import signal
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from typing import TYPE_CHECKING, Any

import commands
import pytest
from brokers import PUBLISH, FakeBroker, Peer, wait_until
from images import encoded, photo
from links import Client
from refusing_broker import RefusingBroker
from replies import JPEG

from edge_worker.common.errors import EdgeWorkerError
from edge_worker.tools import camera
from edge_worker.tools.camera import MAX_IN_FLIGHT, paced, repeated
from edge_worker.tools.sources import Shot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from brokers import Mosquitto

SHOTS = [Shot(bytes([number]), "image/jpeg", float(number)) for number in range(4)]


class Clock:
    """A clock that stands still but for sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class ThreeShots:
    """A source with as many shots per pass as it is told."""

    fps = 1.0

    def __init__(self, count: int = 3) -> None:
        self._count = count

    def shots(self, fps: float) -> Iterator[Shot]:  # noqa: ARG002
        yield from SHOTS[: self._count]


def test_shots_are_spread_over_time() -> None:
    """Four frames at 2 frames/s: 0, 0.5, 1 and 1.5 s after the beginning."""
    clock = Clock()
    times = [clock.now - 100.0 for _ in paced(iter(SHOTS), 2.0, clock, clock.sleep)]
    assert times == [0.0, 0.5, 1.0, 1.5]


def test_a_late_shot_is_not_made_up_for_by_a_burst() -> None:
    """After a stall of two seconds frames go on at their rate."""
    clock, times = Clock(), []
    for shot in paced(iter(SHOTS), 2.0, clock, clock.sleep):
        times.append(clock.now - 100.0)
        if shot is SHOTS[1]:
            clock.sleep(2.0)
    assert times == [0.0, 0.5, 2.5, 3.0]


def test_a_shot_is_taken_when_its_time_has_come() -> None:
    """What is published is fresh: no frame of a live stream waits for its turn."""
    clock = Clock()

    def stream() -> Iterator[Shot]:
        while True:
            yield Shot(b"", "image/jpeg", clock.now)

    for shot in islice(paced(stream(), 0.5, clock, clock.sleep), 3):
        assert shot.captured_at == clock.now


def test_files_are_repeated_only_if_asked() -> None:
    """Without loop a source ends; with loop it begins again."""
    assert list(repeated(ThreeShots(), 1.0, loop=False)) == SHOTS[:3]
    assert list(islice(repeated(ThreeShots(), 1.0, loop=True), 5)) == [*SHOTS[:3], *SHOTS[:2]]


def test_an_empty_source_is_not_repeated_for_ever() -> None:
    """A source that gives nothing any more ends the loop with an error."""
    with pytest.raises(EdgeWorkerError, match="no more frames"):
        list(repeated(ThreeShots(0), 1.0, loop=True))


@pytest.mark.mosquitto
def test_images_reach_the_broker_with_id_and_time(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """Over MQTT 5 a frame carries its id, time and content type; with QoS 1 all have arrived when the camera ends."""
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(JPEG + bytes([number]))
    with Client(mosquitto.port, "cameras/+/frame") as client:
        options = (
            "--camera",
            "door",
            "--fps",
            "50",
            "--qos",
            "1",
            "--host",
            "127.0.0.1",
            "--port",
            str(mosquitto.port),
        )
        ended = commands.run("camera", tmp_path, *options)
        messages = client.wait_for(3)
    assert ended.returncode == 0
    assert "3 frames published" in ended.stderr
    assert [message.payload[-1] for message in messages] == [0, 1, 2]
    assert {message.topic for message in messages} == {"cameras/door/frame"}
    described: list[Any] = [message.properties for message in messages]
    assert {properties.ContentType for properties in described} == {"image/jpeg"}
    named = [dict(properties.UserProperty) for properties in described]
    assert len({sent["frame-id"] for sent in named}) == 3
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]{12}Z", sent["captured-at"]) for sent in named)


@pytest.mark.mosquitto
def test_camera_ends_when_told(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """SIGTERM ends an endless camera as Ctrl-C does: with a goodbye and exit code 0."""
    (tmp_path / "a.jpg").write_bytes(JPEG)
    with Client(mosquitto.port, "cameras/+/frame") as client:
        options = ("--loop", "--fps", "20", "--host", "127.0.0.1", "--port", str(mosquitto.port))
        with commands.start("camera", tmp_path / "a.jpg", *options) as running:
            client.wait_for(3)
            running.send_signal(signal.SIGTERM)
            _, errors = running.communicate(timeout=15)
    assert running.returncode == 0
    assert "frames published" in errors


@pytest.mark.mosquitto
def test_each_section_of_the_configuration_can_be_reached(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """--topic takes that of any section, as it stands there; the QoS is the section's. Others are warned of."""
    (tmp_path / "a.jpg").write_bytes(JPEG)
    sections = "cameras: [{topic: 'cameras/{camera}/frame'}, {topic: 'archive/{camera}/frame', delivery: every}]"
    file = tmp_path / "edge_worker.yaml"
    file.write_text(f"mqtt: {{host: 127.0.0.1, port: {mosquitto.port}}}\n{sections}\n", encoding="utf-8")
    with Client(mosquitto.port, "#") as client:
        options = ("camera", tmp_path / "a.jpg", "-c", file, "--camera", "gate", "--topic")
        ended = [commands.run(*options, topic) for topic in ("archive/{camera}/frame", "elsewhere/x")]
        messages = client.wait_for(2)
    assert [one.returncode for one in ended] == [0, 0]
    assert [(message.topic, message.qos) for message in messages] == [("archive/gate/frame", 1), ("elsewhere/x", 0)]
    warned = [one.stderr.count("warning: no section of `cameras` takes elsewhere/x") for one in ended]
    assert warned == [0, 1]


@pytest.mark.parametrize("topic", ["a/+", "", "{camera}/{camera}", "{person}/x", "x{camera}", "$SYS/x"])
def test_what_cannot_be_published_to_is_refused(topic: str) -> None:
    """Before anything is published."""
    with pytest.raises(EdgeWorkerError, match="--topic: "):
        camera._topic(topic, "door", "box")


@pytest.mark.parametrize("qos", ["0", "1"])
@pytest.mark.parametrize("reason", [0x87, 0])
def test_a_broker_that_hangs_up_over_frames_ends_the_camera(tmp_path: Path, qos: str, reason: int) -> None:
    """Brokers that end the connection over a forbidden frame: the topic is named, and nothing goes on for ever."""
    (tmp_path / "a.jpg").write_bytes(JPEG)
    with RefusingBroker(denied="cameras/#", reason=reason) as broker:
        options = ("--loop", "--fps", "20", "--qos", qos, "--host", "127.0.0.1", "--port", str(broker.port))
        ended = commands.run("camera", tmp_path / "a.jpg", *options, EDGE_WORKER__MQTT__RECONNECT="{min_s: 0.05}")
    assert ended.returncode == 1
    assert re.search("publishing to cameras/camera/frame .*is refused", ended.stderr.splitlines()[-1])


@pytest.mark.mosquitto
def test_a_frame_that_the_broker_refuses_is_said(tmp_path: Path, make_mosquitto: Callable[..., Mosquitto]) -> None:
    """With QoS 1 the broker tells that we have no right to the topic: the camera ends and says so."""
    (tmp_path / "a.jpg").write_bytes(JPEG)
    (tmp_path / "acl").write_text("topic read #\n", encoding="ascii")
    (tmp_path / "acl").chmod(0o644)
    broker = make_mosquitto(f"acl_file {tmp_path / 'acl'}")
    options = ("--qos", "1", "--host", "127.0.0.1", "--port", str(broker.port))
    ended = commands.run("camera", tmp_path / "a.jpg", *options)
    assert ended.returncode == 1
    assert (
        "publishing to cameras/camera/frame (Not authorized) is refused: see the broker's access list" in ended.stderr
    )


@pytest.mark.mosquitto
def test_refused_login_ends_the_camera(tmp_path: Path, make_mosquitto: Callable[..., Mosquitto]) -> None:
    """A broker that will not let us in is named, with exit code 1."""
    (tmp_path / "a.jpg").write_bytes(JPEG)
    broker = make_mosquitto("allow_anonymous false")
    ended = commands.run("camera", tmp_path / "a.jpg", "--host", "127.0.0.1", "--port", str(broker.port))
    assert ended.returncode == 1
    assert f"127.0.0.1:{broker.port}" in ended.stderr
    assert "Traceback" not in ended.stderr


class _Mjpeg(BaseHTTPRequestHandler):
    """A camera over HTTP, which never ends its answer."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace;boundary=frame")
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(
                    b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + encoded(photo(64, 48), "JPEG") + b"\r\n"
                )
                time.sleep(0.05)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.mark.mosquitto
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_stream_that_is_stopped_ends_well_and_tells_no_password(mosquitto: Mosquitto, end: signal.Signals) -> None:
    """Exit code 0 with native code in the middle of a read, no noise of OpenCV's, and the login masked."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Mjpeg)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://admin:s3cret@127.0.0.1:{server.server_address[1]}/"
    with Client(mosquitto.port, "cameras/#") as viewer:
        arguments = ("camera", address, "--camera", "door", "--host", "127.0.0.1")
        with commands.start(*arguments, EDGE_WORKER__MQTT__PORT=str(mosquitto.port)) as running:
            try:
                viewer.wait_for(3)
                running.send_signal(end)
                said = running.communicate(timeout=30)[1]
            finally:
                running.kill()  # else a failure here would wait for it for ever
    server.shutdown()
    server.server_close()
    assert running.returncode == 0, said
    assert "s3cret" not in said
    assert "http://***@127.0.0.1" in said
    assert "frames published" in said


def test_a_broker_that_acknowledges_nothing_does_not_keep_a_camera_from_ending(tmp_path: Path) -> None:
    """It waits for the broker, until it is told to end."""
    (tmp_path / "a.jpg").write_bytes(JPEG)

    def take_all_acknowledge_none(peer: Peer) -> None:
        peer.accept()
        broker.hold(peer)

    def waits() -> bool:
        """Whether as many frames are under way as may be; the next one comes within a millisecond, and waits."""
        return [first & 0xF0 for peer in broker.peers for first, _ in peer.packets].count(PUBLISH) == MAX_IN_FLIGHT

    options = ("--loop", "--fps", "1000", "--qos", "1", "--host", "127.0.0.1")
    with (
        FakeBroker(take_all_acknowledge_none) as broker,
        commands.start("camera", tmp_path / "a.jpg", *options, "--port", str(broker.port)) as running,
    ):
        try:
            wait_until(waits, "it waits for the broker", commands.LIMIT_S)
            running.send_signal(signal.SIGTERM)
            _, errors = running.communicate(timeout=30)
        finally:
            running.kill()
    assert running.returncode == 0, errors
    assert errors.endswith("0 frames published\n")


@pytest.mark.mosquitto
def test_why_nothing_is_published_is_said_while_trying(mosquitto: Mosquitto) -> None:
    """A stream that cannot be reached is named with the reason, long before it is given up."""
    expected = "rtsp://***@127.0.0.1:1/: it cannot be reached: Connection refused. Trying again for up to 600 s"
    arguments = ("camera", "rtsp://admin:s3cret@127.0.0.1:1/", "--timeout", "600", "--host", "127.0.0.1")
    with commands.start(*arguments, EDGE_WORKER__MQTT__PORT=str(mosquitto.port)) as running:
        try:
            assert running.stderr is not None
            assert any(line.rstrip() == expected for line in running.stderr)
        finally:
            running.kill()
