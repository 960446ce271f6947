"""The configuration: YAML and environment in, frozen sections out; loading touches files but no network."""

from edge_worker.config.cameras import CameraConfig, LimitsConfig
from edge_worker.config.credentials import password_source, read_key_password, read_password, read_secret, secret_paths
from edge_worker.config.gateway import GatewayConfig, JobsConfig
from edge_worker.config.loading import find_config, load, load_with_origins
from edge_worker.config.mqtt import MqttConfig, TlsConfig
from edge_worker.config.output import ColormapConfig, OutputConfig, OverlayConfig
from edge_worker.config.reload import LIVE, diff
from edge_worker.config.sections import (
    CacheConfig,
    CommandsConfig,
    Config,
    HttpConfig,
    LogConfig,
    MemoryConfig,
    ModelConfig,
    NodeConfig,
    OpsConfig,
    ThreadsConfig,
    WatchdogConfig,
    model_directory,
)
from edge_worker.config.tree import Location, Problem, Tree
from edge_worker.config.warnings import warnings

__all__ = [
    "LIVE",
    "CacheConfig",
    "CameraConfig",
    "ColormapConfig",
    "CommandsConfig",
    "Config",
    "GatewayConfig",
    "HttpConfig",
    "JobsConfig",
    "LimitsConfig",
    "Location",
    "LogConfig",
    "MemoryConfig",
    "ModelConfig",
    "MqttConfig",
    "NodeConfig",
    "OpsConfig",
    "OutputConfig",
    "OverlayConfig",
    "Problem",
    "ThreadsConfig",
    "TlsConfig",
    "Tree",
    "WatchdogConfig",
    "diff",
    "find_config",
    "load",
    "load_with_origins",
    "model_directory",
    "password_source",
    "read_key_password",
    "read_password",
    "read_secret",
    "secret_paths",
    "warnings",
]
