"""The chart's own Mosquitto: its configuration, accounts and access list, on a real one."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from brokers import MOSQUITTO, free_port, is_listening, wait_until
from charts import CHART, named, render

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "only:for this test"  # noqa: S105 - of a broker that lives for a second; a colon and a space are allowed
ACCOUNTS = ("edge-worker", "front-door")

pytestmark = pytest.mark.mosquitto


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a broker that runs as the pod does, in a folder instead of its root directory."""
    assert MOSQUITTO is not None
    folder, port = tmp_path_factory.mktemp("broker"), free_port()
    _lay_out(folder, port)
    subprocess.run(["sh", folder / "accounts.sh", folder / "secrets", folder], check=True)
    log = (folder / "log").open("wb")
    with log, subprocess.Popen([MOSQUITTO, "-c", folder / "mosquitto.conf"], stdout=log, stderr=log) as process:
        try:
            wait_until(lambda: is_listening(port), "mosquitto listens")
            yield port
        finally:
            process.terminate()


def _lay_out(folder: Path, port: int) -> None:
    """Write what the pod gets mounted, with paths and port of the test's own."""
    (folder / "secrets").mkdir()
    for account in ACCOUNTS:
        (folder / "secrets" / account).write_text(PASSWORD)
    manifests = render(CHART / "ci" / "everything-values.yaml")
    for name, text in named(manifests, "ConfigMap", "edge-worker-broker")["data"].items():
        for place in ("/run/mosquitto", "/mosquitto/config", "/mosquitto/data"):
            text = text.replace(place, str(folder))  # noqa: PLW2901 - one after the other
        (folder / name).write_text(text.replace("listener 1883", f"listener {port} 127.0.0.1\nuser root"))


def publishes(port: int, account: str, topic: str, password: str = PASSWORD) -> bool:
    """Tell whether the broker takes a message of *account* for *topic*."""
    command = ["mosquitto_pub", "-V", "5", "-p", str(port), "-u", account, "-P", password, "-q", "1", "-t", topic]
    done = subprocess.run([*command, "-m", "x"], check=False, capture_output=True, text=True, timeout=20)
    return done.returncode == 0 and "Not authorized" not in done.stderr


@pytest.mark.parametrize(
    ("account", "topic", "may"),
    [
        ("edge-worker", "parsing/gate/labels", True),
        ("edge-worker", "replies/gateway-1/labels", True),
        ("edge-worker", "requests/web/frame", True),
        ("edge-worker", "cameras/gate/frame", False),
        ("front-door", "cameras/front-door/frame", True),
        ("front-door", "cameras/back-door/frame", False),
    ],
)
def test_accounts_may_what_they_need(port: int, account: str, topic: str, may: bool) -> None:  # noqa: FBT001 - a table
    """Workers and gateway have one account, each camera its own; the passwords are those of the Secret."""
    assert publishes(port, account, topic) is may


def test_strangers_are_refused(port: int) -> None:
    """A wrong password is no password."""
    assert not publishes(port, "edge-worker", "parsing/gate/labels", password="guess")  # noqa: S106 - wrong on purpose
