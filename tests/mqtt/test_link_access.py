"""Login, rights and other ways in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from brokers import add_account, free_port
from links import Client, Watched

from edge_worker.common.errors import ConfigError
from edge_worker.config.mqtt import ReconnectConfig
from edge_worker.mqtt.backoff import Failure
from edge_worker.mqtt.events import (
    Connected,
    Disconnected,
    PublicationRefused,
    Published,
    Refused,
    Subscribed,
    SubscriptionRefused,
    Unreachable,
)
from edge_worker.mqtt.message import Outgoing, Subscription

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from brokers import Mosquitto


# paho forgets a socket whose handshake failed; it is closed when the error is forgotten, too, with a warning.
pytestmark = [pytest.mark.mosquitto, pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")]

DENY_SUBSCRIBE = (
    '{"defaultACLAccess": {"publishClientSend": true, "publishClientReceive": true, "subscribe": false,'
    ' "unsubscribe": true}, "clients": [], "groups": [], "roles": []}'
)


def write_password(file: Path, password: str) -> None:
    """Let the user ``worker`` in with *password*."""
    add_account(file, "worker", password)
    file.chmod(0o644)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_refused_login_is_tried_again_with_the_password_of_the_day(
    make_mosquitto: Callable[..., Mosquitto], make_link: Callable[..., Watched], tmp_path: Path, protocol: str
) -> None:
    """Said plainly, not an exit; a corrected or rotated password serves without a restart, and is never shown."""
    write_password(tmp_path / "passwd", "right")
    broker = make_mosquitto("allow_anonymous false", f"password_file {tmp_path / 'passwd'}")
    passwords = ["wrong"]
    watched = make_link(broker.port, protocol=protocol, username="worker", password=lambda: passwords[-1]).start()
    refusal = watched.wait_for(Refused)
    assert refusal.permanent
    assert not watched.link.status().connected
    passwords.append("right")
    watched.wait_for(Connected)
    write_password(tmp_path / "passwd", "new")
    passwords.append("new")
    broker.stop()
    broker.start()
    watched.wait_for(Disconnected)
    watched.wait_for(Connected)
    assert not any(word in str(watched.seen) for word in ("wrong", "right", "new'"))


def test_a_password_that_cannot_be_read_is_said_and_tried_again(
    mosquitto: Mosquitto, make_link: Callable[..., Watched]
) -> None:
    """While a secret is being replaced its file may be missing for a moment."""
    answers = iter([ConfigError("the file cannot be read: No such file", key="mqtt.password_file")])

    def read() -> str:
        for error in answers:
            raise error
        return "secret"

    watched = make_link(mosquitto.port, username="worker", password=read).start()
    assert "mqtt.password_file" in watched.wait_for(Unreachable).reason
    watched.wait_for(Connected)


def test_a_refused_login_is_tried_less_often(
    make_mosquitto: Callable[..., Mosquitto], make_link: Callable[..., Watched]
) -> None:
    """The waits grow past those for a broker that is away."""
    broker = make_mosquitto("allow_anonymous false")
    watched = make_link(broker.port, reconnect=ReconnectConfig(min_s=0.02, max_s=0.05, stable_s=5.0)).start()
    for _ in range(8):
        watched.wait_for(Refused)
    assert watched.link._reconnection._backoff.wait_s(Failure.REFUSED) > 0.05


def test_a_denied_subscription_is_seen_and_a_granted_one_too(
    make_mosquitto: Callable[..., Mosquitto], make_link: Callable[..., Watched], tmp_path: Path
) -> None:
    """Connected is not enough: without its subscription a worker is deaf, and says so."""
    plugin = next((p for p in PLUGINS if os.path.exists(p)), None)  # noqa: PTH110
    if plugin is None:
        pytest.skip("mosquitto's dynamic security plugin is not installed")
    rights = tmp_path / "rights.json"
    rights.write_text(DENY_SUBSCRIBE)
    broker = make_mosquitto(f"plugin {plugin}", f"plugin_opt_config_file {rights}")
    watched = make_link(broker.port, subscriptions=[Subscription("cameras/+/frame", 0)]).start()
    refusal = watched.wait_for(SubscriptionRefused)
    assert (refusal.filter, refusal.reason) == ("cameras/+/frame", "Not authorized")
    status = watched.link.status()
    assert (status.connected, status.subscribed) == (True, False)
    assert "subscription refused: cameras/+/frame" in status.trouble
    broker.stop()
    rights.write_text(DENY_SUBSCRIBE.replace('"subscribe": false', '"subscribe": true'))
    broker.start()
    watched.wait_for(Subscribed)
    assert watched.link.status().trouble == ""


PLUGINS = [
    f"{folder}/mosquitto_dynamic_security.so"
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/local/lib")
]


def test_a_denied_publication_is_said_and_one_that_must_arrive_waits_for_its_right(
    make_mosquitto: Callable[..., Mosquitto], make_link: Callable[..., Watched], tmp_path: Path
) -> None:
    """Live results are given up; the answer to an ``every`` frame is kept until the operator lets it through."""
    rights = tmp_path / "acl"
    rights.write_text("topic readwrite other\n")
    rights.chmod(0o644)
    broker = make_mosquitto(f"acl_file {rights}")
    watched = make_link(broker.port).ready()
    watched.link.publish(Outgoing("out", b"live"))
    refusal = watched.wait_for(PublicationRefused)
    assert (refusal.topic, refusal.reason) == ("out", "Not authorized")
    assert not watched.wait_for(Published).ok
    publication = watched.link.publish(Outgoing("out", b"every", must_arrive=True))
    watched.wait_for(PublicationRefused)
    rights.write_text("topic readwrite #\n")
    broker.reload()
    ended = watched.wait_for(Published)
    assert (ended.publication, ended.ok) == (publication, True)


def test_websockets(make_mosquitto: Callable[..., Mosquitto], make_link: Callable[..., Watched]) -> None:
    """For networks that let nothing else through."""
    port = free_port()
    make_mosquitto(f"listener {port} 127.0.0.1", "protocol websockets")  # alone it counts as no listener in 2.0.11
    watched = make_link(port, transport="websockets", subscriptions=[Subscription("loop", 1)]).ready()
    payload = bytes(range(256)) * 40
    watched.link.publish(Outgoing("loop", payload))
    assert watched.message().payload == payload


def test_a_plain_port_is_no_websocket(mosquitto: Mosquitto, make_link: Callable[..., Watched]) -> None:
    """A wrong port is a bad connection, not the end of the thread."""
    watched = make_link(mosquitto.port, transport="websockets", connect_timeout_s=0.5).start()
    watched.wait_for(Unreachable)
    assert watched.link.healthy()


def test_unix_sockets(
    make_mosquitto: Callable[..., Mosquitto], make_link: Callable[..., Watched], tmp_path: Path
) -> None:
    """For a broker beside the worker; the socket may appear later."""
    path = tmp_path / "broker.sock"
    watched = make_link(host=str(path), transport="unix", subscriptions=[Subscription("loop", 1)]).start()
    watched.wait_for(Unreachable)
    broker = make_mosquitto(f"listener 0 {path}")
    watched.wait_for(Subscribed)
    with Client(broker.port) as camera:
        camera.publish("loop", b"x")
    assert watched.message().payload == b"x"
