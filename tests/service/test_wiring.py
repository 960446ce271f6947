"""What the components of a worker tell each other; none of them is started."""

from __future__ import annotations

import json
from queue import SimpleQueue
from typing import TYPE_CHECKING

import pytest

from edge_worker.config import Config
from edge_worker.mqtt.events import Connected, LinkEvent, Subscribed, SubscriptionRefused
from edge_worker.service.lifecycle import Judgement, State
from edge_worker.service.links import CONTROL
from edge_worker.service.wiring import Components

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.mqtt.message import Outgoing

CONFIG = Config.model_validate_json(json.dumps({"node": {"id": "box"}, "mqtt": {"host": "127.0.0.1"}}))


@pytest.mark.parametrize(
    ("answer", "link", "statuses"),
    [
        (Subscribed(CONTROL), CONTROL, 2),
        (SubscriptionRefused(CONTROL, "cameras/+/frame", "Not authorized"), CONTROL, 1),
        (Subscribed("every"), "every", 0),
    ],
)
def test_the_status_is_said_again_at_each_reconnect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: LinkEvent, link: str, statuses: int
) -> None:
    """The broker may have forgotten it, or published the will: also where it denies the worker a subscription.

    And again when all are granted: what the broker says of us from then on is heard, and contradicted.
    """
    components = Components(CONFIG, SimpleQueue(), {"XDG_CACHE_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)})
    components.node_status.move(Judgement(State.LOADING))
    published: list[Outgoing] = []
    monkeypatch.setattr(components.links, "publish", published.append)
    for event in (Connected(link, "5", session_present=True), answer):
        components._link_changed(event)
    assert [message.topic for message in published] == ["edge-worker/box/status"] * statuses
