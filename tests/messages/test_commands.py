"""Commands as they come in: anybody who may publish can send anything."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_worker.common.errors import CommandError
from edge_worker.messages import COMMANDS, PauseRequest, SetRequest, SnapshotRequest, parse_request
from edge_worker.messages.commands import MAX_REQUEST_BYTES


@pytest.mark.parametrize("command", ["ping", "stats", "config", "pause", "resume", "restart"])
@pytest.mark.parametrize("payload", [b"", b" \n", b"{}"])
def test_no_payload_means_no_arguments(command: str, payload: bytes) -> None:
    """``mosquitto_pub -n`` is enough for most commands."""
    request = parse_request(command, payload)
    assert isinstance(request, COMMANDS[command])
    assert request.transaction is None


def test_arguments_are_read() -> None:
    """Each command has its own arguments; the transaction goes with any."""
    assert parse_request("pause", b'{"camera": "door", "transaction": 7}') == PauseRequest(camera="door", transaction=7)
    assert parse_request("snapshot", b'{"camera": "door"}') == SnapshotRequest(camera="door")
    assert parse_request("set", b'{"min_interval_s": 1, "overlay": true}') == SetRequest(min_interval_s=1, overlay=True)
    assert parse_request("set", b'{"paused": false}') == SetRequest(paused=False)


@pytest.mark.parametrize(
    ("command", "payload", "problem"),
    [
        ("pign", {}, "no such command: did you mean ping?"),
        ("xyz", {}, "no such command: there are config, forget, pause, ping"),
        ("snapshot", {}, "camera: is required"),
        ("set", {"camera": "door"}, "nothing to set: give paused, min_interval_s, score_threshold or overlay"),
        ("set", {"overlay": 1}, "overlay: should be a valid boolean"),
        ("set", {"min_interval_s": "5"}, "min_interval_s: should be a valid number"),
        ("set", {"min_interval_s": -1}, "min_interval_s: should be greater than or equal to 0"),
        ("set", {"score_threshold": 2}, "score_threshold: should be less than or equal to 1"),
        ("set", {"overly": True}, "overly: no such argument: did you mean overlay?"),
        ("pause", {"camera": ""}, "camera: should have at least 1 character"),
        ("ping", {"transaction": [1]}, "transaction: should be a valid string"),
    ],
)
def test_a_bad_request_is_told_what_would_be_right(command: str, payload: dict[str, object], problem: str) -> None:
    """The asker reads in the response what to mend."""
    with pytest.raises(CommandError) as caught:
        parse_request(command, json.dumps(payload).encode())
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"\xff", "not JSON"),
        (b"[1]", "should be a JSON object"),
        (b'{"min_interval_s": NaN}', "not JSON"),
        (b"[" * 10_000, "not JSON"),
        (b" " * (MAX_REQUEST_BYTES + 1), f"at most {MAX_REQUEST_BYTES}"),
    ],
)
def test_what_is_no_json_object_is_refused(payload: bytes, problem: str) -> None:
    """Broken, deep and endless payloads get a reply like any other."""
    with pytest.raises(CommandError, match=problem):
        parse_request("set", payload)


@pytest.mark.parametrize("command", ["nonsense", "snapshot"])
def test_an_error_carries_the_transaction(command: str) -> None:
    """The asker can match an error to its request, too."""
    with pytest.raises(CommandError) as caught:
        parse_request(command, b'{"transaction": "t1", "x": 1}')
    assert caught.value.transaction == "t1"


@given(st.sampled_from([*COMMANDS, "x"]), st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_a_request_or_a_command_error(command: str, payload: bytes) -> None:
    """No payload ends in another exception."""
    with contextlib.suppress(CommandError):
        assert isinstance(parse_request(command, payload), COMMANDS[command])
