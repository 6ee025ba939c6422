"""Load on an HTTP service: by wrk where it is installed, else by keep-alive connections of this process."""

import asyncio
import itertools
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

_WRK_SCRIPT = """
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
    """The answers of a service under load.

    Attributes:
        rate: answers a second.
        median: seconds from a request to its answer.
        p99: 99th percentile of these seconds.
        slowest: the longest of these seconds.
        errors: answers with a status other than 200.
    """

    rate: float
    median: float
    p99: float
    slowest: float
    errors: int


def load(url: str, body: bytes, connections: int, seconds: float, rate: float | None = None) -> Load:
    """Send the same request repeatedly.

    Args:
        url: to POST to.
        body: JSON.
        connections: open at once.
        seconds: duration.
        rate: requests a second on a fixed schedule; an answer's time counts from when its request was due, so a stall
            is not hidden. None: each connection sends its next request as soon as it has its answer.
    """
    if rate is None and shutil.which("wrk"):
        return _wrk(url, body, connections, seconds)
    return asyncio.run(_load(url, body, connections, seconds, rate))


def _wrk(url: str, body: bytes, connections: int, seconds: float) -> Load:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "body").write_bytes(body)
        script = Path(folder) / "post.lua"
        script.write_text(_WRK_SCRIPT.replace("{body}", str(Path(folder) / "body")))
        options = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s", "-s", str(script)]
        done = subprocess.run(["wrk", *options, url], capture_output=True, text=True, check=True)
    result = re.search(r"RESULT (.*)", done.stdout)
    assert result is not None, done.stdout
    requests, duration, median, p99, slowest, errors = map(float, result[1].split())  # in microseconds
    return Load(requests / duration * 1e6, median / 1e6, p99 / 1e6, slowest / 1e6, int(errors))


async def _load(url: str, body: bytes, connections: int, seconds: float, rate: float | None) -> Load:
    parts = urlsplit(url)
    assert parts.hostname is not None
    head = f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
    message = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
    times: list[float] = []
    errors = 0
    start = time.perf_counter()
    end = start + seconds

    async def client(number: int) -> None:
        nonlocal errors
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        turns = itertools.count()
        while (due := time.perf_counter()) < end:
            if rate is not None:
                due = start + (number + next(turns) * connections) / rate
                await asyncio.sleep(due - time.perf_counter())
            writer.write(message)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: *(\d+)", answer, re.IGNORECASE)
            await reader.readexactly(int(length[1]) if length else 0)
            times.append(time.perf_counter() - due)
            errors += not answer.startswith(b"HTTP/1.1 200")
        writer.close()

    await asyncio.gather(*(client(number) for number in range(connections)))
    answers_a_second = len(times) / (time.perf_counter() - start)
    median, p99, slowest = np.percentile(times, [50, 99, 100]).tolist()
    return Load(answers_a_second, median, p99, slowest, errors)
