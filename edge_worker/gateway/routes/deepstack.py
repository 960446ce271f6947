"""The API of DeepStack and CodeProject.AI, which camera software uses."""

import re
import time
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from edge_worker import __version__
from edge_worker.gateway.bodies import image_of, media_type, read_form
from edge_worker.gateway.hub import Hub
from edge_worker.gateway.problems import MEDIA_TYPE, Problem, documented
from edge_worker.gateway.requests import Wanted
from edge_worker.gateway.routes.dependencies import HubDep
from edge_worker.gateway.routes.openapi import body, with_image
from edge_worker.gateway.security import Secrets
from edge_worker.messages import LabelsMessage, PartMessage, PersonMessage

MIN_CONFIDENCE: Final = 0.4
_CONFIDENCE: Final = {"type": "number", "minimum": 0, "maximum": 1, "default": MIN_CONFIDENCE}
_KEY: Final = {"description": "The token; a field of a form has no type."}
_FORM: Final = body({"multipart/form-data": with_image(min_confidence=_CONFIDENCE, api_key=_KEY)})
_KEPT: Final = frozenset({"retry-after", "www-authenticate"})


class Prediction(BaseModel):
    """One thing found; the box is its corners, pixels."""

    label: str
    confidence: float
    x_min: int
    y_min: int
    x_max: int
    y_max: int


class Detection(BaseModel):
    """A response of that API."""

    success: bool
    predictions: list[Prediction]
    count: int
    code: int = 200
    command: str = "detect"
    inferenceMs: int  # noqa: N815 - the dialect's name
    processMs: int  # noqa: N815 - the dialect's name
    duration: float = 0.0


router = APIRouter(tags=["deepstack"])


@router.post(
    "/v1/vision/detection",
    response_model=Detection,
    openapi_extra=_FORM,
    responses=documented(408, 413, 415, 500, 503, 504, media_types=(MEDIA_TYPE, "application/json")),
)
async def detection(hub: HubDep, request: Request) -> Any:  # noqa: ANN401 - or the dialect's no
    """Find persons, and their parts where `gateway.deepstack_parts` is set."""
    try:
        return await _detect(hub, request)
    except Problem as problem:
        content = {**problem.values(), "success": False, "error": problem.detail, "code": problem.status}
        response = problem.response()
        return JSONResponse(content, problem.status, {k: v for k, v in response.headers.items() if k in _KEPT})


@router.post("/v1/vision/custom/list", responses=documented())
async def custom() -> dict[str, Any]:
    """Name the custom models; there are none."""
    return {"success": True, "models": []}


@router.get("/v1/status/updateavailable", responses=documented())
async def update() -> dict[str, Any]:
    """Report that this is the latest version; nothing is looked up."""
    numbers = zip(("Major", "Minor", "Patch"), re.findall(r"\d+", __version__), strict=False)
    version = {name: int(number) for name, number in numbers}
    return {"success": True, "updateAvailable": False, "message": "You have the latest", "version": version}


async def _detect(hub: Hub, request: Request) -> Detection:
    began = time.monotonic()
    if media_type(request) != "multipart/form-data":
        raise Problem("unsupported", "the body should be multipart/form-data with a part image")
    hub.require()
    with hub.forms.slot():  # separate slots: clients without a token take none from others
        form = await read_form(request, hub.requests.max_bytes)
    fields = {part.name: part.content for part in form}
    _authorize(hub.secrets, request, fields)
    least, image = _min_confidence(fields), image_of(form)
    with hub.requests.in_flight.slot():
        parsed = await hub.requests.parse(image.content, image.content_type, Wanted(frozenset()))
    labels = parsed.labels()
    found = predictions(labels, least, parts=hub.config.gateway.deepstack_parts)
    process_ms = round(1000 * (time.monotonic() - began))
    inference_ms = round(labels.timings_ms.inference)
    return Detection(success=True, predictions=found, count=len(found), inferenceMs=inference_ms, processMs=process_ms)


def _authorize(secrets: Secrets, request: Request, fields: Mapping[str, bytes]) -> None:
    """Require the token, in the form or in the header.

    Raises:
        Problem: ``unauthorized``.
    """
    if not secrets.required or secrets.by_proxy(request.headers):
        return
    key = fields.get("api_key", b"").decode(errors="replace")
    bearer = request.headers.get("authorization", "").partition(" ")[2].strip()
    if not (secrets.by_token(key) or secrets.by_token(bearer)):
        raise Problem("unauthorized", "send the token as api_key, or as Authorization: Bearer …")


def _min_confidence(fields: Mapping[str, bytes]) -> float:
    if "min_confidence" not in fields:
        return MIN_CONFIDENCE
    try:
        value = float(fields["min_confidence"])
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise Problem("invalid", "min_confidence: should be a number from 0 to 1")
    return value


def predictions(labels: LabelsMessage, least: float, *, parts: bool) -> list[Prediction]:
    """List the persons with a score of at least *least* and, if wanted, their *parts* with one."""
    found = [_prediction("person", person) for person in labels.persons]
    if parts:
        found += [_prediction(part.name, part) for person in labels.persons for part in person.parts]
    return [one for one in found if one.confidence >= least]


def _prediction(label: str, thing: PersonMessage | PartMessage) -> Prediction:
    x, y, width, height = thing.box
    return Prediction(label=label, confidence=thing.score, x_min=x, y_min=y, x_max=x + width, y_max=y + height)
