"""Serve a model over HTTP: `python -m ste.serve model=model.onnx`, or `make serve`."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from ste.config import ServeSettings
from ste.config.hydra_app import run
from ste.config.load import load_settings

log = logging.getLogger("ste.serve")


def serve_task(config: DictConfig) -> None:
    """Load the model, listen, print the address and serve until stopped."""
    settings = load_settings(ServeSettings, config)
    from ste.inference.onnx_model import ServedModel  # deferred: the libraries of the service load slowly
    from ste.monitoring.saved_monitor import saved_monitor_factory
    from ste.serving.api_keys import read_keys
    from ste.serving.app import create_app
    from ste.serving.model_file import newest_model_file
    from ste.serving.server import is_loopback, listen, serve

    output = Path(settings.paths.output)
    keys = read_keys(settings.keys_file)
    newest_file = newest_model_file(settings.model, settings.tracking, settings.paths)
    model = ServedModel(newest_file(), settings.threads)
    listening = listen(settings.host, settings.port)
    host, port = listening.getsockname()[:2]
    monitor_factory = saved_monitor_factory(output / "monitor", port) if settings.monitor else lambda card: None
    app = create_app(model, settings, monitor_factory, keys=keys, newest_file=newest_file)
    if not is_loopback(settings.host) and not keys:
        log.warning(
            "host=%s: everyone who can reach this machine can send requests, and no API key is set. Give "
            "keys_file=FILE or STE_API_KEYS, or listen on host=127.0.0.1.",
            settings.host,
        )
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    card = model.card
    print(f"{card.name} {model.version} of run {card.run_id}, trained to {card.trained_to}: {card.verdict['word']}")
    print(f"serving on {address} (documentation: {address}/docs; stop with Ctrl-C)", flush=True)
    serve(app, settings, listening)


def main() -> None:
    """Console entry."""
    run("serve", serve_task)


if __name__ == "__main__":
    main()
