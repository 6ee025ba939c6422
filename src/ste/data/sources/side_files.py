"""Read the files that complement bars: news, macro releases and policy events."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ste.config import RealMarketSettings
from ste.config.header_check import check_columns
from ste.config.read_options import ReadOptions
from ste.data.bar_files.bar_part import names_of
from ste.data.bar_files.column_names import plain_name
from ste.data.bar_files.date_cells import to_times
from ste.data.bar_files.number_cells import decimal_mark, to_floats
from ste.data.bar_files.reader_registry import open_tables
from ste.data.cells import cell_text
from ste.data.columns import (
    NAME,
    Violation,
    check_lines,
    find_low_highs,
    find_repeats,
    find_violations,
    violation,
)
from ste.errors import DataError
from ste.market.read_summary import ReadSummary, SideFile
from ste.market.sources import MACRO_NEUTRAL
from ste.market.spelling import match_names
from ste.schema import KEYS, MACRO_SERIES, MARKET_COLUMNS, SOURCE_NUMBERS

_DAYS, _NAMES = ("date", "release_date"), ("ticker", "series")
DAY = "a day such as 2024-11-29"


def read_side_file(path: str, kind: str, options: ReadOptions) -> pd.DataFrame:
    """Read and check a file of `news`, `macro` or `policy`.

    Args:
        path: of one table, in any format that bars are read from; a database is read by its only table.
        kind: key of `schema.MARKET_COLUMNS`.
        options: how to read.

    Returns:
        `MARKET_COLUMNS[kind]` in the file's row order, days as datetime64[ns].

    Raises:
        DataError: with the file, the column and the first lines at fault.
    """
    columns = MARKET_COLUMNS[kind]
    file = Path(path).expanduser()
    if not file.is_file():
        raise DataError(f"{options.prefix}{kind}={path}: no such file. Give the path of a CSV or Parquet file.")
    tables = list(open_tables(file, options))
    if len(tables) != 1:
        raise DataError(f"{path}: holds {len(tables)} tables. Expected one, with the columns {', '.join(columns)}.")
    table = tables[0]
    header = table.header[-1]
    spelled = {plain_name(name): at for at, name in reversed(list(enumerate(header)))}
    found = [name for name in columns if plain_name(name) in spelled]
    check_columns(
        [*found, *(name for name in header if plain_name(name) not in map(plain_name, columns))], columns, path
    )
    positions = [spelled[plain_name(name)] for name in columns]
    text = {at for name, at in zip(columns, positions, strict=True) if name in (*_DAYS, *_NAMES)}
    cells = dict(zip(columns, table.read(positions, text), strict=True))
    if not len(cells[columns[0]]):
        raise DataError(f"{path}: has a header and no rows. Expected at least one row.")
    frame, violations = _typed(cells, kind, path, options)
    lines = pd.Index(np.arange(len(frame)) + table.first_line - 2)
    check_lines(violations, path, lines)
    check_lines(find_relations(frame, kind), path, lines)
    return frame


def _typed(cells: dict[str, Any], kind: str, path: str, options: ReadOptions) -> tuple[pd.DataFrame, list[Violation]]:
    """Return the typed columns, and the violations of days, names and numbers with the cells as the file has them."""
    typed: dict[str, Any] = {}
    out: list[Violation] = []
    for name in (name for name in _DAYS if name in cells):
        times = to_times(cells[name], f"{path}: column {name}", options)
        typed[name] = times.day.astype("datetime64[ns]")
        out += violation(np.isnat(typed[name]), name, _Raw(cells[name]), DAY)
    for name in (name for name in _NAMES if name in cells):
        names = names_of(cells[name], path)
        out += violation(names.is_null().to_numpy(zero_copy_only=False), name, _Raw(cells[name]), NAME)
        typed[name] = names.to_pandas()
    numbers = SOURCE_NUMBERS[kind]
    mark = decimal_mark([cells[column.name] for column in numbers], options, path)
    typed |= {column.name: to_floats(cells[column.name], mark) for column in numbers}
    for found in find_violations(typed, numbers):
        raw = _Raw(cells[found.column])
        out.append(Violation(found.column, found.rows, [raw[row] for row in found.rows.tolist()], found.expected))
    return pd.DataFrame({name: typed[name] for name in MARKET_COLUMNS[kind]}), out


class _Raw:
    """Cells as a message shows them."""

    def __init__(self, cells: Any) -> None:
        self._cells = cells

    def __getitem__(self, row: int) -> str:
        return cell_text(self._cells, row)


def find_relations(frame: pd.DataFrame, kind: str) -> list[Violation]:
    """Check the rules of a typed source that involve several columns or rows.

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


class SideFiles:
    """The files that complement the bars of a market.

    Args:
        settings: names the files.
        summary: what matched the bars, and columns filled with a neutral value, are added.

    Attributes:
        macro, policy: None where there is no file.
    """

    def __init__(self, settings: RealMarketSettings, summary: ReadSummary) -> None:
        options = settings.read_options()
        frames = {
            kind: read_side_file(path, kind, options) if (path := getattr(settings, kind)) else None
            for kind in ("news", "macro", "policy")
        }
        self._news, self.macro, self.policy = frames["news"], frames["macro"], frames["policy"]
        self._summary, self._matched = summary, 0
        self._seen: set[str] = set()
        if settings.features == "full":
            summary.assumptions += _filled_columns(self._news, self.macro, self.policy)

    def news_of(self, bars: pd.DataFrame) -> pd.DataFrame | None:
        """Return the news of the tickers of a block of bars, with `ticker` as the same category."""
        if self._news is None:
            return None
        dtype = bars["ticker"].dtype
        assert isinstance(dtype, pd.CategoricalDtype)
        names = [str(name) for name in dtype.categories]
        spelled = match_names(set(self._news["ticker"].unique()), names)
        own = self._news[self._news["ticker"].isin(list(spelled))]
        for name, known in spelled.items():
            if name != known:
                self._summary.state(f"news: {name} is read as {known}")
        self._seen |= set(spelled)
        self._matched += len(own)
        return own.assign(ticker=own["ticker"].map(spelled).astype(dtype))

    def finish(self) -> None:
        """Count, after the last block, how many rows of each file belong to the bars."""
        first, last, side = self._summary.first, self._summary.last, self._summary.side
        assert first is not None
        assert last is not None
        if self._news is not None:
            unknown = sorted(set(self._news["ticker"]) - self._seen)
            side["news"] = SideFile(len(self._news), self._matched, "of tickers with bars", unknown)
        if self.macro is not None:
            side["macro"] = SideFile(
                len(self.macro), int((self.macro["release_date"] <= last).sum()), "released by then"
            )
        if self.policy is not None:
            inside = self.policy["date"].between(first, last)
            side["policy"] = SideFile(len(self.policy), int(inside.sum()), "within the bars")


def _filled_columns(news: pd.DataFrame | None, macro: pd.DataFrame | None, policy: pd.DataFrame | None) -> list[str]:
    notes = []
    if news is None:
        notes.append("no news file: sentiment, count and relevance are 0")
    if policy is None:
        notes.append("no policy file: event count and impact are 0")
    known = set() if macro is None else set(macro["series"])
    filled = [f"{series} {value:g}" for series, value in MACRO_NEUTRAL.items() if series not in known]
    if filled:
        notes.append(f"no macro series: {', '.join(filled)} throughout")
    return notes
