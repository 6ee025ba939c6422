"""Life cycle of a tracked run: start, log, and end as FINISHED, FAILED or KILLED.

A process holds a lock file named by its run. A run that is RUNNING in MLflow without a held lock belongs to a dead
process; the next run on the same machine marks it KILLED.
"""

import logging
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from mlflow.entities import RunStatus
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ste.config import TrackingSettings
from ste.errors import Pruned, RunError
from ste.tracking.provenance import provenance, user
from ste.tracking.retry import retried
from ste.tracking.run_info import ENSEMBLE_TAG, PARENT_TAG, PRUNED_TAG
from ste.tracking.run_writer import TrackedRun
from ste.tracking.store import experiment_id, open_store

log = logging.getLogger(__name__)

_GUARD = "guard"  # lock that is held while lock files are created or examined


class Stopped(SystemExit):
    """The process received SIGTERM."""


@contextmanager
def tracked_run(
    settings: TrackingSettings,
    output: Path,
    name: str,
    params: dict[str, Any],
    resume: str | None = None,
    parent: TrackedRun | None = None,
    tags: dict[str, Any] | None = None,
    hint: str | None = None,
) -> Iterator[TrackedRun]:
    """Start or resume a run, and set its final status on exit.

    The status is FINISHED on a clean exit, FAILED on an exception, with the traceback as an artifact, KILLED when the
    process is interrupted or terminated, and KILLED with the tag `pruned` when a search prunes the trial. The exception
    is raised again.

    Args:
        settings: store and experiment.
        output: folder of the default store and of the lock files.
        name: run name.
        params: logged at the start.
        resume: ID of a run to resume instead of starting one.
        parent: run of which this one is a fold.
        tags: set at the start.
        hint: printed when the run is stopped; None is the command that resumes it.
    """
    client = open_store(settings, output)
    locks = output / ".running"
    locks.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / _GUARD):
        _mark_dead(client, locks)
        if resume is None:
            started = retried(
                client.create_run,
                parent.experiment_id if parent else experiment_id(client, str(settings.experiment)),
                run_name=name,
                tags=provenance()
                | {"mlflow.user": user(), "mlflow.source.name": "ste.train", "mlflow.source.type": "LOCAL"}
                | ({PARENT_TAG: parent.id} if parent else {})
                | {key: str(value) for key, value in (tags or {}).items()},
            )
        else:
            started = client.get_run(resume)  # keeps its name
        run_id = str(started.info.run_id)
        lock = FileLock(locks / f"{run_id}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise RunError(
                f"resume={run_id}: that run is RUNNING in another process. Wait for it or stop it."
            ) from None
    run = TrackedRun(client, started)
    status, previous = "FAILED", signal.signal(signal.SIGTERM, _stop)
    try:
        if resume is None:
            run.log_params(params)
        else:
            client.update_run(run_id, status="RUNNING")
            run.set_tags(provenance())
        yield run
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        if parent is None and ENSEMBLE_TAG not in (tags or {}):
            print(f"\n{hint or f'python -m ste.train resume={run_id} resumes this run'}", file=sys.stderr)
        raise
    except Pruned as stop:
        status, stop.run_id = "KILLED", run_id
        run.set_tags({PRUNED_TAG: "true"})
        raise
    except MlflowException as error:
        _log_traceback(run)
        reason = str(error).splitlines()[0]
        raise RunError(
            f"run {run_id}: it could not be tracked ({reason[:200]}). Make room if the store is full, or choose "
            "another one with tracking.uri=sqlite:///FILE."
        ) from error
    except BaseException:
        _log_traceback(run)
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)
        _end(run, status)
        Path(lock.lock_file).unlink(missing_ok=True)  # before the release, after which another process could lock it
        lock.release()


def _end(run: TrackedRun, status: str) -> None:
    try:
        retried(run.client.set_terminated, run.id, status)
    except MlflowException as error:
        log.warning("run %s could not be marked %s: %s", run.id, status, str(error).splitlines()[0][:200])


def _log_traceback(run: TrackedRun) -> None:
    try:
        run.client.log_text(run.id, traceback.format_exc(), "traceback.txt")
    except Exception as error:  # a full disk must not hide the error that is raised
        log.warning("the traceback could not be tracked: %s", error)


def _stop(signum: int, frame: Any) -> None:
    raise Stopped(128 + signum)


def _mark_dead(client: MlflowClient, locks: Path) -> None:
    """Mark the runs of dead processes KILLED."""
    for path in locks.glob("*.lock"):
        # Another process holds it, or it is of a run in another store, whose next run marks it.
        with suppress(Timeout, MlflowException), FileLock(path, timeout=0):
            if client.get_run(path.stem).info.status == RunStatus.to_string(RunStatus.RUNNING):
                client.set_terminated(path.stem, "KILLED")
            path.unlink(missing_ok=True)
