"""Serve a model over HTTP: `python -m ste.serve model=model.onnx`, or `make serve`."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from ste.config import ServeSettings
from ste.config.hydra_app import run
from ste.config.load import load_settings

log = logging.getLogger("ste.serve")


def serve_task(config: DictConfig) -> None:
    """Load the model, listen, say where, and answer until told to stop."""
    settings = load_settings(ServeSettings, config)
    from ste.inference.onnx_model import ServedModel  # the libraries of the service load only now
    from ste.monitoring.saved_counts import KeptMonitor
    from ste.serving.api_keys import read_keys
    from ste.serving.app import create_app
    from ste.serving.dashboard_routes import page_of
    from ste.serving.model_file import newest
    from ste.serving.server import is_loopback, listen, serve

    keys = read_keys(settings.keys_file)
    path_of = newest(settings.model, settings.tracking, Path(settings.paths.output), Path(settings.paths.data))
    model = ServedModel(path_of(), settings.threads)
    listening = listen(settings.host, settings.port)
    host, port = listening.getsockname()[:2]
    kept = KeptMonitor.maker(Path(settings.paths.output) / "monitor", port) if settings.monitor else None
    app = create_app(model, settings, kept, page_of(settings), keys, path_of)
    if not is_loopback(settings.host) and not keys:
        log.warning(
            "host=%s is open to whoever can reach this machine, and there is no key. Give keys_file=FILE or "
            "STE_API_KEYS, or listen on host=127.0.0.1.",
            settings.host,
        )
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{port}"
    card = model.card
    print(f"{card.name} {model.version} of run {card.run_id}, trained to {card.trained_to}: {card.verdict['word']}")
    print(f"serving on {address} ({address}/docs says how to ask; Ctrl-C ends it)", flush=True)
    serve(app, settings, listening)


def main() -> None:
    """Console entry."""
    run("serve", serve_task)


if __name__ == "__main__":
    main()
