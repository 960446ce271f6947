"""What clients are told about a job."""

from typing import Literal

from pydantic import BaseModel

State = Literal["waiting", "parsed", "failed"]


class JobImage(BaseModel):
    """One image of a job; ``files`` can be fetched; ``reason`` and ``detail`` say why it failed."""

    number: int
    filename: str
    state: State
    reason: str | None = None
    detail: str | None = None
    files: list[str] = []


class JobDocument(BaseModel):
    """A job: ``done`` when each of its images is parsed or has failed."""

    id: str
    state: Literal["running", "done"]
    created_at: str
    expires_at: str
    total: int
    parsed: int
    failed: int
    images: list[JobImage]
