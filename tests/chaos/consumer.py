"""The receivers' side: a client with a persistent session that misses nothing the broker was given for it."""

from __future__ import annotations

import hashlib
import io
import json
import math
import time
from collections import defaultdict
from dataclasses import dataclass, field
from threading import Condition
from typing import TYPE_CHECKING, Any, Final

import paho.mqtt.client as paho
from links import disconnect
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from PIL import Image

from chaos.camera import RECONNECT_S

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

WAIT_S: Final = 60.0
FILTERS: Final = ("parsing/#", "edge-worker/#")


@dataclass
class Answers:
    """What came for one frame: the reasons of its errors, its labels, and which maps came before them.

    An answer that the broker delivered to us twice is the same bytes twice, and counts once.
    """

    labels: set[str] = field(default_factory=set)
    errors: dict[str, str] = field(default_factory=dict)
    maps: int = 0
    commits_without_map: int = 0

    @property
    def count(self) -> int:
        """How many answers there were: labels or errors."""
        return len(self.labels) + len(self.errors)


@dataclass(frozen=True)
class Said:
    """A message of a worker about itself, and when it came (monotonic seconds)."""

    at: float
    retained: bool
    content: dict[str, Any]


class Consumer:
    """Collects results, errors, status, model cards, stats and responses. Owes nothing to the code under test."""

    def __init__(self, port: int, client_id: str = "consumer", *, persistent: bool = True) -> None:
        """Connect to the broker on *port*, now or when it is there."""
        self.answers: dict[str, dict[str, Answers]] = defaultdict(lambda: defaultdict(Answers))
        self.statuses: list[Said] = []
        self.cards: list[Said] = []
        self.stats: list[Said] = []
        self._responses: dict[str, dict[str, Any]] = {}
        self._asked = 0
        self._changed = Condition()
        self._subscribed = False
        self._result_at = 0.0
        self._paho = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv5)
        self._paho.reconnect_delay_set(RECONNECT_S, RECONNECT_S)  # type: ignore[arg-type]  # fractions work
        self._paho.on_connect = lambda client, *_: client.subscribe([(topic, 1) for topic in FILTERS])
        self._paho.on_subscribe = lambda *_: self._note_subscribed(True)
        self._paho.on_disconnect = lambda *_: self._note_subscribed(False)
        self._paho.on_message = lambda _client, _data, message: self._take(message)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 86_400 if persistent else 0
        self._paho.connect_async("127.0.0.1", port, clean_start=not persistent, properties=properties)
        self._paho.loop_start()

    # -- asking and waiting -------------------------------------------------------------------------------------------

    def wait(self, condition: Callable[[], object], what: str, timeout_s: float = WAIT_S) -> None:
        """Wait until *condition* holds, looking whenever something came.

        Raises:
            AssertionError: it does not in time.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not condition():
                left = deadline - time.monotonic()
                assert left > 0, f"{what}: not within {timeout_s:g} s"
                self._changed.wait(min(left, 0.2))

    def ready(self) -> Self:
        """Wait until the broker knows what we want, of the present connection."""
        self.wait(lambda: self._subscribed, "the consumer is subscribed")
        return self

    def wait_cut_off(self) -> None:
        """Wait until the connection is known to be lost."""
        self.wait(lambda: not self._subscribed, "the consumer is cut off")

    def wait_state(self, state: str, *, pid: int | None = None, after: int = 0, timeout_s: float = WAIT_S) -> Said:
        """Wait until a worker says that it is in *state* (process *pid*; not among the first *after* statuses)."""
        found: list[Said] = []

        def look() -> bool:
            found[:] = [said for said in self.statuses[after:] if _is(said.content, state, pid)]
            return bool(found)

        self.wait(look, f"the worker says {state}", timeout_s)
        return found[0]

    def ask(self, command: str, node: str = "box", **arguments: object) -> dict[str, Any]:
        """Send a worker that is connected a command and wait for the answer; for one that is away nobody keeps it."""
        self._asked += 1
        transaction = f"{id(self)}-{self._asked}"
        payload = json.dumps({"transaction": transaction, **arguments})
        self._paho.publish(f"edge-worker/{node}/request/{command}", payload, qos=1)
        self.wait(lambda: transaction in self._responses, f"{command} is answered")
        return self._responses[transaction]

    def account(self, node: str = "box") -> dict[str, Any]:
        """Ask a worker for its stats; they are kept among the others, too."""
        content = self.ask("stats", node)["data"]
        self.stats.append(Said(time.monotonic(), retained=False, content=content))
        return dict(content)

    def wait_answered(self, camera: str, frame_ids: Sequence[str], idle_s: float = WAIT_S) -> None:
        """Wait until each of *frame_ids* was answered, as long as answers keep coming.

        Raises:
            AssertionError: nothing came for *idle_s* seconds.
        """
        seen = self.answers[camera]
        self._result_at = time.monotonic()

        def is_done() -> bool:  # the newest are looked at first, for they come last
            return all(frame_id in seen and seen[frame_id].count for frame_id in reversed(frame_ids))

        self.wait(lambda: is_done() or self._has_been_idle(idle_s), "answers come to an end", math.inf)
        assert is_done(), f"{camera}: no more answers, though not all of {len(frame_ids)} frames are answered"

    def has_answered(self, camera: str, frame_id: str) -> bool:
        """Whether *frame_id* of *camera* was answered."""
        with self._changed:
            return frame_id in self.answers[camera] and self.answers[camera][frame_id].count > 0

    def wait_result(self) -> None:
        """Wait until something is answered from now on."""
        began = time.monotonic()
        self.wait(lambda: self._result_at > began, "a frame is answered")

    def _has_been_idle(self, seconds: float) -> bool:
        return time.monotonic() - self._result_at > seconds

    def seen(self, camera: str) -> dict[str, Answers]:
        """What came for the frames of *camera* so far, by frame id."""
        with self._changed:
            return dict(self.answers[camera])

    # -- what comes ---------------------------------------------------------------------------------------------------

    def _note_subscribed(self, is_subscribed: bool) -> None:  # noqa: FBT001 - a note
        with self._changed:
            self._subscribed = is_subscribed
            self._changed.notify_all()

    def _take(self, message: paho.MQTTMessage) -> None:
        levels = message.topic.split("/")
        with self._changed:
            if levels[0] == "parsing":
                self._take_result(levels[1], levels[2], message)
            else:
                self._take_own("/".join(levels[2:]), message)
            self._changed.notify_all()

    def _take_result(self, camera: str, kind: str, message: paho.MQTTMessage) -> None:
        frame_id = _frame_id(kind, message)
        self._result_at = time.monotonic()
        answers, digest = self.answers[camera][frame_id], hashlib.sha256(message.payload).hexdigest()
        if kind == "colormap":
            answers.maps += 1
        elif kind == "labels":
            answers.labels.add(digest)
            answers.commits_without_map += not answers.maps
        elif kind == "error":
            answers.errors[digest] = json.loads(message.payload)["reason"]

    def _take_own(self, kind: str, message: paho.MQTTMessage) -> None:
        if kind.startswith("request") or kind == "answered":
            return
        content = json.loads(message.payload)
        if kind.startswith("response"):
            self._responses[content.get("transaction", "")] = content
        else:
            kept = {"status": self.statuses, "model": self.cards, "stats": self.stats}[kind]
            kept.append(Said(time.monotonic(), message.retain, content))

    def __enter__(self) -> Self:
        return self.ready()

    def __exit__(self, *_: object) -> None:
        disconnect(self._paho)


def _frame_id(kind: str, message: paho.MQTTMessage) -> str:
    """Read whose answer a message is: in its properties, or where a worker that speaks MQTT 3.1.1 says so."""
    properties = dict(getattr(message.properties, "UserProperty", ()))
    if "frame-id" in properties:
        return str(properties["frame-id"])
    if kind == "overlay":
        return ""
    if kind == "colormap":
        with Image.open(io.BytesIO(message.payload)) as image:
            return str(image.info.get("frame-id", ""))
    return str(json.loads(message.payload)["frame_id"])


def _is(status: dict[str, Any], state: str, pid: int | None) -> bool:
    return status["state"] == state and (pid is None or status.get("pid") == pid)
