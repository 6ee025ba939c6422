"""Life cycle of a tracked run: start, log, and end as FINISHED, FAILED or KILLED.

A process holds a lock file named by its run. A run that is RUNNING in MLflow without a held lock belongs to a dead
process; the next run on the same machine marks it KILLED.
"""

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from mlflow.entities import Run as MlflowRun
from mlflow.entities import RunStatus
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ste.config import TrackingSettings
from ste.errors import Pruned, RunError
from ste.tracking.provenance import PROVENANCE, provenance, provenance_tags, user
from ste.tracking.retry import retried
from ste.tracking.run_info import ENSEMBLE_TAG, PARENT_TAG, PRUNED_TAG, TRIAL_TAG
from ste.tracking.run_writer import TrackedRun
from ste.tracking.stop_signals import signals_held, stop_signals
from ste.tracking.store import create_store, experiment_id

log = logging.getLogger(__name__)

_GUARD = "guard"  # lock that is held while lock files are created or examined


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
    client = create_store(settings, output)
    locks = output / ".running"
    locks.mkdir(parents=True, exist_ok=True)
    is_part = parent is not None or not {ENSEMBLE_TAG, TRIAL_TAG}.isdisjoint(tags or {})
    with stop_signals(), ExitStack() as stack:
        with FileLock(locks / _GUARD):
            _mark_dead(client, locks)
            experiment = parent.experiment_id if parent else experiment_id(client, str(settings.experiment))
            with signals_held():  # a run that is created is also ended
                if resume is None:
                    run = TrackedRun(client, _create(client, experiment, name, parent, tags or {}))
                else:
                    run = TrackedRun(client, client.get_run(resume))  # keeps its name
                lock = _lock(locks, run.id)
                printed = None if is_part else hint or f"python -m ste.train resume={run.id} resumes this run"
                stack.enter_context(_ended(run, lock, printed))
        if resume is None:
            run.log_params(params)
        else:
            client.update_run(run.id, status="RUNNING")
            run.set_tags(provenance_tags())
        client.log_dict(run.id, provenance(), PROVENANCE)
        yield run


def _create(
    client: MlflowClient, experiment: str, name: str, parent: TrackedRun | None, tags: dict[str, Any]
) -> MlflowRun:
    return retried(
        client.create_run,
        experiment,
        run_name=name,
        tags=provenance_tags()
        | {"mlflow.user": user(), "mlflow.source.name": "ste.train", "mlflow.source.type": "LOCAL"}
        | ({PARENT_TAG: parent.id} if parent else {})
        | {key: str(value) for key, value in tags.items()},
    )


def _lock(locks: Path, run_id: str) -> FileLock:
    lock = FileLock(locks / f"{run_id}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise RunError(f"resume={run_id}: that run is RUNNING in another process. Wait for it or stop it.") from None
    return lock


@contextmanager
def _ended(run: TrackedRun, lock: FileLock, hint: str | None) -> Iterator[None]:
    """Set the final status of a run and release its lock on exit."""
    status = "FAILED"
    try:
        yield
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        if hint is not None:
            print(f"\n{hint}", file=sys.stderr)
        raise
    except Pruned as stop:
        status, stop.run_id = "KILLED", run.id
        run.set_tags({PRUNED_TAG: "true"})
        raise
    except MlflowException as error:
        _log_traceback(run)
        reason = str(error).splitlines()[0]
        raise RunError(
            f"run {run.id}: it could not be tracked ({reason[:200]}). Make room if the store is full, or choose "
            "another one with tracking.uri=sqlite:///FILE."
        ) from error
    except BaseException:
        _log_traceback(run)
        raise
    finally:
        with signals_held():
            _end(run, status)
            Path(lock.lock_file).unlink(
                missing_ok=True
            )  # before the release, after which another process could lock it
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


def _mark_dead(client: MlflowClient, locks: Path) -> None:
    """Mark the runs of dead processes KILLED."""
    for path in locks.glob("*.lock"):
        # Another process holds it, or it is of a run in another store, whose next run marks it.
        with suppress(Timeout, MlflowException), FileLock(path, timeout=0):
            if client.get_run(path.stem).info.status == RunStatus.to_string(RunStatus.RUNNING):
                client.set_terminated(path.stem, "KILLED")
            path.unlink(missing_ok=True)
