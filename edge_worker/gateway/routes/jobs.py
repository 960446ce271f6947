"""``/jobs``: many images at once, parsed when there is time."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response, StreamingResponse

from edge_worker.gateway.jobs.documents import JobDocument
from edge_worker.gateway.problems import documented
from edge_worker.gateway.routes.dependencies import HubDep
from edge_worker.gateway.routes.openapi import BINARY, body, file, with_image
from edge_worker.gateway.routes.parse import Model, WantedDep

Job = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
Number = Annotated[int, Path(ge=1, le=10_000)]
File = Literal["labels.json", "colormap.png", "overlay.jpg"]
_TYPES: Final = {"labels.json": "application/json", "colormap.png": "image/png", "overlay.jpg": "image/jpeg"}
_IMAGES: Final = {"type": "array", "minItems": 1, "items": BINARY}
_BODY: Final = body({"multipart/form-data": with_image(_IMAGES), "image/*": BINARY})
_TAKEN: Final[dict[str, Any]] = {"headers": {"Location": {"description": "The job.", "schema": {"type": "string"}}}}

router = APIRouter(tags=["jobs"])


@router.post("/jobs", status_code=202, openapi_extra=_BODY, responses={202: _TAKEN, **documented(408, 413, 415, 503)})
async def create(
    hub: HubDep, request: Request, response: Response, wanted: WantedDep, model: Model = None
) -> JobDocument:
    """Take images: a form with any number of parts `image`, or one image as the body."""
    document = await hub.jobs.create(request, wanted, model)
    response.headers["Location"] = f"/api/v1/jobs/{document.id}"
    return document


@router.get("/jobs/{job}", responses=documented(404, 503))
async def describe(hub: HubDep, job: Job) -> JobDocument:
    """State and progress of a job, and which files of each image there are."""
    return await hub.jobs.document(job)


@router.get(
    "/jobs/{job}/images/{number}/{file}",
    response_class=Response,
    responses={200: file(*_TYPES.values()), **documented(404, 503)},
)
async def result(hub: HubDep, job: Job, number: Number, file: File) -> Response:
    """Labels, map or overlay of one image."""
    return Response(await hub.jobs.read(job, number, file), media_type=_TYPES[file])


@router.get(
    "/jobs/{job}/results.zip",
    response_class=StreamingResponse,
    responses={200: file("application/zip"), **documented(404, 503)},
)
async def results(hub: HubDep, job: Job) -> Response:
    """The files so far, in a folder for each image, and `job.json`: the job's description."""
    headers = {"Content-Disposition": f'attachment; filename="{job}.zip"'}
    return StreamingResponse(await hub.jobs.archive(job), media_type="application/zip", headers=headers)


@router.delete("/jobs/{job}", status_code=204, responses=documented(404, 503))
async def delete(hub: HubDep, job: Job) -> None:
    """Cancel a job, or delete one that is done."""
    await hub.jobs.delete(job)
