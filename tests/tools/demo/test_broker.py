from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from brokers import Amqtt, is_listening
from links import Client

from edge_worker.mqtt.events import Connected
from edge_worker.mqtt.message import Subscription
from edge_worker.tools.demo.broker import HOW_TO_INSTALL

if TYPE_CHECKING:
    from collections.abc import Callable

    from links import Watched


def test_messages_go_through_without_a_login(amqtt: Amqtt) -> None:
    """Anybody on this machine may publish and subscribe."""
    with Client(amqtt.port, "a/+", v5=False) as client:
        client.publish("a/b", b"hello")
        assert client.wait_for(1)[0].payload == b"hello"


def test_sessions_are_kept(amqtt: Amqtt, make_link: Callable[..., Watched]) -> None:
    """A client that comes back finds its session, so that `every` cameras can be tried out, too."""
    for expected in (False, True):
        watched = make_link(amqtt.port, protocol="3.1.1", persistent=True, subscriptions=(Subscription("a", 1),))
        with watched:
            assert watched.start().wait_for(Connected).session_present == expected


def test_it_ends_on_sigterm() -> None:
    """The broker stops in order, and its port is free again."""
    command = [sys.executable, "-m", "edge_worker.tools.demo.broker"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        port = int(process.stdout.readline().split('"port": ')[1].rstrip("}\n"))
        assert is_listening(port)
        process.terminate()
        assert process.wait(30) == 0
    assert not is_listening(port)


def test_port_in_use_is_said(amqtt: Amqtt) -> None:
    """A port that another program has ends the broker with exit code 1 and a message that names it."""
    command = [sys.executable, "-m", "edge_worker.tools.demo.broker", "--port", str(amqtt.port)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{amqtt.port}" in ended.stderr


def test_missing_package_is_said() -> None:
    """Without amqtt the message says what to install."""
    code = "import sys; sys.modules['amqtt'] = None; from edge_worker.tools.demo.broker import main; sys.exit(main([]))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stderr) == (1, f"{HOW_TO_INSTALL}\n")
