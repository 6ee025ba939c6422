"""Load on an HTTP service: wrk where it is installed, else a small generator of our own."""

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


def paced(url: str, body: bytes, connections: int, seconds: float, rate: float) -> Load:
    """Send requests on a timetable, whether the ones before are answered or not on time.

    An answer's time counts from when its request was due: a service that stalls is not spared what it held up.

    Args:
        url: to POST to.
        body: JSON.
        connections: open at once, in turns.
        seconds: to go on.
        rate: requests a second.
    """
    return asyncio.run(_own(url, body, connections, seconds, rate))


async def _own(url: str, body: bytes, connections: int, seconds: float, rate: float | None = None) -> Load:
    parts = urlsplit(url)
    assert parts.hostname is not None
    head = f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
    message = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
    taken: list[float] = []
    errors = 0
    start = time.perf_counter()
    end = start + seconds

    async def client(number: int) -> None:
        nonlocal errors
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        turns = itertools.count()
        while (began := time.perf_counter()) < end:
            if rate is not None:
                began = start + (number + next(turns) * connections) / rate
                await asyncio.sleep(began - time.perf_counter())
            writer.write(message)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: *(\d+)", answer, re.IGNORECASE)
            await reader.readexactly(int(length[1]) if length else 0)
            taken.append(time.perf_counter() - began)
            errors += not answer.startswith(b"HTTP/1.1 200")
        writer.close()

    await asyncio.gather(*(client(number) for number in range(connections)))
    given = len(taken) / (time.perf_counter() - start)
    median, p99, slowest = np.percentile(taken, [50, 99, 100]).tolist()
    return Load(given, median, p99, slowest, errors, "asyncio")
