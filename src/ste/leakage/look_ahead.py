"""Look-ahead in features: a feature must not change when later data is removed."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.market.sources import Market
from ste.schema import KEYS

CHECK = "look-ahead"

Features = Callable[[Market], pd.DataFrame]
"""From daily sources to rows of `date`, `ticker` and numeric features."""

_TOLERANCE = 1e-9  # relative: what another order of summation may change
_CUTS = 4  # dates at which the sources end, spread over the rows
_DATES = {"bars": "date", "news": "date", "macro": "release_date", "policy": "date"}


def truncated(market: Market, last: pd.Timestamp) -> Market:
    """The market as known at the close of `last`, without data dated or released later."""

    def known(kind: str) -> pd.DataFrame | None:
        frame: pd.DataFrame | None = getattr(market, kind)
        return None if frame is None else frame[frame[_DATES[kind]] <= last].reset_index(drop=True)

    bars = known("bars")
    assert bars is not None
    return replace(market, bars=bars, news=known("news"), macro=known("macro"), policy=known("policy"))


def look_ahead(market: Market, features: Features) -> CheckResult:
    """Find feature columns that change when every daily source ends at a row's own close.

    Args:
        market: daily sources.
        features: computes the rows from the market alone.
    """
    complete = features(market).set_index([*KEYS]).sort_index()
    if complete.empty:
        return skipped(CHECK, "not run: the sources give no row")
    dates = complete.index.get_level_values("date").unique().sort_values()
    positions = np.unique(np.linspace(0, len(dates) - 1, _CUTS + 2)[1:-1].astype(int))
    counts: dict[str, int] = {}
    examples: dict[str, str] = {}
    compared = 0
    for last in dates[positions]:
        part = features(truncated(market, last)).set_index([*KEYS]).sort_index()
        before = complete[complete.index.get_level_values("date") <= last]
        same = before.index.intersection(part.index)
        compared += len(same)
        missing = len(before) - len(same)
        if missing:
            counts["rows"] = counts.get("rows", 0) + missing
            examples.setdefault("rows", f"{missing} rows up to {last:%Y-%m-%d} appear only with later data")
        for name, (count, example) in _differences(before.loc[same], part.loc[same], last).items():
            counts[name] = counts.get(name, 0) + count
            examples.setdefault(name, example)
    line = f"{compared:,} rows computed again at {len(positions)} dates: no feature changes"
    worst_first = sorted(counts, key=lambda name: -counts[name])
    alarms = [_alarm(name, counts[name], compared, examples[name]) for name in worst_first]
    return CheckResult(CHECK, line, tuple(alarms))


def _differences(complete: pd.DataFrame, part: pd.DataFrame, last: pd.Timestamp) -> dict[str, tuple[int, str]]:
    """Number of changed values and an example, by column."""
    out = {}
    for name in complete.select_dtypes("number").columns:
        a = complete[name].to_numpy(dtype=np.float64)
        b = part[name].to_numpy(dtype=np.float64) if name in part else np.full(len(a), np.nan)
        off = np.flatnonzero(~np.isclose(a, b, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True))
        if len(off):
            at = off[-1]
            date, ticker = complete.index[at]
            values = f"{a[at]:.6g} with all data and {b[at]:.6g} with data to {last:%Y-%m-%d}"
            example = f"{ticker} {date:%Y-%m-%d} is {values}"
            out[str(name)] = (len(off), example)
    return out


def _alarm(name: str, count: int, compared: int, example: str) -> Alarm:
    if name == "rows":
        return Alarm(
            CHECK, name, example, "a row to exist from its own close on", "Check how the features select rows."
        )
    return Alarm(
        CHECK,
        name,
        f"{count:,} of {compared:,} values change without later data; {example}",
        "the same value: a feature may use past data only",
        f"Check {name} for a centred window, a backward fill, a scaler over all rows, or a value used before release.",
    )
