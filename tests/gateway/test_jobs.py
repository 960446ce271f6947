"""Jobs: taken at once, answered in time, kept over a power cut, bounded in everything."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import zipfile
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from brokers import wait_until
from gateways import GatewayProcess, form
from replies import JPEG, PNG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gateways import Response, Stack

JOBS = "/api/v1/jobs"
pytestmark = pytest.mark.mosquitto


def photos(count: int) -> list[bytes]:
    """So many images that can be told apart."""
    return [JPEG + bytes([number]) for number in range(count)]


def post(gateway: GatewayProcess, images: list[bytes], query: str = "") -> Response:
    body, content_type = form(images=images)
    return gateway.post(JOBS + query, body, Content_Type=content_type)


def done(gateway: GatewayProcess, location: str) -> dict[str, Any]:
    """Wait until each image is answered; returns the job's description."""
    wait_until(lambda: gateway.get(location).json()["state"] == "done", "the job is done")
    description: dict[str, Any] = gateway.get(location).json()
    return description


@pytest.fixture(scope="module")
def gateway(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that parses one image at a time besides those of jobs."""
    keys = {"max_in_flight": 1, "requests_per_minute": 60_000}
    with GatewayProcess(tmp_path_factory.mktemp("patient"), stack.broker.port, gateway=keys) as gateway:
        yield gateway.online()


@pytest.fixture(autouse=True)
def _usual_worker(stack: Stack) -> Iterator[None]:
    yield
    stack.worker.answer, stack.worker.patience = "labels", float("inf")
    stack.worker.say("online")


def test_a_job_is_taken_at_once_and_answered_in_time(stack: Stack) -> None:
    """202 with its place; there the state, each image's files, and all of them as a ZIP; deleted, it is gone."""
    taken = post(stack.gateway, photos(3), "?include=overlay")
    location = taken.headers["location"]
    job = done(stack.gateway, location)
    assert (taken.status, taken.json()["total"], taken.json()["images"][0]["filename"]) == (202, 3, "f")
    assert (job["parsed"], job["failed"]) == (3, 0)
    assert job["images"][2]["files"] == ["labels.json", "colormap.png", "overlay.jpg"]
    assert stack.gateway.get(f"{location}/images/3/colormap.png").body == PNG
    assert stack.gateway.get(f"{location}/images/3/labels.json").json()["schema"] == "edge-worker.labels/1"
    with zipfile.ZipFile(io.BytesIO(stack.gateway.get(f"{location}/results.zip").body)) as archive:
        assert archive.testzip() is None
        assert json.loads(archive.read("job.json"))["parsed"] == 3
        assert archive.read("0002/overlay.jpg").startswith(b"\xff\xd8\xff")
        assert len(archive.namelist()) == 1 + 3 * 3
    assert stack.gateway.request("DELETE", location, None).status == 204
    assert stack.gateway.get(location).status == stack.gateway.request("DELETE", location, None).status == 404
    assert not list(stack.gateway.state.glob("gateway-jobs/*/"))


def test_what_touches_the_disk_is_the_owners_alone(stack: Stack) -> None:
    """Folders 0700, files 0600; an image stays no longer than it waits."""
    job = done(stack.gateway, post(stack.gateway, photos(1)).headers["location"])
    places = [stack.gateway.state / "gateway-jobs", *(stack.gateway.state / "gateway-jobs").rglob("*")]
    rights = {stat.S_IMODE(place.stat().st_mode) for place in places if place.is_file()}
    assert rights == {0o600}
    assert {stat.S_IMODE(place.stat().st_mode) for place in places if place.is_dir()} == {0o700}
    assert {place.name for place in places if place.parent.name == job["id"]} == {"1.labels.json", "1.colormap.png"}


def test_a_job_survives_a_power_cut(stack: Stack, gateway: GatewayProcess) -> None:
    """Killed in the midst of it, the gateway goes on at its next start, and has nothing parsed that was answered."""
    stack.worker.requests.clear()
    stack.worker.patience = 3
    location = post(gateway, photos(8)).headers["location"]
    wait_until(lambda: gateway.get(location).json()["parsed"] == 3, "three are answered")
    wait_until(lambda: len(stack.worker.requests) == 5, "two more are in work")
    answered = {one["number"] for one in gateway.get(location).json()["images"] if one["state"] == "parsed"}
    gateway.kill()
    stack.worker.patience = float("inf")
    job = done(gateway.start().online(), location)
    asked = Counter(message.payload for message in stack.worker.requests)
    assert job["parsed"] == 8
    assert all(gateway.get(f"{location}/images/{number}/colormap.png").body == PNG for number in range(1, 9))
    assert [asked[photo] for number, photo in enumerate(photos(8), 1) if number in answered] == [1, 1, 1]
    assert sum(asked.values()) == 8 + 2


def test_a_job_waits_for_a_worker(stack: Stack, gateway: GatewayProcess) -> None:
    """It is taken while no worker is online, though nobody could parse an image now."""
    stack.worker.say("offline", reason="lost")
    wait_until(lambda: gateway.get("/readyz").status == 503, "the worker has gone")
    location = post(gateway, photos(2)).headers["location"]
    assert gateway.get(location).json()["state"] == "running"
    stack.worker.say("online")
    assert done(gateway, location)["parsed"] == 2


def test_nobody_else_has_to_wait_for_a_job(stack: Stack, gateway: GatewayProcess) -> None:
    """While workers sit on a job's images, others are parsed; at most two of the job are with them."""
    stack.worker.requests.clear()
    stack.worker.patience = 0
    location = post(gateway, photos(20)).headers["location"]
    wait_until(lambda: len(stack.worker.requests) == 2, "two are in work")
    stack.worker.patience = 1
    assert gateway.post("/api/v1/parse", JPEG, Content_Type="image/jpeg").status == 200
    assert len(stack.worker.requests) == 3
    assert {message.topic for message in stack.worker.requests[:2]} == {"requests/jobs/frame"}
    assert gateway.request("DELETE", location, None).status == 204


def test_one_bad_image_fails_alone(stack: Stack) -> None:
    """Its reason is the worker's; a cancelled job is asked for no more."""
    stack.worker.answer = "undecodable"
    job = done(stack.gateway, post(stack.gateway, photos(1)).headers["location"])
    assert (job["failed"], job["images"][0]["reason"]) == (1, "undecodable")


@pytest.mark.parametrize(
    ("body", "content_type", "status", "reason"),
    [
        (*form(images=[JPEG, b""]), 400, "bad_request"),
        (*form(other=JPEG), 400, "bad_request"),
        (form(images=[JPEG])[0][:-9], "multipart/form-data; boundary=b", 400, "bad_request"),
        (*form(images=[JPEG] * 4), 413, "too_big"),
        (*form(images=[bytes(1_000_001)]), 413, "too_big"),
        (*form(images=[bytes(900_000)] * 3), 413, "too_big"),
        (b"", "image/jpeg", 400, "bad_request"),
        (b"{}", "application/json", 415, "unsupported"),
    ],
    ids=["empty", "none", "cut", "many", "large", "too-much", "nothing", "json"],
)
def test_what_is_not_taken_leaves_nothing(
    bounded: GatewayProcess, body: bytes, content_type: str, status: int, reason: str
) -> None:
    """Each limit has its answer, and no file stays."""
    response = bounded.post(JOBS, body, Content_Type=content_type)
    assert (response.status, response.json()["reason"]) == (status, reason)
    assert not list(bounded.state.glob("gateway-jobs/*/"))


@pytest.fixture(scope="module")
def bounded(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that takes two jobs, 3 images and 2 MB, and keeps them for 2 s."""
    jobs = {"max_jobs": 2, "max_images": 3, "max_mb": 2.0, "keep_s": 2.0}
    keys = {"gateway": {"jobs": jobs, "requests_per_minute": 60_000}, "limits": {"max_payload_mb": 1.0}}
    with GatewayProcess(tmp_path_factory.mktemp("bounded"), stack.broker.port, **keys) as gateway:
        yield gateway.online()


def test_jobs_are_bounded_in_bytes(stack: Stack, bounded: GatewayProcess) -> None:
    """What waits takes room; another job has to wait until there is some."""
    stack.worker.patience = 0
    location = post(bounded, [bytes(900_000)] * 2).headers["location"]
    refused = post(bounded, [bytes(900_000)])
    assert (refused.status, refused.json()["reason"]) == (429, "too_many_requests")
    assert bounded.request("DELETE", location, None).status == 204
    again = post(bounded, [bytes(900_000)])
    assert again.status == 202
    assert bounded.request("DELETE", again.headers["location"], None).status == 204


def test_jobs_are_bounded_in_number_and_expire(bounded: GatewayProcess) -> None:
    """Past their number they are refused, until one is deleted or its time has come."""
    locations = [post(bounded, photos(1)).headers["location"] for _ in range(2)]
    refused = post(bounded, photos(1))
    assert (refused.status, refused.headers["retry-after"]) == (429, "60")
    wait_until(lambda: bounded.get(locations[0]).status == 404, "the job expires")
    wait_until(lambda: not list(bounded.state.glob("gateway-jobs/*/")), "and all that is of it")
    assert post(bounded, photos(1)).status == 202


def test_one_directory_has_one_gateway(stack: Stack, make_gateway: Callable[..., GatewayProcess]) -> None:
    """A second one says so, and serves everything else."""
    second = make_gateway()
    second.kill()
    second.state = stack.gateway.state
    second.start().online()
    refused = post(second, photos(1))
    assert (refused.status, refused.json()["reason"]) == (503, "no_storage")
    assert "another gateway uses the directory" in refused.json()["detail"]
    assert "gateway jobs" in second.log_file.read_text()
    assert second.post("/api/v1/parse", JPEG, Content_Type="image/jpeg").status == 200


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], check=False)
    if mounted.returncode != 0:
        pytest.skip("no right to mount a file system")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def fill(disk: Path) -> None:
    """Leave no byte free."""
    filler = os.open(disk / "filler", os.O_CREAT | os.O_WRONLY)
    with suppress(OSError):
        while True:
            os.write(filler, bytes(1024))
    os.close(filler)


def test_a_full_disk_harms_nothing_else(
    stack: Stack, make_gateway: Callable[..., GatewayProcess], small_disk: Path
) -> None:
    """A job that does not fit is refused and leaves nothing; those there are can be read, and deleted to make room."""
    gateway = make_gateway()
    gateway.kill()
    gateway.state = small_disk / "state"
    gateway.start().online()
    location = post(gateway, photos(1)).headers["location"]
    done(gateway, location)
    stack.worker.patience = 0
    waiting = post(gateway, [bytes(100_000)]).headers["location"]
    fill(small_disk)
    for images in (photos(1), [bytes(100_000)] * 20):
        refused = post(gateway, images)
        assert (refused.status, refused.json()["reason"]) == (503, "no_storage")
    assert gateway.get(f"{location}/images/1/colormap.png").body == PNG
    stack.worker.patience = float("inf")
    assert gateway.post("/api/v1/parse", JPEG, Content_Type="image/jpeg").status == 200
    assert gateway.request("DELETE", waiting, None).status == 204
    assert done(gateway, post(gateway, photos(1)).headers["location"])["parsed"] == 1


def test_jobs_can_be_switched_off(make_gateway: Callable[..., GatewayProcess]) -> None:
    """And then nothing is on disk."""
    gateway = make_gateway(jobs={"max_jobs": 0}).ready()
    assert post(gateway, photos(1)).status == gateway.get(f"{JOBS}/{'0' * 32}").status == 403
    assert not gateway.state.exists()
