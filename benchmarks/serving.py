"""The service under load, against `mlflow models serve` with the same model: `python -m benchmarks.serving`.

Trains an LSTM for an epoch, exports it, and serves it by `python -m ste.serve` and by MLflow's own server from the
run's logged model. Both get the same single windows from 32 connections in turns; the load generator runs on the same
cores. The service also gets `RATE` requests a second on a fixed schedule.
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
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.http_load import Load, load
from benchmarks.measurement import in_turns
from benchmarks.prediction import run_command

TRAIN = (
    "model=lstm",
    "data=world",
    "trainer.max_epochs=1",
    "trainer.enable_progress_bar=false",
    "scoring.resamples=200",
)
EXPORT = ("run=latest", "output=model.onnx", "register=false")
RATE = 2_000
"""Requests a second on a schedule, which the service must hold."""

_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Target:
    """A server under load.

    Attributes:
        name: in the table.
        url: to POST to.
        body: JSON that it takes.
        group: its process group.
        rate: requests a second, or None for as many as it answers.
    """

    name: str
    url: str
    body: bytes
    group: int
    rate: float | None = None

    def measure(self, connections: int, seconds: float) -> tuple[Load, float]:
        """Return its answers under load, and the seconds of CPU for each."""
        before = cpu_seconds(self.group)
        answers = load(self.url, self.body, connections, seconds, self.rate)
        return answers, (cpu_seconds(self.group) - before) / max(answers.rate * seconds, 1.0)


def cpu_seconds(group: int) -> float:
    """Return the CPU time of a process group so far."""
    total = 0.0
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if os.getpgid(int(folder.name)) == group:
                    total += (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS
            except (OSError, ProcessLookupError):
                continue
    return total


@contextmanager
def running(command: Sequence[str], folder: Path, url: str, seconds: float = 120.0) -> Iterator[int]:
    """Start a server in a process group of its own, wait until it answers, and yield the group."""
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    end = time.perf_counter() + seconds
    try:
        while True:
            try:
                urllib.request.urlopen(url, timeout=5).close()
                break
            except OSError:
                if process.poll() is not None or time.perf_counter() > end:
                    sys.exit((folder / "server.log").read_text()[-3000:])
                time.sleep(0.01)
        yield process.pid
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def ste_server(folder: Path) -> Iterator[tuple[Target, list[list[list[float]]]]]:
    """Serve `model.onnx` by STE; yield the target and a window that it takes, `[1, T, F]`."""
    address = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "ste.serve", "model=model.onnx", f"port={address.rpartition(':')[2]}"]
    with running(command, folder, f"{address}/readyz") as group:
        with urllib.request.urlopen(f"{address}/openapi.json") as answer:
            media = json.load(answer)["paths"]["/v1/predict"]["post"]["requestBody"]["content"]["application/json"]
        example = media["examples"]["one window as arrays"]["value"]
        yield (
            Target("python -m ste.serve", f"{address}/v1/predict", json.dumps(example).encode(), group),
            (example["windows"]),
        )


@contextmanager
def mlflow_server(folder: Path, run_id: str, window: list[list[list[float]]]) -> Iterator[Target]:
    """Serve the same run's logged model by MLflow."""
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'outputs' / 'mlflow.db'}"
    # MLflow starts uvicorn from the PATH.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", f"runs:/{run_id}/model", "--port", str(port)]
    with running([*command, "--env-manager", "local"], folder, f"http://127.0.0.1:{port}/ping") as group:
        body = json.dumps({"inputs": {"features": window}}).encode()
        yield Target("mlflow models serve", f"http://127.0.0.1:{port}/invocations", body, group)


def compare_servers(targets: Sequence[Target], connections: int, seconds: float, rounds: int) -> None:
    """Print a row for each target, medians over the rounds, and the ratio of the first and the last.

    Args:
        targets: running servers.
        connections: open at once.
        seconds: of load on each target in each round.
        rounds: rounds that count.
    """
    results = in_turns([partial(target.measure, connections, seconds) for target in targets], rounds)
    columns = ("requests/s", "median, ms", "p99, ms", "slowest, ms", "errors", "CPU, us")
    print(f"{'':<22}" + "".join(f"{name:>13}" for name in columns))
    for target, answers in zip(targets, results, strict=True):
        rate, middle, p99, slowest = (
            median(getattr(one, name) for one, _ in answers) for name in ("rate", "median", "p99", "slowest")
        )
        errors, cpu = sum(one.errors for one, _ in answers), median(cpu for _, cpu in answers)
        print(
            f"{target.name:<22}{rate:>13,.0f}{1e3 * middle:>13.2f}{1e3 * p99:>13.2f}{1e3 * slowest:>13.1f}{errors:>13}"
            f"{1e6 * cpu:>13.0f}"
        )
    first, last = results[0], results[-1]
    ratio = median(a.rate / b.rate for (a, _), (b, _) in zip(first, last, strict=True))
    print(f"{targets[0].name}: {ratio:.1f} times the requests a second of {targets[-1].name}")
    cores = len(os.sched_getaffinity(0))
    print(
        f"{connections} connections, {seconds:g} s, medians of {rounds} rounds in turns; "
        f"load from the same {cores} cores"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, export, serve, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("overrides", nargs="*", help="of ste.train, such as data.sequence_length=20")
    chosen = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"  # torch's threads in MLflow's server would spin against the load
    with tempfile.TemporaryDirectory() as name, ExitStack() as servers:
        folder = Path(name)
        _, _, trained = run_command(folder, "train", *TRAIN, *chosen.overrides)
        run_command(folder, "export", *EXPORT)
        run_id = re.search(r"\b[0-9a-f]{32}\b", trained)
        assert run_id is not None, trained
        ste, window = servers.enter_context(ste_server(folder))
        scheduled = Target(f"  at {RATE:,} a second", ste.url, ste.body, ste.group, RATE)
        mlflow = servers.enter_context(mlflow_server(folder, run_id[0], window))
        compare_servers([ste, scheduled, mlflow], chosen.connections, chosen.seconds, chosen.rounds)


if __name__ == "__main__":
    main()
