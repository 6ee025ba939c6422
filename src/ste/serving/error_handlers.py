"""Exception handlers that turn the framework's errors into problem details."""

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from ste.serving.problems import MEDIA_TYPE, Problem


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error of the application's routes with problem details."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Problem, _problem)


def _respond(problem: Problem) -> Response:
    headers = {**problem.headers, "content-type": MEDIA_TYPE}
    return Response(problem.body(), problem.status, headers)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _respond(error)


async def _http(request: Request, error: Exception) -> Response:
    """Handle errors of routing: 404 and 405."""
    assert isinstance(error, HTTPException)
    path = request.scope["path"][:200]
    if error.status_code == 405:
        headers = {name.lower(): value for name, value in (error.headers or {}).items()}
        detail = f"{path} does not support {request.method[:20]}."
        return _respond(Problem("method-not-allowed", detail, headers=headers))
    return _respond(Problem("not-found", f"There is no {path}. GET /docs lists the routes."))
