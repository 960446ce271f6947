"""The section ``gateway``: the web page and the REST API. Only ``edge-worker gateway`` reads it."""

from typing import Annotated

from pydantic import Field

from edge_worker.config.fields import FilePath, Megabytes, Port, Seconds, Section, matching

HostName = Annotated[str, matching(r"[A-Za-z0-9._-]{1,253}|\[[0-9a-fA-F:.]+\]", "should be a host name without a port")]


class JobsConfig(Section):
    """Batches of images that are parsed in the background; images and results are kept on disk."""

    max_jobs: Annotated[int, Field(ge=0, le=10_000)] = 32
    """Jobs kept at a time, finished ones included; 0: no jobs, and nothing on disk."""
    max_images: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Per job."""
    max_mb: Megabytes = 2000.0
    """All jobs together, results included."""
    max_in_flight: Annotated[int, Field(ge=1, le=64)] = 2
    keep_s: Seconds = 86_400.0
    """A job is deleted this long after it was accepted, finished or not."""


class GatewayConfig(Section):
    """Where the gateway listens, who may use it, and its limits."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Port = 8080
    hosts: tuple[HostName, ...] = ()
    """Names accepted in the header ``Host`` besides the address itself and ``localhost``."""
    token_file: FilePath | None = None
    proxy_secret_file: FilePath | None = None
    """Secret that a reverse proxy sends to prove that it has authenticated the user."""
    timeout_s: Seconds = 30.0
    max_in_flight: Annotated[int, Field(ge=1, le=1024)] = 32
    requests_per_minute: Annotated[int, Field(ge=1)] = 600
    commands: bool = True
    deepstack_parts: bool = False
    jobs: JobsConfig = JobsConfig()
