from __future__ import annotations

import json
from typing import TYPE_CHECKING

import commands
import pytest
from links import Client

from edge_worker import cli
from edge_worker.common.timestamps import rfc3339
from edge_worker.messages import StatusMessage

if TYPE_CHECKING:
    from brokers import Mosquitto


LONG = "x" * 400


def status_of(node: str, state: str = "online", **more: str) -> bytes:
    """A worker's status."""
    facts = {"node": node, "version": "1", "session": "s", "since": rfc3339(0.0), "state": state, **more}
    return StatusMessage.model_validate(facts).to_json()


@pytest.fixture
def options(mosquitto: Mosquitto) -> tuple[str, ...]:
    """Of a broker that has the status of two workers, and something else on the topic of a third."""
    with Client(mosquitto.port) as client:
        client.publish("edge-worker/attic/status", status_of("attic"), retain=True)
        hostile = status_of("gate", "offline", reason="lost", detail=f"[red]\x1b[2J{LONG}")
        client.publish("edge-worker/gate/status", hostile, retain=True)
        client.publish("edge-worker/other/status", b"hello", retain=True)
    return "--host", "127.0.0.1", "--port", str(mosquitto.port)


@pytest.mark.mosquitto
def test_all_workers_are_listed(options: tuple[str, ...]) -> None:
    """A row each, in the order of their names; what they say does not steer the terminal, and nothing is cut off."""
    ended = commands.run("status", *options)
    assert (ended.returncode, ended.stderr) == (0, "")
    head, *rows = ended.stdout.splitlines()
    assert head.split() == ["NODE", "STATE", "SINCE", "VERSION", "REASON", "DETAIL"]
    assert [row.split() for row in rows] == [
        ["attic", "online", "1970-01-01T00:00:00.000Z", "1"],
        ["gate", "offline", "1970-01-01T00:00:00.000Z", "1", "lost", f"[red]?[2J{LONG}"],
    ]


@pytest.mark.mosquitto
def test_json_is_the_messages_one_a_line(options: tuple[str, ...]) -> None:
    """For programs: each line is the status message of a worker, here of the one that was named."""
    ended = commands.run("status", "gate", "--json", *options)
    assert ended.returncode == 0
    (line,) = ended.stdout.splitlines()
    assert json.loads(line)["detail"] == f"[red]\x1b[2J{LONG}"


@pytest.mark.mosquitto
def test_no_worker_is_a_failure_that_names_the_topic(options: tuple[str, ...]) -> None:
    """A script can tell that there is nothing, and a person where it was looked for."""
    ended = commands.run("status", "cellar", *options)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "no worker cellar has a status on edge-worker/cellar/status" in ended.stderr


@pytest.mark.parametrize("argv", [("status", "a/b"), ("request", "ping", "--node", "+")])
def test_a_node_is_one_level_of_a_topic(argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Wildcards would ask others than were named."""
    with pytest.raises(SystemExit) as ended:
        cli.main(argv)
    assert ended.value.code == cli.USAGE
    assert "one level of a topic" in capsys.readouterr().err
