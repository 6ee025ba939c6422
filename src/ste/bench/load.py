"""Load on an HTTP service: wrk where it is installed, else a small generator of our own."""

import asyncio
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

_LUA = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = io.open("{body}", "rb"):read("*a")
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("RESULT %d %d %f %f %f %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), latency.max,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


@dataclass(frozen=True)
class Load:
    """What a service gave.

    Attributes:
        rate: answers a second.
        median, p99, slowest: seconds from a request to its answer.
        errors: requests without an answer of 200.
        by: the generator.
    """

    rate: float
    median: float
    p99: float
    slowest: float
    errors: int
    by: str


def load(url: str, body: bytes, connections: int, seconds: float) -> Load:
    """Send the same request over and over, each connection its next one as soon as it has its answer.

    Args:
        url: to POST to.
        body: JSON.
        connections: open at once.
        seconds: to go on.
    """
    if shutil.which("wrk"):
        return _wrk(url, body, connections, seconds)
    return asyncio.run(_own(url, body, connections, seconds))


def _wrk(url: str, body: bytes, connections: int, seconds: float) -> Load:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "body").write_bytes(body)
        script = Path(folder) / "post.lua"
        script.write_text(_LUA.replace("{body}", str(Path(folder) / "body")))
        options = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s", "-s", str(script)]
        done = subprocess.run(["wrk", *options, url], capture_output=True, text=True, check=True)
    found = re.search(r"RESULT (.*)", done.stdout)
    assert found is not None, done.stdout
    requests, duration, median, p99, slowest, errors = map(float, found[1].split())  # in microseconds
    return Load(requests / duration * 1e6, median / 1e6, p99 / 1e6, slowest / 1e6, int(errors), "wrk")


async def _own(url: str, body: bytes, connections: int, seconds: float) -> Load:
    parts = urlsplit(url)
    assert parts.hostname is not None
    head = f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
    message = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
    taken: list[float] = []
    errors = 0
    end = time.perf_counter() + seconds

    async def client() -> None:
        nonlocal errors
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        while (began := time.perf_counter()) < end:
            writer.write(message)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: *(\d+)", answer, re.IGNORECASE)
            await reader.readexactly(int(length[1]) if length else 0)
            taken.append(time.perf_counter() - began)
            errors += not answer.startswith(b"HTTP/1.1 200")
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    rate = len(taken) / (time.perf_counter() - began)
    median, p99, slowest = np.percentile(taken, [50, 99, 100]).tolist()
    return Load(rate, median, p99, slowest, errors, "asyncio")
