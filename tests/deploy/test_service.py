"""The service under a real systemd: sandbox, credentials, readiness, watchdog, reload, stop, exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import systemd_box
from brokers import Mosquitto, add_account, wait_until
from images import photo
from PIL import Image
from systemd_box import SystemdBox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
UNIT = "edge-worker.service"
PASSWORD = "only-for-this-test"  # noqa: S105 - of a broker that lives for seconds
CONFIG = "etc/edge-worker/edge_worker.yaml"
LOG = "run/edge-worker.log"
START_S = 60.0
MEMORY_MAX = "MemoryMax=450M"  # enough for the small model and small images
# This checkout as what is installed, and a watchdog that does not take a minute.
SETTINGS = f"""{systemd_box.readable(ROOT, "/opt/source")}{systemd_box.readable(sys.prefix, "/opt/edge-worker")}
Environment=PYTHONPATH=/opt/source
ExecStart=
ExecStart=/opt/edge-worker/bin/python -m edge_worker run -c /etc/edge-worker/edge_worker.yaml
StandardOutput=append:/{LOG}
StandardError=append:/{LOG}
WatchdogSec=4
TimeoutAbortSec=1
"""
WORKER = """
node: {{id: box}}
mqtt: {{host: 127.0.0.1, port: {port}, username: edge-worker, keepalive_s: 5, reconnect: {{min_s: 0.1, max_s: 0.5}}}}
model: {{path: "builtin:seeded"}}
"""

pytestmark = pytest.mark.mosquitto


@pytest.fixture
def broker(make_mosquitto: Callable[..., Mosquitto], tmp_path: Path) -> Mosquitto:
    """A broker that wants a password."""
    accounts = tmp_path / "accounts"
    add_account(accounts, "edge-worker", PASSWORD)
    return make_mosquitto("allow_anonymous false", f"password_file {accounts}")


@pytest.fixture
def box(broker: Mosquitto, tmp_path: Path) -> Iterator[SystemdBox]:
    """A systemd that has the units, a configuration, and no credential yet; nothing is started."""
    systemd_box.require()
    units, files = tmp_path / "units", tmp_path / "files"
    systemd_box.copy_units(units, UNIT, SETTINGS)
    (files / CONFIG).parent.mkdir(parents=True)
    (files / CONFIG).write_text(WORKER.format(port=broker.port))
    (files / "etc" / "credstore").mkdir()
    with SystemdBox(units, files) as box:
        yield box


class Client:
    """Mosquitto's own clients, with the worker's account."""

    def __init__(self, broker: Mosquitto) -> None:
        self._options = ("-p", str(broker.port), "-u", "edge-worker", "-P", PASSWORD)

    def status(self) -> tuple[str, str | None]:
        """Return the retained status: the state, and the reason."""
        got = self._subscribe("edge-worker/box/status").communicate(timeout=START_S)[0]
        said = json.loads(got)
        return said["state"], said.get("reason")

    def parse(self, image: Path) -> dict[str, Any]:
        """Publish *image* as a camera does, and return the labels that come back."""
        listener = self._subscribe("parsing/gate/labels", "parsing/gate/error")
        wait_until(lambda: _has_connection(listener.pid), "the listener is connected")
        subprocess.run(
            ["mosquitto_pub", *self._options, "-q", "1", "-t", "cameras/gate/frame", "-f", image], check=True
        )
        answer: dict[str, Any] = json.loads(listener.communicate(timeout=START_S)[0])
        return answer

    def _subscribe(self, *topics: str) -> subprocess.Popen[str]:
        filters = [word for topic in topics for word in ("-t", topic)]
        command = ["mosquitto_sub", *self._options, "-q", "1", "-C", "1", "-W", str(int(START_S)), *filters]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _has_connection(pid: int) -> bool:
    return any(str(fd.readlink()).startswith("socket:") for fd in Path(f"/proc/{pid}/fd").iterdir())


def _give_password(box: SystemdBox) -> None:
    secret = box.root / "etc" / "credstore" / "edge-worker.mqtt-password"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o600)


def _logged(box: SystemdBox, event: str) -> list[dict[str, Any]]:
    """The log lines of *event*."""
    lines = [json.loads(line) for line in (box.root / LOG).read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


def test_a_life_under_systemd(box: SystemdBox, broker: Mosquitto, tmp_path: Path) -> None:
    """Strictly confined it serves; it gets its password from systemd, is restarted when hung, and stops well."""
    client = Client(broker)

    # Started is what has a warm model, whatever the broker says; without a credential the broker says no.
    assert box.systemctl("start", UNIT) == 0, (box.root / LOG).read_text()
    wait_until(lambda: "degraded" in box.show(UNIT, "StatusText"), "the refused login shows in systemctl status")

    # With the credential it gets in, and answers.
    _give_password(box)
    assert box.systemctl("restart", UNIT) == 0
    wait_until(lambda: client.status()[0] == "online", "online", START_S)
    Image.fromarray(photo()).save(tmp_path / "frame.jpg")
    assert client.parse(tmp_path / "frame.jpg")["image"] == {"width": 90, "height": 60}

    # Confined as it is, the process that touches the images confines itself further.
    (confined,) = _logged(box, "model process confined")[-1:]
    assert confined["refused"] == {}
    assert {"network", "files", "memory"} <= set(confined["in_force"])

    # A reload is confirmed to systemd, or this would wait for ever.
    assert box.systemctl("reload", UNIT) == 0
    assert box.show(UNIT, "StatusText") == "online"

    # A worker that hangs is killed by the watchdog and replaced.
    hung = box.show(UNIT, "MainPID")
    box.signal(UNIT, signal.SIGSTOP)
    wait_until(lambda: box.show(UNIT, "NRestarts") == "1", "the watchdog restarts it", START_S)
    wait_until(lambda: box.show(UNIT, "ActiveState") == "active", "it is up again", START_S)
    assert box.show(UNIT, "MainPID") != hung
    wait_until(lambda: client.status()[0] == "online", "online again", START_S)

    # A stop is clean and says so.
    assert box.systemctl("stop", UNIT) == 0
    assert (box.show(UNIT, "Result"), box.show(UNIT, "ExecMainStatus")) == ("success", "0")
    assert client.status() == ("offline", "stopped")
    assert PASSWORD not in (box.root / LOG).read_text()


def test_memory_is_limited(box: SystemdBox, broker: Mosquitto, tmp_path: Path) -> None:
    """An image that takes more than the service may have costs a model process, twice, and is refused then.

    The worker stays, and the next image is answered as ever.
    """
    drop_in = (ROOT / "deploy" / "systemd" / "drop-ins" / "memory.conf").read_text().replace("MemoryMax=2G", MEMORY_MAX)
    (box.root / "etc" / "systemd" / "system" / f"{UNIT}.d" / "memory.conf").write_text(drop_in)
    with (box.root / CONFIG).open("a") as config:
        config.write('cameras: [{topic: "cameras/{camera}/frame", delivery: every}]\n')
    _give_password(box)
    assert (box.systemctl("daemon-reload"), box.systemctl("start", UNIT)) == (0, 0)
    client, worker = Client(broker), box.show(UNIT, "MainPID")
    wait_until(lambda: client.status()[0] == "online", "online", START_S)
    Image.new("RGB", (6000, 4000)).save(tmp_path / "large.png")
    Image.fromarray(photo()).save(tmp_path / "small.png")
    assert client.parse(tmp_path / "large.png")["reason"] == "poisoned"
    assert client.parse(tmp_path / "small.png")["image"] == {"width": 90, "height": 60}
    assert (box.show(UNIT, "MainPID"), box.show(UNIT, "NRestarts")) == (worker, "0")
    assert any("SIGKILL" in line["error"] for line in _logged(box, "model process failed"))


def test_a_wrong_configuration_is_not_tried_again(box: SystemdBox) -> None:
    """Exit code 78 leaves the service down, with the file, the line and the key in the log."""
    (box.root / CONFIG).write_text("mqtt: {host: localhost}\ncache:\n  max_megabytes: 3\n")
    assert box.systemctl("start", UNIT) != 0
    assert (box.show(UNIT, "ExecMainStatus"), box.show(UNIT, "NRestarts")) == ("78", "0")
    assert f"/{CONFIG}:3: cache.max_megabytes: " in (box.root / LOG).read_text()
