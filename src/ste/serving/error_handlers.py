"""Exception handlers that turn the framework's errors into problem details."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from ste.serving.problems import MEDIA_TYPE, Fault, Problem


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error of the application's routes with problem details."""
    for kind, handler in ((HTTPException, _http), (RequestValidationError, _validation), (Problem, _problem)):
        app.add_exception_handler(kind, handler)


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


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [Fault(tuple(one["loc"]), one["msg"]) for one in error.errors()]
    return _respond(Problem("invalid-request", "A parameter is invalid.", faults))
