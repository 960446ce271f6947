"""Cameras, workers, the DeepStack dialect, health: what is read, and what is passed on."""

from __future__ import annotations

import base64
import http.client
import json
from typing import TYPE_CHECKING, get_args

import pytest
from brokers import wait_until
from gateways import form
from replies import JPEG, PNG, labels_of

from edge_worker.gateway.routes import nodes
from edge_worker.gateway.routes.deepstack import predictions
from edge_worker.messages import COMMANDS, LabelsMessage

if TYPE_CHECKING:
    from gateways import Stack

pytestmark = pytest.mark.mosquitto


@pytest.fixture
def door(stack: Stack) -> Stack:
    """A camera of which a frame and its results have been seen."""
    stack.worker.publish("cameras/door/frame", JPEG)
    stack.worker.publish("parsing/door/colormap", PNG)
    stack.worker.publish("parsing/door/labels", labels_of("door", "f-1").to_json())
    wait_until(lambda: stack.gateway.get("/api/v1/cameras/door/latest/labels.json").status == 200, "it was seen")
    wait_until(lambda: stack.gateway.get("/api/v1/cameras/door/latest/frame.jpg").status == 200, "its frame, too")
    return stack


def test_the_newest_of_a_camera_can_be_fetched(door: Stack) -> None:
    """Frame, map and labels as they were published; an overlay that was not is not found."""
    latest = "/api/v1/cameras/door/latest"
    assert door.gateway.get(f"{latest}/frame.jpg").body == JPEG
    assert door.gateway.get(f"{latest}/colormap.png").headers["content-type"] == "image/png"
    assert door.gateway.get(f"{latest}/labels.json").json()["frame_id"] == "f-1"
    assert door.gateway.get(f"{latest}/overlay.jpg").status == 404
    (camera,) = [one for one in door.gateway.get("/api/v1/cameras").json() if one["camera"] == "door"]
    assert camera["images"] == ["colormap", "frame"]
    assert camera["age_s"] < 10


def test_a_frame_in_an_envelope_is_shown_as_an_image(stack: Stack) -> None:
    """In every form that a worker takes: here URL-safe base64 in a data URL, behind a byte order mark."""
    envelope = json.dumps({"image": "data:image/jpeg;base64," + base64.urlsafe_b64encode(JPEG).decode()})
    stack.worker.publish("cameras/gate/frame", envelope.encode("utf-8-sig"))
    wait_until(lambda: stack.gateway.get("/api/v1/cameras/gate/latest/frame.jpg").body == JPEG, "it is shown")


def test_uploads_are_no_camera(stack: Stack) -> None:
    """What somebody uploads is shown to nobody else."""
    assert stack.gateway.post("/api/v1/parse", JPEG, Content_Type="image/jpeg").status == 200
    assert "web" not in [one["camera"] for one in stack.gateway.get("/api/v1/cameras").json()]


def opened(stack: Stack, path: str) -> http.client.HTTPResponse:
    """A response that goes on; closing it closes the connection."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.gateway.port, timeout=10)
    connection.request("GET", path, headers={"Connection": "close"})
    return connection.getresponse()


def test_events_come_as_they_happen(stack: Stack) -> None:
    """Server-sent events, by kind."""
    with opened(stack, "/api/v1/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.readline() == b"retry: 2000\n"
        stack.worker.publish("parsing/yard/labels", labels_of("yard", "f-2").to_json())
        for line in response:
            if line.startswith(b"data: ") and json.loads(line.removeprefix(b"data: "))["name"] == "yard":
                break
    assert json.loads(line.removeprefix(b"data: "))["frame_id"] == "f-2"


def test_the_stream_shows_each_image(door: Stack) -> None:
    """Motion JPEG, which every browser and recorder shows."""
    with opened(door, "/api/v1/cameras/door/stream.mjpeg") as response:
        assert response.headers["content-type"] == "multipart/x-mixed-replace; boundary=frame"
        assert response.read(9) == b"--frame\r\n"


def test_workers_are_seen_and_commanded(stack: Stack) -> None:
    """Status and model card as published; a command reaches the worker, and its response the client."""
    assert stack.gateway.get("/api/v1/nodes").json()["box"]["status"]["state"] == "online"
    assert stack.gateway.get("/api/v1/nodes/box").json()["model"]["model"]["name"] == "m"
    assert stack.gateway.get("/api/v1/nodes/other").status == 404
    assert [one["name"] for one in stack.gateway.get("/api/v1/palette").json()] == ["Background", "Hat"]
    path = "/api/v1/nodes/box/commands"
    body = json.dumps({"camera": "door"}).encode()
    response = stack.gateway.post(f"{path}/pause", body, Content_Type="application/json").json()
    assert (response["command"], response["status"], response["data"]) == ("pause", "ok", {"camera": "door"})
    assert stack.gateway.post(f"{path}/explode").status == 422
    assert stack.gateway.post("/api/v1/nodes/other/commands/ping").status == 404


def test_every_command_can_be_sent() -> None:
    """The description of the API names them; so it has a list of its own."""
    assert get_args(nodes.Command) == tuple(COMMANDS)


def test_the_dialect_of_deepstack(stack: Stack) -> None:
    """What its clients read is there, under the dialect's names; errors say success: false."""
    body, content_type = form(image=JPEG, min_confidence=b"0.4")
    response = stack.gateway.post("/v1/vision/detection", body, Content_Type=content_type).json()
    assert response["success"] is True
    assert response["predictions"] == []
    assert [type(response[name]) for name in ("inferenceMs", "processMs")] == [int, int]
    wrong, content_type = form(image=JPEG, min_confidence=b"lots")
    refused = stack.gateway.post("/v1/vision/detection", wrong, Content_Type=content_type)
    assert (refused.status, refused.json()["success"]) == (422, False)
    assert stack.gateway.post("/v1/vision/custom/list").json() == {"success": True, "models": []}
    update = stack.gateway.get("/v1/status/updateavailable").json()
    assert (update["updateAvailable"], set(update["version"])) == (False, {"Major", "Minor", "Patch"})


def test_the_type_of_a_form_may_be_written_in_any_letters(stack: Stack) -> None:
    """A media type is the same in capitals (RFC 9110, 8.3.1); one that only begins alike is another."""
    body, content_type = form(image=JPEG)
    for path in ("/api/v1/parse", "/v1/vision/detection"):
        written = content_type.replace("multipart/form-data", "Multipart/Form-Data")
        assert stack.gateway.post(path, body, Content_Type=written).status == 200
        other = content_type.replace("multipart/form-data", "multipart/form-data-2")
        assert stack.gateway.post(path, body, Content_Type=other).status == 415


def test_predictions_are_persons_and_parts_on_a_switch() -> None:
    """Boxes become corners; what scores too little is left out."""
    part = {"id": 2, "name": "Hat", "score": 0.5, "box": [10, 20, 5, 6], "pixels": 9}
    person = {"id": 1, "score": 0.9, "box": [10, 20, 30, 40], "pixels": 99, "parts": [part]}
    labels = LabelsMessage.model_validate({**labels_of("web", "1").to_values(), "persons": [person]})
    (found,) = predictions(labels, 0.4, parts=False)
    assert (found.label, found.x_min, found.y_min, found.x_max, found.y_max) == ("person", 10, 20, 40, 60)
    assert [one.label for one in predictions(labels, 0.4, parts=True)] == ["person", "Hat"]
    assert [one.label for one in predictions(labels, 0.6, parts=True)] == ["person"]


def test_health_and_figures(stack: Stack) -> None:
    """For orchestrators by both names, and for Prometheus."""
    assert stack.gateway.get("/healthz").body == b"ok\n"
    assert {stack.gateway.request("HEAD", path, None).status for path in ("/", "/healthz", "/readyz")} == {200}
    assert stack.gateway.get("/v2/health/live").json() == {"live": True}
    assert stack.gateway.get("/v2/health/ready").json() == {"ready": True}
    figures = stack.gateway.get("/metrics").body.decode()
    assert "edge_worker_gateway_connected 1.0" in figures
    assert 'edge_worker_gateway_responses_total{status="200"}' in figures
    assert "process_resident_memory_bytes" in figures
