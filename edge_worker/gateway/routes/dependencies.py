"""What FastAPI gives to the routes: the parts of the gateway that they use."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from edge_worker.gateway.hub import Hub
from edge_worker.gateway.security import Secrets


async def _hub(connection: HTTPConnection) -> Hub:
    hub: Hub = connection.app.state.hub
    return hub


async def _secrets(connection: HTTPConnection) -> Secrets:
    secrets: Secrets = connection.app.state.secrets
    return secrets


TheHub = Annotated[Hub, Depends(_hub)]
TheSecrets = Annotated[Secrets, Depends(_secrets)]
