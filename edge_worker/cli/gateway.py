"""The web page and the REST API: ``gateway``."""

from __future__ import annotations

import os

from edge_worker.cli.arguments import Arguments, Commands, add_command, load_config, setting, takes_broker


def add(commands: Commands) -> None:
    """Add the command."""
    command = add_command(
        commands, "gateway", _gateway, "serve a web page and a REST API; workers of the broker parse the images"
    )
    takes_broker(command)
    setting(
        command, "--http-host", "gateway.host", help="address to listen on (default: gateway.host of the configuration)"
    )
    setting(
        command, "--http-port", "gateway.port", help="port to listen on (default: gateway.port of the configuration)"
    )


def _gateway(arguments: Arguments) -> int:
    from edge_worker.common.errors import EdgeWorkerError

    config, _ = load_config(arguments, runs_model=False)
    try:
        from edge_worker.gateway import server
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] in {"fastapi", "uvicorn", "python_multipart", "starlette"}:
            raise EdgeWorkerError("the gateway needs more packages: pip install 'edge-worker[web]'") from error
        raise
    return server.run(config, os.environ)
