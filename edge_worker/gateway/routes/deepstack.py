"""The dialect of DeepStack and CodeProject.AI, which camera software speaks."""

import time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from edge_worker import __version__
from edge_worker.gateway.bodies import read_form
from edge_worker.gateway.forms import FormPart
from edge_worker.gateway.hub import Hub
from edge_worker.gateway.problems import MEDIA_TYPE, Problem, documented
from edge_worker.gateway.requests import Wanted
from edge_worker.gateway.security import Secrets
from edge_worker.messages import LabelsMessage, PartMessage, PersonMessage

MIN_CONFIDENCE = 0.4
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {
                        "image": {"type": "string", "format": "binary"},
                        "min_confidence": {"type": "number", "minimum": 0, "maximum": 1, "default": MIN_CONFIDENCE},
                        "api_key": {"description": "The token; a field of a form has no type."},
                    },
                }
            }
        },
    }
}


class Prediction(BaseModel):
    """One thing found; the box is its corners, pixels."""

    label: str
    confidence: float
    x_min: int
    y_min: int
    x_max: int
    y_max: int


class Detection(BaseModel):
    """What the dialect answers."""

    success: bool
    predictions: list[Prediction]
    count: int
    code: int = 200
    command: str = "detect"
    inferenceMs: float  # noqa: N815 - the dialect's name
    processMs: float  # noqa: N815 - the dialect's name
    duration: float = 0.0


def router(hub: Hub, secrets: Secrets) -> APIRouter:
    """Give the routes."""
    routes = APIRouter(tags=["deepstack"])

    @routes.post(
        "/v1/vision/detection",
        response_model=Detection,
        openapi_extra=_FORM,
        responses=documented(408, 413, 415, 500, 503, 504, media_types=(MEDIA_TYPE, "application/json")),
    )
    async def detection(request: Request) -> Any:  # noqa: ANN401 - a model, or the dialect's way of saying no
        """Find persons, and their parts where `gateway.deepstack_parts` is set."""
        try:
            return await _detect(hub, secrets, request)
        except Problem as problem:
            body = {**problem.values(), "success": False, "error": problem.detail, "code": problem.status}
            response = problem.response()
            return JSONResponse(body, problem.status, {k: v for k, v in response.headers.items() if k in _KEPT})

    @routes.post("/v1/vision/custom/list", responses=documented())
    async def custom() -> dict[str, Any]:
        """Name the custom models; there are none."""
        return {"success": True, "models": []}

    @routes.get("/v1/status/updateavailable", responses=documented())
    async def update() -> dict[str, Any]:
        """Tell that this is the version there is; nothing is looked up."""
        return {"success": True, "updateAvailable": False, "message": "", "version": __version__}

    return routes


_KEPT = frozenset({"retry-after", "www-authenticate"})


async def _detect(hub: Hub, secrets: Secrets, request: Request) -> Detection:
    began = time.monotonic()
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise Problem("unsupported", "the body should be multipart/form-data with a part image")
    hub.require()
    with hub.requests.slot():
        parts = {part.name: part for part in await read_form(request, hub.requests.max_bytes)}
        _authorize(secrets, request, parts)
        least = _min_confidence(parts)
        if "image" not in parts or not parts["image"].content:
            raise Problem("bad_request", "the form has no part named image")
        image = parts["image"]
        parsed = await hub.requests.parse(image.content, image.content_type, Wanted(frozenset()))
    labels = parsed.labels()
    found = predictions(labels, least, parts=hub.config.gateway.deepstack_parts)
    process_ms = round(1000 * (time.monotonic() - began), 1)
    inference_ms = labels.timings_ms.inference
    return Detection(success=True, predictions=found, count=len(found), inferenceMs=inference_ms, processMs=process_ms)


def _authorize(secrets: Secrets, request: Request, parts: dict[str, FormPart]) -> None:
    """See that the request shows the token, in the form or in the header.

    Raises:
        Problem: ``unauthorized``.
    """
    if not secrets.required or secrets.by_proxy(request.headers):
        return
    key = parts["api_key"].content.decode(errors="replace") if "api_key" in parts else ""
    bearer = request.headers.get("authorization", "").partition(" ")[2].strip()
    if not (secrets.by_token(key) or secrets.by_token(bearer)):
        raise Problem("unauthorized", "send the token as api_key, or as Authorization: Bearer …")


def _min_confidence(parts: dict[str, FormPart]) -> float:
    if "min_confidence" not in parts:
        return MIN_CONFIDENCE
    try:
        value = float(parts["min_confidence"].content)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise Problem("invalid", "min_confidence: should be a number from 0 to 1")
    return value


def predictions(labels: LabelsMessage, least: float, *, parts: bool) -> list[Prediction]:
    """List the persons that score *least* at least, and, where wanted, their *parts* that do."""
    found = [_prediction("person", person) for person in labels.persons]
    if parts:
        found += [_prediction(part.name, part) for person in labels.persons for part in person.parts]
    return [one for one in found if one.confidence >= least]


def _prediction(label: str, thing: PersonMessage | PartMessage) -> Prediction:
    x, y, width, height = thing.box
    return Prediction(label=label, confidence=thing.score, x_min=x, y_min=y, x_max=x + width, y_max=y + height)
