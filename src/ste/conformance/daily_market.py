"""A small synthetic market of daily bars on which features are computed and checked."""

from dataclasses import replace

import numpy as np
import pandas as pd

from ste.config import SyntheticSettings
from ste.conformance.component_checks import expect
from ste.features.cut_off_plan import TickerSample
from ste.features.feature_check import CheckedFeatures, check_features
from ste.features.feature_rows import feature_rows, look_back, needed_fields
from ste.market.calendar import Periods
from ste.market.extra_table import ExtraRows, ExtraTable, extra_table
from ste.market.sources import Market
from ste.schema import FeatureSet
from ste.synthetic.generator import generate_market

TICKERS, _LAST, _ROW_BARS, _MAX_BARS = 4, "2021-12-31", 750, 5000


def daily_market(features: FeatureSet, frequency: str) -> Market:
    """Return a market that is long enough for rows of a feature set, with random values of the user's own columns.

    Args:
        features: computed from bars.
        frequency: of the rows.

    Raises:
        CheckFailure: the look-back is longer than any market.
    """
    bars = look_back(features, Periods(frequency).bars)
    expect(bars <= _MAX_BARS, f"a look-back of {bars:,} bars leaves no row: expected at most {_MAX_BARS:,}")
    start = pd.Timestamp(_LAST) - pd.Timedelta(days=int((bars + _ROW_BARS) * 7 / 5 * 1.05))
    market = generate_market(
        SyntheticSettings(source="world", tickers=TICKERS, start=f"{start:%Y-%m-%d}", end=_LAST, seed=1)
    )
    names = sorted(name for name in needed_fields(features) if "." in name)
    return replace(market, extra=_own_columns(market.bars, names))


def _own_columns(bars: pd.DataFrame, names: list[str]) -> dict[str, ExtraTable]:
    """Draw a value for every third bar of `$NAME.column`, known from the next day on."""
    rng = np.random.default_rng(0)
    some = bars[rng.random(len(bars)) < 1 / 3]
    date = some["date"].to_numpy(dtype="datetime64[ns]")
    known = date + np.timedelta64(1, "D")
    columns: dict[str, dict[str, np.ndarray]] = {}
    for name in names:
        table, _, column = name.partition(".")
        columns.setdefault(table, {})[column] = rng.normal(size=len(some))
    ticker = some["ticker"].to_numpy(dtype=object)
    day = known.astype("datetime64[D]")
    return {table: extra_table(ExtraRows(ticker, date, known, day, values))[0] for table, values in columns.items()}


def checked_rows(features: FeatureSet, frequency: str) -> tuple[pd.DataFrame, CheckedFeatures]:
    """Compute rows with undefined values, and those of a sample again without later and without older data.

    Args:
        features: computed from bars.
        frequency: of the rows.
    """
    market = daily_market(features, frequency)
    rows = feature_rows(market, frequency, features, with_undefined=True)
    return rows, check_features(market, frequency, features, rows, TickerSample())
