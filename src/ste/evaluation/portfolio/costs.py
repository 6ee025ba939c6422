"""Costs of trading, per row: a fraction of what is bought or sold."""

from pathlib import Path

import numpy as np
import pandas as pd

from ste.data.storage.files import read_frame
from ste.errors import DataError
from ste.evaluation.portfolio.rules import BPS, BY_SPREAD, TradingRules

_BASIS_POINT = 1e-4


def trading_costs(rules: TradingRules, tickers: np.ndarray, spread: np.ndarray | None) -> tuple[np.ndarray, str]:
    """Return the cost of each row `[N]` as a fraction of the turnover, and what had no cost of its own, in words.

    Args:
        rules: of the portfolio.
        tickers: name of each row `[N]`.
        spread: estimated, a fraction of the price `[N]`, known at the row's close; None where it is not known.

    Raises:
        DataError: a file of costs that cannot be used.
    """
    default = np.full(len(tickers), rules.cost_bps * _BASIS_POINT)
    if rules.costs == BPS:
        return default, ""
    at_default = f"{rules.cost_bps:g} basis points instead"
    if rules.costs == BY_SPREAD:
        if spread is None:
            return default, f"spreads are not known, as the table was not built from bars: {at_default}"
        known = np.isfinite(spread)
        missing = int((~known).sum())
        text = f"{missing:,} rows without an estimated spread: {at_default}" if missing else ""
        return np.where(known, spread / 2.0, default), text
    own = read_ticker_costs(Path(rules.costs).expanduser())
    names, code = np.unique(tickers.astype(str), return_inverse=True)
    missing_names = [name for name in names.tolist() if name not in own]
    bps = np.array([own.get(name, rules.cost_bps) for name in names.tolist()])
    text = f"{len(missing_names):,} tickers not in {rules.costs} (first: {missing_names[0]}): {at_default}"
    return bps[code] * _BASIS_POINT, text if missing_names else ""


def read_ticker_costs(path: Path) -> dict[str, float]:
    """Read basis points by ticker from a CSV or Parquet file of `ticker` and `bps`.

    Raises:
        DataError: a missing column, a ticker that stands twice, or a cost that is no number of 0 or more.
    """
    frame = read_frame(path)
    missing = [name for name in ("ticker", "bps") if name not in frame]
    if missing:
        raise DataError(f"{path}: no column {missing[0]}. Expected the columns ticker and bps (basis points).")
    bps = pd.to_numeric(frame["bps"], errors="coerce").to_numpy(dtype=np.float64)
    wrong = np.flatnonzero(~(np.isfinite(bps) & (bps >= 0)))
    if len(wrong):
        found = frame["bps"].iloc[wrong[0]]
        raise DataError(
            f"{path}: bps of {frame['ticker'].iloc[wrong[0]]} is {found}. Expected basis points, 0 or more."
        )
    twice = frame["ticker"][frame["ticker"].duplicated()]
    if len(twice):
        raise DataError(f"{path}: {twice.iloc[0]} stands twice. Expected one row per ticker.")
    return dict(zip(frame["ticker"].astype(str), bps.tolist(), strict=True))
