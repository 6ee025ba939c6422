"""Open the MLflow store: a SQLite file next to its artifacts, or a server."""

import inspect
import logging
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import mlflow
from filelock import FileLock
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ste.config import TrackingSettings, UiSettings
from ste.config.fast_imports import fast_imports
from ste.config.progress import step
from ste.config.store_location import SQLITE, check_store, has_content, sqlite_file, store_uri
from ste.errors import RunError
from ste.tracking.saved_views import save_runs_view
from ste.tracking.stop_signals import signals_held

_KIND = {"mlflow.experimentKind": "custom_model_development"}  # the UI shows its training pages

for _name in ("mlflow", "alembic"):  # importing MLflow sets another level
    logging.getLogger(_name).setLevel(logging.WARNING)
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # report a missing server within seconds


class UninterruptedClient(MlflowClient):  # type: ignore[misc]  # MLflow is not typed
    """Client whose calls end before a signal stops the process.

    An interrupt within a transaction would leave it open, and SQLite locked for the call that ends the run.
    """

    def __getattribute__(self, name: str) -> Any:
        """Wrap the public methods."""
        value = super().__getattribute__(name)
        return _uninterrupted(value) if inspect.ismethod(value) and not name.startswith("_") else value


def _uninterrupted(call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def held(*arguments: Any, **named: Any) -> Any:
        with signals_held():
            return call(*arguments, **named)

    return held


def open_store(settings: TrackingSettings, output: Path) -> MlflowClient:
    """Open a client of the store, to read its runs.

    Args:
        settings: `uri` may be None, a `sqlite:///` URI or a server's `http(s)://`.
        output: folder of the default store.

    Raises:
        RunError: the SQLite file is missing, or no server answers.
    """
    check_store(settings, output)
    return _connect(store_uri(settings, output))


def create_store(settings: TrackingSettings, output: Path) -> MlflowClient:
    """Open a client of the store, to track a run; a missing SQLite file is created.

    Args:
        settings: `uri` may be None, a `sqlite:///` URI or a server's `http(s)://`.
        output: folder of the default store.

    Raises:
        RunError: no server answers.
    """
    uri = store_uri(settings, output)
    path = sqlite_file(uri)
    if path is not None:
        ensure_sqlite(path)
    return _connect(uri)


def _connect(uri: str) -> MlflowClient:
    mlflow.set_tracking_uri(uri)
    with fast_imports("MLflow's store"):
        client = UninterruptedClient(uri)
    if is_server(client):
        try:
            client.search_experiments(max_results=1)
        except MlflowException:
            raise RunError(
                f"tracking.uri={uri}: no MLflow server answers there. Start it, or leave tracking.uri out."
            ) from None
    return client


def experiment_id(client: MlflowClient, name: str) -> str:
    """Return the ID of an experiment; create it if it is missing."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)
    location = None  # a server chooses it
    path = sqlite_file(client.tracking_uri)
    if path is not None:
        folder = path.parent / "artifacts"
        location = f"{folder.as_uri()}/{name}"
    try:
        created = str(client.create_experiment(name, artifact_location=location, tags=_KIND))
        save_runs_view(client, created)
        return created
    except mlflow.exceptions.MlflowException:  # another process created it
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
        return str(found.experiment_id)


def is_server(client: MlflowClient) -> bool:
    """Whether the store is a server, which shows its runs itself."""
    return client.tracking_uri.startswith("http")


def run_page(client: MlflowClient, experiment: str, run: str) -> str:
    """Return the address of a run's page in MLflow: on the store's server, or where `python -m ste.ui` shows it.

    Args:
        client: of the store.
        experiment: ID of the run's experiment.
        run: its ID.
    """
    server = f"http://{UiSettings.host}:{UiSettings.port}"
    if is_server(client):
        server = re.sub(r"//[^/@]*@", "//", client.tracking_uri).rstrip("/")  # a page holds no password
    return f"{server}/#/experiments/{experiment}/runs/{run}"


def ensure_sqlite(path: Path) -> None:
    """Create an empty store at `path` under a lock, so that concurrent processes create it once.

    MLflow creates a store by running all of its migrations, which takes up to 7 s on a busy machine. So MLflow does it
    once per version: its empty database file is cached and copied, which takes 0.1 s.

    Args:
        path: of the SQLite file.
    """
    if has_content(path):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with step("creating the tracking store"), FileLock(f"{path}.lock"):
        if has_content(path):
            return
        partial = path.with_name(f".{path.name}.partial")
        shutil.copyfile(_empty_store(), partial)
        with sqlite3.connect(partial) as database:
            location = (path.parent / "artifacts" / "default").as_uri()
            database.execute("UPDATE experiments SET artifact_location = ?", (location,))
        os.replace(partial, path)


def _empty_store() -> Path:
    """Return an empty store of this MLflow version in the user's cache; MLflow creates it at the first call."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ste"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:  # a read-only home: no cache
        cache = Path(tempfile.mkdtemp(prefix="ste-"))
    empty = cache / f"mlflow-{mlflow.__version__}.db"
    with FileLock(f"{empty}.lock"):
        if not empty.is_file():
            partial = empty.with_suffix(".partial")
            partial.unlink(missing_ok=True)
            MlflowClient(f"{SQLITE}{partial}").search_experiments(max_results=1)
            os.replace(partial, empty)
    return empty
