"""Publishes for Home Assistant which devices there are, and their current settings.

Discovery messages are retained. They are published when a device is new or changes, at each connection, and when Home
Assistant announces that it has started.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final

import structlog

from edge_worker.common import log_events
from edge_worker.integrations.home_assistant.discovery import Device, Discovery
from edge_worker.integrations.home_assistant.memory import Announced, Memory
from edge_worker.messages import CameraSettings, SettingsMessage
from edge_worker.mqtt.message import Incoming, Outgoing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from edge_worker.config import Config
    from edge_worker.mqtt.events import Published

MAX_CAMERAS: Final = 100
"""Limited because senders choose the names of cameras, and each makes some fifteen entities."""

QUIET_S: Final = 10.0
"""Shortest time between two publications of everything: Home Assistant drops parts of a message that arrives while it
is still processing the one before."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SeenCamera:
    """A camera that has sent frames: index of its camera section, number of frames so far, settings."""

    name: str
    source: int
    received: int
    settings: CameraSettings


class HomeAssistant:
    """Announces one worker to Home Assistant. Safe to call from any thread."""

    def __init__(self, config: Config, memory: Memory, publish: Callable[[Outgoing], object]) -> None:
        """Continue with the devices in *memory*; if the integration is off, they are removed from Home Assistant.

        *publish* must not call back.
        """
        self._lock = Lock()
        self._memory, self._publish = memory, publish
        self._current: dict[str, Device] = {}  # by topic: announced since everything was last published
        self._received: dict[str, int] = {}
        self._forgotten: dict[str, int] = {}  # with the number of frames received until then
        self._settings: SettingsMessage | None = None
        self._connected, self._full = False, False
        self._first_publication, self._unread = 0, False
        self._due, self._all_at = math.inf, -math.inf
        self._configure(config)
        self.wanted: Final = self._enabled or bool(memory.devices)
        """Whether there is anything to do: devices to announce, or to remove since an earlier run."""

    def _configure(self, config: Config) -> None:
        self._enabled, self._commands = config.integrations.home_assistant.enabled, config.commands.enabled
        self._node, self._parts = config.node.id, config.integrations.home_assistant.parts
        self._discovery = Discovery(config)

    def apply(self, config: Config) -> None:
        """Use *config* from now on, which differs from the one before only in keys that apply live."""
        with self._lock:
            self._configure(config)
            self._want_all()

    def check_parts(self, classes: Iterable[str]) -> None:
        """Warn of configured parts that are not among the model's *classes*."""
        known = tuple(classes)
        for part in self._parts if self._enabled else ():
            if part not in known:
                _log.warning(log_events.HOME_ASSISTANT_PART, part=part, classes=known)

    def take(self, message: Incoming) -> bool:
        """Handle Home Assistant's birth message (it has started); False if *message* is something else."""
        if not self._enabled or message.topic != self._discovery.birth_topic:
            return False
        if message.payload == b"online" and not message.retained:  # a retained one is old: it came with our connection
            with self._lock:
                self._want_all()
        return True

    def connected(self) -> None:
        """Publish everything again: the broker may have forgotten it."""
        with self._lock:
            self._connected = True
            self._want_all()

    def published(self, event: Published) -> None:
        """Warn once if the message that announces our own device has no subscriber (MQTT 5)."""
        with self._lock:
            if event.publication == self._first_publication and event.unmatched and not self._unread:
                self._unread = True
                _log.warning(log_events.HOME_ASSISTANT_UNREAD, topic=self._discovery.topic(None))

    def forget(self, camera: str) -> bool:
        """Remove the device of *camera* until it sends again; False if there is none."""
        with self._lock:
            topic = self._discovery.topic(camera)
            if topic not in self._memory.devices:
                return False
            self._forgotten[camera] = self._received.get(camera, 0)
            self._withdraw(topic)
            self._memory.save()
            return True

    def publish_due(self, seen: Sequence[SeenCamera], *, paused: bool) -> None:
        """Publish what is new or due for the cameras *seen*; *paused*: all cameras are paused."""
        with self._lock:
            if not self._connected:
                return
            now = time.monotonic()
            if now >= self._due:
                self._due, self._all_at, self._settings = math.inf, now, None
                self._current.clear()
            before = dict(self._memory.devices)
            self._withdraw_hidden()
            if self._enabled:
                shown = [camera for camera in seen if self._is_shown(camera)]
                self._announce_all(shown)
                self._publish_settings(shown, paused=paused)
            self._received = {camera.name: camera.received for camera in seen}
            self._forgotten = {name: count for name, count in self._forgotten.items() if name in self._received}
            if self._memory.devices != before:
                self._memory.save()

    def _want_all(self) -> None:
        """Publish everything next time, but not before ``QUIET_S`` after the last time. The lock is held."""
        self._due = min(self._due, max(time.monotonic(), self._all_at + QUIET_S))

    def _is_shown(self, camera: SeenCamera) -> bool:
        if camera.received <= self._forgotten.get(camera.name, -1) or not self._discovery.shows(camera.name):
            return False
        self._forgotten.pop(camera.name, None)
        return True

    def _announce_all(self, shown: Iterable[SeenCamera]) -> None:
        if self._discovery.topic(None) not in self._current:
            self._first_publication = self._announce(self._discovery.node())
        for camera in shown:
            topic = self._discovery.topic(camera.name)
            if topic not in self._current and self._has_room(topic, camera.name):
                self._announce(self._discovery.camera(camera.name, camera.source))

    def _has_room(self, topic: str, camera: str) -> bool:
        devices = self._memory.devices
        if topic in devices or sum(device.camera is not None for device in devices.values()) < MAX_CAMERAS:
            return True
        if not self._full:
            self._full = True
            _log.warning(log_events.HOME_ASSISTANT_FULL, camera=camera, cameras=MAX_CAMERAS)
        return False

    def _announce(self, device: Device) -> int:
        """Publish *device*; returns the number of the publication."""
        earlier = self._memory.devices.get(device.topic)
        publication = self._retain(device.topic, device.message({} if earlier is None else earlier.platforms))
        if earlier is None:
            _log.info(log_events.HOME_ASSISTANT_ANNOUNCED, camera=device.camera, topic=device.topic)
        elif earlier.platforms.keys() - device.components.keys():
            self._want_all()  # next time without the removed components
        self._current[device.topic] = device
        self._memory.devices[device.topic] = Announced(camera=device.camera, platforms=device.platforms)
        return publication

    def _withdraw_hidden(self) -> None:
        for topic, device in [*self._memory.devices.items()]:
            shown = self._enabled and (device.camera is None or self._discovery.shows(device.camera))
            if not shown or topic != self._discovery.topic(device.camera):
                self._withdraw(topic)
                if device.camera is None and not self._enabled:
                    self._retain(self._discovery.topics.settings, b"")

    def _withdraw(self, topic: str) -> None:
        """Have Home Assistant remove the device announced on *topic*."""
        device = self._memory.devices.pop(topic)
        self._current.pop(topic, None)
        self._full = False
        self._retain(topic, b"")
        _log.info(log_events.HOME_ASSISTANT_REMOVED, camera=device.camera, topic=topic)

    def _publish_settings(self, shown: Iterable[SeenCamera], *, paused: bool) -> None:
        """Publish the settings of the cameras that Home Assistant knows, if they have changed."""
        known = {one.name: one.settings for one in shown if self._discovery.topic(one.name) in self._current}
        settings = SettingsMessage(node=self._node, paused=paused, cameras=known)
        if self._commands and settings != self._settings:
            self._settings = settings
            self._retain(self._discovery.topics.settings, settings.to_json())

    def _retain(self, topic: str, payload: bytes) -> int:
        message = Outgoing(topic, payload, retain=True, content_type="application/json")
        self._publish(message)
        return message.publication
