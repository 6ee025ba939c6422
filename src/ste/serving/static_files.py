"""Static files of the pages, and the headers of every page."""

from mimetypes import guess_type
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from ste.serving.read_routes import read_route

HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def add_static_files(app: FastAPI, prefix: str, folder: Path) -> None:
    """Serve the scripts and style sheets of a folder at `/PREFIX/NAME`."""
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".js", ".css")}

    @read_route(app, f"/{prefix}/{{name}}")
    async def file(name: str) -> Response:
        if name not in files:
            raise HTTPException(404)
        return Response(files[name], media_type=guess_type(name)[0], headers=HEADERS)
