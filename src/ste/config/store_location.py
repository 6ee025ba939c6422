"""Where the tracking store is; MLflow is not imported."""

from pathlib import Path

from ste.config.run_settings import TrackingSettings
from ste.errors import RunError

SQLITE = "sqlite:///"


def store_uri(settings: TrackingSettings, output: Path) -> str:
    """Return the address of the store, a SQLite file with its absolute path.

    Args:
        settings: `uri` may be None, a `sqlite:///` URI or a server's `http(s)://`.
        output: folder of the default store.
    """
    uri = settings.uri or f"{SQLITE}{output / 'mlflow.db'}"
    return f"{SQLITE}{Path(uri.removeprefix(SQLITE)).resolve()}" if uri.startswith(SQLITE) else uri


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a SQLite store; None where a server keeps the runs."""
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def has_content(path: Path) -> bool:
    """Whether a SQLite file exists and is not empty."""
    return path.is_file() and path.stat().st_size > 0


def missing_file(settings: TrackingSettings, output: Path) -> Path | None:
    """Return the SQLite file of a store that does not exist yet; None where there is a store."""
    path = sqlite_file(store_uri(settings, output))
    return path if path is not None and not has_content(path) else None


def check_store(settings: TrackingSettings, output: Path) -> None:
    """Check that a SQLite store exists, for a command that only reads it.

    Raises:
        RunError: there is none.
    """
    path = missing_file(settings, output)
    if path is not None:
        shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        raise RunError(f"{shown}: there is no store of runs yet. Try python -m ste.train model=lstm first.")
