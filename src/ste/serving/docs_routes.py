"""The documentation at `/docs`: a page that reads `/openapi.json`.

FastAPI's own docs pages load their scripts from a CDN; this one works offline.
"""

from html import escape
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import Response

from ste.serving.problems import TITLES
from ste.serving.read_routes import read_route
from ste.serving.static_files import HEADERS, add_static_files

_FOLDER = Path(__file__).parent / "docs_page"


def add_docs(app: FastAPI) -> None:
    """Add the routes of the page and of its two files."""
    kinds = "".join(
        f'<tr id="{kind}"><td><code>{kind}</code></td><td>{status}</td><td>{escape(title)}</td></tr>\n'
        for kind, (status, title) in TITLES.items()
    )
    page = (_FOLDER / "docs.html").read_text(encoding="utf-8").replace("<!-- problems -->", kinds)
    add_static_files(app, "docs", _FOLDER)

    @read_route(app, "/docs")
    async def docs() -> Response:
        return Response(page, media_type="text/html", headers=HEADERS)
