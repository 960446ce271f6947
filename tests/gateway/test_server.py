"""The HTTP server as a whole."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
import yaml

pytest.importorskip("fastapi", reason="the extra `web` is not installed")

from brokers import free_port
from commands import run
from gateways import CAMERAS

if TYPE_CHECKING:
    from pathlib import Path


def test_a_taken_port_is_an_expected_error(tmp_path: Path) -> None:
    """The last line names the address, the reason and the way out."""
    file = tmp_path / "edge_worker.yaml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        mqtt = {"host": "127.0.0.1", "port": free_port()}
        file.write_text(yaml.safe_dump({"mqtt": mqtt, "cameras": CAMERAS, "gateway": {"port": port}}))
        ended = run("gateway", "-c", file)
    assert ended.returncode == 1
    reason = "gateway: cannot listen on 127.0.0.1:{} (Address already in use); choose another host or port"
    assert ended.stderr.splitlines()[-1] == reason.format(port)
    assert f"http://127.0.0.1:{port}" not in ended.stdout + ended.stderr  # logged only once clients can connect
