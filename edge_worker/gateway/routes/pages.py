"""The page, and the one that shows the API; both are static files."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse


def router(static: Path) -> APIRouter:
    """Give the routes to files in folder *static*."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def page() -> FileResponse:
        return FileResponse(static / "index.html", headers={"Cache-Control": "no-cache"})

    @routes.get("/docs")
    async def docs() -> FileResponse:
        return FileResponse(static / "docs.html", headers={"Cache-Control": "no-cache"})

    return routes
