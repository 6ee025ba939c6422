"""Open the MLflow UI: `python -m ste.ui`, or `make ui`."""

import os
import socket
import sys
from pathlib import Path

from omegaconf import DictConfig

from ste.config import UiSettings
from ste.config.hydra_app import run
from ste.config.load import load_settings
from ste.errors import ConfigError


def ui_task(config: DictConfig) -> None:
    """Create the store if it is missing, and replace this process by MLflow's server."""
    settings = load_settings(UiSettings, config)
    from ste.tracking.store import open_store  # imports mlflow

    client = open_store(settings.tracking, Path(settings.paths.output))
    uri = client.tracking_uri
    if uri.startswith("http"):
        print(f"the runs are on a server: open {uri}")
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise ConfigError(
                f"port={settings.port}: cannot listen on {settings.host} ({error.strerror}). "
                f"Try port={settings.port + 1}."
            ) from None
    print(f"MLflow UI on {uri}: open http://{settings.host}:{settings.port} (Ctrl-C stops it)", flush=True)
    options = ["--backend-store-uri", uri, "--host", settings.host, "--port", str(settings.port), "--workers", "1"]
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "ui", *options])


def main() -> None:
    """Run the command."""
    run("ui", ui_task)


if __name__ == "__main__":
    main()
