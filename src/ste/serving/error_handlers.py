"""What the framework raises, answered as problem details."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from ste.serving.middleware import told
from ste.serving.problems import MEDIA_TYPE, Fault, Problem


def add_handlers(app: FastAPI) -> None:
    """Let every refusal of the application's routes be a problem."""
    for kind, handler in (
        (HTTPException, _routing),
        (RequestValidationError, _parameters),
        (Problem, _problem),
        (Exception, _fault),
    ):
        app.add_exception_handler(kind, handler)


def _answer(problem: Problem) -> Response:
    headers = {**problem.headers, "content-type": MEDIA_TYPE}
    return Response(problem.body(), problem.status, headers)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _answer(error)


async def _routing(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _answer(told(error, request.scope))


async def _parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [Fault(tuple(one["loc"]), one["msg"]) for one in error.errors()]
    return _answer(Problem("invalid-request", "A parameter is not what is taken here.", faults))


async def _fault(request: Request, error: Exception) -> Response:
    return _answer(Problem("internal", "It has been logged."))
