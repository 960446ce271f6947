"""``edge-worker gateway``: the HTTP server around the hub."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import structlog
import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.staticfiles import StaticFiles

from edge_worker import __version__
from edge_worker.common import log_events
from edge_worker.common.errors import ConfigError, EdgeWorkerError
from edge_worker.config import Config, warnings
from edge_worker.gateway.hub import Hub
from edge_worker.gateway.problems import Problem
from edge_worker.gateway.protocol import Protocol
from edge_worker.gateway.routes import cameras, deepstack, health, jobs, nodes, pages, parse
from edge_worker.gateway.routes.openapi import name_models
from edge_worker.gateway.security import Guard
from edge_worker.ops import logs

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Mapping

    from starlette.responses import Response


_STOP_S: Final = 5
_log = structlog.get_logger(__name__)


def run(config: Config, environ: Mapping[str, str]) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code.

    Raises:
        ConfigError: no camera section takes requests, or a secret cannot be read.
        EdgeWorkerError: it cannot listen on the address.
    """
    if not any(camera.reply_prefix for camera in config.cameras):
        raise ConfigError("one section needs a reply_prefix, to which workers answer the gateway", key="cameras")
    logs.configure(config.ops.log)
    for warning in warnings(config, environ):
        _log.warning(log_events.CONFIGURATION_WARNING, problem=warning)
    app = make_app(Hub(config, environ))
    server = _Server(_settings(config, app))
    try:
        server.run()
    except SystemExit as error:  # how uvicorn reports that it cannot listen
        address = f"{config.gateway.host}:{config.gateway.port}"
        reason = os.strerror(number) if (number := getattr(error.__context__, "errno", None)) else "see above"
        raise EdgeWorkerError(f"gateway: cannot listen on {address} ({reason}); choose another host or port") from error
    return 0


class _Server(uvicorn.Server):
    """Logs its address once clients can connect."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            _log.info(log_events.GATEWAY_STARTED, address=f"http://{self.config.host}:{self.config.port}")


def _settings(config: Config, app: Any) -> uvicorn.Config:  # noqa: ANN401 - an ASGI application
    return uvicorn.Config(
        app,
        host=config.gateway.host,
        port=config.gateway.port,
        http=Protocol,
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_STOP_S,
        h11_max_incomplete_event_size=16_384,
    )


def make_app(hub: Hub) -> Any:  # noqa: ANN401 - an ASGI application
    """Build the application; it is connected to the broker while it runs."""
    app = FastAPI(
        title="edge-worker gateway",
        version=__version__,
        description="Human parsing by the workers of an MQTT broker.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        lifespan=_lifespan,
    )
    app.state.hub = hub
    for module in (parse, jobs, cameras, nodes):
        app.include_router(module.router, prefix="/api/v1")
    for module in (deepstack, health, pages):
        app.include_router(module.router)
    app.mount("/static", StaticFiles(directory=pages.STATIC), name="static")
    name_models(app.openapi(), hub.requests.models)
    for kind in (Problem, HTTPException, RequestValidationError, ClientDisconnect, Exception):
        app.add_exception_handler(kind, _answer)  # the last is logged besides, with its trace
    return Guard(app, hub)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    hub: Hub = app.state.hub
    await hub.start()
    try:
        yield
    finally:
        await hub.stop()


async def _answer(_request: Request, error: Exception) -> Response:
    """Answer what was raised; no one, if the client left within its body."""
    match error:
        case Problem():
            return error.response()
        case HTTPException():
            reason = "not_found" if error.status_code == 404 else "bad_request"  # noqa: PLR2004 - as HTTP has it
            response = Problem(reason, error.detail, status=error.status_code).response()
            response.headers.update(error.headers or {})
            return response
        case RequestValidationError():
            message = "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors())
            return Problem("invalid", message[:500]).response()
        case ClientDisconnect():
            return Problem("bad_request", "the body ends early").response()
    return Problem("model_error", "a defect of the gateway; its log says more").response()
