"""The traffic of a fleet: very many cameras on one connection, and who notes which worker answers them."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Final

import paho.mqtt.client as paho
from brokers import wait_until
from links import disconnect
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from chaos.camera import RECONNECT_S, SUCCESS, image
from chaos.consumer import Consumer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

EVERYBODY: Final = tuple(f"camera-{number}" for number in range(1200))
"""So many that shares of them tell of the division: of four workers chance has a standard deviation of 5 %."""
CAMERAS: Final = EVERYBODY[:300]
"""Those that send several frames in each phase."""
IMAGES: Final = tuple(image(number) for number in range(8))
"""Few, so that most results come from the workers' caches: what is tried out is who answers, not how fast."""
TIMEOUT_S: Final = 60.0


class Crowd:
    """All cameras on one connection, in QoS 1 over a session that outlives connections; each frame has its id."""

    def __init__(self, port: int) -> None:
        """Connect to the broker on *port*, now or when it is there."""
        self.offered: dict[str, list[str]] = defaultdict(list)
        self._sent: dict[int, tuple[str, str]] = {}
        self._reasons: dict[int, int] = {}
        self._paho = paho.Client(CallbackAPIVersion.VERSION2, client_id="crowd", protocol=MQTTProtocolVersion.MQTTv5)
        self._paho.on_publish = lambda _client, _data, mid, reason, _more: self._reasons.update({mid: reason.value})
        self._paho.reconnect_delay_set(RECONNECT_S, RECONNECT_S)  # type: ignore[arg-type]  # fractions work
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 86_400
        self._paho.connect_async("127.0.0.1", port, clean_start=False, properties=properties)
        self._paho.loop_start()

    def offer(self, rounds: int, cameras: Sequence[str] = CAMERAS) -> None:
        """Have each of *cameras* send so many frames, one after the other."""
        for _ in range(rounds):
            for camera in cameras:
                number = len(self.offered[camera])
                properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
                properties.UserProperty = [("frame-id", f"{camera}-{number}")]
                payload = IMAGES[number % len(IMAGES)]
                sent = self._paho.publish(f"cameras/{camera}/frame", payload, 1, properties=properties)
                self.offered[camera].append(f"{camera}-{number}")
                self._sent[sent.mid] = (camera, f"{camera}-{number}")

    def accepted(self) -> dict[str, list[str]]:
        """Wait until the broker has answered for every frame; returns those that it took on for somebody, by camera."""
        wait_until(lambda: len(self._reasons) >= len(self._sent), "the broker has all frames", TIMEOUT_S)
        accepted: dict[str, list[str]] = defaultdict(list)
        for mid, (camera, frame_id) in self._sent.items():
            if self._reasons[mid] == SUCCESS:
                accepted[camera].append(frame_id)
        return accepted

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        disconnect(self._paho)


class Audience(Consumer):
    """A consumer that also notes which worker was the first to answer a frame."""

    def __init__(self, port: int) -> None:
        """Connect to the broker on *port*."""
        self.first: dict[tuple[str, str], str] = {}
        self.first_at: dict[tuple[str, str], float] = {}
        super().__init__(port)

    def _take_result(self, camera: str, kind: str, message: paho.MQTTMessage) -> None:
        super()._take_result(camera, kind, message)
        if kind == "labels":
            properties = dict(getattr(message.properties, "UserProperty", ()))
            frame = (camera, properties["frame-id"])
            if frame not in self.first:
                self.first[frame], self.first_at[frame] = properties["node"], time.monotonic()

    def order(self, camera: str) -> list[str]:
        """The frames of *camera* in the order of their first answers."""
        with self._changed:
            return [frame_id for name, frame_id in self.first if name == camera]

    def owners(self) -> dict[str, str]:
        """Who was the first to answer the newest frame of each camera."""
        with self._changed:
            return {camera: node for (camera, _), node in self.first.items()}

    def moved_after_s(self, since: float, owners: dict[str, str], lost: Sequence[str]) -> float:
        """Seconds from *since* (monotonic) until all who took over cameras of the *lost* owners had begun with them."""
        begun: dict[tuple[str, str], float] = {}
        with self._changed:
            for frame, node in self.first.items():
                owner, at = owners[frame[0]], self.first_at[frame]
                if owner in lost and node not in lost and at > since:
                    begun.setdefault((owner, node), at - since)
        return max(begun.values(), default=0.0)

    def wait_all(self, frames: dict[str, list[str]]) -> None:
        """Wait until each of *frames* is answered, as long as answers keep coming."""
        wanted = {(camera, frame_id) for camera, frame_ids in frames.items() for frame_id in frame_ids}
        seen, moved = -1, time.monotonic()
        while (now := len(wanted & self.first.keys())) < len(wanted):
            if now > seen:
                seen, moved = now, time.monotonic()
            assert time.monotonic() - moved < TIMEOUT_S, f"{len(wanted) - now} of {len(wanted)} frames have no answer"
            time.sleep(0.05)
