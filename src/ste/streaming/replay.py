"""Replay market files as a stream, in the order of their dates, at any speed."""

import time
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ste.config.file_locations import all_files
from ste.config.live_settings import ReplaySettings
from ste.config.read_options import ReadingSettings
from ste.data.bar_files.bar_frame import FaultyRow
from ste.inference.card_market import open_market
from ste.inference.model_card import ModelCard
from ste.market.extra_table import ExtraTable
from ste.schema import KEYS
from ste.streaming.event_sources import EventSource, SourceRecord
from ste.streaming.events import EventError

_DAY = {"macro": "release_date", "policy": "date", "news": "date", "extra": "known_at", "bar": "date"}
_BATCH = 1024
_NAT = np.iinfo(np.int64).min  # NumPy's int64 of a missing date


class Replay(EventSource):
    """Market files as a source, read as tables and `ste.predict` read them.

    Bars are sent on the adjusted scale, with the raw close where they were adjusted. Events of one day come in the
    order macro, policy, news, own columns, bars, and within each in the order of the file, bars in that of the tickers.
    A bar with a fault comes last and is a rejected event; one without a date comes first of all. Own columns are sent
    as their values become known, those of tickers with bars.

    Args:
        card: of the model, whose calendar decides the sessions.
        settings: names the files and states how they are read.
        batch: maximum number of events in one read.
    """

    def __init__(self, card: ModelCard, settings: ReplaySettings, batch: int = _BATCH) -> None:
        lags = card.extra_lag | settings.extra_lag
        self.name = _name(settings, {name: lags[name] for name in settings.extra if name in lags})
        self._card, self._settings, self._batch = card, settings, batch
        self._speed = settings.speed.lower()
        self._start = self._next = 0

    @property
    def position(self) -> int:
        """Number of events that were returned."""
        return self._next

    def open(self, position: Any) -> None:
        """Read the files and start after the given number of events."""
        self._faults: list[FaultyRow] = []
        market = open_market(self._card, vars(self._settings), self._faults.extend, self._settings.section)
        self.notes = market.notes
        policy = market.policy
        if policy is not None:
            policy = policy.assign(id=np.arange(len(policy)))  # two events of a day stay two events
        extra = [("extra", _extra_frame(name, table)) for name, table in market.extra.items()]
        frames = [("macro", market.macro), ("policy", policy), ("news", market.news), *extra, ("bar", market.bars)]
        self._frames: dict[int, tuple[str, list[str], list[list[Any]]]] = {}
        days: list[np.ndarray] = []
        for kind, frame in frames:
            if frame is None:
                continue
            day = frame[_DAY[kind]].to_numpy().astype("datetime64[D]")
            columns = frame.assign(**{_DAY[kind]: np.datetime_as_string(day)})
            self._frames[len(days)] = (kind, list(columns.columns), [columns[name].tolist() for name in columns])
            days.append(day)
        days.append(np.array([fault.date or "NaT" for fault in self._faults], dtype="datetime64[D]"))
        day, kind_of, row = (
            np.concatenate(days).astype(np.int64),
            np.repeat(np.arange(len(days)), [len(each) for each in days]),
            np.concatenate([np.arange(len(each)) for each in days]),
        )
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
        if number not in self._frames:
            fault = self._faults[row]
            found = f"{fault.column}: found" if fault.column else "found"
            reason = f"{found} {fault.found or 'nothing'}; expected {fault.expected}"
            return SourceRecord(f"{fault.where}, line {fault.line}", EventError(reason))
        kind, names, columns = self._frames[number]
        content = {name: column[row] for name, column in zip(names, columns, strict=True)}
        where = " ".join(
            str(content[name])
            for name in ("name", "series", *KEYS[::-1], "release_date", "known_at")
            if name in content
        )
        return SourceRecord(f"{kind} {where}", {**content, "kind": kind})


def _extra_frame(name: str, table: ExtraTable) -> pd.DataFrame:
    """Return a table of own columns as events."""
    rows = table.rows()
    columns = [[None if np.isnan(value) else value for value in own.tolist()] for own in rows.values.values()]
    values = [dict(zip(rows.values, each, strict=True)) for each in zip(*columns, strict=True)]
    ticker = {} if rows.ticker is None else {"ticker": rows.ticker}
    return pd.DataFrame({**ticker, "known_at": rows.known, "name": name, "values": pd.Series(values, dtype=object)})


def _name(settings: ReplaySettings, lags: Mapping[str, int]) -> str:
    """Name the files with their sizes, and how they are read where it is not the default: what decides the events."""
    sizes = []
    for kind, path in sorted(settings.files().items()):
        files = all_files(path, f"replay.{kind}") if kind == "bars" else [Path(path).expanduser()]
        sizes.append(f"{kind} {path} ({sum(file.stat().st_size for file in files)} bytes)")
    defaults = ReadingSettings()
    options = {field.name: getattr(settings, field.name) for field in fields(ReadingSettings)}
    stated = [f"{name}={value}" for name, value in options.items() if value != getattr(defaults, name)]
    stated += [f"extra_lag.{name}={days}" for name, days in sorted(lags.items())]
    return f"replay of files {', '.join([*sizes, *stated])}"
