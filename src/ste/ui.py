"""Open the MLflow UI on the tracked runs: `python -m ste.ui`, or `make ui`."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig

from ste.config import UiSettings
from ste.config.fast_imports import fast_imports
from ste.config.hydra_app import run
from ste.config.load import load_settings
from ste.errors import ConfigError, RunError

_START_TIMEOUT = 60.0
"""Seconds within which MLflow's server answers."""

_QUIET = {"MLFLOW_LOGGING_LEVEL": "WARNING", "PYTHONWARNINGS": "ignore"}
"""Environment of the server, whose messages would hide the address."""


def ui_task(config: DictConfig) -> None:
    """Run MLflow's server until it is stopped, print the address of the run table and open it in a browser."""
    settings = load_settings(UiSettings, config)
    with fast_imports("MLflow"):
        from ste.tracking.run_lookup import find_experiment
        from ste.tracking.saved_views import runs_page, save_runs_view
        from ste.tracking.store import open_store

    client = open_store(settings.tracking, Path(settings.paths.output))
    experiment = find_experiment(client, settings.tracking.experiment)
    save_runs_view(client, experiment.experiment_id)
    page, uri = runs_page(experiment.experiment_id), client.tracking_uri
    if not client.search_runs([experiment.experiment_id], max_results=1):
        print(f"experiment {experiment.name} has no run yet. Try python -m ste.train model=lstm.")
    if uri.startswith("http"):
        _show(f"{uri.rstrip('/')}/{page}", settings)
        return
    _check_port(settings)
    print(f"MLflow UI on {uri} (Ctrl-C stops it)", flush=True)
    address = ["--host", settings.host, "--port", str(settings.port)]
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri, *address, "--workers", "1"]
    command += ["--uvicorn-opts", "--log-level warning"]  # without a line for each request
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    server = subprocess.Popen(
        command, env=os.environ | _QUIET, start_new_session=True
    )  # a process group of its own, as it starts workers
    try:
        _wait(server, settings)
        host = "127.0.0.1" if settings.host == "0.0.0.0" else settings.host
        _show(f"http://{host}:{settings.port}/{page}", settings)
        sys.exit(server.wait())
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()


def _check_port(settings: UiSettings) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise ConfigError(
                f"port={settings.port}: cannot listen on {settings.host} ({error.strerror}). "
                f"Try port={settings.port + 1}."
            ) from None


def _wait(server: "subprocess.Popen[bytes]", settings: UiSettings) -> None:
    """Wait until the server answers.

    Raises:
        RunError: it ended, or takes too long.
    """
    end = time.monotonic() + _START_TIMEOUT
    while server.poll() is None and time.monotonic() < end:
        connection = http.client.HTTPConnection(settings.host, settings.port, timeout=1.0)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        except OSError:
            time.sleep(0.2)
        finally:
            connection.close()
    raise RunError(
        f"port={settings.port}: MLflow's server does not answer on {settings.host}; its messages are above. "
        f"Try port={settings.port + 1}."
    )


def _show(url: str, settings: UiSettings) -> None:
    """Print an address, and open it in a browser where the command runs in a terminal with a display."""
    print(f"runs: {url}", flush=True)
    if settings.browser and sys.stdout.isatty() and _has_display():
        with suppress(webbrowser.Error, OSError):  # the address is printed
            webbrowser.open(url)


def _has_display() -> bool:
    """Whether a browser opens a window; one in the terminal would hide the address."""
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def main() -> None:
    """Run the command."""
    run("ui", ui_task)


if __name__ == "__main__":
    main()
