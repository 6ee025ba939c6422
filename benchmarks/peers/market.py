"""Write a synthetic market's daily bars as a file for STE and in Qlib's binary format."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ste.config import SyntheticSettings, TrainSettings
from ste.config.feature_sets import DEFAULT, load_feature_set
from ste.config.load import compose_command, load_settings
from ste.data.storage.files import write_frame
from ste.features.feature_rows import feature_rows
from ste.market.sources import Market
from ste.synthetic.generator import generate_market

FULL = load_feature_set(DEFAULT)
BARS = ("open", "high", "low", "close", "volume")
GIVEN = tuple(name for kind in ("news", "macro", "policy") for name in FULL.groups[kind])
"""Columns that do not follow from bars. Qlib reads them from its files, STE fills in neutral values."""


@dataclass(frozen=True)
class MarketFiles:
    """One market in both formats.

    Attributes:
        bars: Parquet file, as `data.bars` takes it.
        qlib: folder, as `qlib.init(provider_uri=...)` takes it.
        rows: number of bars.
        first: date of the first row with the set's look-back.
        validation: first date of validation.
        test: first date of test.
        last: date of the last row with a label.
    """

    bars: Path
    qlib: Path
    rows: int
    first: str
    validation: str
    test: str
    last: str


def write_market(folder: Path, tickers: int, sessions: int) -> MarketFiles:
    """Write bars of whole tickers with this number of sessions in both formats, as Qlib's float32."""
    settings = load_settings(
        TrainSettings, compose_command("train", ["data=world", f"data.tickers={tickers}", *_years(sessions)])
    ).data
    assert isinstance(settings, SyntheticSettings)
    bars = generate_market(settings).bars
    days = pd.DatetimeIndex(np.sort(bars["date"].unique()))[-sessions:]
    bars = bars[bars["date"] >= days[0]].reset_index(drop=True)
    bars = bars.astype(dict.fromkeys(BARS, "float32")).astype(dict.fromkeys(BARS, "float64"))
    path = folder / "bars.parquet"
    write_frame(bars, path)
    _write_qlib(folder / "qlib", bars, days)
    cuts = (FULL.lookback - 1, int(0.7 * sessions), int(0.85 * sessions), -2)
    return MarketFiles(path, folder / "qlib", len(bars), *(f"{days[cut]:%Y-%m-%d}" for cut in cuts))


def _years(sessions: int) -> list[str]:
    """Return overrides of dates with at least this number of sessions."""
    end = pd.Timestamp("2024-12-31")
    return [f"data.start={end - pd.Timedelta(days=int(sessions * 1.5)):%Y-%m-%d}", f"data.end={end:%Y-%m-%d}"]


def _write_qlib(folder: Path, bars: pd.DataFrame, days: pd.DatetimeIndex) -> None:
    """Write a calendar, a list of instruments, and for each field the index of its first day and its values."""
    for name in ("calendars", "instruments", "features"):
        (folder / name).mkdir(parents=True)
    (folder / "calendars" / "day.txt").write_text("".join(f"{day:%Y-%m-%d}\n" for day in days))
    span = f"{days[0]:%Y-%m-%d}\t{days[-1]:%Y-%m-%d}"
    tickers = bars["ticker"].unique()
    (folder / "instruments" / "all.txt").write_text("".join(f"{ticker}\t{span}\n" for ticker in tickers))
    neutral = _neutral(bars)
    for ticker, own in bars.groupby("ticker", sort=False):
        ticker_folder = folder / "features" / str(ticker).lower()
        ticker_folder.mkdir()
        columns = {name: own[name].to_numpy() for name in BARS}
        columns["vwap"] = ((own["high"] + own["low"] + own["close"]) / 3).to_numpy()  # as STE without its own
        columns |= {name: np.full(len(own), value) for name, value in neutral.items()}
        first = np.searchsorted(days, own["date"].iloc[0])
        for name, values in columns.items():
            np.append(first, values).astype("<f4").tofile(ticker_folder / f"{name}.day.bin")


def _neutral(bars: pd.DataFrame) -> dict[str, float]:
    """Return the values that STE fills in without news, macro figures or policy events."""
    one = bars[bars["ticker"] == bars["ticker"].iloc[0]]
    row = feature_rows(Market(bars=one), "daily", FULL).iloc[-1]
    return {name: float(row[name]) for name in GIVEN}
