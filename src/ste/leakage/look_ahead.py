"""Look-ahead in features: a feature must not change when later data is removed."""

import numpy as np
import pandas as pd

from ste.features.cut_off import ROUNDING, Compute, Cut, Recomputation, RecomputedRows
from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.market.sources import Market

CHECK = "look-ahead"

_CUTS = 4  # dates at which the sources end, spread over the rows


def look_ahead(market: Market, features: Compute) -> CheckResult:
    """Find feature columns that change when every daily source ends at a row's own close.

    Args:
        market: daily sources.
        features: computes the rows from the market alone.
    """
    complete = features(market)
    if complete.empty:
        return skipped(CHECK, "not run: the sources give no row")
    dates = np.sort(complete["date"].unique())
    positions = np.unique(np.linspace(0, len(dates) - 1, _CUTS + 2)[1:-1].astype(int))
    counts: dict[str, int] = {}
    examples: dict[str, str] = {}
    compared = 0
    again = Recomputation(market, complete)
    for last in dates[positions]:
        one = again.compare(features, Cut(pd.Timestamp(last)))
        compared += int((~one.missing).sum())
        missing = int(one.missing.sum())
        if missing:
            counts["rows"] = counts.get("rows", 0) + missing
            examples.setdefault("rows", f"{missing} rows up to {one.last:%Y-%m-%d} appear only with later data")
        for name, (count, example) in _differences(one).items():
            counts[name] = counts.get(name, 0) + count
            examples.setdefault(name, example)
    line = f"{compared:,} rows computed again at {len(positions)} dates: no feature changes"
    worst_first = sorted(counts, key=lambda name: -counts[name])
    alarms = [_alarm(name, counts[name], compared, examples[name]) for name in worst_first]
    return CheckResult(CHECK, line, tuple(alarms))


def _differences(one: RecomputedRows) -> dict[str, tuple[int, str]]:
    """Number of changed values and an example, by column."""
    out = {}
    for name, changed, a, b in zip(one.names, one.changed(ROUNDING).T, one.complete.T, one.part.T, strict=True):
        off = np.flatnonzero(changed)
        if len(off):
            at = off[-1]
            key = one.keys.iloc[at]
            values = f"{a[at]:.6g} with all data and {b[at]:.6g} with data to {one.last:%Y-%m-%d}"
            out[name] = (len(off), f"{key['ticker']} {key['date']:%Y-%m-%d} is {values}")
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
