"""Alerts and dashboard: on a real Prometheus that scrapes a real worker, and the alerts' own tests by promtool."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml
from brokers import Mosquitto, free_port, wait_until
from certificates import Authority
from links import Client
from workers import IMAGE, START_S, WorkerProcess

from edge_worker.mqtt.outbox import MAX_WAITING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

ROOT: Final = Path(__file__).parents[2]
RULES: Final = ROOT / "deploy" / "prometheus" / "rules.yml"
DASHBOARD: Final = ROOT / "deploy" / "grafana" / "edge-worker.json"
ALERTS: Final = {rule["alert"]: rule for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]}
EXPRESSIONS: Final = {
    f"{panel['title']} {target['refId']}": target["expr"]
    for panel in json.loads(DASHBOARD.read_text())["panels"]
    for target in panel["targets"]
}


def require(program: str) -> str:
    """The path of *program*; where it is not installed the test is skipped, in CI it fails."""
    found = shutil.which(program)
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{program} is not installed: CI must not skip its tests")
        pytest.skip(f"{program} is not installed")
    return found


def test_each_alert_comes_when_it_should() -> None:
    """The unit tests of promtool pass, and there is one that expects each alert."""
    tests = Path(__file__).with_name("rules_test.yml")
    done = subprocess.run([require("promtool"), "test", "rules", tests], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    cases = [case for test in yaml.safe_load(tests.read_text())["tests"] for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == set(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_what_and_leads_to_what_to_do(alert: str) -> None:
    """Summary, description, and a heading of the documentation that exists."""
    notes = ALERTS[alert]["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    page, _, anchor = notes["runbook_url"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}


def test_the_limit_of_the_queue_is_the_code_s() -> None:
    """The alert on waiting messages comes near the limit, and names it."""
    alert = ALERTS["EdgeWorkerQueueNearLimit"]
    assert 0.7 * MAX_WAITING < float(alert["expr"].partition(">")[2]) < 0.9 * MAX_WAITING
    assert f" {MAX_WAITING} " in alert["annotations"]["description"]


class Prometheus:
    """A real one, with our alerts, that scrapes a worker every fifth of a second."""

    def __init__(self, folder: Path, worker_port: int) -> None:
        self._folder, self._port = folder, free_port()
        settings = {
            "global": {"scrape_interval": "200ms", "evaluation_interval": "200ms"},
            "rule_files": [str(RULES)],
            "scrape_configs": [{"job_name": "worker", "static_configs": [{"targets": [f"127.0.0.1:{worker_port}"]}]}],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        options = (
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
        )
        with (self._folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen([require("prometheus"), *options], stdout=log, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def get(self, path: str, **query: str) -> Any:  # noqa: ANN401 - JSON
        """The data that its API answers with; nothing while it does not listen yet."""
        url = f"http://127.0.0.1:{self._port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.SERVICE_UNAVAILABLE:  # it is starting
                return {}
            raise AssertionError(f"{query}: {error.read().decode()}") from error
        except urllib.error.URLError:
            return {}

    def values(self, expression: str) -> list[float]:
        """What *expression* is at this moment, one number a series; not those that are none."""
        expression = expression.replace("$__rate_interval", "1m").replace("$instance", ".*")
        found = self.get("query", query=expression).get("result", [])
        return [float(one["value"][1]) for one in found if one["value"][1] != "NaN"]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It has scraped a worker that answered, rejected and dropped frames, and has a certificate of its own."""
    require("prometheus")
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    authority = Authority(folder / "ca")
    server, own = authority.issue("server", alt_names="IP:127.0.0.1"), authority.issue("box")
    tls = {"ca_file": str(authority.cert), "cert_file": str(own.cert), "key_file": str(own.key)}
    tls_port = free_port()
    listener = [f"listener {tls_port} 127.0.0.1", f"cafile {authority.cert}", "require_certificate true"]
    listener += [f"certfile {server.cert}", f"keyfile {server.key}"]
    settings = {
        "mqtt": {"host": "127.0.0.1", "port": tls_port, "tls": tls},
        "model": {"path": "builtin:seeded", "short_side": 64},
        "ops": {"http": {"port": port}},
    }
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(folder, listener))
        worker = stack.enter_context(WorkerProcess(folder, broker.port, settings))
        stack.enter_context(client := Client(broker.port, "parsing/#"))
        client.publish("cameras/door/frame", IMAGE.read_bytes(), retain=True)  # dropped when the worker subscribes
        worker.ready()
        scraper = stack.enter_context(Prometheus(folder, port))
        wait_until(lambda: scraper.values("edge_worker_frames_dropped_total"), "a first scrape", START_S)
        client.publish("cameras/door/frame", IMAGE.read_bytes())
        client.publish("cameras/gate/frame", b"no image")
        wait_until(lambda: scraper.values("rate(edge_worker_frames_rejected_total[1m])"), "two scrapes", START_S)
        wait_until(lambda: any(scraper.values("rate(edge_worker_frames_processed_total[1m])")), "a frame", START_S)
        yield scraper


@pytest.mark.mosquitto
@pytest.mark.parametrize("panel", EXPRESSIONS)
def test_each_panel_of_the_dashboard_shows_something(prometheus: Prometheus, panel: str) -> None:
    """Its expression has values for a worker that works, has lost nothing, and has a certificate."""
    assert prometheus.values(EXPRESSIONS[panel]) != []


@pytest.mark.mosquitto
def test_the_alerts_are_evaluated_on_a_real_worker(prometheus: Prometheus) -> None:
    """Without an error; of a worker that is well none fires, and one is pending: its certificate has 2 days."""

    def rules() -> list[dict[str, Any]]:
        groups = prometheus.get("rules").get("groups", [])
        return [rule for group in groups for rule in group["rules"]]

    wait_until(lambda: all(rule["health"] != "unknown" for rule in rules()), "all are evaluated")
    assert {rule["name"]: (rule["health"], rule.get("lastError", "")) for rule in rules()} == dict.fromkeys(
        ALERTS, ("ok", "")
    )
    assert {rule["name"]: rule["state"] for rule in rules() if rule["state"] != "inactive"} == {
        "EdgeWorkerCertificateExpires": "pending"
    }
