"""The life of a tracked run: begun, logged to, and ended FINISHED, FAILED or KILLED.

A running process holds a lock file named by its run. A run that MLflow calls RUNNING while nobody holds
its lock was killed without a chance to say so, and the next run on the same machine says it.
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
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunInfo, RunStatus, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ste.config import TrackingSettings
from ste.errors import Pruned, RunError
from ste.tracking.provenance import provenance, user
from ste.tracking.retry import retried
from ste.tracking.run_info import ENSEMBLE_TAG, PARENT_TAG, PRUNED_TAG, FoundRun, find_children
from ste.tracking.store import experiment_id, open_store

log = logging.getLogger(__name__)

_LONGEST_PARAM = 6000
_GUARD = "guard"  # held while lock files are looked at or made
_BATCH = 100  # params MLflow takes at once
_METRICS = 1000


class Stopped(SystemExit):
    """The process was asked to end (SIGTERM)."""


@dataclass(frozen=True)
class Table:
    """A table that a run learns from.

    Attributes:
        frame: some of its rows.
        path: of its file, or the folder of its parts.
        digest: of the file.
        context: what it is for, such as `train`.
        targets: name of the label's column.
        rows: how many it has.
    """

    frame: pd.DataFrame
    path: Path
    digest: str
    context: str
    targets: str
    rows: int


class Run:
    """A run being written. Metrics go out on a thread of their own, in order, off the training path.

    Attributes:
        id: MLflow's run id.
        name: of the run.
        experiment_id: that it belongs to.
    """

    def __init__(self, client: MlflowClient, info: RunInfo) -> None:
        self.client = client
        self.id = str(info.run_id)
        self.name = str(info.run_name)
        self.experiment_id = str(info.experiment_id)
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="metrics")
        self._pending: list[Future[None]] = []
        self._held: tuple[list[Metric], list[RunTag]] | None = None

    def log_params(self, params: dict[str, Any]) -> None:
        """Log a flat dict once."""
        entries = [Param(key, str(value)[:_LONGEST_PARAM]) for key, value in params.items()]
        for i in range(0, len(entries), _BATCH):
            retried(self.client.log_batch, self.id, params=entries[i : i + _BATCH])

    def log_metrics(self, metrics: dict[str, float], step: int = 0, model_id: str | None = None) -> None:
        """Queue metrics of one step, of a logged model or of the run alone; `close` waits for them."""
        self.log_history({step: metrics}, model_id)

    def log_history(self, history: dict[int, dict[str, float]], model_id: str | None = None) -> None:
        """Queue metrics of several steps at once, by step."""
        now = int(time.time() * 1000)
        entries = [
            Metric(key, float(value), now, step, model_id=model_id)
            for step, metrics in history.items()
            for key, value in metrics.items()
        ]
        if self._held is not None:
            self._held[0].extend(entries)
            return
        for i in range(0, len(entries), _METRICS):
            self._queue(entries[i : i + _METRICS])

    def set_tags(self, tags: dict[str, Any]) -> None:
        """Set tags."""
        entries = [RunTag(key, str(value)) for key, value in tags.items()]
        if self._held is not None:
            self._held[1].extend(entries)
            return
        retried(self.client.log_batch, self.id, tags=entries)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Metrics and tags that are logged within go out as one transaction: each costs as much as a small epoch."""
        metrics: list[Metric] = []
        tags: list[RunTag] = []
        self._held = metrics, tags
        try:
            yield
        finally:  # also what a run that fails had got to
            self._held = None
            for i in range(0, len(metrics), _METRICS - _BATCH):
                self._queue(metrics[i : i + _METRICS - _BATCH], tags[:_BATCH])
                tags = tags[_BATCH:]
            if tags:
                self._queue([], tags)

    def _queue(self, metrics: list[Metric], tags: Sequence[RunTag] = ()) -> None:
        self._pending.append(self._writer.submit(retried, self.client.log_batch, self.id, metrics, (), tags))

    def log_file(self, path: Path, folder: str | None = None) -> None:
        """Upload a file."""
        self.client.log_artifact(self.id, str(path), folder)

    def log_datasets(self, tables: list[Table]) -> None:
        """Log tables as MLflow datasets: schema, number of rows, digest, where each came from."""
        entities = []
        with warnings.catch_warnings():
            # Hints on ambiguous local paths and on integers that could be missing: neither can be here.
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
        """Steps logged of a metric so far."""
        return {entry.step for entry in self.client.get_metric_history(self.id, metric)}

    def children(self) -> dict[int, "FoundRun"]:
        """Runs of the folds begun so far, by number."""
        return find_children(self.client, self.id)

    def tag(self, key: str) -> str | None:
        """A tag's value, or None."""
        return self.client.get_run(self.id).data.tags.get(key)

    def flush(self) -> None:
        """Wait for queued metrics; raises what went wrong with them."""
        pending, self._pending = self._pending, []
        for future in pending:
            future.result()

    def close(self) -> None:
        """Flush and stop the writer."""
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
    again: str | None = None,
) -> Iterator[Run]:
    """A run that is whole or marked.

    On a clean exit it is FINISHED; on an exception FAILED, with the traceback as an artifact; when
    the process is interrupted or terminated KILLED; when a search prunes it KILLED with the tag `pruned`, so
    that nothing takes it for a whole run. The exception goes on to the caller.

    Args:
        settings: store and experiment.
        output: folder of the default store and of the lock files.
        name: run name.
        params: logged at once.
        resume: id of a run to go on with instead of beginning one.
        parent: run that this one is a part of.
        tags: set when the run begins.
        again: what to say when it is stopped; None says how to resume it.
    """
    client = open_store(settings, output)
    locks = output / ".running"
    locks.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / _GUARD):
        _mark_dead(client, locks)
    if resume is None:
        info = retried(
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
        ).info
    else:
        info = client.get_run(resume).info  # under the name that it began with
    run_id = info.run_id
    lock = _lock(locks, run_id)
    run = Run(client, info)
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
            print(f"\n{again or f'python -m ste.train resume={run_id} goes on with this run'}", file=sys.stderr)
        raise
    except Pruned:
        status = "KILLED"
        run.set_tags({PRUNED_TAG: "true"})
        raise
    except MlflowException as error:
        _log_traceback(run)
        reason = str(error).splitlines()[0]
        raise RunError(
            f"run {run_id}: it could not be tracked ({reason[:200]}). Make room where the store is full, or choose "
            "another with tracking.uri=sqlite:///FILE."
        ) from error
    except BaseException:
        _log_traceback(run)
        raise
    finally:
        with suppress(ValueError):  # only the main thread may
            signal.signal(signal.SIGTERM, previous)
        _end(run, status)
        Path(lock.lock_file).unlink(missing_ok=True)  # while it is held: nobody else can hold a deleted file
        lock.release()


def _lock(locks: Path, run_id: str) -> FileLock:
    """The run's lock, held.

    Raises:
        RunError: another process holds it.
    """
    lock = FileLock(locks / f"{run_id}.lock")
    try:
        with FileLock(locks / _GUARD):  # else another process could find the file before it is locked
            lock.acquire(timeout=0)
    except Timeout:
        raise RunError(
            f"resume={run_id}: that run is still going in another process. Wait for it or stop it."
        ) from None
    return lock


def _experiment(client: MlflowClient, settings: TrackingSettings, parent: Run | None) -> str:
    """A part of a run is where the run is, whatever the command that resumes it says."""
    if parent is not None:
        return parent.experiment_id
    assert settings.experiment is not None  # checked with the settings of a training
    return experiment_id(client, settings.experiment)


def _end(run: Run, status: str) -> None:
    try:
        run.close()
    except Exception:
        # The metrics could not be written: the run is not whole, whatever else went well.
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
    except Exception as error:  # a full disk must not hide the fault that is being told
        log.warning("the traceback could not be tracked: %s", error)


def _raise_on_sigterm() -> Any:
    def stop(signum: int, frame: Any) -> None:
        raise Stopped(128 + signum)

    try:
        return signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread: whoever owns it decides
        return signal.SIG_DFL


def _mark_dead(client: MlflowClient, locks: Path) -> None:
    """Mark runs of dead processes KILLED."""
    for path in locks.glob("*.lock"):
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        try:
            with suppress(MlflowException):  # a run of another store: its own next run will mark it
                if client.get_run(path.stem).info.status == RunStatus.to_string(RunStatus.RUNNING):
                    client.set_terminated(path.stem, "KILLED")
                path.unlink(missing_ok=True)
        finally:
            lock.release()
