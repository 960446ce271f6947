"""The datagrams that a service manager gets."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from edge_worker.ops.systemd import Notifier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A service manager's socket, and what it would put into NOTIFY_SOCKET."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@edge-worker-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name.replace("@", "\0", 1) if request.param == "abstract" else name)
        listener.settimeout(5)
        yield listener, name


def test_each_message_is_one_datagram(manager: tuple[socket.socket, str]) -> None:
    """Every call sends the assignments of sd_notify(3), to a path or an abstract address."""
    listener, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    notifier.ready("online")
    assert listener.recv(4096) == b"READY=1\nSTATUS=online"
    notifier.status("3 cameras")
    assert listener.recv(4096) == b"STATUS=3 cameras"
    notifier.watchdog()
    assert listener.recv(4096) == b"WATCHDOG=1"
    notifier.stopping("draining")
    assert listener.recv(4096) == b"STOPPING=1\nSTATUS=draining"
    notifier.extend_timeout(1.5)
    assert listener.recv(4096) == b"EXTEND_TIMEOUT_USEC=1500000"


def test_reloading_carries_the_clock(manager: tuple[socket.socket, str]) -> None:
    """Type=notify-reload needs MONOTONIC_USEC beside RELOADING, from the clock systemd uses."""
    listener, name = manager
    Notifier({"NOTIFY_SOCKET": name}).reloading("reading the configuration")
    lines = listener.recv(4096).decode().split("\n")
    assert lines[0] == "RELOADING=1"
    assert lines[1].startswith("MONOTONIC_USEC=")
    assert int(lines[1].partition("=")[2]) > 0


def test_a_status_cannot_smuggle_in_an_assignment(manager: tuple[socket.socket, str]) -> None:
    """A line break in a status text (a broker's reason, say) stays inside the text."""
    listener, name = manager
    Notifier({"NOTIFY_SOCKET": name}).status("refused\nMAINPID=1")
    assert listener.recv(4096) == b"STATUS=refused MAINPID=1"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}])
def test_without_a_manager_nothing_happens(environ: dict[str, str]) -> None:
    """Started by hand, or with an address family we do not speak, every call is a no-op."""
    notifier = Notifier(environ)
    with capture_logs() as said:
        notifier.ready("online")
        notifier.watchdog()
    assert said == []  # no attempt that failed


def test_a_manager_that_is_gone_does_not_stop_the_worker(tmp_path: Path) -> None:
    """A failed notification is logged, not raised."""
    with capture_logs() as said:
        Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).watchdog()
    assert [line["event"] for line in said] == ["the service manager could not be notified"]
