"""``check --connect``: what works is said, and what does not."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from brokers import CONNACK, CONNECT, SUBSCRIBE, FakeBroker, Mosquitto, Peer, free_port
from links import Client
from refusing_broker import RefusingBroker

from edge_worker.config import Config
from edge_worker.mqtt import reachability
from edge_worker.mqtt.probe import probe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


SHARED = ({"delivery": "every", "share_group": "parsers"},)


def make_config(port: int, **sections: Any) -> Config:  # noqa: ANN401 - any section
    """A configuration for the broker on *port*."""
    mqtt = {"host": "127.0.0.1", "port": port, "connack_timeout_s": 1.0, "reconnect": {"min_s": 0.05}}
    return Config.model_validate({"node": {"id": "box"}, "mqtt": mqtt, **sections})


@pytest.mark.mosquitto
def test_a_good_configuration_is_found_good(make_mosquitto: Callable[..., Mosquitto]) -> None:
    """Connected, subscribed, allowed to publish; and the broker's limit is told."""
    broker = make_mosquitto("max_packet_size 100000")
    findings = probe(make_config(broker.port), {})
    assert all(finding.ok for finding in findings)
    details = "\n".join(finding.detail for finding in findings)
    for words in ("connected without TLS, MQTT 5", "subscriptions granted", "100000 bytes", "response/check works"):
        assert words in details


@pytest.mark.mosquitto
def test_a_refused_login_is_found(make_mosquitto: Callable[..., Mosquitto]) -> None:
    """With the broker's own words."""
    broker = make_mosquitto("allow_anonymous false")
    [finding] = probe(make_config(broker.port), {})
    assert not finding.ok
    assert finding.detail == f"broker 127.0.0.1:{broker.port}: Not authorized"


@pytest.mark.mosquitto
def test_a_missing_right_to_publish_is_found(make_mosquitto: Callable[..., Mosquitto], tmp_path: Path) -> None:
    """Before the first frame, not after it."""
    (tmp_path / "acl").write_text("topic read #\n")
    (tmp_path / "acl").chmod(0o644)
    broker = make_mosquitto(f"acl_file {tmp_path / 'acl'}")
    findings = [finding for finding in probe(make_config(broker.port), {}) if not finding.ok]
    assert [finding.detail for finding in findings] == [
        "publishing to edge-worker/box/response/check fails: Not authorized"
    ]


def test_rights_that_the_worker_does_not_use_are_not_tried() -> None:
    """Where commands are turned off: neither to read requests nor to answer them."""

    def grant(peer: Peer) -> None:
        peer.accept()
        peer.grant(0, 0)
        broker.hold(peer)

    with FakeBroker(grant) as broker:
        findings = probe(make_config(broker.port, commands={"enabled": False}), {})
    assert all(finding.ok for finding in findings)
    assert findings[-1].detail.startswith("publishing is not tried: commands are turned off")
    sent = b"".join(body for peer in broker.peers for _, body in peer.packets)
    assert b"edge-worker/box/status" in sent
    assert b"edge-worker/box/re" not in sent


@pytest.mark.parametrize("contained", [False, True])
def test_a_missing_broker_is_found_soon(monkeypatch: pytest.MonkeyPatch, contained: bool) -> None:  # noqa: FBT001
    """Nobody listens: said at once, not after the long wait of a daemon. In a container, what localhost is, too."""
    monkeypatch.setattr(reachability, "in_container", lambda: contained)
    port = free_port()
    [finding] = probe(make_config(port), {})
    assert finding.detail.startswith(f"broker 127.0.0.1:{port}: Connection refused")
    assert ("set mqtt.host" in finding.detail) == contained


def test_a_refused_subscription_is_found() -> None:
    """All of them, each with the reason."""

    def refuse(peer: Peer) -> None:
        peer.accept()
        peer.grant(0x8F, 0x87, 0)
        broker.acknowledge_all(peer)

    with FakeBroker(refuse) as broker:
        findings = probe(make_config(broker.port), {})
    [refusal] = [finding.detail for finding in findings if not finding.ok]
    assert "edge-worker/box/request/+ (Not authorized)" in refusal
    assert "edge-worker/box/status (Topic filter invalid: check the topics in the configuration)" in refusal
    assert findings[-1].ok


@pytest.mark.mosquitto
def test_a_check_takes_no_frames_of_a_share_group(mosquitto: Mosquitto) -> None:
    """The workers of the group go on undisturbed."""
    with Client(mosquitto.port, "$share/parsers/cameras/+/frame") as worker, Client(mosquitto.port) as camera:
        before = mosquitto.log().count("$share/parsers")
        assert before, "the worker's own"
        findings = probe(make_config(mosquitto.port, cameras=SHARED), {})
        assert all(finding.ok for finding in findings)
        assert findings[-1].detail == "a share group gets what is published"
        for number in range(6):
            camera.publish("cameras/door/frame", b"%d" % number)
        worker.wait_for(6)
    assert mosquitto.log().count("$share/parsers") == before


def test_a_share_group_that_the_broker_does_not_have_is_found() -> None:
    """CONNACK says so: the worker would wait for frames that never come."""

    def script(peer: Peer) -> None:
        peer.accept(properties=b"\x2a\0")
        with suppress(OSError):
            while True:
                first, body = peer.read()
                if first & 0xF0 == SUBSCRIBE & 0xF0:
                    peer.write(0x90, body[:2] + b"\0" + bytes(body.count(b"edge-worker/")))

    with FakeBroker(script) as broker:
        findings = probe(make_config(broker.port, cameras=SHARED), {})
    assert any(not finding.ok and "share_group" in finding.detail for finding in findings)


def test_a_share_group_that_is_granted_and_gets_nothing_is_found() -> None:
    """Some brokers take $share for a plain topic: only what comes through it tells. The key to change is named."""
    with RefusingBroker() as broker:
        findings = probe(make_config(broker.port, cameras=SHARED), {})
    assert [finding.ok for finding in findings] == [True, True, True, False]
    assert findings[-1].detail.endswith("remove cameras[].share_group")


@pytest.mark.mosquitto
def test_a_share_group_is_not_judged_without_the_right_to_read(
    make_mosquitto: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    """Mosquitto grants what its access list forbids, and sends nothing: that says nothing about the group."""
    (tmp_path / "acl").write_text("topic write #\ntopic read cameras/#\n")
    (tmp_path / "acl").chmod(0o644)
    broker = make_mosquitto(f"acl_file {tmp_path / 'acl'}")
    findings = probe(make_config(broker.port, cameras=SHARED), {})
    assert all(finding.ok for finding in findings)
    assert findings[-1].detail.endswith("no right to read edge-worker/box/response/check")


def test_a_broker_of_the_older_protocol_is_found_good() -> None:
    """As by the worker, which falls back: to one that closes the connection over MQTT 5 as well."""
    with RefusingBroker(v5=False) as broker:
        first, *others = probe(make_config(broker.port), {})
    assert first.detail.endswith("connected without TLS, MQTT 3.1.1")
    assert all(finding.ok for finding in others)


def test_mqtt_5_is_named_where_the_broker_may_not_know_it() -> None:
    """Beside TLS: a broker that closes the connection says nothing."""
    with RefusingBroker(v5=False) as broker:
        mqtt = {"host": "127.0.0.1", "port": broker.port, "protocol": "5", "reconnect": {"min_s": 0.05}}
        [finding] = probe(make_config(broker.port, mqtt=mqtt), {})
    assert "does it expect TLS (mqtt.tls)? does it know MQTT 5 (mqtt.protocol)?" in finding.detail


def test_a_dot_that_a_broker_makes_a_slash_is_found() -> None:
    """RabbitMQ does: requests and the worker's own status come by other topics than they were sent to."""
    with RefusingBroker(dot="/") as broker:
        findings = probe(make_config(broker.port, node={"id": "box.example.org"}), {})
    [finding] = [finding for finding in findings if not finding.ok]
    assert "makes edge-worker/box/example/org/response/check of" in finding.detail
    assert "node.id" in finding.detail


def test_a_dot_in_the_will_is_suspected() -> None:
    """NATS closes the connection over one; the node's id is the host's name unless another is given."""

    def close(peer: Peer) -> None:
        peer.read_until(CONNECT)

    with FakeBroker(close) as broker:
        findings = probe(make_config(broker.port, node={"id": "box.example.org"}), {})
        assert all("the '.' in edge-worker/box.example.org/status" in finding.detail for finding in findings)
        findings = probe(make_config(broker.port), {})
        assert not any("'.'" in finding.detail for finding in findings)


def test_the_will_is_tried_too() -> None:
    """A broker that refuses retained wills says so at CONNECT, and is asked as the worker would ask."""
    flags: list[int] = []

    def refuse(peer: Peer) -> None:
        flags.append(peer.read_until(CONNECT)[7])
        peer.write(CONNACK, bytes([0, 0x9A, 0]))

    with FakeBroker(refuse) as broker:
        config = Config.model_validate(
            {"mqtt": {"host": "127.0.0.1", "port": broker.port, "protocol": "5"}, "cameras": [{"topic": "c/{camera}"}]},
            strict=False,
        )
        findings = probe(config, {})
    assert flags[0] & 0b0010_0100 == 0b0010_0100, "a will, retained"
    assert flags[1] & 0b0010_0100 == 0b0000_0100, "then without"
    assert not findings[0].ok
    assert "retained" in findings[0].detail
