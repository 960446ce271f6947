"""The configuration as frozen sections, one per part of the worker; ``docs/configuration.md`` explains every key."""

import platform
import re
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, ValidationInfo

from edge_worker.common.engines import ENGINE_NAMES, PRECISIONS, EngineName, Precision
from edge_worker.config.cameras import CameraConfig, LimitsConfig
from edge_worker.config.fields import (
    MAX_MEGABYTES,
    Colour,
    CommandTopic,
    Fraction,
    Megabytes,
    NodeId,
    NodeTopic,
    OneOrMore,
    PlainTopic,
    Port,
    Seconds,
    Section,
    beside_the_file,
    one_of,
    satisfying,
)
from edge_worker.config.gateway import GatewayConfig
from edge_worker.config.integrations import IntegrationsConfig
from edge_worker.config.mqtt import MqttConfig
from edge_worker.config.output import OutputConfig

BUILTIN, BUILTIN_MODELS = "builtin:", Path(__file__).parents[1] / "models"
MAX_PROCESSES = 64


def host_name() -> str:
    """Return this machine's name as a topic level: at most 64 letters, digits, ``.``, ``_`` and ``-``."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", platform.node())[:64].strip("-") or "node"


def _auto_or_count(most: float = inf) -> BeforeValidator:
    """Return a validator of ``auto`` or a whole number from 1 to *most*."""

    def holds(value: object) -> bool:
        return value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most)

    end = "" if most == inf else f" to {most}"
    return BeforeValidator(satisfying(holds, f"should be auto or a whole number from 1{end}"))


def model_directory(path: str) -> Path:
    """Return the directory of the model at *path*, which may be ``builtin:NAME``."""
    return BUILTIN_MODELS / path.removeprefix(BUILTIN) if path.startswith(BUILTIN) else Path(path)


def _model_path(path: str, info: ValidationInfo) -> str:
    return path if path.startswith(BUILTIN) else str(beside_the_file(Path(path), info))


class NodeConfig(Section):
    """The worker's name, and its topics for messages about itself. ``id: null``: the host's name."""

    id: Annotated[NodeId, BeforeValidator(lambda value: host_name() if value is None else value)] = Field(
        default_factory=host_name
    )
    status_topic: NodeTopic = "edge-worker/{node}/status"
    model_topic: NodeTopic = "edge-worker/{node}/model"
    stats_topic: NodeTopic = "edge-worker/{node}/stats"
    settings_topic: NodeTopic = "edge-worker/{node}/settings"
    answered_topic: NodeTopic = "edge-worker/{node}/answered"
    """Where nodes that divide cameras among themselves publish which frames they have answered."""
    retain: bool = True
    request_topic: CommandTopic = "edge-worker/{node}/request/{command}"
    response_topic: CommandTopic = "edge-worker/{node}/response/{command}"


class ModelConfig(Section):
    """The model to run, and how."""

    path: Annotated[str, Field(min_length=1), AfterValidator(_model_path)] = "builtin:m2fp-lite"
    """``builtin:NAME``, or a directory; relative paths are relative to the configuration file's directory."""
    engine: Annotated[str, one_of(ENGINE_NAMES)] = EngineName.AUTO.value
    precision: Annotated[str, one_of(PRECISIONS)] = Precision.AUTO.value
    short_side: Annotated[int, Field(ge=32, le=4096)] | None = None
    shapes: Annotated[int, Field(ge=1, le=64)] = 4
    """Number of input shapes for which compiled networks stay in memory."""
    score_threshold: Fraction | None = None


class ThreadsConfig(Section):
    """How many CPUs the model may use; capped by the cgroup's quota and the CPU affinity."""

    processes: Annotated[int | Literal["auto"], _auto_or_count(MAX_PROCESSES)] = 1
    inference: Annotated[int | Literal["auto"], _auto_or_count()] = "auto"
    opencv: Annotated[int, Field(ge=1, le=1024)] = 1
    cpus: OneOrMore[Annotated[int, Field(ge=0)]] | None = None
    nice: Annotated[int, Field(ge=-20, le=19)] = 0


class CacheConfig(Section):
    """Cache of results by payload, in memory; 0 turns it off."""

    max_mb: Annotated[float, Field(ge=0, le=MAX_MEGABYTES)] = 16.0


class WatchdogConfig(Section):
    """When a model process is stuck: after max(``frame_min_s``, ``frame_factor`` times the slowest recent frame)."""

    frame_factor: Annotated[float, Field(ge=1)] = 10.0
    frame_min_s: Seconds = 30.0
    load_s: Seconds = 300.0
    crash_limit: Annotated[int, Field(ge=1)] = 5
    crash_window_s: Seconds = 300.0


class MemoryConfig(Section):
    """A model process that exceeds ``limit_mb`` is replaced between two frames; ``null``: never.

    One that exceeds it before its first frame is not: the next process would, too.
    """

    limit_mb: Megabytes | None = 4096.0


class HttpConfig(Section):
    """Where ``/healthz``, ``/readyz`` and ``/metrics`` are served."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Port = 9109


class LogConfig(Section):
    """What is logged, and in which format; ``auto``: ``console`` on a terminal, ``json`` elsewhere."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


class OpsConfig(Section):
    """What operators see."""

    stats_interval_s: Seconds = 30.0
    http: HttpConfig | None = None
    log: LogConfig = LogConfig()


class CommandsConfig(Section):
    """Whether commands are accepted, and where responses may go besides our own topic."""

    enabled: bool = True
    response_prefix: PlainTopic | None = None


class Config(Section):
    """The whole configuration. It contains no secrets, only the paths of their files."""

    node: NodeConfig = Field(default_factory=NodeConfig)
    mqtt: MqttConfig
    cameras: OneOrMore[CameraConfig] = (CameraConfig(),)
    limits: LimitsConfig = LimitsConfig()
    model: ModelConfig = ModelConfig()
    threads: ThreadsConfig = ThreadsConfig()
    output: OutputConfig = OutputConfig()
    palette: dict[str, Colour] = Field(default_factory=dict)
    cache: CacheConfig = CacheConfig()
    watchdog: WatchdogConfig = WatchdogConfig()
    memory: MemoryConfig = MemoryConfig()
    ops: OpsConfig = OpsConfig()
    commands: CommandsConfig = CommandsConfig()
    integrations: IntegrationsConfig = IntegrationsConfig()
    gateway: GatewayConfig = GatewayConfig()

    @property
    def client_id(self) -> str:
        """The MQTT client id of the first connection; further ones add a suffix."""
        return self.mqtt.client_id.replace("{node}", self.node.id)

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of nodes with which this one divides cameras, without repetition."""
        return tuple(sorted({camera.split.group for camera in self.cameras if camera.split is not None}))

    def outputs_for(self, camera: CameraConfig) -> OutputConfig:
        """Return the outputs of *camera*: the section ``output``, overridden by the camera section's ``outputs``."""
        return OutputConfig.model_validate(
            _merged(self.output.model_dump(), camera.outputs.model_dump(exclude_unset=True))
        )

    def masked(self) -> dict[str, JsonValue]:
        """Return the configuration as JSON values that may be printed and published.

        Nothing needs masking: a :class:`Config` cannot contain a password.
        """
        return self.model_dump(mode="json")


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    deeper = {key: _merged(base[key], value) for key, value in over.items() if isinstance(value, dict)}
    return {**base, **over, **deeper}
