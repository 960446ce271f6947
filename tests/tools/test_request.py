from __future__ import annotations

import json
from typing import TYPE_CHECKING

import commands
import pytest
from links import Client
from refusing_broker import RefusingBroker
from workers import WorkerProcess

from edge_worker.cli import clients
from edge_worker.common.errors import EdgeWorkerError
from edge_worker.messages import COMMANDS
from edge_worker.tools.request import arguments_of

if TYPE_CHECKING:
    from pathlib import Path

    from brokers import Mosquitto


def test_every_command_is_offered() -> None:
    """What the command line takes is what a worker knows."""
    assert tuple(COMMANDS) == clients.COMMANDS


def test_arguments_are_json_or_text() -> None:
    """Numbers and truth values need no quotes, names none either."""
    pairs = arguments_of(["camera=door", "overlay=true", "min_interval_s=0.5", 'note="1"'])
    assert pairs == {"camera": "door", "overlay": True, "min_interval_s": 0.5, "note": "1"}
    with pytest.raises(EdgeWorkerError, match="KEY=VALUE"):
        arguments_of(["door"])


@pytest.mark.mosquitto
def test_a_worker_answers(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """The answer is printed as a line of JSON; one that is an error fails, with the reason on standard error."""
    with WorkerProcess(tmp_path, mosquitto.port, {}) as worker:
        worker.ready()
        options = ("--node", "box", "--host", "127.0.0.1", "--port", str(mosquitto.port))
        done = commands.run("request", "set", "camera=door", "overlay=true", *options)
        asked = commands.run("request", "stats", *options)
        failed = commands.run("request", "snapshot", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["status"] == "ok"
    assert json.loads(asked.stdout)["data"]["node"] == "box"
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == "camera: is required\n"


@pytest.mark.mosquitto
def test_only_the_answer_to_this_request_counts(mosquitto: Mosquitto) -> None:
    """Another's answer on the same topic is passed over; an error of the worker's is exit code 1."""
    with Client(mosquitto.port, "edge-worker/box/request/#") as worker:
        options = ("--node", "box", "--host", "127.0.0.1", "--port", str(mosquitto.port))
        with commands.start("request", "restart", *options) as request:
            (asked,) = worker.wait_for(1)
            answer = {"node": "box", "command": "restart", "status": "ok", "published_at": "2026-01-31T12:00:00.000Z"}
            worker.publish("edge-worker/box/response/restart", json.dumps({**answer, "transaction": "other"}).encode())
            ours = {**answer, **json.loads(asked.payload), "status": "error", "error": "not now"}
            worker.publish("edge-worker/box/response/restart", json.dumps(ours).encode())
            output, errors = request.communicate(timeout=15)
    assert json.loads(output) == {"schema": "edge-worker.response/1", **ours}
    assert (request.returncode, errors) == (1, "box: not now\n")


@pytest.mark.mosquitto
def test_no_answer_is_a_failure(mosquitto: Mosquitto) -> None:
    """It says whom it asked, and what to look for."""
    options = ("--node", "box", "--timeout", "3", "--host", "127.0.0.1", "--port", str(mosquitto.port))
    ended = commands.run("request", "ping", *options)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "no answer from box on edge-worker/box/response/ping within 3 s" in ended.stderr


@pytest.mark.parametrize("reason", [0x87, 0])
def test_a_request_that_may_not_be_sent_ends(reason: int) -> None:
    """A broker that ends the connection over it is named, with the topic; with and without a reason."""
    with RefusingBroker(denied="edge-worker/box/request/#", reason=reason) as broker:
        options = ("--node", "box", "--host", "127.0.0.1", "--port", str(broker.port))
        ended = commands.run("request", "ping", *options, EDGE_WORKER__MQTT__RECONNECT="{min_s: 0.05}")
    assert ended.returncode == 1
    assert "edge-worker/box/request/ping" in ended.stderr
