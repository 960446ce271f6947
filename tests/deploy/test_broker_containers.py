"""The Mosquitto of the Helm chart and of the compose file: configuration, accounts and access list, on a real one."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml
from brokers import free_port, is_listening, wait_until
from charts import CHART, containers, named, render
from deploy_tools import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "only:for this test"  # noqa: S105 - of a broker that lives for a second; a colon and a space are allowed
DEPLOY = ROOT / "deploy"
ACCOUNTS = ("edge-worker", "gateway", "front-door")

pytestmark = pytest.mark.mosquitto


@pytest.fixture(scope="module", params=["chart", "compose"])
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a broker that runs as its container does, in a folder instead of the root directory."""
    folder, port = tmp_path_factory.mktemp("broker"), free_port()
    for name in ("run/mosquitto", "run/secrets", "mosquitto/data", "mosquitto/config"):
        (folder / name).mkdir(parents=True)
    for account in ACCOUNTS:
        (folder / "run" / "secrets" / account).write_text(PASSWORD)
    command = _chart(folder) if request.param == "chart" else _compose(folder)
    for file in (folder / "mosquitto" / "config").rglob("mosquitto.conf"):
        here = _moved(file.read_text(), folder)
        file.write_text(here.replace("listener 1883", f"listener {port} 127.0.0.1\nuser root"))
    log = (folder / "log").open("wb")
    environ = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    with log, subprocess.Popen(["sh", "-euc", command], stdout=log, stderr=log, env=environ) as process:
        try:
            wait_until(lambda: is_listening(port), "mosquitto listens")
            yield port
        finally:
            process.terminate()


def _chart(folder: Path) -> str:
    """Lay out what the pod mounts; return what its two containers run, one after the other."""
    manifests = render(CHART / "ci" / "everything-values.yaml")
    for name, text in named(manifests, "ConfigMap", "edge-worker-broker")["data"].items():
        (folder / "mosquitto" / "config" / name).write_text(text)
    (prepare, broker) = containers(named(manifests, "StatefulSet", "edge-worker-broker")["spec"]["template"])
    commands = [shlex.join(prepare["command"]), "exec " + shlex.join(broker["command"])]
    return _moved("\n".join(commands), folder).replace("/run/accounts", "/run/secrets")


def _compose(folder: Path) -> str:
    """The same for the container of the compose file."""
    shutil.copytree(DEPLOY / "mosquitto", folder / "mosquitto" / "config", dirs_exist_ok=True)
    broker = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())["services"]["broker"]
    return _moved(broker["command"][0], folder)


def _moved(text: str, folder: Path) -> str:
    return re.sub(r"(?<![\w.])/(?=run/|mosquitto/)", f"{folder}/", text)


def publishes(port: int, account: str, topic: str, password: str = PASSWORD) -> bool:
    """Tell whether the broker takes a message of *account* for *topic*."""
    command = ["mosquitto_pub", "-V", "5", "-p", str(port), "-u", account, "-P", password, "-q", "1", "-t", topic]
    done = subprocess.run([*command, "-m", "x"], check=False, capture_output=True, text=True, timeout=20)
    return done.returncode == 0 and "Not authorized" not in done.stderr


@pytest.mark.parametrize(
    ("account", "topic", "may"),
    [
        ("edge-worker", "parsing/gate/labels", True),
        ("edge-worker", "replies/gateway-1", True),
        ("gateway", "requests/web/frame", True),
        ("edge-worker", "cameras/gate/frame", False),
        ("front-door", "cameras/front-door/frame", True),
        ("front-door", "cameras/back-door/frame", False),
    ],
)
def test_accounts_may_what_they_need(port: int, account: str, topic: str, may: bool) -> None:  # noqa: FBT001 - a table
    """Workers, gateway and each camera have their account; the passwords are those of the secrets."""
    assert publishes(port, account, topic) is may


def test_strangers_are_refused(port: int) -> None:
    """A wrong password is no password."""
    assert not publishes(port, "edge-worker", "parsing/gate/labels", password="guess")  # noqa: S106 - wrong on purpose
