"""What FastAPI passes to the routes: the hub, which has the parts of the gateway."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from edge_worker.gateway.hub import Hub


async def _hub(connection: HTTPConnection) -> Hub:
    hub: Hub = connection.app.state.hub
    return hub


HubDep = Annotated[Hub, Depends(_hub)]
