"""A service in a process of its own, and HTTP by hand."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

JSON = "content-type: application/json"


class Service:
    """A running `python -m ste.serve`."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.errors = open(folder / "stderr.txt", "w+")  # noqa: SIM115 - closed with the process
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ste.serve", "port=0", *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={**os.environ, **environment},
        )
        assert self.process.stdout is not None
        self.output = ""
        for line in self.process.stdout:
            self.output += line
            found = re.search(r"serving on http://[^ ]+:(\d+) ", line)
            if found:
                self.port = int(found[1])
                return
        self.process.wait()
        raise AssertionError(self.log())

    def log(self) -> str:
        """Standard error so far."""
        self.errors.seek(0)
        return self.errors.read()

    def connect(self, timeout: float = 20.0) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def ask(self, method: str, path: str, body: bytes = b"", *headers: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one request on a connection of its own."""
        with self.connect() as connection:
            connection.sendall(request(method, path, body, *headers))
            return answer(connection)

    def predict(self, document: Any) -> tuple[int, Any]:
        status, _, body = self.ask("POST", "/v1/predict", json.dumps(document).encode(), JSON)
        return status, json.loads(body)

    def stop(self, sign: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(sign)
        try:
            return self.process.wait(30)
        finally:
            self.process.kill()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.errors.close()


@contextmanager
def serving(folder: Path, *arguments: str, **environment: str) -> Iterator[Service]:
    service = Service(folder, *arguments, **environment)
    try:
        yield service
    finally:
        service.stop()


def request(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: localhost", *headers]
    if body and not any(line.startswith(("content-length", "transfer-encoding")) for line in headers):
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """The next response on a connection; its body must be announced by a length."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65_536)
        if not part:
            raise ConnectionError(f"closed after {received!r}")
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers["content-length"]):
        part = connection.recv(65_536)
        if not part:
            raise ConnectionError(f"closed within {body!r}")
        body += part
    return int(first.split()[1]), headers, body


def closed(connection: socket.socket, seconds: float) -> bool:
    """Whether the other side ends the connection within so many seconds."""
    connection.settimeout(seconds)
    started = time.monotonic()
    try:
        while connection.recv(65_536):
            if time.monotonic() - started > seconds:
                return False
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True
