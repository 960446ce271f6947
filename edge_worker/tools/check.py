"""``edge-worker check``: what a configuration means, and with --connect whether it works."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from edge_worker.config import Config, warnings
from edge_worker.m2fp.kernels.loader import describe_kernels, loaded_kernels
from edge_worker.mqtt.probe import Finding, probe
from edge_worker.ops.allowance import CpuAllowance, free_mb
from edge_worker.ops.directories import cache_directory
from edge_worker.pool import ModelPool
from edge_worker.pool.process_count import process_count
from edge_worker.tools.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


def run(config: Config, source: Path | None, *, connect: bool) -> int:
    """Print what *config*, read from *source*, means; with *connect* also try it. Returns the exit code."""
    _print(f"{'environment' if source is None else source}: ok")
    for line in _meaning(config):
        _print(f"  {line}")
    for warning in warnings(config, os.environ):
        _print(f"warning: {warning}")
    if not connect:
        return 0
    progress = Progress()
    with progress.step(f"trying the broker {config.mqtt.address}"):
        findings = probe(config, os.environ)
    _tell(findings)
    with progress.step(f"loading the model {config.model.path}"):
        findings.append(_model_finding(config))
    _tell(findings[-1:])
    return 0 if all(finding.ok for finding in findings) else 1


def _tell(findings: Iterable[Finding]) -> None:
    for finding in findings:
        _print(f"{'ok' if finding.ok else 'failed'}: {finding.detail}")
    sys.stdout.flush()


def _meaning(config: Config) -> Iterator[str]:
    """Yield lines that describe what the worker would do."""
    mqtt = config.mqtt
    security = "TLS" if mqtt.tls else "no TLS"
    yield f"broker: {mqtt.address} ({mqtt.transport}, {security}, MQTT {mqtt.protocol}) as {config.client_id}"
    for camera in config.cameras:
        topics = ", ".join(kind.topic for kind in config.outputs_for(camera).enabled().values())
        yield f"camera: {camera.topic} ({camera.delivery}, QoS {camera.qos}) → {topics}"
    model, threads = config.model, config.threads
    yield f"model: {model.path} (engine {model.engine}, precision {model.precision}, threads {threads.inference})"
    yield f"compiled kernels: {describe_kernels(loaded_kernels())}"
    chosen = process_count(config, CpuAllowance.read(), free_mb())
    yield f"model processes: {chosen.count} ({chosen.reason})"


def _model_finding(config: Config) -> Finding:
    """Load the model in its own process, as the worker does."""
    pool = ModelPool(config, state_directory=None, cache_directory=cache_directory(os.environ))
    slots = range(pool.slots)
    try:
        all(pool.make_ready(slot) for slot in slots)  # stop at the first that fails
        state, card = pool.state(), pool.card()
    finally:
        for slot in slots:
            pool.end(slot)
        pool.close()
    if not state.ready or card is None:
        return Finding(ok=False, detail=f"model {config.model.path}: {state.detail}")
    warning = f" ({card.warning})" if card.warning else ""
    return Finding(ok=True, detail=f"model {card.name}: {card.engine} in {card.precision}: {card.reason}{warning}")


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
