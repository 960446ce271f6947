"""``/jobs``: many images at once, parsed when there is time."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response, StreamingResponse

from edge_worker.gateway.hub import Hub
from edge_worker.gateway.jobs.documents import JobDocument
from edge_worker.gateway.problems import documented
from edge_worker.gateway.routes.parse import Include, Threshold, model_parameter, wanted_of

Job = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
Number = Annotated[int, Path(ge=1, le=10_000)]
File = Literal["labels.json", "colormap.png", "overlay.jpg"]
_TYPES: Final = {"labels.json": "application/json", "colormap.png": "image/png", "overlay.jpg": "image/jpeg"}
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {
                        "image": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}
                    },
                }
            },
            "image/*": _BINARY,
        },
    }
}
_LOCATION: Final = {"Location": {"description": "The job.", "schema": {"type": "string"}}}


def router(hub: Hub) -> APIRouter:
    """Give the routes."""
    routes = APIRouter(tags=["jobs"])

    @routes.post(
        "/jobs",
        status_code=202,
        openapi_extra={**_BODY, **model_parameter(hub)},
        responses={202: {"headers": _LOCATION}, **documented(408, 413, 415, 503)},
    )
    async def create(
        request: Request,
        response: Response,
        include: Include = "",
        score_threshold: Threshold = None,
    ) -> JobDocument:
        """Take images: a form with any number of parts `image`, or one image as the body."""
        wanted = wanted_of(include, score_threshold)
        document = await hub.jobs.create(request, wanted, request.query_params.get("model"))
        response.headers["Location"] = f"/api/v1/jobs/{document.id}"
        return document

    @routes.get("/jobs/{job}", responses=documented(404, 503))
    async def job(job: Job) -> JobDocument:
        """State and progress of a job, and which files of each image there are."""
        return await hub.jobs.document(job)

    @routes.get(
        "/jobs/{job}/images/{number}/{file}",
        response_class=Response,
        responses={
            200: {"description": "The file.", "content": {kind: {} for kind in _TYPES.values()}},
            **documented(404, 503),
        },
    )
    async def result(job: Job, number: Number, file: File) -> Response:
        """Labels, map or overlay of one image."""
        return Response(await hub.jobs.read(job, number, file), media_type=_TYPES[file])

    @routes.get(
        "/jobs/{job}/results.zip",
        response_class=StreamingResponse,
        responses={200: {"description": "The files.", "content": {"application/zip": _BINARY}}, **documented(404, 503)},
    )
    async def results(job: Job) -> Response:
        """The files so far, in a folder for each image, and `job.json`: the job's description."""
        name = {"Content-Disposition": f'attachment; filename="{job}.zip"'}
        return StreamingResponse(await hub.jobs.archive(job), media_type="application/zip", headers=name)

    @routes.delete("/jobs/{job}", status_code=204, responses=documented(404, 503))
    async def delete(job: Job) -> None:
        """Cancel a job, or delete one that is done."""
        await hub.jobs.delete(job)

    return routes
