"""Events of closed periods: what later rows look back on.

They never change, so that a checkpoint appends them to files of records.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from ste.market.histories import starts_history

BAR_COLUMNS = ("open", "high", "low", "close", "volume", "raw")
RECORDS: dict[str, np.dtype] = {
    "bar": np.dtype([("ticker", "<u4"), ("day", "<i4"), *((name, "<f8") for name in BAR_COLUMNS)]),
    "news": np.dtype([("ticker", "<u4"), ("day", "<i4"), ("count", "<f8"), ("sentiment", "<f8"), ("relevance", "<f8")]),
    "macro": np.dtype([("series", "<u4"), ("day", "<i4"), ("value", "<f8")]),
    "policy": np.dtype([("day", "<i4"), ("impact", "<f8")]),
    "extra": np.dtype(
        [("column", "<u4"), ("ticker", "<u4"), ("date", "<i8"), ("stamp", "<i8"), ("day", "<i4"), ("value", "<f8")]
    ),
}
"""Layout of the closed events of each kind; tickers, series and own columns are numbers of
`ClosedEvents.names`, date and stamp nanoseconds since 1970."""


class RecordTable:
    """Records that are appended; a growing array holds them.

    Args:
        dtype: layout of a record.
    """

    def __init__(self, dtype: np.dtype) -> None:
        self._array = np.empty(0, dtype)
        self._new: list[tuple[Any, ...]] = []
        self._size = 0

    def append(self, record: tuple[Any, ...]) -> None:
        """Append a record."""
        self._new.append(record)

    def extend(self, records: np.ndarray) -> None:
        """Append records."""
        after = self._size + len(records)
        if after > len(self._array):
            grown = np.empty(max(after, 2 * len(self._array), 64), self._array.dtype)
            grown[: self._size] = self._array[: self._size]
            self._array = grown
        self._array[self._size : after] = records
        self._size = after

    @property
    def values(self) -> np.ndarray:
        """All records, in order."""
        if self._new:
            new, self._new = self._new, []
            self.extend(np.array(new, dtype=self._array.dtype))
        return self._array[: self._size]


class TickerBars:
    """Bars of one ticker by day: of its present history, and of earlier ones until `drop_earlier`."""

    def __init__(self) -> None:
        self._array = np.empty((1 + len(BAR_COLUMNS), 0))
        self._new: list[Sequence[float]] = []
        self._size = 0
        self._last: int | None = None
        self._history = 0  # index of the first bar of the present history

    def append(self, bar: Sequence[float]) -> None:
        """Append the next bar: its day, then `BAR_COLUMNS`."""
        day = int(bar[0])
        if self._last is not None and starts_history(day - self._last):
            self._history = self._size + len(self._new)
        self._last = day
        self._new.append(bar)

    def extend(self, bars: np.ndarray) -> None:
        """Append bars, one or more, float64 `[7, M]`: the day, then `BAR_COLUMNS`."""
        days = bars[0] if self._last is None else np.append(self._last, bars[0])
        breaks = np.flatnonzero(starts_history(np.diff(days))) + (self._last is None)
        if len(breaks):
            self._history = self._size + int(breaks[-1])
        self._store(bars)
        self._last = int(bars[0, -1])

    @property
    def values(self) -> np.ndarray:
        """The bars, float64 `[7, N]`: the day, then `BAR_COLUMNS`."""
        if self._new:
            new, self._new = self._new, []
            self._store(np.array(new, dtype=np.float64).T)
        return self._array[:, : self._size]

    def drop_earlier(self) -> None:
        """Forget the histories before the present one."""
        if self._history:
            self._array = self.values[:, self._history :].copy()
            self._size -= self._history
            self._history = 0

    def _store(self, bars: np.ndarray) -> None:
        after = self._size + bars.shape[1]
        if after > self._array.shape[1]:
            grown = np.empty((len(self._array), max(after, 2 * self._array.shape[1], 64)))
            grown[:, : self._size] = self._array[:, : self._size]
            self._array = grown
        self._array[:, self._size : after] = bars
        self._size = after


class ClosedEvents:
    """Closed events of each kind, in the order of their closes.

    Attributes:
        names: tickers, macro series and own columns with their numbers in the records.
        bars: by ticker.
        tables: of each other kind.
    """

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        self.bars: dict[str, TickerBars] = {}
        self.tables = {kind: RecordTable(dtype) for kind, dtype in RECORDS.items() if kind != "bar"}
        self._untaken: dict[str, list[tuple[Any, ...]]] = {kind: [] for kind in RECORDS}

    def add_bar(self, ticker: str, bar: Sequence[float]) -> None:
        """Add the next bar of a ticker: its day, then `BAR_COLUMNS`."""
        known = self.bars.get(ticker)
        if known is None:
            known = self.bars[ticker] = TickerBars()
        known.append(bar)
        self._untaken["bar"].append((self._number(ticker), *bar))

    def add(self, kind: str, *values: Any) -> None:
        """Add an event of another kind: the fields of its record, with the name of the ticker or series."""
        record = tuple(self._number(value) if isinstance(value, str) else value for value in values)
        self.tables[kind].append(record)
        self._untaken[kind].append(record)

    def take(self) -> dict[str, np.ndarray]:
        """Return the records added since the last call, by kind; `from_records` needs all of them."""
        taken = {kind: np.array(records, dtype=RECORDS[kind]) for kind, records in self._untaken.items()}
        self._untaken = {kind: [] for kind in RECORDS}
        return taken

    @classmethod
    def from_records(cls, names: Iterable[str], records: Mapping[str, np.ndarray]) -> Self:
        """Restore a state.

        Args:
            names: of the numbers 0, 1 and so on.
            records: all that `take` had returned by then, by kind.
        """
        new = cls()
        new.names = {name: number for number, name in enumerate(names)}
        bars = records["bar"][np.argsort(records["bar"]["ticker"], kind="stable")]
        columns = np.stack([bars[name].astype(np.float64) for name in ("day", *BAR_COLUMNS)])
        ends = np.searchsorted(bars["ticker"], np.arange(len(new.names) + 1)).tolist()
        for name, start, end in zip(new.names, ends[:-1], ends[1:], strict=True):
            if end > start:
                new.bars[name] = TickerBars()
                new.bars[name].extend(columns[:, start:end])
        for kind, table in new.tables.items():
            table.extend(records[kind])
        return new

    def drop_earlier_histories(self) -> None:
        """Forget the bars before each ticker's present history."""
        for bars in self.bars.values():
            bars.drop_earlier()

    def _number(self, name: str) -> int:
        return self.names.setdefault(name, len(self.names))
