"""``POST /parse``: one image in, its labels, map or overlay out."""

import base64
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from edge_worker.gateway.bodies import read_image
from edge_worker.gateway.hub import Hub
from edge_worker.gateway.problems import Problem, documented
from edge_worker.gateway.requests import Parsed, Wanted
from edge_worker.messages import LabelsMessage

Include = Annotated[str, Query(max_length=64, description="overlay, masks, or both with a comma")]
Threshold = Annotated[float | None, Query(ge=0, le=1)]
_KINDS: Final = {"application/json": "colormap", "image/png": "colormap", "image/jpeg": "overlay"}
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "image/*": _BINARY,
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {"image": {"type": "string", "format": "binary"}},
                }
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {"image": {"type": "string", "contentEncoding": "base64", "minLength": 1}},
                }
            },
        },
    }
}
_RESPONSES: Final = {
    200: {
        "description": "The labels (with the map as base64), the map, or the overlay; the header Accept tells which.",
        "content": {"application/json": {}, "image/png": _BINARY, "image/jpeg": _BINARY},
    },
    **documented(406, 408, 413, 415, 500, 503, 504),
}


class ParsedDocument(LabelsMessage):
    """The labels message of an image, and its images as base64."""

    colormap: str
    overlay: str | None = None


def router(hub: Hub) -> APIRouter:
    """Give the routes."""
    routes = APIRouter(tags=["parse"])

    @routes.post(
        "/parse", response_model=ParsedDocument, responses=_RESPONSES, openapi_extra={**_BODY, **model_parameter(hub)}
    )
    async def parse(
        request: Request,
        include: Include = "",
        score_threshold: Threshold = None,
    ) -> Response:
        """Parse one image."""
        accepted = negotiated(request.headers.get("accept", "*/*"))
        wanted = wanted_of(include, score_threshold)
        if accepted != "application/json":
            wanted = replace(wanted, images=frozenset({_KINDS[accepted]}))
        hub.require()
        with hub.requests.slot():
            image, content_type = await read_image(request, hub.requests.max_bytes)
            parsed = await hub.requests.parse(image, content_type, wanted, model=request.query_params.get("model"))
        return _response(accepted, parsed)

    return routes


def model_parameter(hub: Hub) -> dict[str, Any]:
    """Describe ``?model=`` for the OpenAPI document, which names the models there are."""
    schema = {"type": "string", "enum": list(hub.requests.models)}
    return {"parameters": [{"name": "model", "in": "query", "required": False, "schema": schema}]}


def wanted_of(include: str, score_threshold: float | None) -> Wanted:
    """Read what a request wants of each image, the map at least.

    Raises:
        Problem: ``invalid``.
    """
    extras = {one.strip() for one in include.split(",") if one.strip()}
    if extras - {"overlay", "masks"}:
        raise Problem("invalid", "include: may name overlay and masks")
    images = frozenset({"colormap"} | (extras & {"overlay"}))
    return Wanted(images, masks="masks" in extras, score_threshold=score_threshold)


def negotiated(accept: str) -> Literal["application/json", "image/png", "image/jpeg"]:
    """Choose what to send of what a client accepts, the first of those it likes best.

    Raises:
        Problem: ``not_acceptable``.
    """
    wanted = sorted((_quality(one) for one in accept.split(",")), key=lambda pair: -pair[0])
    for quality, kind in wanted:
        if quality <= 0:
            continue
        if kind in {"*/*", "application/*", "application/json"}:
            return "application/json"
        if kind in {"image/*", "image/png"}:
            return "image/png"
        if kind == "image/jpeg":
            return "image/jpeg"
    raise Problem("not_acceptable", "there are application/json, image/png and image/jpeg")


def _quality(one: str) -> tuple[float, str]:
    kind, *parameters = (part.strip().lower() for part in one.split(";"))
    given = next((part[2:] for part in parameters if part.startswith("q=")), "1")
    try:
        return float(given), kind
    except ValueError:
        return 0.0, kind


def _response(accepted: str, parsed: Parsed) -> Response:
    if accepted == "application/json":
        return Response(document(parsed), media_type=accepted)
    image = parsed.images.get(_KINDS[accepted])
    if image is None:
        raise Problem("too_big", "the broker does not take an image of this size; application/json needs less")
    return Response(image, media_type=accepted)


def document(parsed: Parsed) -> bytes:
    """Write the labels message as it came, with the images added; it is not parsed for that."""
    added = b"".join(b',"%s":"%s"' % (kind.encode(), base64.b64encode(parsed.images[kind])) for kind in parsed.images)
    return parsed.json.rstrip()[:-1] + added + b"}"
