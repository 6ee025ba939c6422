"""Export a tracked run as one ONNX file: `python -m ste.export run=best output=model.onnx`."""

import tempfile
from pathlib import Path

from omegaconf import DictConfig

from ste.config import ExportSettings
from ste.config.fast_imports import fast_imports
from ste.config.hydra_app import run
from ste.config.load import load_settings
from ste.config.progress import wrapped
from ste.errors import ConfigError


def export_task(config: DictConfig) -> None:
    """Export, compare with PyTorch, write and publish a run, and print what was done."""
    settings = load_settings(ExportSettings, config)
    output = Path(settings.output)
    with fast_imports("torch, Lightning and MLflow"):
        from ste.inference.export.exporter import export_run
        from ste.inference.registry.publish import publish, serve_file
        from ste.inference.training_data import synthetic_warning
        from ste.reporting.console import print_text
        from ste.tracking.run_lookup import find_run
        from ste.tracking.store import open_store

    client = open_store(settings.tracking, Path(settings.paths.output))
    tracked = find_run(client, settings.run, settings.tracking.experiment)
    with tempfile.TemporaryDirectory() as folder:
        exported = export_run(client, tracked, settings.paths, Path(folder))
    try:
        exported.write(output)
    except OSError as error:
        raise ConfigError(
            f"output={output}: cannot be written ({error.strerror}). Make room, or choose another folder."
        ) from None
    card = exported.card
    print_text(
        f"{card.name}{f', {card.made_of}' if card.made_of else ''}, of run {tracked.id} ({tracked.name})",
        f"{output}: {len(exported.content) / 1e3:,.0f} kB, features {list(card.shape)} to {', '.join(card.classes)}; "
        f"largest difference from PyTorch {card.parity:.1e} on {exported.rows:,} {exported.split} rows",
        f"calendar {card.periods.calendar.label}{f'; bars: {card.adjustment}' if card.adjustment else ''}",
        *(part for part in (card.verdict_parts()["headline"], synthetic_warning(card)) if part),
    )
    unregistered = ["Not registered: register=false.", f"serve    {serve_file(settings)}"]
    for line in publish(client, settings, exported) if settings.register else unregistered:
        print(line if line.startswith(("serve ", "promote ")) else wrapped(line))  # commands are copied whole


def main() -> None:
    """Console entry."""
    run("export", export_task)


if __name__ == "__main__":
    main()
