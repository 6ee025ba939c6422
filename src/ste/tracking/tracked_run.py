"""Life cycle of a tracked run: start, log, and end as FINISHED, FAILED or KILLED.

A process holds a lock file named by its run. A run that is RUNNING in MLflow without a held lock belongs to a dead
process; the next run on the same machine marks it KILLED.
"""

import json
import logging
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout
from mlflow.data import from_pandas
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunStatus, RunTag
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ste.config import TrackingSettings
from ste.errors import Pruned, RunError
from ste.tracking.provenance import provenance, user
from ste.tracking.retry import retried
from ste.tracking.run_info import ENSEMBLE_TAG, PARENT_TAG, PRUNED_TAG, RunInfo, find_children
from ste.tracking.store import experiment_id, open_store

log = logging.getLogger(__name__)

_MAX_PARAM_LENGTH = 6000
_MAX_PARAMS = 100  # per call of MLflow; the same number of tags
_MAX_ENTRIES = 1000  # per call of MLflow
_GUARD = "guard"  # lock that is held while lock files are created or examined


class Stopped(SystemExit):
    """The process received SIGTERM."""


@dataclass(frozen=True)
class Table:
    """A table that a run is trained or scored on, for MLflow's datasets.

    Attributes:
        frame: some of its rows.
        path: of its file, or the folder of its parts.
        digest: of the file.
        context: use of the table, such as `train`.
        targets: name of the label's column.
        rows: number of rows.
    """

    frame: pd.DataFrame
    path: Path
    digest: str
    context: str
    targets: str
    rows: int


class Run:
    """A run that this process writes. A thread sends the metrics in order, so that training does not wait.

    Args:
        client: of the store.
        run: MLflow's own object.

    Attributes:
        id: MLflow run ID.
        name: of the run.
        experiment_id: ID of its experiment.
    """

    def __init__(self, client: MlflowClient, run: MlflowRun) -> None:
        self.client = client
        self.id = str(run.info.run_id)
        self.name = str(run.info.run_name)
        self.experiment_id = str(run.info.experiment_id)
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="metrics")
        self._pending: list[Future[None]] = []
        self._buffer: tuple[list[Metric], list[RunTag]] | None = None

    def log_params(self, params: dict[str, Any]) -> None:
        """Log a flat dict of parameters."""
        entries = [Param(key, str(value)[:_MAX_PARAM_LENGTH]) for key, value in params.items()]
        for i in range(0, len(entries), _MAX_PARAMS):
            retried(self.client.log_batch, self.id, params=entries[i : i + _MAX_PARAMS])

    def log_metrics(self, metrics: dict[str, float], step: int = 0, model_id: str | None = None) -> None:
        """Queue the metrics of one step; `flush` waits until they are sent.

        Args:
            metrics: by name.
            step: of all of them.
            model_id: logged model that they belong to as well.
        """
        self.log_history({step: metrics}, model_id)

    def log_history(self, history: dict[int, dict[str, float]], model_id: str | None = None) -> None:
        """Queue the metrics of several steps.

        Args:
            history: metrics by step.
            model_id: logged model that they belong to as well.
        """
        now = int(time.time() * 1000)
        entries = [
            Metric(key, float(value), now, step, model_id=model_id)
            for step, metrics in history.items()
            for key, value in metrics.items()
        ]
        if self._buffer is not None:
            self._buffer[0].extend(entries)
            return
        for i in range(0, len(entries), _MAX_ENTRIES):
            self._queue(entries[i : i + _MAX_ENTRIES])

    def set_tags(self, tags: dict[str, Any]) -> None:
        """Set tags."""
        entries = [RunTag(key, str(value)) for key, value in tags.items()]
        if self._buffer is not None:
            self._buffer[1].extend(entries)
            return
        retried(self.client.log_batch, self.id, tags=entries)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Send the metrics and tags that are logged inside as one transaction, which takes as long as a small epoch."""
        metrics: list[Metric] = []
        tags: list[RunTag] = []
        self._buffer = metrics, tags
        try:
            yield
        finally:  # also for a run that fails
            self._buffer = None
            for i in range(0, len(metrics), _MAX_ENTRIES - _MAX_PARAMS):
                self._queue(metrics[i : i + _MAX_ENTRIES - _MAX_PARAMS], tags[:_MAX_PARAMS])
                tags = tags[_MAX_PARAMS:]
            if tags:
                self._queue([], tags)

    def _queue(self, metrics: list[Metric], tags: Sequence[RunTag] = ()) -> None:
        self._pending.append(self._writer.submit(retried, self.client.log_batch, self.id, metrics, (), tags))

    def log_file(self, path: Path, folder: str | None = None) -> None:
        """Upload a file."""
        self.client.log_artifact(self.id, str(path), folder)

    def log_datasets(self, tables: list[Table]) -> None:
        """Log tables as MLflow datasets with schema, number of rows, digest and source."""
        entities = []
        with warnings.catch_warnings():
            # MLflow warns of ambiguous local paths and of integer columns with missing values; neither occurs here.
            warnings.filterwarnings("ignore", category=UserWarning, module="mlflow")
            for table in tables:
                dataset = from_pandas(
                    table.frame,
                    source=str(table.path),
                    targets=table.targets,
                    name=table.path.name,
                    digest=table.digest[:32],
                )
                tags = [InputTag("mlflow.data.context", table.context)]
                counts = {"num_rows": table.rows, "num_elements": table.rows * table.frame.shape[1]}
                entity = Dataset(**dataset.to_dict() | {"profile": json.dumps(counts)})
                entities.append(DatasetInput(entity, tags))
        retried(self.client.log_inputs, self.id, entities)

    def steps(self, metric: str) -> set[int]:
        """Return the logged steps of a metric."""
        return {entry.step for entry in self.client.get_metric_history(self.id, metric)}

    def children(self) -> dict[int, "RunInfo"]:
        """Find the runs of the folds that have started, by fold number."""
        return find_children(self.client, self.id)

    def tag(self, key: str) -> str | None:
        """Read a tag."""
        return self.client.get_run(self.id).data.tags.get(key)

    def flush(self) -> None:
        """Wait until the queued metrics are sent.

        Raises:
            MlflowException: the store refused some of them.
        """
        pending, self._pending = self._pending, []
        for future in pending:
            future.result()

    def close(self) -> None:
        """Flush, and stop the thread."""
        try:
            self.flush()
        finally:
            self._writer.shutdown()


@contextmanager
def tracked_run(
    settings: TrackingSettings,
    output: Path,
    name: str,
    params: dict[str, Any],
    resume: str | None = None,
    parent: Run | None = None,
    tags: dict[str, Any] | None = None,
    hint: str | None = None,
) -> Iterator[Run]:
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
            _experiment(client, settings, parent),
            run_name=name,
            tags={
                "mlflow.user": user(),
                "mlflow.source.name": "ste.train",
                "mlflow.source.type": "LOCAL",
                **provenance(),
                **({PARENT_TAG: parent.id} if parent else {}),
                **{key: str(value) for key, value in (tags or {}).items()},
            },
        )
    else:
        started = client.get_run(resume)  # keeps its name
    run_id = str(started.info.run_id)
    lock = _lock(locks, run_id)
    run = Run(client, started)
    status, previous = "FAILED", _raise_on_sigterm()
    try:
        if resume is None:
            run.log_params(params)
        else:
            client.update_run(run_id, status="RUNNING")
            run.set_tags(provenance())
        yield run
        run.flush()
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        if parent is None and ENSEMBLE_TAG not in (tags or {}):
            print(f"\n{hint or f'python -m ste.train resume={run_id} resumes this run'}", file=sys.stderr)
        raise
    except Pruned:
        status = "KILLED"
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
        with suppress(ValueError):  # not the main thread
            signal.signal(signal.SIGTERM, previous)
        _end(run, status)
        Path(lock.lock_file).unlink(missing_ok=True)  # before the release, after which another process could lock it
        lock.release()


def _lock(locks: Path, run_id: str) -> FileLock:
    """Acquire the lock of a run.

    Raises:
        RunError: another process holds it.
    """
    lock = FileLock(locks / f"{run_id}.lock")
    try:
        with FileLock(locks / _GUARD):  # another process could find the file before it is locked
            lock.acquire(timeout=0)
    except Timeout:
        raise RunError(f"resume={run_id}: that run is RUNNING in another process. Wait for it or stop it.") from None
    return lock


def _experiment(client: MlflowClient, settings: TrackingSettings, parent: Run | None) -> str:
    """ID of the experiment of a new run; that of its parent if it has one."""
    if parent is not None:
        return parent.experiment_id
    assert settings.experiment is not None  # checked with the settings of a training
    return experiment_id(client, settings.experiment)


def _end(run: Run, status: str) -> None:
    try:
        run.close()
    except Exception:
        # Without its metrics the run is not complete.
        with suppress(MlflowException):
            run.client.set_terminated(run.id, "FAILED" if status == "FINISHED" else status)
        if status == "FINISHED":
            raise
        return
    try:
        retried(run.client.set_terminated, run.id, status)
    except MlflowException as error:
        log.warning("run %s could not be marked %s: %s", run.id, status, str(error).splitlines()[0][:200])


def _log_traceback(run: Run) -> None:
    try:
        run.client.log_text(run.id, traceback.format_exc(), "traceback.txt")
    except Exception as error:  # a full disk must not hide the error that is raised
        log.warning("the traceback could not be tracked: %s", error)


def _raise_on_sigterm() -> Any:
    def stop(signum: int, frame: Any) -> None:
        raise Stopped(128 + signum)

    try:
        return signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread, which handles signals
        return signal.SIG_DFL


def _mark_dead(client: MlflowClient, locks: Path) -> None:
    """Mark the runs of dead processes KILLED."""
    for path in locks.glob("*.lock"):
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        try:
            with suppress(MlflowException):  # a run of another store, whose next run marks it
                if client.get_run(path.stem).info.status == RunStatus.to_string(RunStatus.RUNNING):
                    client.set_terminated(path.stem, "KILLED")
                path.unlink(missing_ok=True)
        finally:
            lock.release()
