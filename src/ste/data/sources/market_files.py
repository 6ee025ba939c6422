"""Read and check the files of a real market: daily bars, news, macro releases and policy events."""

from collections.abc import Container
from pathlib import Path

import numpy as np
import pandas as pd

from ste.config import MarketSettings
from ste.config.header_check import check_columns
from ste.data.columns import (
    Violation,
    check_lines,
    find_low_highs,
    find_repeats,
    find_violations,
    typed_frame,
    violation,
)
from ste.data.storage.files import read_frame
from ste.errors import DataError
from ste.market.bar_adjustment import adjusted_bars
from ste.market.calendar import WEEKS, Periods, TradingCalendar, calendar_of_days
from ste.market.read_summary import ReadSummary
from ste.market.sources import MACRO_NEUTRAL, Market
from ste.schema import ADJUSTED_CLOSE, BARS, KEYS, MACRO_SERIES, MARKET_COLUMNS, SOURCE_NUMBERS, Column


def read_market(settings: MarketSettings) -> Market:
    """Read the files of `data=market`.

    Raises:
        DataError: a file that is missing, has no such columns or holds impossible values.
    """
    notes: list[str] = []
    summary, periods = ReadSummary(), file_periods(settings)
    bars = read_bars(settings.bars, notes, settings.tickers, periods, summary)
    return market_of_bars(bars, settings, notes, periods.calendar, summary.spacing)


def file_periods(settings: MarketSettings) -> Periods:
    """Return the periods of the rows; with `data.calendar=bars` the days of the file of bars are the sessions."""
    if settings.calendar != BARS:
        return settings.periods
    frame = read_frame(settings.bars)
    check_columns(frame, MARKET_COLUMNS["bars"], settings.bars)
    if settings.tickers is not None:
        frame = frame[frame["ticker"].isin(settings.tickers)]
    typed, violations = typed_frame(frame, (), names=())
    check_lines(violations, settings.bars, frame.index)
    return Periods(settings.frequency, calendar_of_days(typed["date"]))


def market_of_bars(
    bars: pd.DataFrame, settings: MarketSettings, notes: list[str], calendar: TradingCalendar, spacing: str = ""
) -> Market:
    """Read the other files of `settings` and return them with bars that are read already.

    Args:
        bars: on the adjusted scale, sorted by ticker and date.
        settings: names the other files.
        notes: what was done to the bars; columns filled with a neutral value are appended.
        calendar: of the bars.
        spacing: of the bars, see `Market`; empty is daily.
    """
    news = read_source(settings.news, "news") if settings.news else None
    macro = read_source(settings.macro, "macro") if settings.macro else None
    policy = read_source(settings.policy, "policy") if settings.policy else None
    if settings.features == "full":
        notes += _filled_columns(news, macro, policy)
    return Market(bars, news, macro, policy, calendar, spacing or "daily", notes)


def _filled_columns(news: pd.DataFrame | None, macro: pd.DataFrame | None, policy: pd.DataFrame | None) -> list[str]:
    notes = []
    if news is None:
        notes.append("no news file: sentiment, count and relevance are 0")
    if policy is None:
        notes.append("no policy file: event count and impact are 0")
    for series, value in MACRO_NEUTRAL.items():
        if macro is None or not (macro["series"] == series).any():
            notes.append(f"no macro series {series}: filled with {value:g}")
    return notes


def read_bars(
    path: str | Path,
    notes: list[str],
    tickers: list[str] | None = None,
    periods: Periods = WEEKS,
    summary: ReadSummary | None = None,
) -> pd.DataFrame:
    """Read daily bars on the adjusted scale (`adjusted_block`), sorted by ticker and date.

    Args:
        path: CSV or Parquet.
        notes: what was dropped, adjusted or looks wrong is appended.
        tickers: names to read; None reads all.
        periods: of the rows that the bars are for.
        summary: what was found is added.

    Raises:
        DataError: with the file, the column and the first lines at fault.
    """
    frame = read_frame(path)
    check_columns(frame, MARKET_COLUMNS["bars"], path)
    if tickers is not None:
        check_tickers(tickers, set(frame["ticker"]), path)
        frame = frame[frame["ticker"].isin(tickers)]  # the index still counts the file's lines
    summary = summary or ReadSummary()
    return adjusted_bars(checked_bars(frame, path, summary), notes, summary, path, periods)


def checked_bars(frame: pd.DataFrame, path: str | Path, summary: ReadSummary) -> pd.DataFrame:
    """Check raw bars and drop the rows without a price or volume.

    Args:
        frame: columns of a file; the index counts its rows.
        path: of the file, for messages.
        summary: the dropped rows are counted.
    """
    numbers = bar_numbers(frame)
    complete = frame[[column.name for column in numbers]].notna().all(axis=1)
    frame = summary.drop(frame, ~complete.to_numpy(), "without a price or volume")
    bars, violations = typed_frame(frame, numbers)
    check_lines(violations or find_source_violations(bars, "bars"), path, frame.index)
    return bars


def bar_numbers(names: Container[str]) -> tuple[Column, ...]:
    """Return the numeric columns of bars, with the adjusted close where a file with these column names has it."""
    return (*SOURCE_NUMBERS["bars"], *([ADJUSTED_CLOSE] if ADJUSTED_CLOSE.name in names else []))


def read_source(path: str, kind: str) -> pd.DataFrame:
    """Read and check a file of `news`, `macro` or `policy`.

    Args:
        path: CSV or Parquet.
        kind: key of `schema.MARKET_COLUMNS`.

    Returns:
        `MARKET_COLUMNS[kind]` in the file's row order, days as datetime64[ns].

    Raises:
        DataError: with the file, the column and the first lines at fault.
    """
    frame = read_frame(path, text=("ticker", "series", "event"))
    columns = list(MARKET_COLUMNS[kind])
    check_columns(frame, tuple(columns), path)
    typed, violations = typed_frame(
        frame,
        SOURCE_NUMBERS[kind],
        days=[name for name in ("date", "release_date") if name in columns],
        names=[name for name in ("ticker", "series") if name in columns],
    )
    check_lines(violations, path, frame.index)
    check_lines(find_source_violations(typed, kind), path, frame.index)
    return typed[columns]


def find_source_violations(frame: pd.DataFrame, kind: str) -> list[Violation]:
    """Check the rules of a typed source that involve several columns.

    These are: highs above lows, one row per ticker and day, and of each macro series its limits and one figure a day.

    Args:
        frame: `MARKET_COLUMNS[kind]`.
        kind: `bars`, `news`, `macro` or `policy`.
    """
    if kind == "macro":
        return _macro_violations(frame)
    out = find_low_highs({str(name): frame[name].to_numpy() for name in frame})
    if "ticker" in frame:
        keys = {name: frame[name].to_numpy() for name in KEYS}
        out += find_repeats(keys, "date", frame["date"], "one row per ticker and day")
    return out


def _macro_violations(frame: pd.DataFrame) -> list[Violation]:
    series, values = frame["series"].to_numpy(dtype=object), frame["value"].to_numpy()
    out = violation(~np.isin(series, list(MACRO_SERIES)), "series", series, "one of " + ", ".join(MACRO_SERIES))
    for name, column in MACRO_SERIES.items():
        rows = np.flatnonzero(series == name)
        for found in find_violations({column.name: values[rows]}, [column]):
            out.append(Violation("value", rows[found.rows], found.found, f"{name} to be {found.expected}"))
    # The figures of a weekend may share the day of their release; only different ones leave open which holds.
    figures = frame.groupby(["series", "release_date"], dropna=False)["value"].transform("nunique")
    return out + violation((figures > 1).to_numpy(), "value", values, "one figure of a series a day")


def check_tickers(wanted: list[str], known: set[str], path: str | Path) -> None:
    """Raise `DataError` where a requested ticker has no bars."""
    unknown = [name for name in wanted if name not in known]
    if unknown:
        some = ", ".join(sorted(known)[:12])
        raise DataError(
            f"{path}: no bars of {', '.join(unknown)}. It has {len(known)} tickers: {some}, ... "
            f"Try data.tickers=[{sorted(known)[0]}]."
        )
