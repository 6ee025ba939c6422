"""Bars of several tables as one checked frame, whose faults are reported by file and line."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ste.config.read_options import FIELDS, ReadOptions
from ste.data.bar_files.bar_part import BarPart
from ste.data.bar_files.date_cells import DAY
from ste.data.cells import cell_text
from ste.data.columns import NAME, Violation, check_lines, find_repeats, find_violations, violation
from ste.errors import DataError
from ste.market.read_summary import ReadSummary
from ste.schema import ADJUSTED_CLOSE, SOURCE_NUMBERS

_ADJUSTED = ADJUSTED_CLOSE.name


@dataclass(frozen=True)
class FaultyRow:
    """The first fault of a row.

    Attributes:
        where: its file.
        line: in the file.
        ticker, date: as far as they are known; date is ISO.
        column: at fault.
        found: the cell as the file has it.
        expected: the rule in words.
    """

    where: str
    line: int
    ticker: str
    date: str
    column: str
    found: str
    expected: str


OnFaults = Callable[[list[FaultyRow]], None]


def checked_frame(
    parts: Sequence[BarPart],
    summary: ReadSummary,
    options: ReadOptions,
    on_faults: OnFaults | None = None,
) -> pd.DataFrame:
    """Return the bars of some tables, checked, sorted by ticker and date.

    Args:
        parts: complete tickers.
        summary: rows that are no bars are counted.
        options: whether several rows of a ticker and day become one bar.
        on_faults: gets the rows with a fault, which are left out; None raises an error for them.

    Returns:
        `ticker` (category), `date` (datetime64[ns]), the fields and, where any table has it, `adj_close`.

    Raises:
        DataError: with the file, column and first lines at fault.
    """
    summary.found += sum(map(len, parts))
    complete = [_without_gaps(part, summary, on_faults) for part in parts]
    frame, rows = _joined([part for part in complete if len(part)], summary)
    if frame.empty:
        return frame
    timed = any(part.time is not None for part in rows.parts)
    if timed:
        frame = _one_per_day(frame, rows, summary, options)
        if options.aggregate:
            return frame
    for find in (_find_faults, _find_repeats):
        violations = find(frame)
        if violations and on_faults is None:
            rows.check(_with_first(violations, frame, rows) if find is _find_repeats else violations)
        elif violations and on_faults is not None:
            faults, bad = rows.described(violations, frame)
            on_faults(faults)
            frame, rows = frame[~bad].reset_index(drop=True), rows.take(~bad)
    return _sorted(frame)


def _without_gaps(part: BarPart, summary: ReadSummary, on_faults: OnFaults | None) -> BarPart:
    """Set aside the lines that are no bars, and the rows that lack a number."""
    nothing = np.isnat(part.day) & part.without_values
    incomplete = part.missing & ~nothing
    if on_faults is not None and incomplete.any():
        on_faults([_incomplete(part, row) for row in np.flatnonzero(incomplete).tolist()])
    elif incomplete.any():
        _set_aside(part, incomplete, "without a price or volume", summary)
    if nothing.any():
        _set_aside(part, nothing, "that hold no bar", summary)
    keep = ~(nothing | part.missing)
    return part if keep.all() else part.take(keep)


def _set_aside(part: BarPart, rows: np.ndarray, reason: str, summary: ReadSummary) -> None:
    at = int(np.argmax(rows))
    first = f"{part.ticker_of(at)} {cell_text(part.raw['date'], at)}, line {part.line[at]}"
    summary.add(summary.set_aside, reason, int(rows.sum()), first.strip())


def _incomplete(part: BarPart, row: int) -> FaultyRow:
    column = next(name for name in part.values if np.isnan(part.values[name][row]))
    day = part.day[row]
    date = "" if np.isnat(day) else str(day)
    where, line = part.where, int(part.line[row])
    return FaultyRow(where, line, part.ticker_of(row), date, column, cell_text(part.raw[column], row), "a number")


class _Rows:
    """Where each row of a frame was read.

    Args:
        parts: in the frame's order.
    """

    def __init__(self, parts: Sequence[BarPart]) -> None:
        self.parts = parts
        self._starts = np.cumsum([0, *map(len, parts)])

    def take(self, rows: np.ndarray) -> "_Rows":
        """Return some rows (bool `[N]`)."""
        bounds = zip(self.parts, self._starts[:-1], self._starts[1:], strict=True)
        return _Rows([part.take(rows[first:last]) for part, first, last in bounds])

    def place(self, row: int) -> tuple[BarPart, int]:
        """Return the table of a row, and its position there."""
        at = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self.parts[at], row - int(self._starts[at])

    def raw(self, row: int, column: str) -> str:
        """Return a cell as the file has it."""
        part, at = self.place(row)
        if column == "ticker":
            return part.ticker_of(at)
        return cell_text(part.raw[column], at) if column in part.raw else ""

    def check(self, violations: Sequence[Violation]) -> None:
        """Raise the error of the first file with a fault."""
        first, _ = self.place(int(violations[0].rows[0]))
        begin = int(self._starts[self.parts.index(first)])
        own = []
        for found in violations:
            rows = found.rows[(found.rows >= begin) & (found.rows < begin + len(first))]
            if len(rows):
                shown = [self.raw(int(row), found.column) for row in rows[:3]]
                own.append(Violation(found.column, rows - begin, shown, found.expected))
        check_lines(own, first.where, pd.Index(first.line - 2))

    def described(self, violations: Sequence[Violation], frame: pd.DataFrame) -> tuple[list[FaultyRow], np.ndarray]:
        """Return the first fault of each row, and which rows have one, bool `[N]`."""
        bad = np.zeros(len(frame), dtype=bool)
        out = []
        for found in violations:
            for row in found.rows[~bad[found.rows]].tolist():
                part, at = self.place(row)
                day = frame["date"].iloc[row]
                date = "" if pd.isna(day) else f"{day:%Y-%m-%d}"
                cell, line = self.raw(row, found.column), int(part.line[at])
                ticker = self.raw(row, "ticker")
                out.append(FaultyRow(part.where, line, ticker, date, found.column, cell, found.expected))
            bad[found.rows] = True
        return out, bad


def _joined(parts: list[BarPart], summary: ReadSummary) -> tuple[pd.DataFrame, _Rows]:
    """Return the rows of all parts in their order."""
    names = [*FIELDS, *([_ADJUSTED] if any(_ADJUSTED in part.values for part in parts) else [])]
    values = {name: np.concatenate([_values(part, name, summary) for part in parts] or [np.empty(0)]) for name in names}
    days = np.concatenate([part.day for part in parts] or [np.empty(0, "datetime64[D]")])
    columns = {"ticker": _categories(parts), "date": days.astype("datetime64[ns]"), **values}
    return pd.DataFrame(columns, copy=False), _Rows(parts)


def _values(part: BarPart, name: str, summary: ReadSummary) -> np.ndarray:
    if name not in part.values:  # an adjusted close that other tables have
        statement = "bars: some files have no adjusted close; their prices are taken as they are"
        summary.state(statement)
        return part.values["close"]
    return part.values[name]


def _categories(parts: Sequence[BarPart]) -> pd.Categorical:
    """Return the tickers of all parts as a category with sorted names."""
    encoded = [None if isinstance(part.ticker, str) else part.ticker.dictionary_encode() for part in parts]
    names: set[str] = set()
    for part, cells in zip(parts, encoded, strict=True):
        names |= {part.ticker} if cells is None else set(cells.dictionary.to_pylist())
    known = sorted(names)
    code_of = {name: code for code, name in enumerate(known)}
    codes = []
    for part, cells in zip(parts, encoded, strict=True):
        if cells is None:
            codes.append(np.full(len(part), code_of[part.ticker], dtype=np.int32))
        else:
            own = np.array([code_of[name] for name in cells.dictionary.to_pylist()], dtype=np.int32)
            positions = cells.indices.fill_null(-1).to_numpy(zero_copy_only=False)
            codes.append(np.where(positions < 0, -1, own[positions] if len(own) else -1).astype(np.int32))
    dtype = pd.CategoricalDtype(pd.Index(known, dtype=object))
    return pd.Categorical.from_codes(np.concatenate(codes or [np.empty(0, np.int32)]), dtype=dtype)


def _find_faults(frame: pd.DataFrame) -> list[Violation]:
    """Return the violations of the rules of bars, by position."""
    days, tickers = frame["date"].to_numpy(), frame["ticker"].cat.codes.to_numpy()
    names = [name for name in (*FIELDS, _ADJUSTED) if name in frame]
    values = {name: frame[name].to_numpy() for name in names}
    numbers = [*SOURCE_NUMBERS["bars"], *([ADJUSTED_CLOSE] if _ADJUSTED in frame else [])]
    out = violation(np.isnat(days), "date", days, DAY) + violation(tickers < 0, "ticker", tickers, NAME)
    return out + find_violations(values, numbers)


def _find_repeats(frame: pd.DataFrame) -> list[Violation]:
    """Return the rows that repeat the ticker and day of an earlier one."""
    days, tickers = frame["date"].to_numpy(), frame["ticker"].cat.codes.to_numpy()
    key = (tickers.astype(np.int64) << 32) + days.astype("datetime64[D]").astype(np.int64)
    if (np.diff(key) > 0).all():
        return []
    return find_repeats({"key": key}, "date", days, "one row per ticker and day")


def _with_first(repeats: list[Violation], frame: pd.DataFrame, rows: _Rows) -> list[Violation]:
    """Say where the row is that the first of these rows repeats."""
    row = frame.iloc[int(repeats[0].rows[0])]
    same = (frame["ticker"] == row["ticker"]) & (frame["date"] == row["date"])
    part, at = rows.place(int(np.argmax(same)))
    return [
        replace(repeats[0], expected=f"{repeats[0].expected}; line {part.line[at]} of {part.where} has it too"),
        *repeats[1:],
    ]


def _one_per_day(frame: pd.DataFrame, rows: _Rows, summary: ReadSummary, options: ReadOptions) -> pd.DataFrame:
    """Check that a ticker has one row a day, or make it one."""
    parts = [part.time if part.time is not None else np.zeros(len(part), "timedelta64[ns]") for part in rows.parts]
    time = np.concatenate(parts)
    repeated = frame.duplicated(["ticker", "date"], keep=False).to_numpy()
    if not options.aggregate:
        if repeated.any() and len(np.unique(time[repeated])) > 1:
            part, at = rows.place(int(np.argmax(repeated)))
            raise DataError(
                f"{part.where}: several rows of a ticker on one day, at different times (line {part.line[at]}: "
                f"{cell_text(part.raw['date'], at)}). Expected daily bars. To make one bar of each day: "
                f"{options.prefix}aggregate=true."
            )
        return frame
    faults = [one for one in _find_faults(frame) if one.column != "date"]
    if faults:
        rows.check(faults)
    ordered = frame.assign(time=time).sort_values(["ticker", "date", "time"], kind="stable")
    rules = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum", _ADJUSTED: "last"}
    groups = ordered.groupby(["ticker", "date"], observed=True, sort=True)
    daily = groups.agg({name: rule for name, rule in rules.items() if name in frame}).reset_index()
    summary.state(f"bars: {len(frame):,} rows within days became {len(daily):,} daily bars")
    return daily


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    codes, days = frame["ticker"].cat.codes.to_numpy(), frame["date"].to_numpy()
    later = (codes[1:] > codes[:-1]) | ((codes[1:] == codes[:-1]) & (days[1:] >= days[:-1]))
    if later.all():
        return frame.reset_index(drop=True)
    return frame.iloc[np.lexsort((days, codes))].reset_index(drop=True)
