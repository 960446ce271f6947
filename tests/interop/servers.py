"""Brokers as they come from their packages, each on free ports of loopback, to be stopped and started again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from brokers import MOSQUITTO, free_port, is_listening, wait_until
from npm_packages import FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

START_S: Final = 60.0
STOP_S: Final = 30.0
_SBIN: Final = "/usr/sbin:/usr/lib/rabbitmq/bin:" + os.environ.get("PATH", "")


class Server(ABC):
    """A broker that keeps its data in a directory of its own."""

    name: ClassVar[str]
    remark: ClassVar[str] = ""

    def __init__(self, directory: Path) -> None:
        """Nothing is started before the ``with`` block."""
        self.directory, self.port = directory, free_port()
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)

    @classmethod
    @abstractmethod
    def is_installed(cls) -> bool:
        """Whether its program is here."""

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """The program and its arguments; writes the configuration."""

    def environment(self) -> Mapping[str, str]:
        """What its environment has besides ours."""
        return {}

    def version(self) -> str:
        """As its package says."""
        return ""

    def start(self) -> None:
        """Start it, and wait until it listens."""
        log_file = self.directory / "broker.log"
        with log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment()},
                start_new_session=True,  # ended as a whole: RabbitMQ is several processes
            )
        wait_until(lambda: is_listening(self.port), f"{self.name} listens ({log_file})", START_S)

    def stop(self) -> None:
        """Stop it as an operator does."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(STOP_S)
            wait_until(lambda: not is_listening(self.port), f"{self.name} is gone", STOP_S)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class MosquittoServer(Server):
    """Mosquitto with persistence."""

    name = "Mosquitto"
    remark = "before 2.0.13 keep `prefetch: 1`"

    @classmethod
    def is_installed(cls) -> bool:
        """Whether it is in the path."""
        return MOSQUITTO is not None

    def version(self) -> str:
        """Of Debian's package, or another's."""
        return _debian_version("mosquitto")

    def command(self) -> Sequence[str | Path]:
        """One open listener."""
        lines = ["persistence true", f"persistence_location {self.directory}/", "allow_anonymous true"]
        lines += ["user root"] if os.geteuid() == 0 else []
        configuration = self.directory / "mosquitto.conf"
        configuration.write_text("\n".join([*lines, f"listener {self.port} 127.0.0.1", ""]))
        return [str(MOSQUITTO), "-c", configuration]


class NatsServer(Server):
    """NATS with JetStream, which its MQTT needs."""

    name = "NATS"
    remark = "needs JetStream; set `max_ack_pending` to about 30, or a backlog of large frames is slow"

    @classmethod
    def is_installed(cls) -> bool:
        """Whether it is in the path."""
        return shutil.which("nats-server", path=_SBIN) is not None

    def version(self) -> str:
        """Of Debian's package."""
        return _debian_version("nats-server")

    def command(self) -> Sequence[str | Path]:
        """MQTT beside its own protocol."""
        configuration = self.directory / "nats.conf"
        configuration.write_text(
            f"server_name: box\nlisten: 127.0.0.1:{free_port()}\n"
            f'jetstream {{ store_dir: "{self.directory / "store"}" }}\n'
            f"mqtt {{ listen: 127.0.0.1:{self.port}, max_ack_pending: 30 }}\n"
        )
        return [str(shutil.which("nats-server", path=_SBIN)), "-c", configuration]


class RabbitServer(Server):
    """RabbitMQ with its MQTT plugin."""

    name = "RabbitMQ"
    remark = "plugin `rabbitmq_mqtt`; MQTT 5 from 3.13 on"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._amqp, self._distribution, self._epmd = free_port(), free_port(), free_port()

    @classmethod
    def is_installed(cls) -> bool:
        """Whether the program behind Debian's wrapper is there, which runs as any user."""
        return Path("/usr/lib/rabbitmq/bin/rabbitmq-server").exists()

    def version(self) -> str:
        """Of Debian's package."""
        return _debian_version("rabbitmq-server")

    def command(self) -> Sequence[str | Path]:
        """Open to everybody on loopback; sessions outlive a restart."""
        (self.directory / "plugins").write_text("[rabbitmq_mqtt].\n")
        (self.directory / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self._amqp}\nmqtt.listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            "mqtt.allow_anonymous = true\nmqtt.default_user = guest\nmqtt.default_pass = guest\n"
        )
        return ["/usr/lib/rabbitmq/bin/rabbitmq-server"]

    def environment(self) -> Mapping[str, str]:
        """Everything below the directory; a port mapper (epmd) of its own, which is ended with it."""
        return {
            "HOME": str(self.directory),
            "ERL_EPMD_PORT": str(self._epmd),
            "RABBITMQ_NODENAME": "interop@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.directory / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "plugins"),
        }

    def stop(self) -> None:
        """Stop it, and the port mapper that outlives it."""
        super().stop()
        environment = {**os.environ, **self.environment()}
        subprocess.run(["epmd", "-kill"], env=environment, capture_output=True, check=False)


class AedesServer(Server):
    """aedes, a broker for Node.js, with all in memory."""

    name = "aedes in memory"
    remark = "a restart forgets sessions and queued frames; over Redis it keeps them"

    @classmethod
    def is_installed(cls) -> bool:
        """Whether npm's package is below tests/npm."""
        return (FOLDER / "node_modules" / "aedes").is_dir() and shutil.which("node") is not None

    def version(self) -> str:
        """Of npm's package."""
        return str(json.loads((FOLDER / "node_modules" / "aedes" / "package.json").read_text())["version"])

    def command(self) -> Sequence[str | Path]:
        """A script of a few lines."""
        return ["node", FOLDER / "aedes_broker.cjs", str(self.port)]


class AmqttServer(Server):
    """amqtt, the broker of ``edge-worker demo``, with all in memory."""

    name = "amqtt"
    remark = "all in memory; for trying things out"

    @classmethod
    def is_installed(cls) -> bool:
        """Whether the extra ``demo`` is installed."""
        return find_spec("amqtt") is not None

    def version(self) -> str:
        """Of the package."""
        return version("amqtt")

    def command(self) -> Sequence[str | Path]:
        """As the demo starts it."""
        return [sys.executable, "-m", "edge_worker.tools.demo.broker", "--port", str(self.port)]


SERVERS: Final[tuple[type[Server], ...]] = (MosquittoServer, NatsServer, RabbitServer, AedesServer, AmqttServer)


def _debian_version(package: str) -> str:
    if shutil.which("dpkg-query") is None:  # another distribution
        return ""
    query = subprocess.run(["dpkg-query", "-Wf", "${Version}", package], capture_output=True, text=True, check=False)
    return query.stdout.split("-")[0]
