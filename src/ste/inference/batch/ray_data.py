"""Run tasks with Ray Data: on the cluster that `RAY_ADDRESS` names, or on a local one that ends with the command."""

import os
import re
import signal
import socket
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ste.errors import ConfigError, DataError, RunError, SteError
from ste.inference.batch.parallel import ShardTask
from ste.inference.batch.prediction_loop import Advance, RowCounts


def run_on_ray(tasks: Sequence[ShardTask], advance: Advance) -> list[RowCounts]:
    """Run the tasks as a Ray dataset of one row per task. Ray repeats the tasks of a machine that is lost.

    Every machine of the cluster must see the model, the table and the output folder under the same paths.

    Raises:
        ConfigError: Ray is not installed, or the cluster cannot be reached.
        DataError: of a task.
        RunError: Ray lost a task.
    """
    address = os.environ.get("RAY_ADDRESS")
    _check_reachable(address)
    try:
        import ray
        import ray.data
        from ray.exceptions import RayError, RayTaskError
    except ImportError:
        raise ConfigError("cluster=ray: Ray is not installed. Type pip install 'ste[ray]', or leave it out.") from None
    threads = tasks[0].threads
    local = {} if address else {"num_cpus": len(tasks) * threads, "include_dashboard": False}
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **local)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:200]
        where = f"RAY_ADDRESS={address}: no cluster is there" if address else "cluster=ray: Ray cannot start"
        raise ConfigError(f"{where} ({reason}). Without cluster=ray, workers run on this machine.") from None
    signal.signal(signal.SIGTERM, on_sigterm)  # ray.init sets a handler with another exit code
    counts: dict[int, RowCounts] = {}
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        rows = ray.data.from_items([{"task": index} for index in range(len(tasks))], override_num_blocks=len(tasks))
        for row in rows.map(lambda row: _run(row["task"], tasks[row["task"]]), num_cpus=threads).iter_rows():
            if row["error"]:
                raise DataError(row["error"])
            counts[row["task"]] = RowCounts(**{name: row[name] for name in asdict(RowCounts())})
            advance(len(counts))
    except RayTaskError as error:
        raise error.as_instanceof_cause() from None
    except RayError as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise RunError(f"cluster=ray: a task was lost ({reason}). Nothing was written.") from None
    finally:
        ray.shutdown()
    return [counts[index] for index in range(len(tasks))]


def _check_reachable(address: str | None) -> None:
    """Raise unless something listens at HOST:PORT, since Ray itself would try for minutes."""
    host_port = re.fullmatch(r"(?:ray://)?([^:/]+):(\d+)", address or "")
    if host_port is None:
        return
    try:
        socket.create_connection((host_port[1], int(host_port[2])), timeout=5.0).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"RAY_ADDRESS={address}: no cluster is there ({error}). Without cluster=ray, workers run on this machine."
        ) from None


def _run(index: int, task: ShardTask) -> dict[str, Any]:
    """Run a task and give its result as a row; a user's mistake is a message, since Ray wraps exceptions."""
    counts, message = RowCounts(), ""
    try:
        counts = task()
    except (SteError, OSError) as error:
        message = str(error)
    return {"task": index, "error": message, **asdict(counts)}
