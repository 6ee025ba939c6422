"""Tasks on a Ray cluster: the one that `RAY_ADDRESS` names, or one of this machine that ends with the command."""

import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from typing import Any

from ste.errors import ConfigError, RunError, SteError
from ste.inference.batch.parallel import Task
from ste.inference.batch.prediction_loop import Advance, Tally


def on_ray(tasks: Sequence[Task], advance: Advance) -> list[Tally]:
    """A Ray task for each; what a machine loses, Ray does again on another one.

    Model, table and the folder of the output must be where every machine of the cluster sees them.

    Raises:
        ConfigError: Ray is not installed, or the cluster is not there.
        SteError: what a task found wrong, or that it was lost.
    """
    address = os.environ.get("RAY_ADDRESS")
    _reach(address)
    try:
        import ray
        from ray.exceptions import RayError, RayTaskError
    except ImportError:
        raise ConfigError("cluster=ray: Ray is not installed. Type pip install 'ste[ray]', or leave it out.") from None
    size = {} if address else {"num_cpus": sum(task.threads for task in tasks), "include_dashboard": False}
    began, stopping = not ray.is_initialized(), signal.getsignal(signal.SIGTERM)
    try:
        if began:
            os.environ.setdefault("RAY_DISABLE_FAILURE_SIGNAL_HANDLER", "1")  # it shows machine code of a stop
            ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **size)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:200]
        where = f"RAY_ADDRESS={address}: no cluster is there" if address else "cluster=ray: none could begin"
        raise ConfigError(f"{where} ({reason}). Without cluster=ray, workers run on this machine.") from None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stopping)  # Ray has one of its own, which ends with another code
    try:
        remote = ray.remote(_done)
        waiting = {remote.options(num_cpus=task.threads).remote(task): number for number, task in enumerate(tasks)}
        tallies: dict[int, Tally] = {}
        while waiting:
            ready, _ = ray.wait(list(waiting))
            for one in ready:
                number = waiting.pop(one)
                said: Any = ray.get(one)
                if isinstance(said, SteError | OSError):
                    raise said
                tallies[number], size_ = said
                advance(len(tallies) * size_ // len(tasks))
    except SystemExit:  # Ray makes code 1 of whatever the handler of SIGTERM leaves with
        sys.exit(128 + signal.SIGTERM)
    except RayTaskError as error:
        raise error.as_instanceof_cause() from None
    except RayError as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise RunError(f"cluster=ray: a task was lost ({reason}). Nothing was written.") from None
    finally:
        if began:
            ray.shutdown()
    return [tallies[number] for number in range(len(tasks))]


def _reach(address: str | None) -> None:
    """Raise where nobody listens at HOST:PORT: Ray itself would try for minutes."""
    place = re.fullmatch(r"(?:ray://)?([^:/]+):(\d+)", address or "")
    if place is None:
        return
    try:
        socket.create_connection((place[1], int(place[2])), timeout=5.0).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"RAY_ADDRESS={address}: no cluster is there ({error}). Without cluster=ray, workers run on this machine."
        ) from None


def _done(task: Task) -> Any:
    """A task's tally and the table's size, or what it found wrong; an error of ours travels as it is."""
    last = 0

    def report(done: int) -> None:
        nonlocal last
        last = done

    try:
        return task(report), last
    except (SteError, OSError) as error:
        return error
