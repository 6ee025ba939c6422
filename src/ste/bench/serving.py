"""The service under load, beside `mlflow models serve` with the same model: `python -m ste.bench.serving`.

Trains an LSTM for an epoch, exports it, and serves it twice: by `python -m ste.serve`, and by MLflow's own server
from the run's logged model. Both get the same single windows from 32 connections, in turns; the load generator
runs on the same cores.
"""

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from ste.bench.load import Load, load

TRAIN = ("model=lstm", "data=world", "trainer.max_epochs=1", "trainer.progress=false", "scoring.resamples=200")
EXPORT = ("run=latest", "output=model.onnx", "register=false")
_TICKS = os.sysconf("SC_CLK_TCK")

HEADER = f"{'':<22} {'requests/s':>10}  {'median, ms':>10}  {'p99, ms':>8}  {'slowest, ms':>11}  {'errors':>6}  {'CPU, us':>8}"


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(process: int) -> float:
    """Of a process and all that it started, so far."""
    total = 0.0
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(folder.name) == process or os.getpgid(int(folder.name)) == process:
                    total += (int(fields[11]) + int(fields[12])) / _TICKS
            except (OSError, ProcessLookupError):
                continue
    return total


@contextmanager
def running(command: Sequence[str], folder: Path, url: str, seconds: float = 120.0) -> Iterator[tuple[int, float]]:
    """A server in a process group of its own; gives the group and the seconds until it answered."""
    with open(folder / "server.log", "ab") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    began = time.perf_counter()
    try:
        while True:
            try:
                urllib.request.urlopen(url, timeout=5).close()
                break
            except OSError:
                if process.poll() is not None or time.perf_counter() - began > seconds:
                    sys.exit((folder / "server.log").read_text()[-3000:])
                time.sleep(0.01)
        yield process.pid, time.perf_counter() - began
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def called(folder: Path, module: str, arguments: Sequence[str]) -> str:
    """Output of a command of ours."""
    command = [sys.executable, "-m", f"ste.{module}", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return done.stdout


def row(name: str, loads: Sequence[Load], cpu: float) -> str:
    """A row of the table: medians over the rounds."""
    rate, middle, p99, slowest = (
        median(getattr(one, key) for one in loads) for key in ("rate", "median", "p99", "slowest")
    )
    errors = sum(one.errors for one in loads)
    return (
        f"{name:<22} {rate:>10,.0f}  {1e3 * middle:>10.2f}  {1e3 * p99:>8.2f}  {1e3 * slowest:>11.1f}"
        f"  {errors:>6}  {1e6 * cpu:>8.0f}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, and the ratio of the two."""
    parser = argparse.ArgumentParser(prog="python -m ste.bench.serving", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-mlflow", action="store_true", help="ours alone")
    parser.add_argument("overrides", nargs="*", help="of ste.train, such as data.sequence_length=20")
    given = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"  # torch's threads would spin against the load
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trained = called(folder, "train", [*TRAIN, *given.overrides])
        called(folder, "export", EXPORT)
        run_id = re.search(r"\b[0-9a-f]{32}\b", trained)
        assert run_id is not None, trained
        ours, theirs = free_port(), free_port()
        command = [sys.executable, "-m", "ste.serve", "model=model.onnx", f"port={ours}"]
        address = f"http://127.0.0.1:{ours}"
        with running(command, folder, f"{address}/readyz") as (group, seconds):
            with urllib.request.urlopen(f"{address}/openapi.json") as answer:
                media = json.load(answer)["paths"]["/v1/predict"]["post"]["requestBody"]["content"]
            window = media["application/json"]["examples"]["one window as arrays"]["value"]["windows"]
            print(
                f"a window is {len(window[0])} rows of {len(window[0][0])} features; the service answered {seconds:.1f} s after its start"
            )
            targets = [("python -m ste.serve", f"{address}/v1/predict", {"windows": window}, group)]
            if given.no_mlflow:
                _compare(targets, given)
                return
            command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", f"runs:/{run_id[0]}/model"]
            command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(theirs)]
            os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'outputs' / 'mlflow.db'}"
            os.environ["PATH"] = (
                f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # it calls uvicorn by name
            )
            address = f"http://127.0.0.1:{theirs}"
            with running(command, folder, f"{address}/ping") as (group, _):
                targets.append(
                    ("mlflow models serve", f"{address}/invocations", {"inputs": {"features": window}}, group)
                )
                _compare(targets, given)


def _compare(targets: list[tuple[str, str, object, int]], given: argparse.Namespace) -> None:
    loads: dict[str, list[Load]] = {name: [] for name, *_ in targets}
    cpu: dict[str, list[float]] = {name: [] for name, *_ in targets}
    for i in range(given.rounds + 1):  # the first one is to get warm
        for name, url, body, group in targets:
            began = cpu_seconds(group)
            one = load(url, json.dumps(body).encode(), given.connections, given.seconds if i else 1.0)
            if i:
                loads[name].append(one)
                cpu[name].append((cpu_seconds(group) - began) / max(one.rate * given.seconds, 1.0))
    print(HEADER)
    for name, *_ in targets:
        print(row(name, loads[name], median(cpu[name])))
    if len(targets) > 1:
        first, second = loads.values()
        ratios = [a.rate / b.rate for a, b in zip(first, second, strict=True)]
        ratio = median(cpu[targets[1][0]]) / median(cpu[targets[0][0]])
        print(f"{median(ratios):.1f} times the requests a second, {ratio:.1f} times less CPU for each")
    by = loads[targets[0][0]][0].by
    print(
        f"{given.connections} connections, {given.seconds:g} s, medians of {given.rounds} rounds in turns; load by {by} on the "
        f"same {len(os.sched_getaffinity(0))} cores, load average {os.getloadavg()[0]:.1f} at the end."
    )


if __name__ == "__main__":
    main()
