"""One broker, gateway and worker that answers at once for the tests of a module; skipped where mosquitto is absent."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from brokers import MOSQUITTO, Mosquitto
from gateways import FakeWorker, GatewayProcess, Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytest.importorskip("fastapi", reason="the extra `web` is not installed")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Broker, worker and gateway, online."""
    with _broker(tmp_path_factory) as broker, FakeWorker(broker.port) as worker:
        limits = {"max_payload_mb": 1.0}
        gateway = GatewayProcess(
            tmp_path_factory.mktemp("gateway"),
            broker.port,
            limits=limits,
            gateway={"timeout_s": 3.0, "requests_per_minute": 60_000},
        )
        with gateway:
            yield Stack(broker, gateway.online(), worker)


@pytest.fixture
def make_gateway(tmp_path_factory: pytest.TempPathFactory, stack: Stack) -> Iterator[Callable[..., GatewayProcess]]:
    """Makes a gateway with keys of the section of its own, at the same broker."""
    with ExitStack() as running:
        yield lambda **keys: running.enter_context(
            GatewayProcess(tmp_path_factory.mktemp("gateway"), stack.broker.port, gateway=keys)
        )


def _broker(tmp_path_factory: pytest.TempPathFactory) -> Mosquitto:
    if MOSQUITTO is None and os.environ.get("CI") == "true":
        pytest.fail("mosquitto is not installed: CI must not skip its tests")
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    return Mosquitto(tmp_path_factory.mktemp("broker"))
