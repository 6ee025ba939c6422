"""Fetch bars from Yahoo or macro series from FRED: `python -m ste.fetch source=yahoo 'tickers=[AAPL,MSFT]'`."""

from omegaconf import DictConfig

from ste.config import FetchSettings
from ste.config.fast_imports import fast_imports
from ste.config.hydra_app import run
from ste.config.load import load_settings


def fetch_task(config: DictConfig) -> None:
    """Fetch what the settings name, and print the health of each ticker or series."""
    settings = load_settings(FetchSettings, config)
    with fast_imports("pandas"):
        from ste.errors import DataError
        from ste.registry import FETCHERS

        fetch = FETCHERS[settings.source]
    report = fetch(settings)
    print("\n".join(report.lines()))
    if not report.items:
        raise DataError(f"source={settings.source}: nothing was fetched. The reasons are above.")
    print()
    for kind, path in report.files.items():
        print(f"{kind:<8} {path}")
    kind, path = next(iter(report.files.items()))
    source = "market" if kind == "bars" else "sample"  # macro series go with any bars
    print(f"\nNext:\n  python -m ste.train data={source} data.{kind}={path}")


def main() -> None:
    """Console entry."""
    run("fetch", fetch_task)


if __name__ == "__main__":
    main()
