"""Qlib's worker process."""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.worker_process import WorkerProcess
from ste.config.fast_imports import VARIABLES
from ste.errors import ConfigError

ROOT = Path(__file__).parents[2]
"""The checkout."""


def qlib_python() -> Path:
    """Return the interpreter of the peers' environment.

    Raises:
        ConfigError: it is missing.
    """
    python = ROOT / ".venv-peers" / "bin" / "python"
    if not python.exists():
        raise ConfigError(f"{python.parents[1]}: not found, so Qlib cannot be measured. Type make bench-peers.")
    return python


def qlib_worker(log: Path, environment: Mapping[str, str] | None = None) -> WorkerProcess:
    """Start Qlib's worker with the environment variables that STE's commands set for themselves."""
    variables = {**VARIABLES, "PYTHONPATH": str(ROOT), **(environment or {})}
    return WorkerProcess([str(qlib_python()), "-m", "benchmarks.peers.qlib_worker"], log, variables)
