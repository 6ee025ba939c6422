"""Reading a table on disk under its contract, which `ste.data.table_schema` has in full."""

from pathlib import Path

import numpy as np
import pandas as pd

from ste.data.column_rules import below, high_and_low, numeric_columns, rules
from ste.data.storage.files import check_columns, read_frame
from ste.errors import DataError
from ste.market.calendar import periods
from ste.schema import DIRECTION, MOVEMENT, PERIOD, RETURN, Trend, table_columns


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
    frame = frame[list(columns)]
    good = _good(frame, features)
    if good is None:
        from ste.data.table_schema import check_frame, table_schema

        good = check_frame(frame, table_schema(features), path)
    frame = good.astype({DIRECTION: "int64"})
    _check_rows(frame, path, frequency)
    _check_targets(frame, path)
    return frame


def _good(frame: pd.DataFrame, features: str) -> pd.DataFrame | None:
    """The frame with the contract's types where it plainly holds; None where the contract itself has to look."""
    days, names = _days(frame["date"]), frame["ticker"]
    if days is None or pd.api.types.infer_dtype(names, skipna=False) != "string" or (names == "").any():
        return None
    columns: dict[str, pd.Series | np.ndarray] = {"date": days, "ticker": names}
    for column in numeric_columns(features):
        values = _numbers(frame[column.name])
        if values is None or not all(rule.holds(values).all() for rule in rules(column)):
            return None
        columns[column.name] = values
    classes = _numbers(frame[DIRECTION])
    if classes is None or not np.isin(classes, [int(trend) for trend in Trend]).all():
        return None
    good = pd.DataFrame({**columns, DIRECTION: classes}, index=frame.index)
    return None if good.duplicated(["date", "ticker"]).any() else good


def _days(dates: pd.Series) -> pd.Series | None:
    """Days in order as datetime64[ns], or None."""
    if isinstance(dates.dtype, np.dtype) and dates.dtype.kind == "M":
        days = dates.astype("datetime64[ns]")
    elif pd.api.types.infer_dtype(dates, skipna=False) == "string":
        days = pd.to_datetime(dates, format="%Y-%m-%d", errors="coerce").astype("datetime64[ns]")
    else:
        return None
    ordered = bool(days.is_monotonic_increasing)  # False where there is none
    return days if ordered and (days == days.dt.normalize()).all() else None


def _numbers(values: pd.Series) -> np.ndarray | None:
    """Numbers as float64 `[N]`, or None where something else is among them."""
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "iuf":
        return values.to_numpy().astype(np.float64)
    return None


def _check_rows(frame: pd.DataFrame, path: str | Path, frequency: str) -> None:
    """A period has one row of a ticker, and its high is not below its low."""
    high, low = high_and_low(frame)
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
