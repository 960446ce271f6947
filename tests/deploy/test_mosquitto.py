"""The example configuration and access list for mosquitto, on a real mosquitto."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

import pytest
from brokers import MOSQUITTO, add_account, free_port, is_listening, wait_until
from certificates import Authority
from gateways import FakeWorker, GatewayProcess
from links import disconnect
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from replies import JPEG, labels_of

from edge_worker.config import CameraConfig, NodeConfig, OutputConfig, TlsConfig
from edge_worker.config.tls_context import make_context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paho.mqtt.client import ConnectFlags, MQTTMessage
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

EXAMPLE = Path(__file__).parents[2] / "deploy" / "mosquitto"
ACCOUNTS = ("edge-worker", "front-door", "gateway", "consumer", "homeassistant", "operator")
PASSWORD = "only-for-this-test"  # noqa: S105 - of a broker that lives for a second
WAIT_S = 30.0

pytestmark = pytest.mark.mosquitto
_node = NodeConfig(id="box")
FRAME = CameraConfig().topic.replace("{camera}", "front-door")
RESULTS = [
    kind.topic.replace("{camera}", "front-door").replace("{person}", "1")
    for kind in OutputConfig().all_results().values()
]
LABELS = OutputConfig().labels.topic.replace("{camera}", "front-door")
STATUS, MODEL, STATS, SETTINGS, ANSWERED, RESPONSE, REQUEST, SET = (
    template.replace("{node}", "box").replace("{command}", "ping")
    for template in (
        _node.status_topic,
        _node.model_topic,
        _node.stats_topic,
        _node.settings_topic,
        _node.answered_topic,
        _node.response_topic,
        _node.request_topic,
        _node.request_topic.replace("{command}", "set"),
    )
)
REPLY = "replies/a-gateway"
UPLOADS = ["requests/web/frame", "requests/jobs/frame"]
DEVICE, BIRTH = "homeassistant/device/edge_worker_box/config", "homeassistant/status"
OF_THE_WORKER = [*RESULTS, STATUS, MODEL, STATS, SETTINGS, ANSWERED, RESPONSE, REPLY, DEVICE]


@dataclass(frozen=True)
class Broker:
    """A running broker: its plain port, its TLS port, and the authority of its certificate."""

    port: int
    tls_port: int
    ca_file: Path


def install(folder: Path) -> Broker:
    """Lay the example out below *folder* instead of /etc/mosquitto, on free ports."""
    authority = Authority(folder / "certs")
    authority.issue("server", alt_names="DNS:localhost,IP:127.0.0.1")
    broker = Broker(free_port(), free_port(), authority.cert)
    text = (EXAMPLE / "edge-worker.conf").read_text()
    for standard, ours in [
        ("/etc/mosquitto", str(folder)),
        ("listener 1883 ", f"listener {broker.port} "),
        ("listener 8883", f"listener {broker.tls_port}"),
    ]:
        assert standard in text
        text = text.replace(standard, ours)
    (folder / "edge-worker.conf").write_text(text + "\nuser root\n")
    shutil.copy(EXAMPLE / "edge-worker.acl", folder)
    for account in ACCOUNTS:
        add_account(folder / "edge-worker.passwd", account, PASSWORD)
    return broker


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A mosquitto that runs the example."""
    assert MOSQUITTO is not None
    folder = tmp_path_factory.mktemp("mosquitto")
    broker = install(folder)
    log = (folder / "log").open("wb")
    with log, subprocess.Popen([MOSQUITTO, "-c", folder / "edge-worker.conf"], stdout=log, stderr=log) as process:
        try:
            wait_until(lambda: is_listening(broker.tls_port), "mosquitto listens")
            yield broker
        finally:
            process.terminate()


class Account:
    """A connected MQTT 5 client that tells what the broker answered."""

    def __init__(self, name: str, broker: Broker, password: str = PASSWORD, *, tls: bool = False) -> None:
        """Connect as *name*; the broker's answer is in :attr:`greeting`."""
        self.answers: SimpleQueue[int] = SimpleQueue()
        self.arrived: SimpleQueue[str] = SimpleQueue()
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.username_pw_set(name, password)
        self.client.on_connect = self._on_connect
        self.client.on_publish = self._on_publish
        self.client.on_message = self._on_message
        if tls:
            self.client.tls_set_context(make_context(TlsConfig(ca_file=broker.ca_file)))
        self.client.connect("localhost" if tls else "127.0.0.1", broker.tls_port if tls else broker.port)
        self.client.loop_start()
        self.greeting = self.answers.get(timeout=WAIT_S)

    def _on_connect(
        self, _client: Client, _data: object, _flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self.answers.put(reason.value)

    def _on_publish(
        self, _client: Client, _data: object, _mid: int, reason: ReasonCode, _properties: Properties
    ) -> None:
        self.answers.put(reason.value)

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.arrived.put(message.topic)

    def may_publish(self, topic: str) -> bool:
        """Publish to *topic*, and return whether the broker took it."""
        self.client.publish(topic, b"x", qos=1)
        return self.answers.get(timeout=WAIT_S) < 0x80


@contextmanager
def connected(name: str, broker: Broker, *, tls: bool = False) -> Iterator[Account]:
    account = Account(name, broker, tls=tls)
    try:
        yield account
    finally:
        disconnect(account.client)


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("edge-worker", OF_THE_WORKER),
        ("front-door", [FRAME]),
        ("gateway", [REQUEST, SET, *UPLOADS]),
        ("consumer", []),
        ("homeassistant", [SET, BIRTH]),
        ("operator", [REQUEST, SET]),
    ],
)
def test_each_account_publishes_only_its_own(broker: Broker, name: str, allowed: list[str]) -> None:
    """Of all topics of the contract, and of another camera's, an account can write exactly those it needs."""
    topics = (
        FRAME,
        *OF_THE_WORKER,
        REQUEST,
        SET,
        *UPLOADS,
        BIRTH,
        "cameras/back-door/frame",
        "requests/back-door/frame",
        "elsewhere",
    )
    with connected(name, broker) as account:
        assert [topic for topic in topics if account.may_publish(topic)] == allowed


@pytest.mark.parametrize(
    ("name", "unreadable"),
    [
        ("edge-worker", {*RESULTS, MODEL, STATS, SETTINGS, RESPONSE, REPLY, DEVICE}),
        ("front-door", {FRAME, *OF_THE_WORKER, REQUEST, *UPLOADS, BIRTH}),
        ("gateway", {ANSWERED, REQUEST, *UPLOADS, SETTINGS, DEVICE, BIRTH}),
        ("consumer", {FRAME, ANSWERED, RESPONSE, REQUEST, REPLY, *UPLOADS, SETTINGS, DEVICE, BIRTH}),
        ("homeassistant", {FRAME, MODEL, ANSWERED, RESPONSE, REQUEST, REPLY, *UPLOADS}),
        ("operator", {FRAME, REPLY, *UPLOADS, DEVICE, BIRTH}),
    ],
)
def test_each_account_reads_only_its_own(broker: Broker, name: str, unreadable: set[str]) -> None:
    """Subscribed to everything, an account gets exactly the topics that it is meant to see."""
    everything = [FRAME, REQUEST, *OF_THE_WORKER, *UPLOADS, BIRTH]
    with (
        connected(name, broker) as reader,
        connected("front-door", broker) as camera,
        connected("operator", broker) as operator,
        connected("edge-worker", broker) as worker,
        connected("gateway", broker) as gateway,
        connected("homeassistant", broker) as home_assistant,
    ):
        reader.client.subscribe("#", qos=0)
        assert reader.may_publish("elsewhere") is False  # answered after the subscription: from here on, it holds
        assert camera.may_publish(FRAME)
        assert operator.may_publish(REQUEST)
        assert all(worker.may_publish(topic) for topic in OF_THE_WORKER)
        assert all(gateway.may_publish(topic) for topic in UPLOADS)
        assert home_assistant.may_publish(BIRTH)
        assert reader.may_publish("elsewhere") is False  # answered after all that the broker sent before
        assert {reader.arrived.get_nowait() for _ in range(reader.arrived.qsize())} == set(everything) - unreadable


def test_the_encrypted_listener_works_and_strangers_are_refused(broker: Broker) -> None:
    """TLS with the private authority is accepted with the right password, and the plain port refuses a wrong one."""
    with connected("front-door", broker, tls=True) as camera:
        assert camera.greeting == 0
        assert camera.may_publish(FRAME)
    stranger = Account("front-door", broker, password="guess")  # noqa: S106 - a wrong one, on purpose
    disconnect(stranger.client)
    assert stranger.greeting >= 0x80


def test_the_gateways_account_is_enough_for_all_it_does(broker: Broker, tmp_path: Path) -> None:
    """Photos and jobs are parsed, cameras shown, workers commanded; a worker with its own account answers."""
    pytest.importorskip("fastapi", reason="the extra `web` is not installed")
    (tmp_path / "password").write_text(PASSWORD)
    login = {"host": "127.0.0.1", "port": broker.port, "username": "gateway", "password_file": "password"}
    with (
        FakeWorker(broker.port, login=("edge-worker", PASSWORD)) as worker,
        GatewayProcess(tmp_path, broker.port, mqtt=login) as gateway,
        connected("front-door", broker) as camera,
    ):
        gateway.online()
        assert gateway.post("/api/v1/parse", JPEG, Content_Type="image/jpeg").status == 200
        assert gateway.post("/api/v1/nodes/box/commands/ping").json()["status"] == "ok"
        camera.client.publish(FRAME, JPEG, qos=1)
        worker.publish(LABELS, labels_of("front-door", "1").to_json())
        wait_until(
            lambda: gateway.get("/api/v1/cameras/front-door/latest/frame.jpg").body == JPEG, "the frame is shown"
        )
        wait_until(lambda: gateway.get("/api/v1/cameras/front-door/latest/labels.json").status == 200, "labels, too")
        job = gateway.post("/api/v1/jobs", JPEG, Content_Type="image/jpeg").headers["location"]
        wait_until(lambda: gateway.get(job).json()["parsed"] == 1, "the job is done")
