"""The Helm chart and the kustomize base: rendered by the real helm, judged by Kubernetes' schemas and by the worker."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import yaml
from certificates import Authority
from charts import CHART, POD_IP, SAMPLES, Manifest, Seen, containers, helm, named, of_kind, pods, render
from deploy_tools import ROOT, tool

from edge_worker.config import load, read_password, warnings
from edge_worker.frames.counters import Count
from edge_worker.service.app import STOP_S
from edge_worker.service.lifecycle import State
from edge_worker.service.metrics import Metrics, Snapshot
from edge_worker.service.result_cache import CacheStats

if TYPE_CHECKING:
    from pathlib import Path

PLAIN, EVERYTHING, OWN_SECRETS, FLEET = (
    CHART / "ci" / f"{name}-values.yaml" for name in ("external-broker", "everything", "own-secrets", "fleet")
)
OLDEST_KUBERNETES, NEWEST_KUBERNETES = "1.27", "1.35"
EXTENSIONS = {"ServiceMonitor", "ScaledObject"}  # their schemas come with their operators
by_sample = pytest.mark.parametrize("values", SAMPLES, ids=lambda path: path.stem)


@by_sample
def test_helm_has_no_complaint(values: Path) -> None:
    """``helm lint --strict`` passes with each sample of values."""
    done = helm("lint", "--strict", "--quiet", CHART, "--values", values)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("version", [OLDEST_KUBERNETES, NEWEST_KUBERNETES])
@by_sample
def test_kubernetes_takes_it(values: Path, version: str) -> None:
    """Every object has exactly the fields that the oldest supported and a new Kubernetes know."""
    for manifest in render(values):
        if manifest["kind"] not in EXTENSIONS:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_every_sample_is_meant() -> None:
    """The samples named here are those that are there, and the chart states the oldest Kubernetes that is tried."""
    assert set(SAMPLES) == {PLAIN, EVERYTHING, OWN_SECRETS, FLEET}
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["kubeVersion"] == f">={OLDEST_KUBERNETES}.0-0"


def _loaded(manifests: list[Manifest], command: str, folder: Path) -> tuple[Any, dict[str, str]]:
    """The configuration as the container that runs *command* finds it, and the container's environment."""
    (found,) = ((one, pod) for pod in pods(manifests) for one in containers(pod) if one.get("args") == [command])
    seen = Seen.by(*found, manifests, folder)
    if (folder / "run/edge-worker/tls").exists():
        shutil.copy(Authority(folder).cert, folder / "run/edge-worker/tls/ca.crt")
    environ = dict(seen.environ)
    return load(folder / "etc/edge-worker/edge_worker.yaml", environ), environ


@by_sample
def test_the_worker_takes_its_configuration(values: Path, tmp_path: Path) -> None:
    """The worker's own loader accepts file, environment and secrets as its container gets them."""
    config, _ = _loaded(render(values), "run", tmp_path)
    assert (config.ops.http.host, config.ops.http.port) == ("0.0.0.0", 9109)  # noqa: S104 - seen by kubelet and Prometheus
    assert config.memory.limit_mb == 1500


def test_replicas_may_divide_the_cameras(tmp_path: Path) -> None:
    """Frames held for the others do not hold up a worker's own, and the will comes in time."""
    manifests = render(FLEET)
    config, environ = _loaded(manifests, "run", tmp_path)
    (workers,) = of_kind(manifests, "StatefulSet")
    assert (workers["spec"]["replicas"], config.groups) == (3, ("edge-worker",))
    assert config.cameras[0].prefetch == 20
    assert not [line for line in warnings(config, environ) if " later than " in line]


def test_the_gateway_takes_the_same_configuration(tmp_path: Path) -> None:
    """It has its token, the names it is called by, and a section for requests."""
    config, _ = _loaded(render(EVERYTHING), "gateway", tmp_path)
    assert config.gateway.token_file.read_text() == "a-token-only-for-this-test"
    assert {POD_IP, "edge-worker-gateway.parsing.svc", "parsing.example"} <= set(config.gateway.hosts)
    assert [camera.reply_prefix for camera in config.cameras] == [None, "replies/"]


@pytest.mark.parametrize(
    ("command", "login"),
    [("run", ("edge-worker", "only-for-this-test")), ("gateway", ("gateway", "gateways-only-for-this-test"))],
)
def test_the_broker_of_the_chart_is_found(command: str, login: tuple[str, str], tmp_path: Path) -> None:
    """Worker and gateway call the chart's broker by its Service, each by its account, with the Secret's password."""
    manifests = render(EVERYTHING)
    config, environ = _loaded(manifests, command, tmp_path)
    service = named(manifests, "Service", config.mqtt.host)
    assert [port["port"] for port in service["spec"]["ports"]] == [config.mqtt.port]
    assert (config.mqtt.username, read_password(config.mqtt, environ)) == login
    assert not [line for line in warnings(config, environ) if "others may read" in line]


def test_secrets_of_ones_own_are_used(tmp_path: Path) -> None:
    """With ``secrets.existing`` the chart makes no Secret, and the password and authority come out of those named."""
    manifests = render(OWN_SECRETS)
    config, environ = _loaded(manifests, "run", tmp_path)
    assert of_kind(manifests, "Secret") == []
    assert read_password(config.mqtt, environ) == "mqtt-password"
    assert (config.mqtt.port, config.mqtt.tls.verify) == (8883, True)


def test_secrets_are_in_secrets_alone() -> None:
    """A password of the values is nowhere in the text of the other objects."""
    rest = [one for one in render(EVERYTHING) if one["kind"] != "Secret"]
    assert not re.search("only-for-this-test", yaml.safe_dump(rest))


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("config.mqtt.host=", "config.mqtt.host: name the broker"),
        ("replicas=2,config.cameras[0].share_group=null", "config.cameras[0]: several replicas"),
        ("autoscaling.enabled=true,config.cameras=null", "config.cameras: several replicas"),
        ("config.mqtt.username=edge-worker", "secrets: give mqttPassword"),
        ("gateway.enabled=true,secrets.gatewayToken=x", "config.cameras: the gateway needs"),
        ("broker.enabled=true", "broker.accounts: name the Secret"),
        ("terminationGracePeriodSeconds=20", "terminationGracePeriodSeconds"),
        ("config.mqtt.password_file=/x", "config/mqtt"),
        ("replica=2", "additional properties 'replica' not allowed"),
    ],
)
def test_values_that_cannot_work_are_refused(setting: str, complaint: str) -> None:
    """The message names the key and what is missing."""
    done = helm("template", "edge-worker", CHART, "--values", PLAIN, "--set", setting)
    assert done.returncode != 0
    assert complaint in done.stderr


@by_sample
def test_every_container_is_confined(values: Path) -> None:
    """No root, no capabilities, no writable root directory, no token of the cluster, limits on memory and CPU."""
    for pod in pods(render(values)):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert set(container["resources"]["limits"]) == {"cpu", "memory"}


def test_the_worker_is_watched_and_may_finish() -> None:
    """It counts as started once it is ready, is restarted when it hangs, and has longer to stop than it takes."""
    (pod,) = pods(render(PLAIN))
    (worker,) = containers(pod)
    paths = {name: worker[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert paths == {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}
    assert pod["spec"]["terminationGracePeriodSeconds"] > STOP_S
    assert worker["startupProbe"]["failureThreshold"] * worker["startupProbe"]["periodSeconds"] == 1800


def test_what_is_written_has_a_place() -> None:
    """State, cache and temporary files are mounted where the images expect them; all else is read-only."""
    writable = {
        container["name"]: {one["mountPath"] for one in container["volumeMounts"] if not one.get("readOnly")}
        for pod in pods(render(EVERYTHING))
        for container in containers(pod)
    }
    dockerfile = (ROOT / "Dockerfile").read_text()
    (state, cache) = (re.findall(rf"{name}_DIRECTORY=(\S+)", dockerfile)[0] for name in ("STATE", "CACHE"))
    assert writable["worker"] == {state, cache, "/tmp"}  # noqa: S108 - of the container
    assert writable["gateway"] == {state, "/tmp"}  # noqa: S108


@by_sample
def test_what_is_selected_exists(values: Path) -> None:
    """Services, budgets and policies select pods of the chart by labels that these have, and ports they name."""
    manifests = render(values)
    labels = [pod["metadata"]["labels"] for pod in pods(manifests)]
    named_ports = {port["name"] for pod in pods(manifests) for one in containers(pod) for port in one.get("ports", ())}
    for one in of_kind(manifests, "Service"):
        assert any(one["spec"]["selector"].items() <= pod.items() for pod in labels), one["metadata"]["name"]
        assert {port["targetPort"] for port in one["spec"]["ports"]} <= named_ports
    for one in of_kind(manifests, "PodDisruptionBudget", "NetworkPolicy"):
        wanted = one["spec"].get("selector") or one["spec"]["podSelector"]
        assert any(wanted["matchLabels"].items() <= pod.items() for pod in labels), one["metadata"]["name"]


def test_the_autoscaler_asks_for_what_there_is() -> None:
    """KEDA scales the StatefulSet by a metric that a worker exports, and nothing else sets the number of replicas."""
    manifests = render(EVERYTHING)
    (scaler,) = of_kind(manifests, "ScaledObject")
    target = named(manifests, "StatefulSet", scaler["spec"]["scaleTargetRef"]["name"])
    assert "replicas" not in target["spec"]
    (trigger,) = scaler["spec"]["triggers"]
    metric, selection = re.fullmatch(r"max\((\w+)\{(.*)\}\)", trigger["metadata"]["query"]).groups()  # type: ignore[union-attr]
    assert f"\n{metric}{{" in _exposition()
    assert selection == 'namespace="parsing", service="edge-worker"'
    (monitor, _) = of_kind(manifests, "ServiceMonitor")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= _service_labels(manifests, "edge-worker").items()


def _service_labels(manifests: list[Manifest], name: str) -> dict[str, str]:
    labels: dict[str, str] = named(manifests, "Service", name)["metadata"]["labels"]
    return labels


def _exposition() -> str:
    snapshot = Snapshot(State.ONLINE, {"gate": Count()}, {}, {}, duplicates=0, held=0, cache=CacheStats(0, 0, 0))
    return Metrics(lambda: snapshot).exposition()[0].decode()


def test_the_kustomize_base_is_what_the_chart_makes() -> None:
    """After a change of the chart the command in kustomization.yaml was run."""
    done = helm("template", "edge-worker", CHART, "--values", PLAIN)
    assert (ROOT / "deploy" / "kustomize" / "edge-worker.yaml").read_text() == done.stdout


def test_an_overlay_brings_its_own_configuration(tmp_path: Path) -> None:
    """The overlay of the documentation builds, and puts its file in the place of the base's."""
    page = (ROOT / "docs" / "deployment.md").read_text()
    overlay = re.search(r"^    resources: \[.*deploy/kustomize.*\n(?:    .*\n)+", page, re.MULTILINE)
    assert overlay is not None
    shutil.copytree(ROOT / "deploy" / "kustomize", tmp_path / "deploy" / "kustomize")
    folder = tmp_path / "overlay"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(overlay[0])
    (folder / "edge_worker.yaml").write_text("mqtt: {host: broker.site}\n")
    done = subprocess.run([tool("kubectl"), "kustomize", folder], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    manifests = list(yaml.safe_load_all(done.stdout))
    (config,) = of_kind(manifests, "ConfigMap")
    assert config["data"] == {"edge_worker.yaml": "mqtt: {host: broker.site}\n"}
