"""The service under load, beside `mlflow models serve` with the same model: `python -m benchmarks.serving`.

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
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.load import Load, load, paced

TRAIN = ("model=lstm", "data=world", "trainer.max_epochs=1", "trainer.progress=false", "scoring.resamples=200")
EXPORT = ("run=latest", "output=model.onnx", "register=false")
_TICKS = os.sysconf("SC_CLK_TCK")

_COLUMNS = ("requests/s", "median, ms", "p99, ms", "slowest, ms", "errors", "CPU, us")
RATE = 2_000
"""Requests a second, on a timetable: what the service must hold."""
HEADER = f"{'':<22}" + "".join(f"{name:>13}" for name in _COLUMNS)


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
        f"{name:<22}{rate:>13,.0f}{1e3 * middle:>13.2f}{1e3 * p99:>13.2f}{1e3 * slowest:>13.1f}{errors:>13}"
        f"{1e6 * cpu:>13.0f}"
    )


@dataclass(frozen=True)
class Target:
    """A server under load: where it takes what, and its process group."""

    name: str
    url: str
    body: bytes
    group: int


def compare(targets: Sequence[Target], connections: int, seconds: float, rounds: int) -> None:
    """Print what each target gives under load, and the ratio of the first two.

    Args:
        targets: that run already.
        connections: open at once.
        seconds: of load on each target in each round.
        rounds: the targets take turns, so that a slow spell of the machine falls on all of them.
    """
    loads: dict[str, list[Load]] = {target.name: [] for target in targets}
    cpu: dict[str, list[float]] = {target.name: [] for target in targets}
    for target in targets:  # to get warm
        load(target.url, target.body, connections, 1.0)
    steady = Target(f"  at {RATE:,} a second", targets[0].url, targets[0].body, targets[0].group)
    loads[steady.name], cpu[steady.name] = [], []
    for _ in range(rounds):
        began = cpu_seconds(steady.group)
        loads[steady.name].append(paced(steady.url, steady.body, connections, seconds, RATE))
        cpu[steady.name].append((cpu_seconds(steady.group) - began) / (RATE * seconds))
        for target in targets:
            began = cpu_seconds(target.group)
            one = load(target.url, target.body, connections, seconds)
            loads[target.name].append(one)
            cpu[target.name].append((cpu_seconds(target.group) - began) / max(one.rate * seconds, 1.0))
    print(HEADER)
    for name in (targets[0].name, steady.name, *(target.name for target in targets[1:])):
        found = loads[name]
        print(row(name, found, median(cpu[name])))
    if len(targets) > 1:
        first, second = (target.name for target in targets[:2])
        faster = median(a.rate / b.rate for a, b in zip(loads[first], loads[second], strict=True))
        less = median(cpu[second]) / median(cpu[first])
        print(f"{faster:.1f} times the requests a second, {less:.1f} times less CPU for each")
    print(
        f"{connections} connections, {seconds:g} s, medians of {rounds} rounds in turns; load by "
        f"{loads[targets[0].name][0].by} on the same {len(os.sched_getaffinity(0))} cores, load average "
        f"{os.getloadavg()[0]:.1f} at the end."
    )


@contextmanager
def ours(folder: Path) -> Iterator[tuple[Target, list[list[list[float]]]]]:
    """The service on `model.onnx`, and an example of a window that it takes, `[1, T, F]`."""
    address = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "ste.serve", "model=model.onnx", f"port={address.rpartition(':')[2]}"]
    with running(command, folder, f"{address}/readyz") as (group, seconds):
        with urllib.request.urlopen(f"{address}/openapi.json") as answer:
            media = json.load(answer)["paths"]["/v1/predict"]["post"]["requestBody"]["content"]["application/json"]
        example = media["examples"]["one window as arrays"]["value"]
        window = example["windows"]
        print(
            f"a window is {len(window[0])} rows of {len(window[0][0])} features; ready {seconds:.1f} s after the start"
        )
        yield Target("python -m ste.serve", f"{address}/v1/predict", json.dumps(example).encode(), group), window


@contextmanager
def theirs(folder: Path, run_id: str, window: list[list[list[float]]]) -> Iterator[Target]:
    """MLflow's server on the same run's logged model."""
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'outputs' / 'mlflow.db'}"
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where it looks for uvicorn
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", f"runs:/{run_id}/model", "--port", str(port)]
    with running([*command, "--env-manager", "local"], folder, f"http://127.0.0.1:{port}/ping") as (group, _):
        body = json.dumps({"inputs": {"features": window}}).encode()
        yield Target("mlflow models serve", f"http://127.0.0.1:{port}/invocations", body, group)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, export, serve, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-mlflow", action="store_true", help="ours alone")
    parser.add_argument("overrides", nargs="*", help="of ste.train, such as data.sequence_length=20")
    given = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"  # torch's threads in MLflow's server would spin against the load
    with tempfile.TemporaryDirectory() as name, ExitStack() as servers:
        folder = Path(name)
        trained = called(folder, "train", [*TRAIN, *given.overrides])
        called(folder, "export", EXPORT)
        run_id = re.search(r"\b[0-9a-f]{32}\b", trained)
        assert run_id is not None, trained
        first, window = servers.enter_context(ours(folder))
        targets = [first]
        if not given.no_mlflow:
            targets.append(servers.enter_context(theirs(folder, run_id[0], window)))
        compare(targets, given.connections, given.seconds, given.rounds)


if __name__ == "__main__":
    main()
