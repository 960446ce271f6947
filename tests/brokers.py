"""Brokers to test against, and a bad network, all on free loopback ports.

Real mosquitto, amqtt in a subprocess, a scripted broker that misbehaves, and a proxy.
"""

from __future__ import annotations

import json
import math
import os
import random
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Self

READY_S: Final = 30.0  # on a busy machine; usually it takes a fraction
_TOOLS: Final = ("mosquitto_passwd", "mosquitto_pub", "mosquitto_sub")
MOSQUITTO: Final = (
    shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if all(map(shutil.which, _TOOLS))
    else None
)
"""Path of the program, if its tools are installed, too."""
INSTALL_MOSQUITTO: Final = "apt-get install mosquitto mosquitto-clients"


# Below the kernel's ephemeral ports (from 32768), so that no outgoing connection takes one first.
_PORTS: Final = iter(random.sample(range(10_000, 32_000), 22_000))


def free_port() -> int:
    """Return an unused loopback port; each only once."""
    for port in _PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def add_account(file: Path, name: str, password: str) -> None:
    """Add an account to a Mosquitto password file, or change its password; creates the file if needed."""
    create = () if file.exists() else ("-c",)
    subprocess.run(["mosquitto_passwd", "-b", *create, file, name, password], check=True, capture_output=True)


def wait_until(condition: Callable[[], object], what: str, timeout_s: float = READY_S) -> None:
    """Wait until *condition* holds; fail the test on timeout."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:g} s"
        time.sleep(0.01)


def is_listening(port: int) -> bool:
    """Return whether *port* accepts connections."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Mosquitto:
    """A real mosquitto with its own data directory, which can be stopped, killed, frozen and restarted."""

    def __init__(self, directory: Path, settings: Mapping[str, object] | Sequence[str] = (), port: int = 0) -> None:
        """*settings* are added to the lines of mosquitto.conf for an anonymous listener."""
        self.port, self.directory = port or free_port(), directory
        self._process: subprocess.Popen[bytes] | None = None
        lines = [f"{key} {value}" for key, value in settings.items()] if hasattr(settings, "items") else [*settings]
        if not any(line.startswith("allow_anonymous") for line in lines):
            lines.append("allow_anonymous true")
        self._listener_lines = lines

    def start(self) -> Self:
        """Start it and wait until it listens."""
        assert MOSQUITTO is not None
        configuration = self.directory / "mosquitto.conf"
        configuration.write_text("\n".join(self._configuration()) + "\n")
        with (self.directory / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen([MOSQUITTO, "-c", configuration], stdout=log, stderr=log)
        wait_until(self._is_ready, f"mosquitto listens ({self.log()})")
        return self

    def log(self) -> str:
        """Return its output so far."""
        return (self.directory / "mosquitto.log").read_text(errors="replace")

    @property
    def store(self) -> Path:
        """File with sessions and retained messages."""
        return self.directory / "mosquitto.db"

    def stop(self) -> None:
        """Stop it with SIGTERM; it saves its sessions."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it, as in a power failure."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Freeze it: connections stay open, but nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def reload(self) -> None:
        """Make it reload its password and access files."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def _end(self, signum: int) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(signum)
            self._process.wait(READY_S)
            self._process = None

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        return is_listening(self.port)

    def _configuration(self) -> list[str]:
        return [
            *(["user root"] if os.geteuid() == 0 else []),
            "persistence true",
            f"persistence_location {self.directory}/",
            "sys_interval 1",
            "log_type all",
            f"listener {self.port} 127.0.0.1",
            *self._listener_lines,
        ]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()


class Amqtt:
    """The demo's broker, which supports only MQTT 3.1.1."""

    def __init__(self) -> None:
        self.port = 0

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "edge_worker.tools.demo.broker"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._process.stdout is not None
        self.port = int(json.loads(self._process.stdout.readline())["port"])
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


# -- a broker that misbehaves ------------------------------------------------------------------------------------------

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, DISCONNECT = 0x10, 0x20, 0x30, 0x40, 0x82, 0x90, 0xE0
PINGREQ, PINGRESP = 0xC0, 0xD0


class Peer:
    """The broker's end of one connection, packet by packet."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.packets: list[tuple[int, bytes]] = []

    def read(self) -> tuple[int, bytes]:
        """Read one packet: its first byte and what follows the length. Raises ConnectionError at the end."""
        first = self._exactly(1)[0]
        length = shift = 0
        while True:
            byte = self._exactly(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        self.packets.append((first, self._exactly(length)))
        return self.packets[-1]

    def read_until(self, first: int) -> bytes:
        """Read packets up to one of the type of *first*; returns its body."""
        while True:
            kind, body = self.read()
            if kind & 0xF0 == first & 0xF0:
                return body

    def write(self, first: int, body: bytes = b"") -> None:
        """Send a packet; *body* is shorter than 128 bytes."""
        self._connection.sendall(bytes([first, len(body)]) + body)

    def write_raw(self, data: bytes) -> None:
        """Send *data* unchanged."""
        self._connection.sendall(data)

    def accept(self, *, session_present: bool = False, properties: bytes = b"") -> None:
        """Read CONNECT and accept the client (MQTT 5)."""
        self.read_until(CONNECT)
        self.write(CONNACK, bytes([session_present, 0, len(properties)]) + properties)

    def grant(self, *reasons: int) -> None:
        """Read SUBSCRIBE and answer with *reasons*."""
        body = self.read_until(SUBSCRIBE)
        self.write(SUBACK, body[:2] + b"\0" + bytes(reasons))

    def publish(self, topic: str, payload: bytes, mid: int = 0, *, again: bool = False) -> None:
        """Send a message, with QoS 1 if *mid* is given."""
        name = topic.encode()
        number = struct.pack("!H", mid) if mid else b""
        self.write(
            PUBLISH | (8 if again else 0) | (2 if mid else 0),
            struct.pack("!H", len(name)) + name + number + b"\0" + payload,
        )

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            chunk = self._connection.recv(count - len(data))
            if not chunk:
                raise ConnectionError("the client closed the connection")
            data += chunk
        return data


class FakeBroker:
    """Runs a script on each connection: the n-th script on the n-th, the last one on all later ones."""

    def __init__(self, *scripts: Callable[[Peer], None]) -> None:
        self._scripts = scripts
        self.peers: list[Peer] = []
        self.errors: list[Exception] = []
        self._done = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(READY_S)
        assert not self.errors

    def hold(self, peer: Peer) -> None:
        """Read until the client leaves; for the end of a script that should not close the connection."""
        with suppress(OSError):
            while not self._done.is_set():
                first, _ = peer.read()
                if first == PINGREQ:
                    peer.write(PINGRESP)

    def acknowledge_all(self, peer: Peer) -> None:
        """Do the same as :meth:`hold`, and acknowledge every QoS 1 message."""
        with suppress(OSError):
            while True:
                body = peer.read_until(PUBLISH)
                topic_length = int.from_bytes(body[:2], "big")
                peer.write(PUBACK, body[2 + topic_length : 4 + topic_length])

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                threading.Thread(target=self._follow, args=(connection,), daemon=True).start()

    def _follow(self, connection: socket.socket) -> None:
        if not connection.recv(1, socket.MSG_PEEK):  # a client that only tests whether the port is open
            connection.close()
            return
        peer = Peer(connection)
        self.peers.append(peer)
        script = self._scripts[min(len(self.peers), len(self._scripts)) - 1]
        with connection:
            try:
                script(peer)
            except OSError:
                pass  # the client left
            except Exception as error:  # noqa: BLE001 - shown at the end of the test
                self.errors.append(error)


# -- a bad network -----------------------------------------------------------------------------------------------------

_CHUNK: Final = 65_536


class Proxy:
    """Forwards bytes to a broker, and can swallow them, slow down or cut connections.

    ``delay_s`` delays every piece; ``bytes_per_s`` limits each direction of a connection. ``allowance`` is the number
    of bytes that a new connection carries, in both directions together, before it is reset, usually within a packet.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._swallowing = threading.Event()
        self.delay_s = 0.0
        self.bytes_per_s = math.inf
        self.allowance: Callable[[], float] = lambda: math.inf
        self.connections = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self.cut()

    def close(self) -> None:
        """Accept no more connections; existing ones continue."""
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def swallow(self, on: bool = True) -> None:  # noqa: FBT001, FBT002 - a switch
        """Keep connections open but drop all bytes (or stop that)."""
        (self._swallowing.set if on else self._swallowing.clear)()

    def cut(self) -> None:
        """Reset every connection, in the middle of a transfer."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            _reset(*pair)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                threading.Thread(target=self._pass_on, args=(near,), daemon=True).start()

    def _pass_on(self, near: socket.socket) -> None:
        self.connections += 1
        with near, suppress(OSError), socket.create_connection(("127.0.0.1", self._target_port)) as far:
            self._pairs.append((near, far))
            other, left = {near: far, far: near}, self.allowance()
            while left > 0:
                for end in select.select([near, far], [], [])[0]:
                    data = end.recv(_CHUNK)
                    if not data:
                        return
                    time.sleep(self.delay_s + len(data) / self.bytes_per_s)
                    if not self._swallowing.is_set():
                        other[end].sendall(data[: int(min(left, _CHUNK))])
                    left -= len(data)
            _reset(near, far)


def _reset(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.shutdown(socket.SHUT_RDWR)
