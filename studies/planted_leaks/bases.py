"""Clean tables and markets: synthetic, and real where files are given."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ste.config import DataSettings, LabelSettings, MarketSettings, SplitSettings, SyntheticSettings
from ste.data.build.labelled_rows import build_table
from ste.data.sources.daily_sources import daily_sources
from ste.leakage.audit_table import SPLIT
from ste.market.sources import Market
from ste.schema import SPLITS
from ste.synthetic.generator import generate_market

SYNTHETIC = SyntheticSettings(source="world", tickers=20, seed=3, start="2015-01-01", end="2022-12-31", audit="off")
SPLIT_DATES = SplitSettings(validation_start="2015-06-05", test_start="2016-01-01")
"""Of the real weeks of docs/results.md."""


def real_settings(folder: str, **changes: Any) -> MarketSettings:
    """Settings of a folder with bars, news, macro and policy files."""
    files: dict[str, Any] = {
        kind: str(next(Path(folder).glob(f"{kind}.csv*"))) for kind in ("bars", "news", "macro", "policy")
    }
    return MarketSettings(source="market", audit="off", **{"split": SPLIT_DATES, **files, **changes})


def rows_of(settings: DataSettings) -> pd.DataFrame:
    """Labelled rows, sorted by ticker and date, with `split`."""
    rows, split, _, _ = build_table(settings)
    ordered = rows.assign(**{SPLIT: np.array(SPLITS)[split]})
    return ordered.sort_values(["ticker", "date"], kind="stable").reset_index(drop=True)


def synthetic_market() -> Market:
    """A synthetic market whose news and index of volatility belong to the session that they are dated by.

    The generator's news precedes the week that it predicts and is independent of its own day; real news reports what
    happened, and a real index of volatility rises in the session in which the market falls.
    """
    market = generate_market(replace(SYNTHETIC, start="2018-01-01", tickers=8))
    assert market.macro is not None
    rng = np.random.default_rng(7)
    bars = market.bars.assign(ticker=market.bars["ticker"].astype(str))
    moves = bars.groupby("ticker")["close"].pct_change().fillna(0.0).to_numpy()
    news = pd.DataFrame(
        {
            "ticker": bars["ticker"],
            "date": bars["date"],
            "count": 1 + rng.poisson(2 + 100 * np.abs(moves)),
            "sentiment": np.tanh(20 * moves + rng.normal(0, 1, len(bars))),
            "relevance": rng.uniform(0.2, 1.0, len(bars)),
        }
    )
    market_move = pd.Series(moves).groupby(bars["date"].to_numpy()).mean()
    vix = (
        18
        + pd.Series(-150 * market_move + rng.normal(0, 0.5, len(market_move)), market_move.index).ewm(span=20).mean()
        * 8
    )
    daily = pd.DataFrame({"series": "vix", "release_date": vix.index, "value": vix.clip(lower=8).to_numpy()})
    macro = pd.concat([market.macro[market.macro["series"] != "vix"], daily], ignore_index=True)
    return replace(market, bars=bars, news=news, macro=macro)


def market_settings(market: Market, folder: Path, split: SplitSettings | None = None) -> MarketSettings:
    """Write a market's sources and return the settings that read them."""
    frames = {"bars": market.bars, "news": market.news, "macro": market.macro, "policy": market.policy}
    for kind, frame in frames.items():
        assert frame is not None
        frame.to_csv(folder / f"{kind}.csv", index=False)
    files: dict[str, Any] = {kind: str(folder / f"{kind}.csv") for kind in frames}
    return MarketSettings(source="market", audit="off", split=split or SplitSettings(), **files)


def real_market(folder: str) -> Market:
    """The sources of a folder; the bars as they are read, adjusted and without gaps."""
    market = daily_sources(real_settings(folder))
    return replace(market, bars=market.bars.drop(columns=[c for c in market.bars if c == "raw_close"]))


def clean_settings(folder: str | None) -> Iterator[tuple[str, DataSettings]]:
    """Yield sixty clean sources by name: 48 synthetic and 12 real; without a folder the synthetic ones alone."""
    shapes: tuple[tuple[Any, int, str], ...] = (
        *(("weekly", 1, "2010-01-01"), ("weekly", 7, "2015-01-01"), ("weekly", 50, "2020-01-01")),
        *(("weekly", 200, "2022-01-01"), ("daily", 7, "2022-01-01"), ("daily", 30, "2023-01-01")),
    )
    methods: tuple[tuple[Any, dict[str, Any]], ...] = (
        *(("fixed", {}), ("volatility", {"threshold": 0.5}), ("terciles", {}), ("fixed", {"horizon": 4})),
    )
    seed = 100
    for frequency, tickers, start in shapes:
        for at, (method, options) in enumerate(methods):
            for signal in (0.0, (0.4, 1.0)[at % 2]):
                seed += 1
                settings = SyntheticSettings(
                    source="world", tickers=tickers, start=start, end="2024-12-31", seed=seed, signal=signal,
                    frequency=frequency, labels=LabelSettings(method=method, **options), audit="off",
                )  # fmt: skip
                yield f"synthetic {frequency} {tickers} tickers {method} {options} signal {signal:g}", settings
    if folder is None:
        return
    names = sorted(pd.read_csv(real_settings(folder).bars, usecols=["ticker"])["ticker"].unique())
    for frequency in ("weekly", "daily"):
        for chosen in (None, names[:7], names[40:70]):
            for method, options in methods[:2]:
                labels = LabelSettings(method=method, **options)
                changes = {"frequency": frequency, "tickers": chosen, "labels": labels}
                yield f"real {frequency} {len(chosen or names)} tickers {method}", real_settings(folder, **changes)
