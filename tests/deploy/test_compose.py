"""The compose file: read by the real compose client, its configuration by the worker, Prometheus' by promtool."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy_tools import ROOT, tool

from edge_worker.config import load, read_password, warnings
from edge_worker.service.app import STOP_S

FOLDER = ROOT / "deploy" / "compose"
Service = dict[str, Any]


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """The project as the compose client understands it: anchors, variables and paths resolved."""
    command = [tool("docker-compose"), "--file", str(FOLDER / "compose.yaml"), "config", "--format", "json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    project: dict[str, Any] = json.loads(done.stdout)
    return project


def test_every_container_is_confined_and_limited(project: dict[str, Any]) -> None:
    """Read-only, without capabilities, with limits and a health check; nothing is open but to this machine."""
    for name, service in project["services"].items():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}, name
        assert service["healthcheck"]["test"], name
        assert {port["host_ip"] for port in service.get("ports", ())} <= {"127.0.0.1"}, name


def test_nothing_starts_before_what_it_needs(project: dict[str, Any]) -> None:
    """The worker waits for a healthy broker, the gateway for a worker that is ready."""
    waits = {
        (name, other): how["condition"]
        for name, service in project["services"].items()
        for other, how in (service.get("depends_on") or {}).items()
    }
    assert waits["worker", "broker"] == waits["gateway", "worker"] == "service_healthy"
    assert "/readyz" in str(project["services"]["worker"]["healthcheck"]["test"])


def test_the_worker_may_finish(project: dict[str, Any]) -> None:
    """Docker waits longer than a stop takes before it kills."""
    assert project["services"]["worker"]["stop_grace_period"] == "30s"
    assert STOP_S < 30


def test_what_is_mounted_exists(project: dict[str, Any]) -> None:
    """Every file and folder of this checkout that a container gets is there."""
    sources = [
        volume["source"]
        for service in project["services"].values()
        for volume in service["volumes"]
        if volume["type"] == "bind"
    ]
    assert [source for source in sources if not Path(source).exists()] == []


@pytest.mark.parametrize(("name", "account"), [("worker", "edge-worker"), ("gateway", "gateway")])
def test_the_worker_takes_its_configuration(project: dict[str, Any], name: str, account: str, tmp_path: Path) -> None:
    """Its own loader accepts file, environment and secrets as the container gets them."""
    service = project["services"][name]
    for secret in service["secrets"]:
        (tmp_path / Path(secret["target"]).name).write_text(f"the {secret['source']}\n")
    environ = {key: value.replace("/run/secrets", str(tmp_path)) for key, value in service["environment"].items()}
    config = load(FOLDER / "edge_worker.yaml", environ)
    assert config.mqtt.host in project["services"]
    assert not [line for line in warnings(config, environ) if "others may read" in line]
    assert (config.mqtt.username, read_password(config.mqtt, environ)) == (account, f"the {account}")
    limit = int(project["services"]["worker"]["deploy"]["resources"]["limits"]["memory"])
    assert config.memory.limit_mb is not None
    assert config.memory.limit_mb * 1_000_000 < limit
    if name == "gateway":
        assert (config.gateway.host, config.gateway.hosts) == ("0.0.0.0", ("gateway",))  # noqa: S104 - in its container


def test_prometheus_takes_its_configuration(project: dict[str, Any], tmp_path: Path) -> None:
    """``promtool check config`` passes, rules included, and every target is a service with a port it listens on."""
    promtool = tool("promtool")
    shutil.copy(ROOT / "deploy" / "prometheus" / "rules.yml", tmp_path / "edge-worker-rules.yml")
    text = (FOLDER / "prometheus.yaml").read_text()
    (tmp_path / "gateway-token").write_text("token")
    (tmp_path / "prometheus.yaml").write_text(text.replace("/run/secrets", str(tmp_path)))
    command = [promtool, "check", "config", str(tmp_path / "prometheus.yaml")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    targets = [one["static_configs"][0]["targets"] for one in yaml.safe_load(text)["scrape_configs"]]
    assert targets == [["worker:9109"], ["gateway:8080"]]
    assert {"worker", "gateway"} <= project["services"].keys()
