"""What a link says when it connects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from edge_worker.config.mqtt import MqttConfig
from edge_worker.mqtt.message import Will
from edge_worker.mqtt.reconnection import Identity

if TYPE_CHECKING:
    from edge_worker.mqtt.events import Protocol

CONFIG = MqttConfig(host="localhost", session_expiry_s=3600, will_delay_s=7)
WILL = Will("status", b"lost")


def identity(**fields: Any) -> Identity:  # noqa: ANN401 - fields of Identity
    usual = {"persistent": False, "will": None, "receive_maximum": None, "password": lambda: None}
    return Identity(CONFIG, "worker", **(usual | fields))


@pytest.mark.parametrize(
    ("persistent", "protocol", "was_accepted", "clean"),
    [
        (False, "5", False, True),
        (False, "5", True, False),
        (False, "3.1.1", True, True),
        (True, "5", False, False),
        (True, "3.1.1", False, False),
    ],
)
def test_a_session_is_begun_anew_only_where_nothing_is_lost(
    *,
    persistent: bool,
    protocol: Protocol,
    was_accepted: bool,
    clean: bool,
) -> None:
    """Frames wait in a persistent session; and at a reconnect a clean start would publish the will before its delay."""
    assert identity(persistent=persistent).connect_options(protocol, was_accepted=was_accepted).clean_start is clean


def test_a_session_lasts_as_long_as_it_is_needed() -> None:
    """For the frames that wait in it, or for the will that its end sends, or not at all."""
    made = (identity(persistent=True), identity(will=WILL), identity())
    assert [one.connect_options("5", was_accepted=False).session_expiry_s for one in made] == [3600, 7, 0]


def test_the_password_is_read_for_each_connection() -> None:
    """A file that was changed serves the next one; and what is printed of an identity does not hold it."""
    passwords = iter(["old-secret", "new-secret"])
    one = identity(password=lambda: next(passwords))
    made_twice = [one.connect_options("5", was_accepted=False) for _ in range(2)]
    assert [options.password for options in made_twice] == ["old-secret", "new-secret"]
    assert "secret" not in f"{one} {made_twice}"
