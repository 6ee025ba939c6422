"""A table on disk: its contract as a schema, and reading it under that contract."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa

from ste.data.calendar import periods
from ste.data.files import check_columns, check_frame, day_column, read_frame
from ste.data.rules import below, rules
from ste.errors import DataError
from ste.schema import DIRECTION, FEATURE_SETS, MOVEMENT, PERIOD, RETURN, Column, Trend, table_columns


@cache
def table_schema(features: str = "full") -> pa.DataFrameSchema:
    """The contract of a table with this feature set as a pandera schema."""
    dates = pa.Check(lambda s: s.diff().dt.days.fillna(0) >= 0, error="dates that never go back", name="sorted")
    classes = pa.Check.isin([int(trend) for trend in Trend], error="0 (Downtrend), 1 (Neutral) or 2 (Uptrend)")
    return pa.DataFrameSchema(
        {
            "date": day_column(dates),
            "ticker": pa.Column(str, pa.Check(lambda s: s.str.len() > 0, error="a name")),
            **{column.name: _numeric(column) for column in FEATURE_SETS[features].columns},
            RETURN: _numeric(Column(RETURN, "", low=-1.0)),
            MOVEMENT: _numeric(Column(MOVEMENT, "")),
            DIRECTION: pa.Column(float, classes, coerce=True),  # int64 would cut 1.5 down to 1 in silence
        },
        unique=["date", "ticker"],
        strict=True,
    )


def _numeric(column: Column) -> pa.Column:
    """A finite float column within the bounds of the schema module."""
    checks = [pa.Check(rule.holds, error=rule.expected, name=rule.expected) for rule in rules(column)]
    return pa.Column(float, checks, coerce=True)


def read_table(path: str | Path, frequency: str = "weekly", features: str = "full") -> pd.DataFrame:
    """A table, in the file's own row order, `date` as datetime64 and targets last.

    Args:
        path: CSV or Parquet.
        frequency: what a row of a ticker covers.
        features: name of its feature set.

    Raises:
        DataError: with the file, the column, the first offending lines and what was expected.
    """
    frame = read_frame(path)
    columns = table_columns(features)
    check_columns(frame, columns, path, strict=True)
    frame = check_frame(frame[list(columns)], table_schema(features), path).astype({DIRECTION: "int64"})
    _check_rows(frame, path, frequency)
    _check_targets(frame, path)
    return frame


def _check_rows(frame: pd.DataFrame, path: str | Path, frequency: str) -> None:
    """A period has one row of a ticker, and its high is not below its low."""
    high, low = ("stock_high", "stock_low") if "stock_high" in frame else ("price_high", "price_low")
    off = below(frame[high].to_numpy(), frame[low].to_numpy())
    if off.any():
        line = int(np.flatnonzero(off)[0])
        raise DataError(
            f"{path}: line {line + 2}: {high}={frame[high].iloc[line]:g} is below "
            f"{low}={frame[low].iloc[line]:g} ({off.sum()} such rows). Mend the file and run again."
        )
    number = pd.Series(periods(frame["date"], frequency))
    twice = number.to_frame("period").assign(ticker=frame["ticker"]).duplicated()
    if twice.any():
        line = int(np.flatnonzero(twice)[0])
        raise DataError(
            f"{path}: line {line + 2}: {frame['ticker'].iloc[line]} has another row in the {PERIOD[frequency]} of "
            f"{frame['date'].iloc[line]:%Y-%m-%d} ({twice.sum()} such rows). Expected one row per ticker and "
            f"{PERIOD[frequency]}."
        )


def _check_targets(frame: pd.DataFrame, path: str | Path) -> None:
    """The three targets tell one story: movement is return times close, and classes follow returns."""
    returns = frame[RETURN].to_numpy()
    close = frame["stock_close"].to_numpy() if "stock_close" in frame else np.full(len(frame), np.nan)
    off = np.abs(frame[MOVEMENT].to_numpy() - returns * close) > 1e-4 * close  # False without a close
    if off.any():
        line = int(np.flatnonzero(off)[0])
        raise DataError(
            f"{path}: line {line + 2}: {MOVEMENT}={frame[MOVEMENT].iloc[line]:g}, but {RETURN} x stock_close = "
            f"{returns[line] * close[line]:g} ({off.sum()} such rows). Expected the same movement in both."
        )
    classes = frame[DIRECTION].to_numpy()
    down = np.where(classes == Trend.DOWNTREND, returns, -np.inf)
    up = np.where(classes == Trend.UPTREND, returns, np.inf)
    if down.max() > up.min():
        a, b = int(down.argmax()), int(up.argmin())
        raise DataError(
            f"{path}: {DIRECTION} contradicts {RETURN}: line {a + 2} is a Downtrend with {down[a]:+.4f}, line {b + 2} "
            f"an Uptrend with {up[b]:+.4f}. Expected every Downtrend's return below every Uptrend's."
        )
