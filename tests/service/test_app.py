"""The composition root: what it owes the broker when it stops."""

from __future__ import annotations

import json
import os
import time
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from brokers import wait_until
from links import Client
from workers import IMAGE, START_S

from edge_worker.config import Config
from edge_worker.ops.signals import Order
from edge_worker.service import app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from brokers import Mosquitto


def configuration(port: int) -> Config:
    return Config.model_validate_json(
        json.dumps(
            {
                "node": {"id": "box"},
                "mqtt": {"host": "127.0.0.1", "port": port, "will_delay_s": 0},
                "model": {"path": "builtin:seeded", "short_side": 64},
                "cameras": [{"topic": "cameras/{camera}/frame", "delivery": "every"}],
            }
        )
    )


def run(config: Config, directory: Path, operate: Callable[[Client], None]) -> int:
    """Run a worker until *operate*, which is given a client that follows its status, has returned; returns the code."""
    orders: SimpleQueue[Order] = SimpleQueue()

    def act() -> None:
        try:
            wait_until(lambda: any(b'"online"' in m.payload for m in client.messages), "online", START_S)
            operate(client)
        finally:
            orders.put(Order.STOP)

    environment = {**os.environ, "XDG_CACHE_HOME": str(directory), "XDG_STATE_HOME": str(directory)}
    with Client(config.mqtt.port, "edge-worker/box/status") as client:
        operator = Thread(target=act)
        operator.start()
        code = app.App(config, orders, None, environment).run()
        operator.join()
    return code


@pytest.mark.mosquitto
def test_a_stop_says_goodbye_even_when_replies_cannot_be_delivered(
    tmp_path: Path, make_mosquitto: Callable[..., Mosquitto], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker refuses every result; the frame stays unacknowledged, and the status still says stopped, not lost."""
    access = tmp_path / "access"
    access.write_text("topic readwrite cameras/#\ntopic readwrite edge-worker/#\n")
    access.chmod(0o600)
    broker = make_mosquitto(f"acl_file {access}")
    monkeypatch.setattr(app, "STOP_S", app.GOODBYE_S + 1.0)

    def have_a_result_refused(client: Client) -> None:
        client.publish("cameras/door/frame", IMAGE.read_bytes())
        wait_until(lambda: "Denied PUBLISH" in broker.log(), "a refused result", START_S)

    assert run(configuration(broker.port), tmp_path, have_a_result_refused) == 0
    with Client(broker.port, "edge-worker/box/status") as late:
        (status,) = late.wait_for(1)
        assert json.loads(status.payload)["reason"] == "stopped"


@pytest.mark.mosquitto
def test_a_broker_that_hangs_does_not_hold_a_stop_up(tmp_path: Path, make_mosquitto: Callable[..., Mosquitto]) -> None:
    """Nothing waits to be confirmed but the goodbye: that has its few seconds, not all there are for a stop."""
    broker, frozen = make_mosquitto(), 0.0

    def freeze(_client: Client) -> None:
        nonlocal frozen
        broker.freeze()
        frozen = time.monotonic()

    try:
        assert run(configuration(broker.port), tmp_path, freeze) == 0
        assert time.monotonic() - frozen < (app.GOODBYE_S + app.STOP_S) / 2
    finally:
        broker.thaw()


@pytest.mark.mosquitto
def test_many_cameras_do_not_silence_the_stats(tmp_path: Path, make_mosquitto: Callable[..., Mosquitto]) -> None:
    """Names are free to whoever sends frames: where an account of each is too much for the broker, the total stands."""
    broker, cameras = make_mosquitto("max_packet_size 20000"), 100

    def be_many(client: Client) -> None:
        with Client(broker.port, "parsing/+/error") as watcher:
            for number in range(cameras):
                client.publish(f"cameras/{number:0128}/frame", b"no image")
            watcher.wait_for(cameras)

    with Client(broker.port, "edge-worker/box/stats") as listener:
        assert run(configuration(broker.port), tmp_path, be_many) == 0
        stats = json.loads(listener.wait_for(1)[-1].payload)
    assert (stats["total"]["received"], stats["cameras"]) == (cameras, {})


def test_a_missing_home_is_not_silent(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without HOME, XDG and systemd's directories nothing is kept over a restart, and the log says so, for each."""
    monkeypatch.setattr(app.App, "run", lambda _: 0)
    assert app.run(configuration(1), SimpleQueue(), source=None, environ={}) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "nothing can be kept over a restart" in line]
    assert len(lines) == 2
    assert all("HOME" in line for line in lines)
