"""An image by HTTP: every kind of body and of result, and an error for everything that can go wrong."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from brokers import Amqtt, wait_until
from gateways import GatewayProcess, form, seconds_of
from replies import JPEG, PNG

from edge_worker.gateway.problems import Problem
from edge_worker.gateway.routes.parse import negotiated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gateways import Response, Stack

PARSE = "/api/v1/parse"


@pytest.fixture(autouse=True)
def _usual_worker(stack: Stack) -> Iterator[None]:
    yield
    stack.worker.answer = "labels"
    stack.worker.say("online")
    wait_until(lambda: stack.gateway.get("/readyz").status == 200, "the worker is online again")


def envelope(image: bytes) -> bytes:
    return json.dumps({"image": base64.b64encode(image).decode()}).encode()


@pytest.mark.mosquitto
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (JPEG, "image/jpeg"),
        form(image=JPEG),
        (envelope(JPEG), "application/json"),
        (b"\xef\xbb\xbf" + envelope(JPEG).replace(b"/9j/", b"_9j_"), "application/json"),
    ],
    ids=["image", "form", "json", "json-url-safe"],
)
def test_an_image_is_taken_in_every_documented_form(stack: Stack, body: bytes, content_type: str) -> None:
    """The worker gets the same bytes, and the client labels with the map."""
    seen = len(stack.worker.requests)
    response = stack.gateway.post(PARSE, body, Content_Type=content_type)
    assert response.status == 200
    assert base64.b64decode(response.json()["colormap"]) == PNG
    assert response.json()["schema"] == "edge-worker.labels/1"
    assert stack.worker.requests[seen].payload == JPEG


@pytest.mark.mosquitto
def test_accept_chooses_the_result(stack: Stack) -> None:
    """Labels, map or overlay; what there is not is refused before anything is parsed."""
    seen = len(stack.worker.requests)
    png = stack.gateway.post(PARSE, JPEG, Content_Type="image/jpeg", Accept="image/png")
    jpeg = stack.gateway.post(PARSE, JPEG, Content_Type="image/jpeg", Accept="text/html, image/jpeg;q=0.9")
    refused = stack.gateway.post(PARSE, JPEG, Content_Type="image/jpeg", Accept="text/html")
    assert (png.body, png.headers["content-type"]) == (PNG, "image/png")
    assert (jpeg.body, jpeg.headers["content-type"]) == (b"\xff\xd8\xff-overlay", "image/jpeg")
    assert refused.status == 406
    assert len(stack.worker.requests) == seen + 2


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("*/*", "application/json"),
        ("", None),
        ("image/*", "image/png"),
        ("IMAGE/JPEG", "image/jpeg"),
        ("image/png;q=0.5, image/jpeg", "image/jpeg"),
        ("image/jpeg, application/json", "image/jpeg"),
        ("application/json;q=0, */*", "image/png"),
        ("image/*, image/png;q=0", "image/jpeg"),
        ("*/*;q=0.1, image/jpeg;q=0.05", "application/json"),
        ("text/html, */*;q=0", None),
        (";;,,q=", None),
        ("image/png;q=much", None),
        ("image/png;q=nan, image/jpeg;q=0.1", "image/jpeg"),
        ("image/png;q=inf", None),
    ],
)
def test_the_closest_range_of_accept_counts(accept: str, chosen: str | None) -> None:
    """As RFC 9110 has it: a range that names a type more closely takes precedence, a quality of 0 excludes it."""
    if chosen is None:
        with pytest.raises(Problem):
            negotiated(accept)
    else:
        assert negotiated(accept) == chosen


@pytest.mark.mosquitto
def test_what_is_asked_for_reaches_the_worker(stack: Stack) -> None:
    """Overlay, masks and threshold, and how long anybody waits."""
    response = stack.gateway.post(
        f"{PARSE}?include=overlay,masks&score_threshold=0.25&model=requests", JPEG, Content_Type="image/jpeg"
    )
    properties: Any = stack.worker.requests[-1].properties
    wishes = dict(properties.UserProperty)
    assert base64.b64decode(response.json()["overlay"]) == b"\xff\xd8\xff-overlay"
    assert (wishes["outputs"], wishes["masks"], wishes["score-threshold"]) == ("colormap,overlay", "rle", "0.25")
    assert 1 <= properties.MessageExpiryInterval <= 3
    assert properties.ResponseTopic.startswith("replies/")


@pytest.mark.mosquitto
@pytest.mark.parametrize(
    ("path", "body", "content_type", "expected"),
    [
        (PARSE, b"", "image/jpeg", (400, "bad_request")),
        (PARSE, b"{", "application/json", (400, "bad_request")),
        (PARSE, b'{"image": "%%%"}', "application/json", (400, "bad_request")),
        (PARSE, b'{"image": 7}', "application/json", (400, "bad_request")),
        (PARSE, *form(picture=JPEG), (400, "bad_request")),
        (PARSE, *form(images=[JPEG, JPEG]), (400, "bad_request")),
        (PARSE, b"not a form", "multipart/form-data; boundary=b", (400, "bad_request")),
        (PARSE, JPEG, "multipart/form-data", (400, "bad_request")),
        (PARSE, JPEG, "text/plain", (415, "unsupported")),
        (f"{PARSE}?score_threshold=2", JPEG, "image/jpeg", (422, "invalid")),
        (f"{PARSE}?score_threshold=nan", JPEG, "image/jpeg", (422, "invalid")),
        (f"{PARSE}?include=crops", JPEG, "image/jpeg", (422, "invalid")),
        (f"{PARSE}?model=other", JPEG, "image/jpeg", (422, "invalid")),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(
    stack: Stack, path: str, body: bytes, content_type: str, expected: tuple[int, str]
) -> None:
    """By status and reason for programs, detail for people; no worker sees it."""
    seen = len(stack.worker.requests)
    response = stack.gateway.post(path, body, Content_Type=content_type)
    problem(response, *expected)
    assert len(stack.worker.requests) == seen


@pytest.mark.mosquitto
def test_names_in_a_form_may_hold_anything(stack: Stack) -> None:
    """Letters outside Latin-1, in a part that nobody asked for, are no defect."""
    body, content_type = form(strange=b"1", image=JPEG)
    body = body.replace(b"strange", "\U000f1985 å".encode())
    assert stack.gateway.post(PARSE, body, Content_Type=content_type).status == 200


def problem(response: Response, status: int, reason: str) -> None:
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status, response.json()["reason"]) == (status, reason)
    assert response.json()["detail"]


@pytest.mark.mosquitto
@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("too_big", 413),
        ("too_many_pixels", 413),
        ("unsupported", 415),
        ("undecodable", 422),
        ("poisoned", 422),
        ("model_error", 500),
    ],
)
def test_the_workers_reasons_are_passed_on(stack: Stack, reason: str, status: int) -> None:
    """Each with the status that says whose fault it is."""
    stack.worker.answer = reason
    problem(stack.gateway.post(PARSE, JPEG, Content_Type="image/jpeg"), status, reason)


@pytest.mark.mosquitto
def test_a_result_that_does_not_come_is_given_up(stack: Stack) -> None:
    """504 after the timeout, and the gateway serves on."""
    stack.worker.answer = "nothing"
    problem(stack.gateway.post(PARSE, JPEG, Content_Type="image/jpeg"), 504, "timeout")
    stack.worker.answer = "labels"
    assert stack.gateway.post(PARSE, JPEG, Content_Type="image/jpeg").status == 200


@pytest.mark.mosquitto
def test_without_a_worker_that_is_said_at_once(stack: Stack) -> None:
    """From the retained status: 503 with Retry-After, and not after the timeout."""
    stack.worker.say("offline", reason="stopped")
    wait_until(lambda: stack.gateway.get("/readyz").status == 503, "the gateway has heard it")
    responses: list[Response] = []
    assert seconds_of(lambda: responses.append(stack.gateway.post(PARSE, JPEG, Content_Type="image/jpeg"))) < 1.0
    problem(responses[0], 503, "no_worker")
    assert responses[0].headers["retry-after"] == "5"


@pytest.mark.mosquitto
def test_a_model_that_no_worker_serves_is_told_at_once(stack: Stack) -> None:
    """Workers of others may be online: the broker says that nobody subscribes to the topic of this one."""
    stack.worker.leave()
    problem(stack.gateway.post(PARSE, JPEG, Content_Type="image/jpeg"), 503, "no_worker")
    stack.worker.join()
    assert stack.gateway.post(PARSE, JPEG, Content_Type="image/jpeg").status == 200


@pytest.mark.mosquitto
def test_a_broker_without_mqtt_5_is_refused(tmp_path: Path) -> None:
    """It has no Response Topic: that is said at once, and the gateway stays."""
    with ExitStack() as stopping:
        port = stopping.enter_context(Amqtt()).port
        mqtt = {"host": "127.0.0.1", "port": port, "connack_timeout_s": 1.0, "reconnect": {"min_s": 0.1}}
        gateway = stopping.enter_context(GatewayProcess(tmp_path, port, mqtt=mqtt)).ready()
        for response in (gateway.get("/readyz"), gateway.post(PARSE, JPEG, Content_Type="image/jpeg")):
            problem(response, 503, "no_broker")
            assert "MQTT 5" in response.json()["detail"]


@pytest.mark.mosquitto
def test_more_than_may_be_in_flight_are_refused(stack: Stack, make_gateway: Callable[..., GatewayProcess]) -> None:
    """429 with Retry-After; those in flight are not disturbed."""
    stack.worker.answer = "nothing"
    gateway = make_gateway(max_in_flight=2).online()
    seen = len(stack.worker.requests)
    with ThreadPoolExecutor(2) as clients:
        held = [clients.submit(gateway.post, PARSE, JPEG, Content_Type="image/jpeg") for _ in range(2)]
        wait_until(lambda: len(stack.worker.requests) == seen + 2, "two are in flight")
        refused = [gateway.post(PARSE, JPEG, Content_Type="image/jpeg") for _ in range(3)]
        stack.worker.answer = "labels"
        stack.worker.say("offline", reason="lost")  # what it held is sent once more
        assert [one.result().status for one in held] == [200, 200]
    for response in refused:
        problem(response, 429, "too_many_requests")
        assert response.headers["retry-after"] == "1"


@pytest.mark.mosquitto
def test_what_a_lost_worker_held_is_sent_once_more(stack: Stack) -> None:
    """Its requests went with it; another worker gets them, and the client its result."""
    stack.worker.answer = "nothing"
    seen = len(stack.worker.requests)
    with ThreadPoolExecutor(1) as client:
        response = client.submit(lambda: stack.gateway.post(PARSE, JPEG, Content_Type="image/jpeg"))
        wait_until(lambda: len(stack.worker.requests) > seen, "the request is in flight")
        stack.worker.answer = "labels"
        stack.worker.say("offline", reason="lost")
        assert response.result().status == 200
    first, second = stack.worker.requests[seen:]
    ids = [dict(_properties(one).UserProperty)["frame-id"] for one in (first, second)]
    assert ids[0] == ids[1]


def _properties(message: Any) -> Any:  # noqa: ANN401 - paho's properties have no types
    return message.properties
