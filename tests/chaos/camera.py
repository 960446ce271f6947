"""The senders' side: cameras that know exactly which of their frames the broker has accepted."""

from __future__ import annotations

import hashlib
from random import Random
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import paho.mqtt.client as paho
from brokers import wait_until
from links import disconnect
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

    from paho.mqtt.reasoncodes import ReasonCode

RECONNECT_S: Final = 0.2
SUCCESS: Final = 0
"""The reason code of an acknowledgement; 16 says that nobody has subscribed."""
WIDTH, HEIGHT = 96, 64
BURST_S: Final = (0.2, 2.0)
"""Between two bursts: at least, at most."""


def image(number: int, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """Draw a PNG that differs from that of every other *number* (below 2^64)."""
    pixels = np.random.default_rng(number).integers(0, 255, (4, 8, 3), np.uint8)
    pixels[0, :, 0] = list(number.to_bytes(8, "big"))
    return cv2.imencode(".png", cv2.resize(pixels, (width, height), interpolation=cv2.INTER_NEAREST))[1].tobytes()


def content_id(camera: str, payload: bytes) -> str:
    """Return the frame id that the contract promises for a frame whose sender gave none."""
    return hashlib.sha256(camera.encode() + b"\0" + payload).hexdigest()[:16]


class Camera:
    """Publishes frames in QoS 1 over a session that outlives connections. Owes nothing to the code under test.

    What the broker acknowledges without anybody to send it to is not accepted: it keeps no such message.
    """

    def __init__(self, port: int, name: str, *, topic: str = "cameras/{camera}/frame", sender_ids: bool = True) -> None:
        """Connect to the broker on *port*, now or when it is there; with *sender_ids* every frame carries its id."""
        self.name, self._sender_ids = name, sender_ids
        self._topic = topic.replace("{camera}", name)
        self._lock = Lock()
        self._offered: list[str] = []
        self._accepted: list[str] = []
        self._unacknowledged: list[tuple[str, int]] = []  # frame id, packet id
        self._reasons: dict[int, int] = {}  # of acknowledgements not looked at yet, by packet id
        self._paho = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"camera-{name}", protocol=MQTTProtocolVersion.MQTTv5
        )
        self._paho.on_publish = self._note_reason
        self._paho.reconnect_delay_set(RECONNECT_S, RECONNECT_S)  # type: ignore[arg-type]  # fractions work
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 86_400
        self._paho.connect_async("127.0.0.1", port, clean_start=False, properties=properties)
        self._paho.loop_start()

    def send(self, payload: bytes, frame_id: str = "") -> str:
        """Offer a frame; it is sent as soon as there is a broker. Returns the id it must be answered with."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if self._sender_ids:
            frame_id = frame_id or f"{self.name}-{len(self._offered)}"
            properties.UserProperty = [("frame-id", frame_id)]
        else:
            frame_id = content_id(self.name, payload)
        mid = self._paho.publish(self._topic, payload, qos=1, properties=properties).mid
        with self._lock:
            self._offered.append(frame_id)
            self._unacknowledged.append((frame_id, mid))
        self._settle()
        return frame_id

    @property
    def offered(self) -> list[str]:
        """The ids of all frames offered, in their order."""
        with self._lock:
            return [*self._offered]

    @property
    def accepted(self) -> list[str]:
        """The ids of all frames that the broker has taken on for somebody, in their order."""
        self._settle()
        with self._lock:
            return [*self._accepted]

    def wait_accepted(self, timeout_s: float = 30.0) -> None:
        """Wait until the broker has acknowledged every frame offered."""
        wait_until(lambda: not self._settle(), f"{self.name}: the broker has all frames", timeout_s)

    def _settle(self) -> int:
        """Sort the frames acknowledged since the last look; returns how many are not."""
        with self._lock:
            known = self._reasons.copy()  # more may come meanwhile
            acknowledged = [(frame_id, mid) for frame_id, mid in self._unacknowledged if mid in known]
            self._unacknowledged = [pair for pair in self._unacknowledged if pair[1] not in known]
            self._accepted += [frame_id for frame_id, mid in acknowledged if self._reasons.pop(mid) == SUCCESS]
            return len(self._unacknowledged)

    def _note_reason(self, _client: object, _data: object, mid: int, reason: ReasonCode, _properties: object) -> None:
        self._reasons[mid] = reason.value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        disconnect(self._paho)


class Traffic:
    """A context in which cameras offer frames in bursts, *rate* a second in the mean over all of them."""

    def __init__(
        self, cameras: Sequence[Camera], random: Random, rate: float, draw: Callable[[int], bytes] = image
    ) -> None:
        """Draw the moments of the bursts, and how many frames each has, from *random*; *draw* makes the images."""
        self._cameras, self._rate, self._draw = cameras, rate, draw
        # Of its own: two threads that draw from one source would each get what the other left, as it happens.
        self._random = Random(random.getrandbits(64))  # noqa: S311 - to be repeated, not to be secret
        self._first = random.getrandbits(48) << 16
        self._stop = Event()
        self._error: Exception | None = None
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def _run(self) -> None:
        try:
            self._offer()
        except Exception as error:  # noqa: BLE001 - raised where the block ends: frames not sent prove nothing
            self._error = error

    def _offer(self) -> None:
        sent, due = 0, 0.0
        while not self._stop.is_set():
            pause_s = self._random.uniform(*BURST_S)
            due += pause_s * self._rate
            while sent < due:
                self._random.choice(self._cameras).send(self._draw(self._first + sent))
                sent += 1
            self._stop.wait(pause_s)
