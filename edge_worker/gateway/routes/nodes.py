"""Workers: what they report about themselves, and commands to them."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path
from pydantic import JsonValue

from edge_worker.gateway.problems import Problem, documented
from edge_worker.gateway.routes.dependencies import HubDep
from edge_worker.messages import CommandResponse, ModelCard

Command = Literal["ping", "stats", "config", "pause", "resume", "set", "snapshot", "forget", "restart"]
Name = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]


router = APIRouter(tags=["nodes"])


@router.get("/nodes", responses=documented())
async def nodes(hub: HubDep) -> dict[str, dict[str, Any]]:
    """The newest status, model card and stats of each worker."""
    return {name: node.values() for name, node in sorted(hub.nodes.nodes.items())}


@router.get("/nodes/{node}", responses=documented(404))
async def node(hub: HubDep, node: Name) -> dict[str, Any]:
    """The same of one worker, and the latest errors of frames."""
    errors = [error for error in hub.cameras.errors if error["node"] == node]
    return {**hub.nodes.get(node).values(), "errors": errors}


@router.post(
    "/nodes/{node}/commands/{command}", response_model_exclude_none=True, responses=documented(404, 408, 413, 503, 504)
)
async def command(
    hub: HubDep, node: Name, command: Command, arguments: Annotated[dict[str, JsonValue] | None, Body()] = None
) -> CommandResponse:
    """Send a command to a worker; `status` of the response says whether it was carried out."""
    if not hub.config.gateway.commands:
        raise Problem("forbidden", "commands are switched off: gateway.commands")
    return await hub.nodes.command(node, command, dict(arguments or {}))


@router.get("/palette", responses=documented(503))
async def palette(hub: HubDep) -> list[dict[str, Any]]:
    """The classes of the model: pixel value in the maps, name, colour."""
    return [one.to_values() for one in hub.nodes.card().classes]


@router.get("/model", response_model_exclude_none=True, responses=documented(503))
async def model(hub: HubDep) -> ModelCard:
    """The model card of a worker that is online."""
    return hub.nodes.card()
