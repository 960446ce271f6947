"""Fixtures of the whole suite: each test gets its own real broker."""

from __future__ import annotations

import logging
import os
import signal
from contextlib import ExitStack
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from brokers import INSTALL_MOSQUITTO, MOSQUITTO, Amqtt, Mosquitto
from hypothesis import settings
from links import Watched

from edge_worker.config.mqtt import MqttConfig, ReconnectConfig
from edge_worker.mqtt.link import Link
from edge_worker.ops import logs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


settings.register_profile("busy machine", deadline=None)  # the duration of an example means nothing here
settings.load_profile("busy machine")

# A background job ignores SIGINT, and the programs that the tests start and interrupt would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def _require_mosquitto() -> None:
    if MOSQUITTO is None:
        if os.environ.get("CI") == "true":
            pytest.fail("mosquitto is not installed: CI must not skip its tests")
        pytest.skip("mosquitto is not installed")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Report in the last line how many tests were skipped without mosquitto, and how to install it."""
    reporter: Any = config.pluginmanager.getplugin("terminalreporter")
    if MOSQUITTO is None and reporter is not None and (skipped := reporter.stats.get("skipped", ())):
        without = sum("mosquitto" in str(report.longrepr) for report in skipped)
        if without:
            reporter.write_line(f"not tested for want of mosquitto: {without} tests; {INSTALL_MOSQUITTO}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests marked ``mosquitto`` if it is not installed; in CI fail."""
    if item.get_closest_marker("mosquitto"):
        _require_mosquitto()


@pytest.fixture(autouse=True)
def _logs_go_nowhere_else() -> Iterator[None]:
    """Reset a test's logging configuration afterwards, because its stream is closed."""
    yield
    root = logging.getLogger()
    if any(isinstance(handler, logs.Lines) for handler in root.handlers):
        root.handlers.clear()
        root.setLevel(logging.WARNING)
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running mosquitto that accepts everybody and stores its sessions in the test's directory."""
    _require_mosquitto()
    with Mosquitto(tmp_path) as broker:
        yield broker


@pytest.fixture
def make_mosquitto(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """Starts a mosquitto with additional lines of configuration; stops it with the test."""
    _require_mosquitto()
    with ExitStack() as stack:
        yield lambda *lines, **options: stack.enter_context(Mosquitto(tmp_path, lines, **options))


@pytest.fixture
def amqtt() -> Iterator[Amqtt]:
    """A running amqtt in a subprocess."""
    with Amqtt() as broker:
        yield broker


@pytest.fixture
def make_link() -> Iterator[Callable[..., Watched]]:
    """Creates links with short timeouts that stop with the test: ``make_link(port, persistent=True, …)``.

    Arguments of :class:`Link` and keys of the section ``mqtt`` are distinguished by name.
    """
    with ExitStack() as stack:

        def make(port: int = 0, **options: Any) -> Watched:  # noqa: ANN401 - of Link and MqttConfig
            keys = {key: options.pop(key) for key in list(options) if key in MqttConfig.model_fields}
            defaults: dict[str, Any] = {
                "host": "127.0.0.1",
                "port": port or 1,
                "client_id": "worker",
                "reconnect": ReconnectConfig(min_s=0.05, max_s=0.2, stable_s=5.0),
                "connack_timeout_s": 2.0,
            }
            config = MqttConfig(**(defaults | keys))
            link_options: dict[str, Any] = {
                "name": "link",
                "client_id": config.client_id,
                "persistent": False,
                "subscriptions": (),
            }
            password = options.pop("password", None)
            read = password if callable(password) else lambda: password
            queue: SimpleQueue[Any] = SimpleQueue()
            link = Link(config, report=queue.put, password=read, **(link_options | options))
            return stack.enter_context(Watched(link, queue))

        yield make
