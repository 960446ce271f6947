"""The composition root: what it owes the broker when it stops."""

from __future__ import annotations

import json
import os
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from brokers import wait_until
from links import Client
from workers import PICTURE, START_S

from edge_worker import app
from edge_worker.config import Config
from edge_worker.ops.signals import Order

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from brokers import Mosquitto


@pytest.mark.mosquitto
def test_a_stop_says_goodbye_even_when_answers_cannot_be_delivered(
    tmp_path: Path, make_mosquitto: Callable[..., Mosquitto], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker refuses every result; the frame stays unacknowledged, and the status still says stopped, not lost."""
    access = tmp_path / "access"
    access.write_text("topic readwrite cameras/#\ntopic readwrite edge-worker/#\n")
    access.chmod(0o600)
    broker = make_mosquitto(f"acl_file {access}")
    monkeypatch.setattr(app, "STOP_S", app.GOODBYE_S + 1.0)
    config = Config.model_validate_json(
        json.dumps(
            {
                "node": {"id": "box"},
                "mqtt": {"host": "127.0.0.1", "port": broker.port, "will_delay_s": 0},
                "model": {"path": "builtin:seeded", "short_side": 64},
                "cameras": [{"topic": "cameras/{camera}/frame", "delivery": "every"}],
            }
        )
    )

    orders: SimpleQueue[Order] = SimpleQueue()

    def operate() -> None:
        try:
            wait_until(lambda: any(b'"online"' in m.payload for m in client.messages), "online", START_S)
            client.publish("cameras/door/frame", PICTURE.read_bytes())
            wait_until(lambda: "Denied PUBLISH" in broker.log(), "a refused result", START_S)
        finally:
            orders.put(Order.STOP)

    with Client(broker.port, "edge-worker/box/status") as client:
        operator = Thread(target=operate)
        operator.start()
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
        assert app.App(config, orders, None, environment).run() == 0
        operator.join()
    with Client(broker.port, "edge-worker/box/status") as late:
        (status,) = late.wait_for(1)
        assert json.loads(status.payload)["reason"] == "stopped"
