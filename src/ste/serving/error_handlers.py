"""The exception handler that turns the framework's errors into problem details."""

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException

from ste.serving.problems import Problem


def add_error_handler(app: FastAPI) -> None:
    """Raise a problem, which the middleware sends, for each error of routing: 404 and 405."""

    @app.exception_handler(HTTPException)
    async def handle(request: Request, error: HTTPException) -> None:
        path = request.scope["path"][:200]
        if error.status_code == 405:
            headers = {name.lower(): value for name, value in (error.headers or {}).items()}
            detail = f"{path} does not support {request.method[:20]}."
            raise Problem("method-not-allowed", detail, headers=headers)
        raise Problem("not-found", f"There is no {path}. GET /docs lists the routes.")
