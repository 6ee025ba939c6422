"""Read the files that complement bars: news, macro releases and policy events."""

import numpy as np
import pandas as pd

from ste.config import RealMarketSettings
from ste.config.read_options import ReadOptions
from ste.data.columns import Violation, check_lines, find_low_highs, find_repeats, find_violations, violation
from ste.data.sources.side_tables import TableColumns, read_side_table
from ste.features.bar_fields import MACRO
from ste.features.news import NEWS_FIELDS
from ste.features.policy import POLICY_FIELDS
from ste.market.read_summary import ReadSummary, SideFile
from ste.market.sources import MACRO_NEUTRAL
from ste.market.spelling import Spellings
from ste.schema import KEYS, MACRO_SERIES, MARKET_COLUMNS, SOURCE_NUMBERS

_DAYS, _NAMES = ("date", "release_date"), ("ticker", "series")


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
    keys = MARKET_COLUMNS[kind]
    days, names = (tuple(name for name in keys if name in known) for known in (_DAYS, _NAMES))
    columns = TableColumns(days, names, SOURCE_NUMBERS[kind])
    frame, violations, lines = read_side_table(path, kind, keys, columns, options)
    check_lines(violations, path, lines)
    check_lines(find_relations(frame, kind), path, lines)
    return frame


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
        summary: what matched the bars, and fields filled with a neutral value, are added.
        fields: names of the fields that features read.

    Attributes:
        macro, policy: None where there is no file.
    """

    def __init__(self, settings: RealMarketSettings, summary: ReadSummary, fields: frozenset[str]) -> None:
        options = settings.read_options()
        frames = {
            kind: read_side_file(path, kind, options) if (path := getattr(settings, kind)) else None
            for kind in ("news", "macro", "policy")
        }
        self._news, self.macro, self.policy = frames["news"], frames["macro"], frames["policy"]
        self._summary, self._matched = summary, 0
        self._spellings = Spellings("news", () if self._news is None else self._news["ticker"].unique())
        summary.assumptions += _filled_fields(self._news, self.macro, self.policy, fields)

    def news_of(self, bars: pd.DataFrame) -> pd.DataFrame | None:
        """Return the news of the tickers of a block of bars, with `ticker` as the same category."""
        if self._news is None:
            return None
        dtype = bars["ticker"].dtype
        assert isinstance(dtype, pd.CategoricalDtype)
        names = [str(name) for name in dtype.categories]
        spelled = self._spellings.match(names)
        own = self._news[self._news["ticker"].isin(list(spelled))]
        self._matched += len(own)
        return own.assign(ticker=own["ticker"].map(spelled).astype(dtype))

    def finish(self) -> None:
        """Count, after the last block, how many rows of each file belong to the bars."""
        first, last, side = self._summary.first, self._summary.last, self._summary.side
        assert first is not None
        assert last is not None
        if self._news is not None:
            unknown = self._spellings.finish(self._summary.tickers)
            for statement in self._spellings.statements():
                self._summary.state(statement)
            side["news"] = SideFile(len(self._news), self._matched, "of tickers with bars", unknown)
        if self.macro is not None:
            side["macro"] = SideFile(
                len(self.macro), int((self.macro["release_date"] <= last).sum()), "released by then"
            )
        if self.policy is not None:
            inside = self.policy["date"].between(first, last)
            side["policy"] = SideFile(len(self.policy), int(inside.sum()), "within the bars")


def _filled_fields(
    news: pd.DataFrame | None, macro: pd.DataFrame | None, policy: pd.DataFrame | None, fields: frozenset[str]
) -> list[str]:
    """Describe the neutral values that stand in for fields which features read and no file has."""
    notes = []
    if news is None and not fields.isdisjoint(NEWS_FIELDS):
        notes.append("no news file: sentiment, count and relevance are 0")
    if policy is None and not fields.isdisjoint(POLICY_FIELDS):
        notes.append("no policy file: event count and impact are 0")
    known = set() if macro is None else set(macro["series"])
    filled = [
        f"{series} {value:g}"
        for series, value in MACRO_NEUTRAL.items()
        if series not in known and f"{MACRO}{series}" in fields
    ]
    if filled:
        notes.append(f"no macro series: {', '.join(filled)} throughout")
    return notes
