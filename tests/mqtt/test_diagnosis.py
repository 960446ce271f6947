"""What failed connections mean."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from edge_worker.config.mqtt import ReconnectConfig
from edge_worker.mqtt.connection_events import Cause
from edge_worker.mqtt.diagnosis import ProtocolChoice, Symptom, TakeoverWatch, explain, reached_nobody


@pytest.mark.parametrize("symptom", ["unsupported", "silent"])
def test_an_old_broker_is_answered_in_its_own_version(symptom: Symptom) -> None:
    """A refusal for the version, or silence, leads to MQTT 3.1.1 at once."""
    choice = ProtocolChoice("auto")
    versions: list[str] = [choice.current]
    assert choice.failed(symptom)
    versions.append(choice.current)
    assert versions == ["5", "3.1.1"]


def test_a_close_may_be_a_broker_that_is_starting() -> None:
    """Only two in a row lead to the other version; and if that is not it either, back again."""
    choice = ProtocolChoice("auto")
    versions = []
    for _ in range(6):
        versions.append(choice.current)
        choice.failed("closed")
    assert versions == ["5", "5", "3.1.1", "3.1.1", "5", "5"]


def test_a_broker_that_comes_late_is_asked_for_mqtt_5_again() -> None:
    """That it accepts the older version, after closes or when neither was answered, proves nothing; another no does."""
    symptoms: list[list[Symptom]] = [["closed", "closed"], ["silent", "silent", "silent"]]
    for before in symptoms:
        choice = ProtocolChoice("auto")
        for symptom in before:
            choice.failed(symptom)
        assert (choice.current, choice.in_doubt, choice.accepted(), choice.current) == ("3.1.1", True, False, "5")
        assert choice.failed("closed")
        assert (choice.current, choice.in_doubt, choice.accepted()) == ("3.1.1", False, True)


def test_a_broker_that_is_silent_to_mqtt_5_only_is_not_asked_again() -> None:
    """It would cost another time-out; nor is one that says that it does not know the version."""
    symptoms: list[Symptom] = ["silent", "unsupported"]
    for symptom in symptoms:
        choice = ProtocolChoice("auto")
        choice.failed(symptom)
        assert (choice.current, choice.in_doubt, choice.accepted()) == ("3.1.1", False, True)


def test_the_choice_stands_once_a_connection_was_accepted() -> None:
    """A broker in trouble looks like an old one; it must not cost us MQTT 5 for the rest of our life."""
    choice = ProtocolChoice("auto")
    choice.accepted()
    symptoms: list[Symptom] = ["silent", "closed", "closed"]
    assert not any(map(choice.failed, symptoms))
    assert choice.current == "5"


def test_a_broker_that_says_so_is_an_old_one_at_any_time() -> None:
    """Another took the place of the one that let us in; a configured version is not given up even then."""
    choice, fixed = ProtocolChoice("auto"), ProtocolChoice("5")
    for one in (choice, fixed):
        one.accepted()
    assert (choice.failed("unsupported"), fixed.failed("unsupported")) == (True, False)
    assert (choice.current, fixed.current) == ("3.1.1", "5")


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_configured_version_is_kept(version: str) -> None:
    """Who names a version gets that one or an error."""
    choice = ProtocolChoice(version)  # type: ignore[arg-type]
    assert not choice.failed("unsupported")
    assert choice.current == version


def test_a_takeover_the_broker_tells_is_certain() -> None:
    """MQTT 5 has a reason code for it."""
    assert TakeoverWatch(ReconnectConfig()).ended(Cause.TAKEN_OVER, 1000.0) == "certain"


def test_short_connections_in_a_row_look_like_a_takeover() -> None:
    """Often there is no other sign; what we or the network ended, or what served for a while, is none."""
    watch = TakeoverWatch(ReconnectConfig())
    assert [watch.ended(Cause.BROKER, 1.0) for _ in range(4)] == [None, None, "likely", None]
    watch = TakeoverWatch(ReconnectConfig())
    ends = [(Cause.BROKER, 1.0), (Cause.BROKER, 1.0), (Cause.BROKER, 5.0), (Cause.BROKER, 1.0), (Cause.SILENCE, 1.0)]
    assert [watch.ended(cause, lasted) for cause, lasted in ends * 3] == [None] * 15


def test_a_broker_that_restarts_is_no_takeover() -> None:
    """However soon, and however often; nor is one that closes connections over a message it refuses."""
    watch = TakeoverWatch(ReconnectConfig())
    assert [watch.ended(cause, 1.0) for cause in [Cause.BROKER_DOWN, Cause.REFUSAL] * 5] == [None] * 10


def test_explanations_are_an_operators_words() -> None:
    """No class names, no numbers of errors, no traces."""
    assert explain(ConnectionRefusedError(111, "Connection refused")) == "Connection refused"
    assert "timed out" in explain(TimeoutError("timed out"))
    assert explain(ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")).startswith("TLS failed")


@pytest.mark.parametrize(
    ("error", "nobody"),
    [
        (ConnectionRefusedError(), True),
        (FileNotFoundError(), True),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), True),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), True),
        (OSError(errno.EHOSTUNREACH, "No route to host"), True),
        (TimeoutError("timed out"), False),
        (ConnectionResetError(), False),
        (ssl.SSLError("handshake failure"), False),
        (ValueError("Invalid host."), False),
    ],
)
def test_who_was_not_reached_is_not_disturbed_by_another_attempt(error: Exception, nobody: bool) -> None:  # noqa: FBT001
    """A stopped container has no name, a cut cable no network, and both come back from one moment to the next."""
    assert reached_nobody(error) is nobody
