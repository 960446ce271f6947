"""Messages that a worker publishes about itself: status, model card, stats, settings."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from edge_worker.inference.types import ModelCardFacts
from edge_worker.messages.base import Count, Detail, Message, Quantity, Score, Time
from edge_worker.messages.results import LABELS_SCHEMA, Colour, ModelName

MAX_STATUS_BYTES = 65_535  # MQTT's limit for a will, which is a status
Word = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]


class StatusMessage(Message):
    """The worker's state; retained. It is also the will, with state ``offline`` and reason ``lost``."""

    schema_: Literal["edge-worker.status/1"] = Field("edge-worker.status/1", alias="schema")
    node: str
    version: str
    session: str
    """Id of this run of the worker; a will with an older one does not concern this run."""
    state: Literal["starting", "loading", "online", "degraded", "stopping", "offline"]
    since: Time
    reason: Word | None = None
    detail: Detail | None = None
    pid: Annotated[int, Field(ge=1)] | None = None
    groups: tuple[str, ...] | None = None
    """The groups of nodes with which this one divides cameras."""


class AnsweredMessage(Message):
    """A node tells the others of its group that it has answered a frame, which all of them received."""

    schema_: Literal["edge-worker.answered/1"] = Field("edge-worker.answered/1", alias="schema")
    node: str
    camera: str
    frame_id: str


class CaughtUpMessage(Message):
    """A node tells one that joined its group that all frames received before that node's status are answered."""

    schema_: Literal["edge-worker.caught-up/1"] = Field("edge-worker.caught-up/1", alias="schema")
    node: str
    joined: str
    """The node that joined."""
    session: str
    """The ``session`` in the status of the node that joined."""


class ModelClass(Message):
    """A class of the model and its colour in the maps; ``id`` is the pixel value."""

    id: Count
    name: str
    color: Colour


class Threads(Message):
    """Threads as configured, and as in effect within the machine's limits."""

    requested: dict[str, JsonValue]
    effective: dict[str, JsonValue]


class SandboxMessage(Message):
    """Sandbox of the model process, which decodes the frames: names of the measures taken before the first frame."""

    in_force: tuple[Word, ...] = ()
    refused: dict[Word, str] = Field(default_factory=dict)
    """Measures that the kernel or a container's profile refused, and why."""


class ModelCard(Message):
    """The loaded model, and the classes and colours of its maps; retained."""

    schema_: Literal["edge-worker.model/1"] = Field("edge-worker.model/1", alias="schema")
    node: str
    published_at: Time
    model: ModelName
    choice: str
    """Why this engine and precision were chosen."""
    warning: str | None = None
    classes: tuple[ModelClass, ...]
    threads: Threads
    kernels: tuple[Word, ...] = ()
    """The compiled kernels that are loaded; empty if none were built."""
    sandbox: SandboxMessage = Field(default_factory=SandboxMessage)
    labels_schema: Literal["edge-worker.labels/1"] = LABELS_SCHEMA

    @classmethod
    def of(cls, facts: ModelCardFacts, *, node: str, published_at: str) -> "ModelCard":
        """Return the card of the model that *facts* describe."""
        classes = zip(facts.classes, facts.colors, strict=True)
        return cls(
            node=node,
            published_at=published_at,
            model=ModelName.of(facts),
            choice=facts.reason,
            warning=facts.warning or None,
            classes=tuple(ModelClass(id=index, name=name, color=color) for index, (name, color) in enumerate(classes)),
            threads=Threads(**facts.threads),
            kernels=facts.kernels,
            sandbox=SandboxMessage(**facts.sandbox),
        )


class AccountMessage(Message):
    """Frames by outcome: received = processed + all rejected + all dropped + waiting + in_work."""

    received: Count = 0
    processed: Count = 0
    rejected: dict[str, Count] = Field(default_factory=dict)
    dropped: dict[str, Count] = Field(default_factory=dict)
    waiting: Count = 0
    in_work: Count = 0
    duplicates: Count = 0
    """Redelivered frames that needed no second reply; not part of ``received``."""
    oldest_waiting_s: Quantity = 0.0
    """Age of the waiting frame that is next in line, seconds; 0 if none waits."""


class SpreadMessage(Message):
    """Frames since the last stats message: number, and median and 95th percentile in milliseconds."""

    count: Count
    p50: Quantity
    p95: Quantity


class ModelProcessMessage(Message):
    """Current state of a model process (the attributes of :class:`edge_worker.pool.ProcessInfo`)."""

    pid: Annotated[int, Field(ge=1)] | None = None
    ready: bool
    phase: str
    detail: str = ""
    """Why it is not ready."""
    rss_mb: Quantity
    frames: Count
    crashes: Count
    recycles: Count
    """Planned restarts: memory, failures of the model, command."""
    frame_limit_s: Quantity
    """Time limit of a frame, after which the process is killed and restarted."""


class ConnectionMessage(Message):
    """Current state of a connection to the broker (the attributes of :class:`edge_worker.mqtt.status.LinkStatus`)."""

    name: str
    connected: bool
    subscribed: bool
    protocol: Literal["5", "3.1.1"] | None = None
    epoch: Count
    """Number of connections so far, including this one."""
    trouble: str = ""
    sessions_lost: Count
    takeovers: Count
    """How often another client with our client id disconnected us."""
    shed: Count
    """Frames that did not fit into memory when the broker sent them, left for redelivery."""
    queued: Count
    publications_lost: Count
    publications_without_subscriber: Count = 0
    """Messages, other than retained ones, that the broker accepted without a subscriber (MQTT 5 only)."""
    max_packet: Count | None = None
    """The largest packet that the broker accepts, bytes, if it said so."""
    keepalive_s: Count


class Cache(Message):
    """The result cache since the start."""

    hits: Count
    misses: Count
    size_mb: Quantity


class StatsMessage(Message):
    """Counts since the start; rates and latencies since the last such message."""

    schema_: Literal["edge-worker.stats/1"] = Field("edge-worker.stats/1", alias="schema")
    node: str
    session: str
    published_at: Time
    uptime_s: Quantity
    interval_s: Quantity
    total: AccountMessage
    cameras: dict[str, AccountMessage]
    frames_per_s: Quantity
    timings_ms: dict[Word, SpreadMessage]
    age_ms: SpreadMessage | None = None
    processes: tuple[ModelProcessMessage, ...]
    connections: tuple[ConnectionMessage, ...]
    cache: Cache
    rss_mb: Quantity
    """Of the worker process; those of the model processes are in ``processes``."""


class CameraSettings(Message):
    """Settings in force for a camera: configuration and commands."""

    paused: bool
    min_interval_s: Quantity
    score_threshold: Score | None = None
    """Left out: the model's default."""
    overlay: bool


class SettingsMessage(Message):
    """The current values of all settings that commands can change; retained."""

    schema_: Literal["edge-worker.settings/1"] = Field("edge-worker.settings/1", alias="schema")
    node: str
    paused: bool
    """All cameras are paused; ``paused`` of each is then true, too."""
    cameras: dict[str, CameraSettings]
