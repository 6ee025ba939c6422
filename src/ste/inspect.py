"""Show what is understood of files of bars, without training: `python -m ste.inspect`."""

from omegaconf import DictConfig

from ste.config import InspectSettings
from ste.config.fast_imports import fast_imports
from ste.config.hydra_app import run
from ste.config.load import load_settings
from ste.config.progress import step


def inspect_task(config: DictConfig) -> None:
    """Read the market of the `data` group and print its summary, a row for each ticker, and its coverage."""
    settings = load_settings(InspectSettings, config)
    with fast_imports("pandas"):
        from ste.data.inspection import inspect_market
        from ste.reporting.inspection_text import print_inspection

    with step("reading the market"):
        inspection = inspect_market(settings.market())
    print_inspection(inspection, settings.tickers)


def main() -> None:
    """Console entry."""
    run("inspect", inspect_task)


if __name__ == "__main__":
    main()
