"""Replay market files as a stream, in the order of their dates, at any speed."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ste.config.header_check import check_columns
from ste.data.storage.files import read_frame
from ste.errors import DataError
from ste.market.adjustment import AdjustmentCounts, adjusted_volume
from ste.market.calendar import NEW_YORK, TradingCalendar
from ste.market.histories import history_starts
from ste.schema import ADJUSTED_CLOSE, MARKET_COLUMNS
from ste.streaming.event_sources import EventSource, SourceRecord

_KINDS = {"macro": "macro", "policy": "policy", "news": "news", "bars": "bar"}
_DAY = {"macro": "release_date", "policy": "date", "news": "date", "bars": "date"}
_BATCH = 1024
_NAT = np.iinfo(np.int64).min  # NumPy's int64 of a missing date


class Replay(EventSource):
    """Market files as a source (columns: `schema.MARKET_COLUMNS`).

    Events of one day come in the order macro, policy, news, bars, and within each in the order of the file.

    Args:
        files: path of `bars`, and optionally of `news`, `macro`, `policy`.
        speed: `max`, events per second such as `500`, or a multiple of real time such as `86400x` (a day per second).
        batch: maximum number of events in one read.
        calendar: of the exchange.
    """

    def __init__(
        self, files: dict[str, str], speed: str = "max", batch: int = _BATCH, calendar: TradingCalendar = NEW_YORK
    ) -> None:
        sizes = (f"{kind} {path} ({Path(path).stat().st_size} bytes)" for kind, path in sorted(files.items()))
        self.name = f"replay of {', '.join(sizes)}"
        self._files = files
        self._batch, self._calendar = batch, calendar
        self._speed = speed.lower()
        self._start = self._next = 0

    @property
    def position(self) -> int:
        """Number of events that were returned."""
        return self._next

    def open(self, position: Any) -> None:
        """Read the files and start after the given number of events."""
        self._frames, days, kinds, rows = {}, [], [], []
        for number, (key, kind) in enumerate(_KINDS.items()):
            if key not in self._files:
                continue
            frame = _read(key, self._files[key], self._calendar)
            self._frames[number] = (kind, list(frame.columns), [frame[name].tolist() for name in frame])
            days.append(pd.to_datetime(frame[_DAY[key]], errors="coerce").to_numpy("datetime64[D]").astype(np.int64))
            kinds.append(np.full(len(frame), number))
            rows.append(np.arange(len(frame)))
        day, kind_of, row = (np.concatenate(part) for part in (days, kinds, rows))
        order = np.argsort(day, kind="stable")
        self._kind, self._row = kind_of[order], row[order]
        self._start = self._next = position or 0
        self._days = day[order]
        dated = self._days[self._start :]
        dated = dated[dated > _NAT]  # events without a valid date sort first
        self._first_day = int(dated[0]) if len(dated) else 0
        self._started = time.monotonic()
        self.finished = self._next >= len(order)

    def read(self, timeout: float) -> list[SourceRecord]:
        """Return the events that are due."""
        end = min(self._due(), self._next + self._batch)
        if end <= self._next and not self.finished:
            time.sleep(min(timeout, 0.01))
            return []
        records = [self._record(int(self._kind[i]), int(self._row[i])) for i in range(self._next, end)]
        self._next = end
        self.finished = end >= len(self._kind)
        return records

    def backlog(self) -> int:
        """Count the events still to come."""
        return len(self._kind) - self._next

    def _due(self) -> int:
        """Return the number of events that are due by now."""
        elapsed = time.monotonic() - self._started
        if self._speed == "max":
            return len(self._days)
        if self._speed.endswith("x"):
            today = self._first_day + elapsed * float(self._speed[:-1]) / 86400
            return int(np.searchsorted(self._days, today, side="right"))
        return min(self._start + int(elapsed * float(self._speed)) + 1, len(self._days))

    def _record(self, number: int, row: int) -> SourceRecord:
        kind, names, columns = self._frames[number]
        content = {name: column[row] for name, column in zip(names, columns, strict=True)}
        return SourceRecord(f"{kind} line {row + 2}", {**content, "kind": kind})


def _read(key: str, path: str, calendar: TradingCalendar) -> pd.DataFrame:
    """Read the columns of a file that an event has, dates as text."""
    frame = read_frame(path, text=("ticker", "series", "event"))
    check_columns([str(name) for name in frame], MARKET_COLUMNS[key], path)
    adjusted = key == "bars" and ADJUSTED_CLOSE.name in frame
    columns = [*MARKET_COLUMNS[key], *([ADJUSTED_CLOSE.name] if adjusted else [])]
    frame = frame[columns].copy()
    if adjusted:
        frame["volume"] = _volume(frame, calendar)
    day = frame[_DAY[key]]
    if pd.api.types.is_datetime64_any_dtype(day):
        frame[_DAY[key]] = day.dt.strftime("%Y-%m-%d")
    if not frame[_DAY[key]].map(lambda value: isinstance(value, str)).any():
        raise DataError(f"{path}: column {_DAY[key]} holds no dates. Expected days such as 2024-11-29.")
    if key == "policy":
        frame["id"] = np.arange(len(frame))  # two events of a day stay two events
    return frame


def _volume(bars: pd.DataFrame, calendar: TradingCalendar) -> pd.Series:
    """Return the volume on the scale that tables have it, `[N]`; an event has no such evidence of its own.

    Rows that will be refused as events keep what they hold.
    """
    numbers = {
        name: pd.to_numeric(bars[name], errors="coerce").astype("float64")
        for name in ("close", "volume", ADJUSTED_CLOSE.name)
    }
    typed = pd.DataFrame(
        {"ticker": bars["ticker"], "date": pd.to_datetime(bars["date"], errors="coerce"), **numbers}, index=bars.index
    )
    typed = typed[typed.notna().all(axis=1) & (typed["close"] > 0) & (typed[ADJUSTED_CLOSE.name] > 0)]
    if typed.empty:
        return bars["volume"]
    typed = typed[typed["date"].isin(calendar.sessions(typed["date"].min(), typed["date"].max()))]
    typed = typed.sort_values(["ticker", "date"], kind="stable")
    out = bars["volume"].astype(object)
    if len(typed):
        out[typed.index] = adjusted_volume(typed, history_starts(typed), AdjustmentCounts())
    return out
