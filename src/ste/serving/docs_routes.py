"""The documentation at `/docs`: a page that reads `/openapi.json`.

FastAPI's own docs pages load their scripts from a CDN; this one works offline.
"""

from html import escape
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from ste.serving.problems import TITLES

_FOLDER = Path(__file__).parent / "docs_page"
_FILES = {"docs.js": "text/javascript; charset=utf-8", "docs.css": "text/css; charset=utf-8"}
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}


def add_docs(app: FastAPI) -> None:
    """Add the routes of the page and of its two files."""
    kinds = "".join(
        f'<tr id="{kind}"><td><code>{kind}</code></td><td>{status}</td><td>{escape(title)}</td></tr>\n'
        for kind, (status, title) in TITLES.items()
    )
    page = (_FOLDER / "docs.html").read_text(encoding="utf-8").replace("<!-- problems -->", kinds)
    files = {name: (_FOLDER / name).read_bytes() for name in _FILES}

    @app.get("/docs")
    async def docs() -> Response:
        return Response(page, media_type="text/html; charset=utf-8", headers=HEADERS)

    @app.get("/docs/{name}")
    async def file(name: str) -> Response:
        if name not in files:
            raise HTTPException(404)
        return Response(files[name], media_type=_FILES[name], headers=HEADERS)
