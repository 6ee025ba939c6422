"""Serve a model over HTTP: `python -m ste.serve model=model.onnx`, or `make serve`."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from ste.config import ServeSettings
from ste.config.fast_imports import fast_imports
from ste.config.hydra_app import run
from ste.config.load import load_settings
from ste.config.progress import wrapped

log = logging.getLogger("ste.serve")


def serve_task(config: DictConfig) -> None:
    """Load the model, listen, print the address and serve until stopped."""
    settings = load_settings(ServeSettings, config)
    with fast_imports("FastAPI and ONNX Runtime"):
        from ste.inference.onnx_model import ServedModel
        from ste.inference.training_data import synthetic_warning
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

    def counts_file(run_id: str) -> Path:
        return output / "monitor" / f"{run_id}-{port}.json"  # two services do not share a file

    app = create_app(model, settings, counts_file if settings.monitor else None, keys, newest_file)
    if not is_loopback(settings.host) and not keys:
        log.warning(
            "host=%s: everyone who can reach this machine can send requests, and no API key is set. Give "
            "keys_file=FILE or STE_API_KEYS, or listen on host=127.0.0.1.",
            settings.host,
        )
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    card = model.card
    print(f"{card.name} {model.version} of run {card.run_id}, trained to {card.trained_to}: {card.verdict['word']}")
    if warning := synthetic_warning(card):
        print(wrapped(f"warning: {warning}"))
    print(f"serving on {address} (documentation: {address}/docs; stop with Ctrl-C)", flush=True)
    serve(app, settings, listening)


def main() -> None:
    """Console entry."""
    run("serve", serve_task)


if __name__ == "__main__":
    main()
