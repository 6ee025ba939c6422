"""Problem details (RFC 9457) of rejected requests, with a JSON pointer (RFC 6901) to each invalid field."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

import orjson

MEDIA_TYPE = "application/problem+json"

TITLES = {
    "invalid-json": (400, "The body is not valid JSON"),
    "invalid-http": (400, "Not an HTTP request"),
    "no-key": (401, "An API key is required"),
    "not-found": (404, "Not found"),
    "method-not-allowed": (405, "Method not allowed"),
    "too-slow": (408, "The request took too long to arrive"),
    "body-too-large": (413, "The body is too large"),
    "not-json": (415, "The content type is not JSON"),
    "invalid-request": (422, "The body does not fit the model"),
    "head-too-large": (431, "The headers are too large"),
    "internal": (500, "Internal error"),
    "busy": (503, "The service is busy"),
}
"""Status and title of each kind; the kind is the fragment of its `type`, an anchor of the page `/docs`."""

MAX_FAULTS = 20
"""Maximum number of faults in one response."""


@dataclass(frozen=True)
class Fault:
    """An invalid field of a body.

    Attributes:
        path: keys and indexes of the field.
        detail: what was found and what was expected.
    """

    path: tuple[str | int, ...]
    detail: str

    @property
    def pointer(self) -> str:
        """JSON pointer as a URI fragment, such as `#/windows/0/3/stock_rsi`."""
        parts = (str(part).replace("~", "~0").replace("/", "~1") for part in self.path)
        return "#" + "".join("/" + quote(part, safe="~!$&'()*+,;=:@") for part in parts)


class Problem(Exception):  # noqa: N818 - the term of the RFC
    """A rejected request.

    Args:
        kind: key of `TITLES`.
        detail: what was found, what was expected, what to do.
        faults: invalid fields; the response lists the first `MAX_FAULTS`.
        headers: headers of the response, in addition to its type and length.
        closes: whether the response closes the connection, because the rest of the body is not read.
    """

    def __init__(
        self,
        kind: str,
        detail: str,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        closes: bool = False,
    ) -> None:
        super().__init__(detail)
        self.status, self.title = TITLES[kind]
        self.kind, self.detail, self.faults = kind, detail, faults
        self.headers = {**(headers or {}), **({"connection": "close"} if closes else {})}
        self.closes = closes

    def body(self) -> bytes:
        """Return the problem as JSON."""
        content: dict[str, object] = {
            "type": f"/docs#{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.faults:
            faults = self.faults[:MAX_FAULTS]
            content["errors"] = [{"pointer": fault.pointer, "detail": fault.detail} for fault in faults]
        return orjson.dumps(content)

    def raw_headers(self, length: int) -> list[tuple[bytes, bytes]]:
        """Return all headers in the form of ASGI."""
        headers = {"content-type": MEDIA_TYPE, "content-length": str(length), **self.headers}
        return [(name.encode(), value.encode()) for name, value in headers.items()]

    def message(self) -> bytes:
        """Return a complete HTTP/1.1 response that closes the connection, for use below the application."""
        body = self.body()
        headers = [*self.raw_headers(len(body))]
        if not self.closes:
            headers.append((b"connection", b"close"))
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}".encode()]
        lines += [name + b": " + value for name, value in headers]
        return b"\r\n".join([*lines, b"", body])
