"""Errors as ``application/problem+json`` (RFC 9457), with the stable ``reason`` that the workers use, too."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

STATUS_OF_REASON: Final[Mapping[str, int]] = {
    "bad_request": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "not_acceptable": 406,
    "body_timeout": 408,
    "too_big": 413,
    "too_many_pixels": 413,
    "unsupported": 415,
    "undecodable": 422,
    "invalid": 422,
    "poisoned": 422,
    "too_many_requests": 429,
    "model_error": 500,
    "no_worker": 503,
    "no_broker": 503,
    "refused": 503,
    "no_storage": 503,
    "timeout": 504,
}
_TITLES: Final = {
    **{status.value: status.phrase for status in HTTPStatus},
    413: "Content Too Large",
    422: "Unprocessable Content",
}
"""Names of the statuses by RFC 9110, of which Python before 3.13 has two older ones."""
MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final[Mapping[int, int]] = {429: 1, 503: 5}


class ProblemDetails(BaseModel):
    """What went wrong; ``reason`` is for programs, ``detail`` for people."""

    title: str
    status: int
    reason: str
    detail: str


class Problem(Exception):
    """A request that gets an error; :attr:`status` follows from *reason*."""

    def __init__(
        self, reason: str, detail: str, *, status: int | None = None, retry_after_s: int | None = None
    ) -> None:
        """Explain by *reason*, a key of :data:`STATUS_OF_REASON`, and by *detail* for people."""
        super().__init__(detail)
        self.reason, self.detail = reason, detail
        self.status = status or STATUS_OF_REASON[reason]
        self.retry_after_s = RETRY_AFTER_S.get(self.status) if retry_after_s is None else retry_after_s

    def values(self) -> dict[str, Any]:
        """Return the members of the document."""
        title = _TITLES[self.status]
        return ProblemDetails(title=title, status=self.status, reason=self.reason, detail=self.detail).model_dump()

    def response(self) -> JSONResponse:
        """Return the response."""
        headers = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        if self.status == STATUS_OF_REASON["unauthorized"]:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse(self.values(), self.status, headers, media_type=MEDIA_TYPE)


def documented(*statuses: int, media_types: tuple[str, ...] = (MEDIA_TYPE,)) -> dict[int | str, dict[str, Any]]:
    """Describe the errors of an operation for the OpenAPI document; it includes those that every operation has."""
    schema = ProblemDetails.model_json_schema()
    content = {media_type: {"schema": schema} for media_type in media_types}
    everywhere = (400, 401, 403, 405, 422, 429)
    return {one: {"description": _TITLES[one], "content": content} for one in sorted({*everywhere, *statuses})}
