"""Windows over a stream of rows: each ticker's last periods are carried from chunk to chunk.

Memory grows with the number of tickers and not with that of rows. N rows of a chunk, T periods in a window,
F features, K tickers seen so far.
"""

from dataclasses import dataclass

import numpy as np

from ste.inference.batch.row_checks import Rows
from ste.inference.inputs import consecutive, windows
from ste.inference.model_card import ModelCard
from ste.market.calendar import periods

LATE = "expected the rows of a ticker in date order: one before it is of a later {}. Sort the file by date"
TWICE = "expected one row per ticker and {}: one before it is of the same"
_NEVER = np.iinfo(np.int64).min // 2


@dataclass(frozen=True)
class Ends:
    """Examples that end in a chunk, in its own order.

    Attributes:
        rows: int64 `[E]`, positions in the chunk of their last rows.
        short: int64, positions of rows with too short a history.
        late, twice: int64, positions of rows that go back in time, or repeat a period.
    """

    rows: np.ndarray
    short: np.ndarray
    late: np.ndarray
    twice: np.ndarray
    _values: np.ndarray
    _at: np.ndarray
    _length: int

    def features(self, part: np.ndarray) -> np.ndarray:
        """Windows of the examples at these positions, float32 `[len(part), T, F]`."""
        return windows(self._values, self._at[part], self._length)


class History:
    """What each ticker had so far.

    Args:
        card: of the model.
    """

    def __init__(self, card: ModelCard) -> None:
        self._length = 1 if card.view == "flat" else card.sequence_length
        self._frequency = card.frequency
        self._ids: dict[str, int] = {}
        self._last = np.empty(0, dtype=np.int64)  # period, [K]
        self._held = np.empty(0, dtype=np.int64)  # rows carried, [K]
        self._tail = np.empty((0, self._length - 1, len(card.features)), dtype=np.float32)

    def take(self, rows: Rows) -> Ends:
        """Examples that end in these rows, which come after all that was taken before."""
        ticker = self._known(rows)
        period = periods(rows.date, self._frequency)
        order = np.argsort(ticker, kind="stable")
        ahead = self._ahead(ticker[order], period[order])
        late, twice = np.sort(order[ahead < 0]), np.sort(order[ahead == 0])
        order = order[ahead > 0]
        ticker, period = ticker[order], period[order]
        values = np.ascontiguousarray(rows.values.T[order], dtype=np.float32)
        values, group, number, own = self._with_carried(ticker, period, values)
        history = consecutive(group, number)
        self._carry(group, number, history, values)
        enough = history[own] >= self._length
        at, ends = own[enough], order[enough]
        sort = np.argsort(ends)
        return Ends(ends[sort], np.sort(order[~enough]), late, twice, values, at[sort], self._length)

    def _known(self, rows: Rows) -> np.ndarray:
        """Number of each row's ticker, int64 `[N]`; new ones are given the next."""
        encoded = rows.ticker.dictionary_encode()
        ids = [self._ids.setdefault(name, len(self._ids)) for name in encoded.dictionary.to_pylist()]
        if len(self._ids) > len(self._last):
            room = max(len(self._ids), 2 * len(self._last))
            self._last = _grown(self._last, room, _NEVER)
            self._held = _grown(self._held, room, 0)
            self._tail = _grown(self._tail, room, 0.0)
        return np.array(ids, dtype=np.int64)[encoded.indices.to_numpy()]

    def _ahead(self, ticker: np.ndarray, period: np.ndarray) -> np.ndarray:
        """By how much each row is after the newest of its ticker before it, `[N]`; grouped by ticker."""
        if not len(ticker):
            return np.empty(0, dtype=np.int64)
        first = np.ones(len(ticker), dtype=bool)
        first[1:] = ticker[1:] != ticker[:-1]
        # A running maximum that begins anew with each ticker: each lies a whole span above the one before.
        least = period.min() - 1
        before = np.roll(period, 1) - least
        before[first] = np.maximum(self._last[ticker[first]] - least, 0)
        span = max(before.max(), period.max() - least) + 1
        offset = (np.cumsum(first) - 1) * span
        newest = np.maximum.accumulate(before + offset) - offset
        return period - least - newest

    def _with_carried(
        self, ticker: np.ndarray, period: np.ndarray, values: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Each ticker's carried rows before its own.

        Returns:
            Values `[M, F]`, tickers and periods `[M]` of both, and the positions `[N]` of the own among them.
        """
        present, first, inverse = np.unique(ticker, return_index=True, return_inverse=True)
        held = self._held[present]
        before = np.cumsum(held)
        own = np.arange(len(ticker)) + before[inverse]
        if not before.size or not before[-1]:
            return values, ticker, period, own
        group = np.repeat(present, held)
        back = np.repeat(before, held) - np.arange(before[-1])  # 1 is the newest carried row
        carried = np.arange(before[-1]) + np.repeat(first, held)
        total = len(ticker) + int(before[-1])
        out = np.empty((total, values.shape[1]), dtype=np.float32)
        tickers, periods_ = np.empty(total, dtype=np.int64), np.empty(total, dtype=np.int64)
        out[own], tickers[own], periods_[own] = values, ticker, period
        out[carried] = self._tail[group, self._length - 1 - back]
        tickers[carried], periods_[carried] = group, self._last[group] - back + 1
        return out, tickers, periods_, own

    def _carry(self, group: np.ndarray, number: np.ndarray, history: np.ndarray, values: np.ndarray) -> None:
        """Keep the last consecutive periods of each ticker."""
        last = np.ones(len(group), dtype=bool)
        last[:-1] = group[1:] != group[:-1]
        ends = np.flatnonzero(last)
        ticker = group[ends]
        self._last[ticker] = number[ends]
        self._held[ticker] = np.minimum(history[ends], self._length - 1)
        # Where fewer are held, the oldest places hold what is never read.
        self._tail[ticker] = values[np.maximum(ends[:, None] + np.arange(2 - self._length, 1), 0)]


def _grown(array: np.ndarray, rows: int, value: float) -> np.ndarray:
    out = np.full((rows, *array.shape[1:]), value, dtype=array.dtype)
    out[: len(array)] = array
    return out
