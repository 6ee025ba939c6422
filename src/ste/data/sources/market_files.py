"""Files of a real market: daily bars, news, macro releases and policy events, checked and adjusted."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa

from ste.config import MarketSettings
from ste.data.storage.files import check_columns, read_frame
from ste.data.table_schema import check_frame, day_column
from ste.errors import DataError
from ste.features.feature_rows import ticker_starts
from ste.market.calendar import sessions
from ste.market.daily import MACRO_NEUTRAL, RAW_CLOSE, Market
from ste.schema import MACRO, MARKET_COLUMNS

BAR_COLUMNS = MARKET_COLUMNS["bars"]
_PRICES = ("open", "high", "low", "close")
_JUMP = np.log(1.6)
"""A daily log return beyond this is more often an unadjusted split than news."""
_SHOWN = 5  # of them, in a note


def read_market(settings: MarketSettings) -> Market:
    """Read the files of `data=market`.

    Raises:
        DataError: a file that is missing, misshapen or holds impossible values.
    """
    notes: list[str] = []
    return market_of(read_bars(settings.bars, notes, settings.tickers), settings, notes)


def market_of(bars: pd.DataFrame, settings: MarketSettings, notes: list[str]) -> Market:
    """Bars that are read already, beside the other files of `settings`.

    Args:
        bars: on the adjusted scale, sorted by ticker and date.
        settings: of the other files.
        notes: what was done to the bars; what was filled is appended.
    """
    news = _read(settings.news, "news") if settings.news else None
    macro = _read(settings.macro, "macro") if settings.macro else None
    policy = _read(settings.policy, "policy") if settings.policy else None
    if settings.features == "full":
        notes += _fillings(news, macro, policy)
    return Market(bars=bars, news=news, macro=macro, policy=policy, notes=notes)


def _fillings(news: pd.DataFrame | None, macro: pd.DataFrame | None, policy: pd.DataFrame | None) -> list[str]:
    """What a neutral value stands in for."""
    notes = []
    if news is None:
        notes.append("no news file: sentiment, count and relevance are 0")
    if policy is None:
        notes.append("no policy file: event count and impact are 0")
    for series, value in MACRO_NEUTRAL.items():
        if macro is None or not (macro["series"] == series).any():
            notes.append(f"no macro series {series}: filled with {value:g}")
    return notes


def read_bars(path: str | Path, notes: list[str], tickers: list[str] | None = None) -> pd.DataFrame:
    """Daily bars on the adjusted scale, sorted by ticker and date.

    Where `adj_close` is given, prices are multiplied by adj_close / close and volume is divided by it,
    so that neither a split nor a dividend looks like a move and the dollar volume stays what it was.

    Args:
        path: the file.
        notes: what was dropped, adjusted or looks wrong is appended.
        tickers: names to keep; None keeps all.
    """
    frame = read_frame(path)
    check_columns(frame, BAR_COLUMNS, path, strict=False)
    adjusted = "adj_close" in frame
    columns = [*BAR_COLUMNS, "adj_close"] if adjusted else list(BAR_COLUMNS)
    frame = _only(frame[columns], tickers, path)
    empty = frame[[name for name in columns if name not in ("ticker", "date")]].isna().any(axis=1)
    if empty.any():
        notes.append(f"bars: {empty.sum()} rows without a price or volume dropped")
    frame = check_frame(frame[~empty], _bars_schema(adjusted), path)
    _refuse(frame, frame["high"] < frame["low"] * (1 - 1e-6), "high", "a high not below the low", path)
    if frame.empty:
        raise DataError(f"{path}: no row has all of {', '.join(BAR_COLUMNS)}. Expected daily bars.")
    return adjusted_bars(frame, notes)


def adjusted_bars(bars: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Checked bars as `read_bars` gives them: sorted, on sessions, on the adjusted scale.

    Args:
        bars: `schema.MARKET_COLUMNS["bars"]`, with `adj_close` where there is one.
        notes: what was dropped, adjusted or looks wrong is appended.
    """
    found = Findings()
    frame = adjusted_block(bars.sort_values(["ticker", "date"], kind="stable").reset_index(drop=True), found)
    found.check()
    notes += found.notes()
    return frame


@dataclass
class Findings:
    """What was dropped, adjusted or looks wrong in bars, block by block.

    Attributes:
        empty: rows without a price or volume.
        traded: rows on sessions.
        off: rows on other days, and the first of them.
        adjusted: whether any price was.
        jumps: moves that look like a split, and the first few in words.
    """

    empty: int = 0
    traded: int = 0
    off: int = 0
    first_off: pd.Timestamp | None = None
    adjusted: bool = False
    jumps: int = 0
    shown: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Raise if no bar is left."""
        if not self.traded:
            raise DataError("bars: none of the dates is a session of the exchange. Expected daily bars of US stocks.")

    def notes(self) -> list[str]:
        """In words."""
        notes = []
        if self.empty:
            notes.append(f"bars: {self.empty} rows without a price or volume dropped")
        if self.off:
            notes.append(f"bars: {self.off} rows on days without a session dropped (first {self.first_off:%Y-%m-%d})")
        if self.adjusted:
            notes.append("bars: prices and volume adjusted by adj_close / close")
        if self.jumps:
            notes.append(
                f"warning: {self.jumps} daily moves beyond +60 % or -38 % that no adjustment explains "
                f"({', '.join(self.shown)}); an unadjusted split would look like this"
            )
        return notes


def adjusted_block(frame: pd.DataFrame, found: Findings) -> pd.DataFrame:
    """Checked bars of some tickers, sorted by ticker and date, on sessions and on the adjusted scale."""
    adjusted = "adj_close" in frame
    traded = frame["date"].isin(sessions(frame["date"].min(), frame["date"].max()))
    found.traded += int(traded.sum())
    if not traded.all():
        found.off += int((~traded).sum())
        found.first_off = found.first_off or frame.loc[~traded, "date"].iloc[0]
        frame = frame[traded].reset_index(drop=True)
    if adjusted:
        frame[RAW_CLOSE] = frame["close"]
        ratio = frame["adj_close"] / frame["close"]
        for name in _PRICES:
            frame[name] = frame[name] * ratio
        frame["volume"] = frame["volume"] / ratio
        found.adjusted |= not np.allclose(ratio, 1.0)
    _look_for_jumps(frame, found)
    return frame[[*BAR_COLUMNS, RAW_CLOSE] if adjusted else list(BAR_COLUMNS)]


def _bars_schema(adjusted: bool) -> pa.DataFrameSchema:
    prices = (*_PRICES, "adj_close") if adjusted else _PRICES
    positive = pa.Check(lambda s: np.isfinite(s) & (s > 0), error="a price above 0")
    volume = pa.Check(lambda s: np.isfinite(s) & (s >= 0), error="0 or more shares")
    return pa.DataFrameSchema(
        {
            "ticker": pa.Column(str, pa.Check(lambda s: s.str.len() > 0, error="a name")),
            "date": day_column(),
            **{name: pa.Column(float, positive, coerce=True) for name in prices},
            "volume": pa.Column(float, volume, coerce=True),
        },
        unique=["ticker", "date"],
    )


def _finite(low: float = -np.inf, high: float = np.inf) -> pa.Column:
    bounds = (
        "a finite number"
        if np.isinf(low)
        else f"a number from {low:g}" + (f" to {high:g}" if np.isfinite(high) else "")
    )
    return pa.Column(float, pa.Check(lambda s: np.isfinite(s) & (s >= low) & (s <= high), error=bounds), coerce=True)


_NEWS = pa.DataFrameSchema(
    {
        "ticker": pa.Column(str),
        "date": day_column(),
        "count": _finite(0.0),
        "sentiment": _finite(-1.0, 1.0),
        "relevance": _finite(0.0, 1.0),
    },
    unique=["ticker", "date"],
)
_MACRO = pa.DataFrameSchema(
    {
        "series": pa.Column(str, pa.Check.isin(list(MACRO_NEUTRAL), error="one of " + ", ".join(MACRO_NEUTRAL))),
        "release_date": day_column(),
        "value": _finite(),
    },
)
_POLICY = pa.DataFrameSchema({"date": day_column(), "impact": _finite(0.0)})


_SCHEMAS = {"news": _NEWS, "macro": _MACRO, "policy": _POLICY}


def _read(path: str, kind: str) -> pd.DataFrame:
    columns = MARKET_COLUMNS[kind]
    frame = read_frame(path, text=("ticker", "series", "event"))
    check_columns(frame, columns, path, strict=False)
    frame = check_frame(frame[list(columns)], _SCHEMAS[kind], path)
    if kind == "macro":
        for column in MACRO:
            rows = frame["series"] == column.name.removeprefix("macro_")
            low, high = (
                (-np.inf if column.low is None else column.low),
                (np.inf if column.high is None else column.high),
            )
            off = rows & ~frame["value"].between(low, high)
            _refuse(frame, off, "value", f"{column.name.removeprefix('macro_')} from {low:g} to {high:g}", path)
    return frame


def _refuse(frame: pd.DataFrame, off: pd.Series, column: str, expected: str, path: str | Path) -> None:
    """Raise if any row is `off`, with the first one's line."""
    if off.any():
        row = frame.index[off][0]
        raise DataError(
            f"{path}: column {column}, line {row + 2}: found {frame.loc[row, column]}; expected {expected} "
            f"({off.sum()} such rows). Mend the file and run again."
        )


def _only(bars: pd.DataFrame, tickers: list[str] | None, path: str | Path) -> pd.DataFrame:
    if tickers is None:
        return bars
    check_tickers(tickers, set(bars["ticker"]), path)
    return bars[bars["ticker"].isin(tickers)]  # with its index, which tells the lines


def check_tickers(wanted: list[str], known: set[str], path: str | Path) -> None:
    """Raise if a name that is asked for has no bars."""
    unknown = [name for name in wanted if name not in known]
    if unknown:
        some = ", ".join(sorted(known)[:12])
        raise DataError(
            f"{path}: no bars of {', '.join(unknown)}. It has {len(known)} tickers: {some}, ... "
            f"Try data.tickers=[{sorted(known)[0]}]."
        )


def _look_for_jumps(bars: pd.DataFrame, found: Findings) -> None:
    if bars.empty:
        return
    move = np.diff(np.log(bars["close"].to_numpy()), prepend=np.nan)
    move[ticker_starts(bars)] = np.nan
    jumps = bars[np.abs(move) > _JUMP]
    found.jumps += len(jumps)
    more = jumps.head(_SHOWN - len(found.shown))
    found.shown += [f"{row.ticker} {row.date:%Y-%m-%d}" for row in more.itertuples()]
