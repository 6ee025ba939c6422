"""Outcomes that a file of predictions has itself, or a table next to it: returns, labels, or closes."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ste.config.judge_settings import JudgeSettings
from ste.data.bar_files.column_names import field_of, shown_names
from ste.errors import DataError
from ste.judging.column_values import class_words, dates_of, holds_classes, names_of, numbers_of
from ste.judging.foreign_rows import ONE_SERIES, ForeignRows, label_codes
from ste.judging.outcomes_by_row import values_at
from ste.judging.prediction_columns import outcome_columns
from ste.judging.prediction_table import PredictionTable

_NEAR = (0.5, 2.0)  # forecast over the price at its time, by which forecasts are prices


def is_outcome_table(what: str) -> bool:
    """Whether `returns=` names a table of outcomes rather than bars: one file without open, high and low."""
    path = Path(what).expanduser()
    if not path.is_file():
        return False
    header = PredictionTable.open(what, "returns").header
    fields = {field_of(part) for name in header for part in (name, *name.replace("_", " ").split())}
    return not {"open", "high", "low"} <= fields


def add_outcomes_of_table(rows: ForeignRows, settings: JudgeSettings) -> None:
    """Join the returns or labels of a table by date and ticker.

    Raises:
        DataError: no such column, a repeated row, or no row in common.
    """
    table = PredictionTable.open(str(settings.returns), "returns")
    where, header, is_csv = table.where, table.header, table.source is None
    at = outcome_columns(header, where)
    cells = table.read(list(at.values()), {at[name] for name in ("date", "ticker") if name in at})
    dates = dates_of(cells[at["date"]], header[at["date"]], where, settings.read_options(), is_csv=is_csv)
    tickers: Any = pd.Categorical([ONE_SERIES]).repeat(len(dates))
    if "ticker" in at:
        tickers = names_of(cells[at["ticker"]], header[at["ticker"]], where, is_csv=is_csv)
    times = np.unique(np.concatenate([dates, rows.frame["date"].to_numpy()]))
    frame = pd.DataFrame({"ticker": tickers, "period": np.searchsorted(times, dates)})
    repeated = frame.duplicated().to_numpy()
    if repeated.any():
        first = int(np.argmax(repeated))
        raise DataError(
            f"{where}: {tickers[first]} on {pd.Timestamp(dates[first]):%Y-%m-%d} occurs twice ({repeated.sum():,} such "
            "rows). Expected one outcome for each date and ticker."
        )
    found = values_at(frame, rows.frame["ticker"], np.searchsorted(times, rows.frame["date"].to_numpy()))
    if (found < 0).all():
        raise DataError(f"{where}: has no date and ticker of {rows.where}. Expected the outcomes of the same rows.")
    for name in ("return", "label"):
        if name not in at:
            continue
        column = cells[at[name]]
        if holds_classes(column):
            rows.classes = rows.classes or class_words(column, settings.classes, header[at[name]], where)
            codes = label_codes(column, rows.classes, settings.classes, header[at[name]], where)
            rows.frame["label"] = np.where(found < 0, -1, codes[found])
        else:
            values = numbers_of(column, header[at[name]], where, is_csv=is_csv)
            rows.frame["return"] = np.where(found < 0, np.nan, values[found])
    if "return" not in rows.frame and "label" not in rows.frame:
        raise DataError(f"{where}: no column of outcomes. Found {shown_names(header)}. Expected return or label.")


def add_outcomes_of_closes(rows: ForeignRows, period: np.ndarray, horizon: int | None, word: str) -> None:
    """Add the return from each row's close to that `horizon` periods later.

    Raises:
        DataError: no horizon is stated.
    """
    if horizon is None:
        raise DataError(
            f"{rows.where}: has closes and no outcome. State how many {word}s a prediction looks ahead, such as "
            "horizon=24 (label_period_candles of FreqAI), or give returns=bars.csv."
        )
    frame = rows.frame.assign(period=period)
    later = values_at(frame, frame["ticker"], period + horizon)
    close = frame["close"].to_numpy(dtype=np.float64)
    if (close <= 0).any():
        raise DataError(f"{rows.where}: {(close <= 0).sum():,} closes are 0 or below. Expected prices above 0.")
    rows.frame["return"] = np.where(later < 0, np.nan, close[later] / close - 1.0)


def are_prices(score: np.ndarray, level: np.ndarray, stated: str | None) -> bool:
    """Whether forecasts are prices rather than returns.

    Args:
        score: forecasts `[N]`.
        level: price at the time of each forecast `[N]`, NaN where it is unknown.
        stated: `return` or `price`; None decides by the size.
    """
    if stated is not None:
        return stated == "price"
    known = np.isfinite(level) & np.isfinite(score)
    if not known.any() or (score[known] <= 0).any() or (level[known] <= 0).any():
        return False
    return bool(_NEAR[0] < np.median(score[known] / level[known]) < _NEAR[1])


def returns_of_prices(rows: ForeignRows, level: np.ndarray) -> None:
    """Turn forecasts of prices into forecasts of returns.

    Args:
        rows: with forecasts.
        level: price at the time of each forecast `[N]`, NaN where it is unknown.
    """
    rows.notes.append("score: the forecast price over the price when it was made, less 1")
    with np.errstate(divide="ignore", invalid="ignore"):
        rows.values = rows.values / level - 1.0
    rows.leave_out(~np.isfinite(rows.values), "without the price when the forecast was made")


def is_unnamed_series(rows: ForeignRows) -> bool:
    """Whether the file has no column of tickers."""
    return "ticker" not in rows.columns.at and not rows.columns.wide
