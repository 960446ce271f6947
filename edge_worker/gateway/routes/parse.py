"""``POST /parse``: one image in, its labels, map or overlay out."""

import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from edge_worker.gateway.bodies import read_image
from edge_worker.gateway.problems import Problem, documented
from edge_worker.gateway.requests import Parsed, Wanted
from edge_worker.gateway.routes.dependencies import HubDep
from edge_worker.gateway.routes.openapi import BINARY, body, file, with_image
from edge_worker.messages import LabelsMessage

Include = Annotated[str, Query(max_length=64, description="overlay, masks, or both with a comma")]
Threshold = Annotated[float | None, Query(ge=0, le=1)]
Model = Annotated[str | None, Query(max_length=256)]
MediaType = Literal["application/json", "image/png", "image/jpeg"]
_KINDS: Final[Mapping[MediaType, str]] = {
    "application/json": "colormap",
    "image/png": "colormap",
    "image/jpeg": "overlay",
}
_BASE64: Final = {"type": "string", "contentEncoding": "base64", "minLength": 1}
_BODY: Final = body({"image/*": BINARY, "multipart/form-data": with_image(), "application/json": with_image(_BASE64)})
_DESCRIPTION: Final = "The labels (with the map as base64), the map, or the overlay; the header Accept tells which."
_RESPONSES: Final = {
    200: file("application/json", "image/png", "image/jpeg", description=_DESCRIPTION),
    **documented(406, 408, 413, 415, 500, 503, 504),
}


class ParsedDocument(LabelsMessage):
    """The labels message of an image, and its images as base64."""

    colormap: str
    overlay: str | None = None


async def wanted_of(include: Include = "", score_threshold: Threshold = None) -> Wanted:
    """Read what a request wants of each image; it always gets the map.

    Raises:
        Problem: ``invalid``.
    """
    extras = {one.strip() for one in include.split(",") if one.strip()}
    if extras - {"overlay", "masks"}:
        raise Problem("invalid", "include: may name overlay and masks")
    images = frozenset({"colormap"} | (extras & {"overlay"}))
    return Wanted(images, masks="masks" in extras, score_threshold=score_threshold)


WantedDep = Annotated[Wanted, Depends(wanted_of)]

router = APIRouter(tags=["parse"])


@router.post("/parse", response_model=ParsedDocument, responses=_RESPONSES, openapi_extra=_BODY)
async def parse(hub: HubDep, request: Request, wanted: WantedDep, model: Model = None) -> Response:
    """Parse one image."""
    accepted = negotiated(request.headers.get("accept", "*/*"))
    if accepted != "application/json":
        wanted = replace(wanted, images=frozenset({_KINDS[accepted]}))
    hub.require()
    with hub.requests.in_flight.slot():
        image, content_type = await read_image(request, hub.requests.max_bytes)
        parsed = await hub.requests.parse(image, content_type, wanted, model=model)
    return _response(accepted, parsed)


def negotiated(accept: str) -> MediaType:
    """Choose the media type that a client prefers; of equal ones, the first that it names.

    Raises:
        Problem: ``not_acceptable``.
    """
    ranges = [_range(one) for one in accept.split(",")]
    qualities = {offer: _quality(offer, ranges) for offer in _KINDS}
    best = max(qualities, key=lambda offer: qualities[offer])
    if qualities[best][0] <= 0.0:
        raise Problem("not_acceptable", f"there are {', '.join(_KINDS)}")
    return best


def _quality(offer: str, ranges: Sequence[tuple[str, float]]) -> tuple[float, int]:
    """A client's preference for *offer*: quality and position of the most specific range (RFC 9110, 12.5.1)."""
    for pattern in (offer, offer.partition("/")[0] + "/*", "*/*"):
        for place, (named, quality) in enumerate(ranges):
            if named == pattern:
                return quality, -place
    return 0.0, -len(ranges)


def _range(one: str) -> tuple[str, float]:
    """Read a range of an Accept header, and its quality."""
    name, *parameters = (part.strip().lower() for part in one.split(";"))
    given = next((part[2:] for part in parameters if part.startswith("q=")), "1")
    with suppress(ValueError):
        if 0.0 <= (quality := float(given)) <= 1.0:
            return name, quality
    return name, 0.0


def _response(accepted: MediaType, parsed: Parsed) -> Response:
    if accepted == "application/json":
        return Response(document(parsed), media_type=accepted)
    image = parsed.images.get(_KINDS[accepted])
    if image is None:
        raise Problem("too_big", "the broker does not take an image of this size; application/json needs less")
    return Response(image, media_type=accepted)


def document(parsed: Parsed) -> bytes:
    """Return the labels message as it came, with the images added, without parsing it."""
    added = b"".join(b',"%s":"%s"' % (kind.encode(), base64.b64encode(parsed.images[kind])) for kind in parsed.images)
    return parsed.json.rstrip()[:-1] + added + b"}"
