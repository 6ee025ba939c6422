"""A table with columns of any name: which column is the date, ticker, label, return, close and split."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ste.data.bar_files.column_names import INDEX_NAMES, field_of, plain_name, shown_names, usual_positions
from ste.data.storage.files import read_frame
from ste.errors import DataError
from ste.labels.targets import horizon_agreement
from ste.leakage.audit_table import AuditTable
from ste.leakage.plain_labels import class_codes
from ste.leakage.plain_splits import named_column, splits_of
from ste.market.calendar import Periods, calendar_of_days
from ste.schema import DIRECTION, KEYS, RETURN, ROW_CLOSE

_LABELS = (
    "label",
    "labels",
    "target",
    "targets",
    "y",
    "class",
    "trend",
    "direction",
    "movement",
    "stocktrenddirection",
)
_COMING = ("forwardreturn", "fwdreturn", "futurereturn", "nextreturn", "targetreturn", "fwdret", "futureret", "nextret")
_EITHER = ("return", "returns", "ret", "rets", "pctchange", "stockweeklyreturn")
_FURTHER = re.compile(
    r"^(labels?|targets?|y|fwd|forward|future|next|stockweekly)(return|ret|movement|direction)?\d*[dwm]?$"
)
_TICKER_SPELLINGS = ("ticker", "symbol", "instrument", "code", "asset", "stock", "name", "sym", "tic")
_AGREES = 0.8
_ALONE = "series"


@dataclass(frozen=True)
class PlainTable:
    """A table of a file, and what was understood of it.

    Attributes:
        table: for the checks.
        label, returns: names of the columns in the file, or words for what they were computed from.
        summary: lines for the user.
        bars: daily bars where the file has open, high, low and close, else None.
    """

    table: AuditTable
    label: str
    returns: str
    summary: tuple[str, ...]
    bars: pd.DataFrame | None


def read_plain(path: str, label: str | None = None, returns: str | None = None, horizon: int = 1) -> PlainTable:
    """Read a file with a date, perhaps a ticker, and any other columns.

    Args:
        path: CSV or Parquet.
        label: column of the class or of a number to predict; None looks for a usual name.
        returns: column of the coming return; None looks for a usual name, and else computes it from the close.
        horizon: periods that label and return look ahead.

    Raises:
        DataError: no date, a named column that is not there, or several rows per ticker and day.
    """
    frame = _read(path)
    header = [str(name) for name in frame.columns]
    summary: list[str] = []
    rows = _keys(frame, header, path, summary)
    for option, name in (("label", label), ("return", returns)):
        if name is not None and name not in rows:
            raise DataError(f"{option}={name}: {path} has no such column. It has {shown_names(header)}.")
    label = label or named_column(rows, _LABELS)
    periods = _periods(rows, path)
    close = _close(rows)
    codes = rows["ticker"].factorize()[0].astype(np.int64)
    prices = np.full(len(rows), np.nan) if close is None else rows[close].to_numpy(dtype=np.float64)
    ahead = AuditTable(rows[list(KEYS)].assign(price=prices), row_periods=periods).ahead
    coming = ahead(prices, horizon) / np.where(prices > 0, prices, np.nan) - 1.0
    returns = returns or _coming_return(rows, prices, codes, periods, horizon, summary)
    targets = _targets(rows, label, returns, coming, close, horizon, path, summary)
    rows = splits_of(rows, periods, summary)
    used = [name for name in (label, returns) if name is not None]
    further = [str(name) for name in rows if name not in used and _FURTHER.match(plain_name(str(name)))]
    if further:
        summary.append(f"left out as further labels: {shown_names(further)}")
    used_rows = rows.drop(columns=[*used, *further]).assign(**targets)
    if close is not None:
        used_rows[ROW_CLOSE] = prices
    known = pd.Series(True, used_rows.index)
    if RETURN in used_rows:
        known = used_rows[RETURN].notna() & used_rows[DIRECTION].notna()
    if not known.all():
        summary.append(f"{(~known).sum():,} rows without a label or return are left out (the last of each ticker are)")
    if not known.any():
        raise DataError(f"{path}: no row has a label or return. Name the column: label=NAME or return=NAME.")
    used_rows = used_rows[known]
    if DIRECTION in used_rows:
        used_rows[DIRECTION] = used_rows[DIRECTION].astype(np.int64)
    trends = 5 if DIRECTION in used_rows and used_rows[DIRECTION].max() > 2 else 3
    words = {"train": "training rows", "validation": "validation rows", "test": "test rows"}
    table = AuditTable(used_rows, horizon, periods, words, trends, plain_return=close is not None)
    return PlainTable(table, label or "the label", returns or "the return", tuple(summary), _bars(rows, periods))


def _read(path: str) -> pd.DataFrame:
    text = tuple(form for name in _TICKER_SPELLINGS for form in (name, name.capitalize(), name.upper()))
    frame = read_frame(path, text=text)
    if Path(path).suffix == ".parquet" and not usual_positions([str(name) for name in frame], "date"):
        frame = pd.read_parquet(path).reset_index()  # the date is in the index
    flags = frame.select_dtypes("bool").columns
    return frame.assign(**{name: frame[name].astype(np.int64) for name in flags})


def _keys(frame: pd.DataFrame, header: list[str], path: str, summary: list[str]) -> pd.DataFrame:
    """The rows with `date` and `ticker`, sorted by them."""
    at = usual_positions(header, "date") or [i for i, name in enumerate(header) if plain_name(name) in INDEX_NAMES]
    if not at:
        raise DataError(f"{path}: no column for the date. Found {shown_names(header)}. Expected a column named date.")
    name = header[at[0]]
    raw = frame[name]
    given = raw.astype("Int64").astype(str) if pd.api.types.is_numeric_dtype(raw) else raw
    dates = pd.to_datetime(given, errors="coerce", utc=True).dt.tz_localize(None)
    wrong = dates.isna() & raw.notna()
    if wrong.any():
        line = int(np.flatnonzero(wrong)[0]) + 2
        raise DataError(
            f"{path}: column {name}, line {line}: found {raw[wrong].iloc[0]}. Expected a day such as 2024-11-29."
        )
    tickers = usual_positions(header, "ticker")
    who = frame[header[tickers[0]]].astype(str) if tickers else pd.Series(_ALONE, frame.index)
    summary.append(f"date: {name}; ticker: {header[tickers[0]] if tickers else 'none, one series'}")
    others = frame.drop(columns=[name, *([header[tickers[0]]] if tickers else [])])
    rows = others.assign(date=dates.dt.normalize().astype("datetime64[ns]"), ticker=who)
    if rows["date"].isna().any():
        summary.append(f"{rows['date'].isna().sum():,} rows without a date are left out")
    return rows[rows["date"].notna()].sort_values(["ticker", "date"], kind="stable").reset_index(drop=True)


def _periods(rows: pd.DataFrame, path: str) -> Periods:
    """Days, weeks or months, by the usual distance of a ticker's rows."""
    steps = rows.groupby("ticker")["date"].diff().dt.days.dropna()
    if (steps == 0).mean() > 0.5:
        raise DataError(
            f"{path}: has several rows per ticker and day. Expected rows of a day or longer: aggregate them, or "
            "name the ticker's column ticker."
        )
    usual = float(steps[steps > 0].median()) if (steps > 0).any() else 1.0
    return Periods("daily" if usual < 4 else "weekly" if usual < 20 else "monthly", calendar_of_days(rows["date"]))


def _close(rows: pd.DataFrame) -> str | None:
    """The adjusted close, or the close."""
    fields = {
        field_of(str(name)): str(name) for name in reversed(list(rows)) if pd.api.types.is_numeric_dtype(rows[name])
    }
    stock = "stock_close" if "stock_close" in rows else None
    return fields.get("adj_close") or fields.get("close") or stock


def _coming_return(
    rows: pd.DataFrame, prices: np.ndarray, codes: np.ndarray, periods: Periods, horizon: int, summary: list[str]
) -> str | None:
    """A column of coming returns by its name; one that may be trailing only where the closes agree."""
    found = named_column(rows, _COMING)
    if found is not None:
        return found
    found = named_column(rows, _EITHER)
    if found is None or not pd.api.types.is_numeric_dtype(rows[found]):
        return None
    values = rows[found].to_numpy(dtype=np.float64)
    agreement = horizon_agreement(values, prices, codes, periods.index(rows["date"]), (horizon, -horizon))
    if agreement.get(horizon, 0.0) > _AGREES:
        return found
    why = "trailing" if agreement.get(-horizon, 0.0) > _AGREES else "trailing or coming"
    summary.append(f"{found} is {why}, and read as a feature; return={found} makes it the coming return")
    return None


def _targets(
    rows: pd.DataFrame,
    label: str | None,
    returns: str | None,
    coming: np.ndarray,
    close: str | None,
    horizon: int,
    path: str,
    summary: list[str],
) -> dict[str, np.ndarray]:
    """Return and class of each row; empty where the file has neither a label nor a return nor a close."""
    out: dict[str, np.ndarray] = {}
    if returns is not None:
        out[RETURN] = pd.to_numeric(rows[returns], errors="coerce").to_numpy(dtype=np.float64)
        summary.append(f"coming return: {returns}")
    elif close is not None:
        out[RETURN] = coming
        summary.append(f"coming return: computed from {close}, {horizon} row{'s' * (horizon > 1)} ahead")
    if label is not None:
        classes = class_codes(rows[label])
        if classes is not None:
            out[DIRECTION] = classes
            summary.append(f"label: {label}, {len(np.unique(classes[np.isfinite(classes)]))} classes")
            out.setdefault(RETURN, classes)
        elif pd.api.types.is_numeric_dtype(rows[label]):
            summary.append(f"label: {label}, a number")
            out[RETURN] = rows[label].to_numpy(dtype=np.float64)
        else:
            raise DataError(
                f"{path}: label {label} has {rows[label].nunique()} texts. Expected a number, or 2 to 5 classes. "
                "Name another column: label=NAME."
            )
    if RETURN in out and DIRECTION not in out:
        out[DIRECTION] = np.where(np.isfinite(out[RETURN]), np.sign(out[RETURN]) + 1.0, np.nan)
    if not out:
        summary.append("no label, return or close: only the checks of rows and columns run; name one with label=NAME")
    return out


def _bars(rows: pd.DataFrame, periods: Periods) -> pd.DataFrame | None:
    """Daily bars where the file has their prices."""
    fields = {
        field_of(str(name)): str(name) for name in reversed(list(rows)) if pd.api.types.is_numeric_dtype(rows[name])
    }
    needed = ("open", "high", "low", "close")
    if periods.frequency != "daily" or any(name not in fields for name in needed):
        return None
    names = {fields[name]: name for name in (*needed, "volume") if name in fields}
    bars = rows[["ticker", "date", *names]].rename(columns=names)
    return bars.dropna(subset=list(needed)).drop_duplicates(["ticker", "date"]).reset_index(drop=True)
