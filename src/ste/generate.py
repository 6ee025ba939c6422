"""Write weekly tables: `python -m ste.generate`."""

from pathlib import Path

from omegaconf import DictConfig

from ste.config import GenerateSettings
from ste.config.fast_imports import fast_imports
from ste.config.hydra_app import run
from ste.config.load import load_settings


def generate_task(config: DictConfig) -> None:
    """Build the tables of the `data` group, or find them built already."""
    settings = load_settings(GenerateSettings, config)
    with fast_imports("pandas"):
        from ste.data.build.card_text import print_card
        from ste.data.build.prepare import prepare

    prepared = prepare(settings.data, Path(settings.paths.data))
    print_card(prepared.card, next(iter(prepared.files.values())).parent, prepared.reused)


def main() -> None:
    """Console entry."""
    run("generate", generate_task)


if __name__ == "__main__":
    main()
