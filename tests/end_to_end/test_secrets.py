"""What is told to nobody: everything a worker says or shows is searched for its secrets."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import commands
import pytest
from brokers import Mosquitto, add_account, wait_until
from certificates import Authority, Certificate
from workers import IMAGE, START_S, WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PASSWORD: Final = "correct-horse-battery"  # noqa: S105 - made for this test
WRONG_PASSWORD: Final = "mistyped-horse-battery"  # noqa: S105 - made for this test
KEY_PASSWORD: Final = "staple-of-the-key"  # noqa: S105 - made for this test
LOCAL: Final = "IP:127.0.0.1,DNS:localhost"
HOOK: Final = """
import os, sys
if "run" in sys.argv:
    from edge_worker.mqtt.paho import client
    make = client.make

    def make_or_fail(config, hello):
        if os.path.exists({flag!r}):
            raise RuntimeError(f"a defect that quotes all it was given: {{config!r}} {{hello!r}} {{hello.password}}")
        return make(config, hello)

    client.make = make_or_fail
"""
"""A sitecustomize: from the moment there is a certain file, connecting fails in a way that nobody has foreseen."""


class Stage:
    """A broker that wants password and certificate, a listener to everything said, and the worker's files."""

    def __init__(self, directory: Path, make_mosquitto: Callable[..., Mosquitto]) -> None:
        authority = Authority(directory / "ca")
        server = authority.issue("server", alt_names=LOCAL)
        self.directory = directory
        self.certificate = authority.issue("worker", key_password=KEY_PASSWORD)
        self.spy_certificate, self._authority = authority.issue("spy"), authority
        accounts = directory / "accounts"
        for name in ("edge-worker", "spy"):
            add_account(accounts, name, PASSWORD)
        self.broker = make_mosquitto(
            *(f"certfile {server.cert}", f"keyfile {server.key}", f"cafile {authority.cert}"),
            *("require_certificate true", "allow_anonymous false", f"password_file {accounts}"),
        )
        self.password_file = self._secret_file("password", PASSWORD)
        self._key_password_file = self._secret_file("key-password", KEY_PASSWORD)

    def settings(self) -> dict[str, Any]:
        """Sections of the worker's configuration; where the password comes from is left out."""
        tls = {
            "ca_file": str(self._authority.cert),
            "cert_file": str(self.certificate.cert),
            "key_file": str(self.certificate.key),
            "key_password_file": str(self._key_password_file),
        }
        mqtt = {"host": "127.0.0.1", "port": self.broker.port, "username": "edge-worker", "tls": tls}
        return {
            "mqtt": {**mqtt, "reconnect": {"min_s": 0.1, "max_s": 0.5}},
            "cameras": [{"topic": "cameras/{camera}/frame", "delivery": "every"}],
            "ops": {"log": {"level": "debug"}, "stats_interval_s": 1.0},
        }

    def publish(self, topic: str, payload: str | Path = "") -> None:
        """Publish as the spy."""
        what = ["-f", str(payload)] if isinstance(payload, Path) else ["-m", payload]
        subprocess.run(["mosquitto_pub", *self._options(), "-q", "1", "-t", topic, *what], check=True)

    def listen(self, log: Path) -> subprocess.Popen[bytes]:
        """Write everything that is said on any topic to *log*, properties too, also after the broker was away."""
        with log.open("wb") as stream:
            command = ["mosquitto_sub", *self._options(), "-t", "#", "-F", "%t %R %C %D %P %p"]
            return subprocess.Popen(command, stdout=stream)

    def _options(self) -> list[str]:
        files = (self._authority.cert, self.spy_certificate.cert, self.spy_certificate.key)
        names = ("--cafile", "--cert", "--key")
        tls = [word for name, file in zip(names, files, strict=True) for word in (name, str(file))]
        return ["-V", "5", "-h", "localhost", "-p", str(self.broker.port), "-u", "spy", "-P", PASSWORD, *tls]

    def _secret_file(self, name: str, secret: str) -> Path:
        file = self.directory / name
        file.write_text(secret + "\n")
        file.chmod(0o600)
        return file


@pytest.fixture
def stage(tmp_path: Path, make_mosquitto: Callable[..., Mosquitto]) -> Stage:
    """Everything but the worker."""
    return Stage(tmp_path, make_mosquitto)


@pytest.fixture
def spy(stage: Stage, tmp_path: Path) -> Iterator[Path]:
    """The file that everything said on any topic goes to."""
    log = tmp_path / "said"
    with stage.listen(log) as listener:
        yield log
        listener.kill()


@pytest.mark.mosquitto
@pytest.mark.parametrize("source", ["file", "environment"])
def test_no_secret_is_told_to_anybody(stage: Stage, spy: Path, tmp_path: Path, source: str) -> None:
    """Not in the log at level debug, with refused logins, crashes and tracebacks; not in any message, answer or file.

    Nor in arguments and environment of the processes.
    """
    settings, environment, flag = stage.settings(), {"EDGE_WORKER_MQTT_PASSWORD": PASSWORD}, tmp_path / "fail"
    if source == "file":
        settings["mqtt"]["password_file"], environment = str(stage.password_file), {}
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(HOOK.format(flag=str(flag)))
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path / "hook"), str(Path(__file__).parents[2])])
    with WorkerProcess(tmp_path, stage.broker.port, settings, environment) as worker:
        worker.ready()
        shown = [_shown_by(worker.pid), _shown_by(worker.model_pid(), environment=True)]
        _make_it_talk(stage, spy)
        _make_the_model_process_crash(worker)
        if source == "file":
            _give_a_wrong_password(stage, worker)
        flag.touch()
        stage.broker.stop()
        assert worker.wait() == 1
    checked = commands.run("check", "--connect", "-c", worker.configuration, **environment)
    traces = [spy.read_bytes(), (tmp_path / "worker.log").read_bytes(), (checked.stdout + checked.stderr).encode()]
    kept = [file.read_bytes() for file in (tmp_path / "edge-worker").rglob("*") if file.is_file()]
    assert b"a defect that quotes all" in traces[1]
    assert b"***" in traces[1]
    assert b"Fatal Python error: Aborted" in traces[1]
    for secret in (PASSWORD, WRONG_PASSWORD, KEY_PASSWORD, *_lines_of_the_key(stage.certificate)):
        assert not any(secret.encode() in text for text in [*shown, *traces, *kept])


def _shown_by(pid: int, *, environment: bool = False) -> bytes:
    """What any user of the machine sees of a process, or with *environment* its own user."""
    files = ["cmdline", "environ"] if environment else ["cmdline"]
    return b"\n".join(Path(f"/proc/{pid}/{file}").read_bytes() for file in files)


def _make_it_talk(stage: Stage, spy: Path) -> None:
    """Ask everything that can be asked, and send a good and a bad frame."""
    stage.publish("cameras/door/frame", IMAGE)
    stage.publish("cameras/door/frame", "no image")
    for command in ("config", "stats", "ping", "set", "nonsense", "restart"):
        stage.publish(f"edge-worker/box/request/{command}", '{"transaction": 1}')
    wanted = [
        b"response/config",
        b"response/nonsense",
        b"response/restart",
        b"door/labels",
        b"door/error",
        b"box/stats",
    ]
    wait_until(lambda: all(word in spy.read_bytes() for word in wanted), "all is answered", START_S)
    assert b'"username":"edge-worker"' in spy.read_bytes()


def _make_the_model_process_crash(worker: WorkerProcess) -> None:
    """In the way that writes most about it."""
    wait_until(lambda: worker.states()[-1] == "online", "online after the restart", START_S)
    os.kill(worker.model_pid(), signal.SIGABRT)
    wait_until(lambda: worker.states()[-1] == "degraded", "the crash is seen", START_S)
    wait_until(lambda: worker.states()[-1] == "online", "online again", START_S)


def _give_a_wrong_password(stage: Stage, worker: WorkerProcess) -> None:
    stage.password_file.write_text(WRONG_PASSWORD)
    stage.broker.stop()
    stage.broker.start()
    wait_until(lambda: any("refused" in line["event"] for line in worker.log()), "the login is refused", START_S)


def _lines_of_the_key(certificate: Certificate) -> list[str]:
    return [line for line in certificate.key.read_text().splitlines() if not line.startswith("-")]
