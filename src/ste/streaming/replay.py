"""The past as a stream: market files in the order in which their events happened, at any speed."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ste.data.storage.files import check_columns, read_frame
from ste.errors import DataError
from ste.schema import MARKET_COLUMNS
from ste.streaming.event_sources import Item

_KINDS = {"macro": "macro", "policy": "policy", "news": "news", "bars": "bar"}
_DAY = {"macro": "release_date", "policy": "date", "news": "date", "bars": "date"}
_BATCH = 1024


_NO_DAY = np.iinfo(np.int64).min
"""What NumPy makes of a day that is none."""


class Pace:
    """How fast events come.

    Args:
        speed: `max`, events a second such as `500`, or times real time such as `86400x`, a day a second.
    """

    def __init__(self, speed: str) -> None:
        text = speed.lower()
        self._per_second = float(text) if text != "max" and not text.endswith("x") else None
        self._times = float(text[:-1]) if text.endswith("x") and text != "max" else None

    def begin(self, days: np.ndarray) -> None:
        """The events to come, by day `[N]`, sorted."""
        self._begun = time.monotonic()
        self._days = days
        dated = days[days > _NO_DAY]  # a date that cannot be read comes first, and is no beginning
        self._first = int(dated[0]) if len(dated) else 0

    def due(self, sent: int) -> int:
        """How many more are to be sent by now, after `sent`."""
        elapsed = time.monotonic() - self._begun
        if self._per_second is not None:
            return min(int(elapsed * self._per_second) + 1, len(self._days)) - sent
        if self._times is not None and len(self._days):
            today = self._first + elapsed * self._times / 86400
            return int(np.searchsorted(self._days, today, side="right")) - sent
        return len(self._days) - sent


class Replay:
    """Market files as a source (their columns: `schema.MARKET_COLUMNS`).

    Events of one day come in the order macro, policy, news, bars, and within each in the order of its file.

    Args:
        files: path of `bars`, and where there are any of `news`, `macro`, `policy`.
        speed: of `Pace`.
        batch: most events given at once.
    """

    def __init__(self, files: dict[str, str], speed: str = "max", batch: int = _BATCH) -> None:
        sizes = (f"{kind} {path} ({Path(path).stat().st_size} bytes)" for kind, path in sorted(files.items()))
        self.name = f"replay of {', '.join(sizes)}"
        self.finished = False
        self._files = files
        self._batch = batch
        self._pace = Pace(speed)
        self._start = self._at = 0

    @property
    def position(self) -> int:
        """Events that were given."""
        return self._at

    def open(self, position: Any) -> None:
        """Read the files and begin after so many events."""
        self._frames, days, kinds, rows = {}, [], [], []
        for number, (key, kind) in enumerate(_KINDS.items()):
            if key not in self._files:
                continue
            frame = _frame(key, self._files[key])
            self._frames[number] = (kind, list(frame.columns), [frame[name].tolist() for name in frame])
            days.append(pd.to_datetime(frame[_DAY[key]], errors="coerce").to_numpy("datetime64[D]").astype(np.int64))
            kinds.append(np.full(len(frame), number))
            rows.append(np.arange(len(frame)))
        day, kind_of, row = (np.concatenate(part) for part in (days, kinds, rows))
        order = np.argsort(day, kind="stable")
        self._kind, self._row = kind_of[order], row[order]
        self._start = self._at = position or 0
        self._pace.begin(day[order][self._start :])
        self.finished = self._at >= len(order)

    def read(self, timeout: float) -> list[Item]:
        """Events that are due."""
        due = self._pace.due(self._at - self._start)
        if due <= 0 and not self.finished:
            time.sleep(min(timeout, 0.01))
            return []
        end = min(self._at + min(due, self._batch), len(self._kind))
        items = [self._item(int(self._kind[at]), int(self._row[at])) for at in range(self._at, end)]
        self._at = end
        self.finished = end >= len(self._kind)
        return items

    def acknowledge(self) -> None:
        """Nobody waits for it."""

    def backlog(self) -> int:
        """Events."""
        return len(self._kind) - self._at

    def close(self) -> None:
        """Nothing is held."""

    def _item(self, number: int, row: int) -> Item:
        kind, names, columns = self._frames[number]
        content = {name: column[row] for name, column in zip(names, columns, strict=True)}
        return Item(f"{kind} line {row + 2}", {**content, "kind": kind})


def _frame(key: str, path: str) -> pd.DataFrame:
    """A file's columns that an event has, dates as text."""
    frame = read_frame(path, text=("ticker", "series", "event"))
    check_columns([str(name) for name in frame], MARKET_COLUMNS[key], path, strict=False)
    columns = [*MARKET_COLUMNS[key], *(["adj_close"] if key == "bars" and "adj_close" in frame else [])]
    frame = frame[columns].copy()
    day = frame[_DAY[key]]
    if pd.api.types.is_datetime64_any_dtype(day):
        frame[_DAY[key]] = day.dt.strftime("%Y-%m-%d")
    if not frame[_DAY[key]].map(lambda value: isinstance(value, str)).any():
        raise DataError(f"{path}: column {_DAY[key]} holds no dates. Expected days such as 2024-11-29.")
    if key == "policy":
        frame["id"] = np.arange(len(frame))  # two events of a day are two
    return frame
