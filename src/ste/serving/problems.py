"""Refusals as RFC 9457 problem details, which name the field at fault by a JSON pointer (RFC 6901)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

import orjson

MEDIA_TYPE = "application/problem+json"

TITLES = {
    "invalid-json": (400, "The body is not JSON"),
    "invalid-http": (400, "Not an HTTP request"),
    "no-key": (401, "A key is needed"),
    "not-found": (404, "There is nothing here"),
    "method-not-allowed": (405, "Not the method of this resource"),
    "too-slow": (408, "The request took too long to arrive"),
    "body-too-large": (413, "The body is too large"),
    "not-json": (415, "The body is not sent as JSON"),
    "invalid-request": (422, "The body is not what the model takes"),
    "head-too-large": (431, "The headers are too large"),
    "internal": (500, "A fault of the service"),
    "busy": (503, "The service is busy"),
}
"""Status and title of each kind; the kind is the fragment of its `type`, a heading of the page `/docs`."""

MOST_FAULTS = 20
"""Faults that are told of one body."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong in a body.

    Attributes:
        path: keys and indexes down to it.
        detail: what was found and what was expected.
    """

    path: tuple[str | int, ...]
    detail: str

    @property
    def pointer(self) -> str:
        """A JSON pointer as a URI fragment, `#/windows/0/3/stock_rsi`."""
        parts = (str(part).replace("~", "~0").replace("/", "~1") for part in self.path)
        return "#" + "".join("/" + quote(part, safe="~!$&'()*+,;=:@", errors="replace") for part in parts)


class Problem(Exception):  # noqa: N818 - the RFC's word
    """A request that is refused.

    Args:
        kind: of `TITLES`.
        detail: what was found, what was expected, what to do.
        faults: fields at fault; the first `MOST_FAULTS` are told.
        headers: of the response, beside its type and length.
        closes: whether the connection ends with the answer, because the rest of the body is not wanted.
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
        """The problem as JSON."""
        content: dict[str, object] = {
            "type": f"/docs#{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.faults:
            told = self.faults[:MOST_FAULTS]
            content["errors"] = [{"pointer": fault.pointer, "detail": fault.detail} for fault in told]
        return orjson.dumps(content)

    def raw_headers(self, length: int) -> list[tuple[bytes, bytes]]:
        """As ASGI takes them."""
        every = {"content-type": MEDIA_TYPE, "content-length": str(length), **self.headers}
        return [(name.encode(), value.encode()) for name, value in every.items()]

    def message(self) -> bytes:
        """A whole HTTP/1.1 response that ends the connection, for refusals below the application."""
        body = self.body()
        every = [*self.raw_headers(len(body))]
        if not self.closes:
            every.append((b"connection", b"close"))
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}".encode()]
        lines += [name + b": " + value for name, value in every]
        return b"\r\n".join([*lines, b"", body])
