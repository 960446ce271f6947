"""Rendered manifests of the Helm chart, and the files and environment of its containers."""

from __future__ import annotations

import base64
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml
from deploy_tools import ROOT, tool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

CHART = ROOT / "deploy" / "helm" / "edge-worker"
SAMPLES = sorted((CHART / "ci").glob("*-values.yaml"))
POD_IP = "10.1.2.3"
Manifest = dict[str, Any]


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run helm."""
    return subprocess.run([tool("helm"), *arguments], check=False, capture_output=True, text=True, timeout=60)


def render(values: Path, *more: str) -> list[Manifest]:
    """Render the chart with the file *values*, in the namespace ``parsing``."""
    done = helm("template", "edge-worker", CHART, "--namespace", "parsing", "--values", values, *more)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def named(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    (found,) = (one for one in of_kind(manifests, kind) if one["metadata"]["name"] == name)
    return found


def pods(manifests: list[Manifest]) -> list[Manifest]:
    """Return all pod templates."""
    return [one["spec"]["template"] for one in of_kind(manifests, "Deployment", "StatefulSet")]


def containers(pod: Manifest) -> list[Manifest]:
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


@dataclass(frozen=True)
class Seen:
    """A container's files and environment, with *folder* as its root directory."""

    folder: Path
    environ: Mapping[str, str]

    @classmethod
    def by(cls, container: Manifest, pod: Manifest, manifests: list[Manifest], folder: Path) -> Seen:
        """Write the mounted files below *folder*; keys of Secrets outside the chart have their names as values."""
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        for mount in container["volumeMounts"]:
            place = folder / mount["mountPath"].lstrip("/")
            place.mkdir(parents=True)
            for name, text in _content(volumes.get(mount["name"], {}), manifests):
                (place / name).write_text(text.replace("/run/", f"{folder}/run/"))
        environ = {one["name"]: one.get("value", POD_IP) for one in container["env"]}
        return cls(folder, {name: _expanded(value, folder) for name, value in environ.items()})


def _expanded(value: str, folder: Path) -> str:
    return value.replace("$(POD_IP)", POD_IP).replace("/run/", f"{folder}/run/")


def _content(volume: Manifest, manifests: list[Manifest]) -> Iterator[tuple[str, str]]:
    """Yield name and text of each file in a volume."""
    if "configMap" in volume:
        yield from named(manifests, "ConfigMap", volume["configMap"]["name"])["data"].items()
    if "secret" in volume:
        secret = volume["secret"]
        made = {one["metadata"]["name"]: one["data"] for one in of_kind(manifests, "Secret")}
        for item in secret.get("items", ()):
            elsewhere = {item["key"]: base64.b64encode(item["key"].encode())}
            data = made.get(secret["secretName"], elsewhere)
            yield item["path"], base64.b64decode(data[item["key"]]).decode()
