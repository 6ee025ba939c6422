"""Windows over a stream of rows: the last periods of each ticker are carried from chunk to chunk.

Memory grows with the number of tickers, not with the number of rows. N rows of a chunk, E windows, T periods in a
window, F features, K tickers so far.
"""

from dataclasses import dataclass

import numpy as np

from ste.data.windows import count_consecutive, gather_windows
from ste.inference.batch.row_checks import CheckedRows
from ste.inference.model_card import ModelCard

OUT_OF_ORDER = "expected the rows of a ticker in date order: an earlier row is of a later {}. Sort the file by date"
REPEATED = "expected one row per ticker and {}: an earlier row is of the same"
_NEVER = np.iinfo(np.int64).min // 2


@dataclass(frozen=True)
class WindowEnds:
    """Windows that end in a chunk, in the order of the chunk.

    Attributes:
        rows: positions in the chunk of the last row of each window, int64 `[E]`.
        short: positions of the rows with too few consecutive periods, int64.
        out_of_order, repeated: positions of the rows that go back in time, or repeat a period, int64.
        values: rows of the chunk and those carried from earlier ones, by ticker, float32 `[M, F]`.
        at: position in `values` of the last row of each window, int64 `[E]`.
    """

    rows: np.ndarray
    short: np.ndarray
    out_of_order: np.ndarray
    repeated: np.ndarray
    values: np.ndarray
    at: np.ndarray
    _length: int

    def features(self, selected: np.ndarray) -> np.ndarray:
        """Gather the windows at some positions of `rows`, float32 `[len(selected), T, F]`."""
        return gather_windows(self.values, self.at[selected], self._length)


class TickerHistory:
    """The last T - 1 consecutive rows of each ticker.

    Args:
        card: of the model.
    """

    def __init__(self, card: ModelCard) -> None:
        self._length = card.sequence_length
        self._periods = card.periods
        self._ids: dict[str, int] = {}
        self._last = np.empty(0, dtype=np.int64)  # newest period, [K]
        self._count = np.empty(0, dtype=np.int64)  # carried rows, [K]
        self._tail = np.empty((0, self._length - 1, len(card.features)), dtype=np.float32)

    def add(self, rows: CheckedRows) -> WindowEnds:
        """Add the next rows and find the windows that end in them."""
        ticker = self._encode(rows)
        period = self._periods.index(rows.date)
        order = np.argsort(ticker, kind="stable")
        ahead = self._ahead(ticker[order], period[order])
        out_of_order, repeated = np.sort(order[ahead < 0]), np.sort(order[ahead == 0])
        order = order[ahead > 0]
        ticker, period = ticker[order], period[order]
        values = np.ascontiguousarray(rows.values.T[order], dtype=np.float32)
        values, group, number, own = self._with_carried(ticker, period, values)
        history = count_consecutive(group, number)
        self._carry(group, number, history, values)
        enough = history[own] >= self._length
        at, ends = own[enough], order[enough]
        sort = np.argsort(ends)
        short = np.sort(order[~enough])
        return WindowEnds(ends[sort], short, out_of_order, repeated, values, at[sort], self._length)

    def _encode(self, rows: CheckedRows) -> np.ndarray:
        """Number the ticker of each row, int64 `[N]`; a new ticker gets the next number."""
        encoded = rows.ticker.dictionary_encode()
        ids = [self._ids.setdefault(name, len(self._ids)) for name in encoded.dictionary.to_pylist()]
        if len(self._ids) > len(self._last):
            size = max(len(self._ids), 2 * len(self._last))
            self._last = _extend(self._last, size, _NEVER)
            self._count = _extend(self._count, size, 0)
            self._tail = _extend(self._tail, size, 0.0)
        return np.array(ids, dtype=np.int64)[encoded.indices.to_numpy()]

    def _ahead(self, ticker: np.ndarray, period: np.ndarray) -> np.ndarray:
        """Number of periods from the newest earlier row of the ticker to each row, `[N]`; rows grouped by ticker."""
        if not len(ticker):
            return np.empty(0, dtype=np.int64)
        first = np.ones(len(ticker), dtype=bool)
        first[1:] = ticker[1:] != ticker[:-1]
        # A running maximum per ticker: an offset places each ticker's periods above those of the ticker before.
        smallest = period.min() - 1
        before = np.roll(period, 1) - smallest
        before[first] = np.maximum(self._last[ticker[first]] - smallest, 0)
        span = max(before.max(), period.max() - smallest) + 1
        offset = (np.cumsum(first) - 1) * span
        newest = np.maximum.accumulate(before + offset) - offset
        return period - smallest - newest

    def _with_carried(
        self, ticker: np.ndarray, period: np.ndarray, values: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Insert each ticker's carried rows before its new ones.

        Returns:
            Values `[M, F]`, tickers and periods `[M]` of all, and the positions `[N]` of the new rows among them.
        """
        present, first, inverse = np.unique(ticker, return_index=True, return_inverse=True)
        carried = self._count[present]
        before = np.cumsum(carried)
        own = np.arange(len(ticker)) + before[inverse]
        if not before.size or not before[-1]:
            return values, ticker, period, own
        group = np.repeat(present, carried)
        back = np.repeat(before, carried) - np.arange(before[-1])  # 1 is the newest carried row
        at = np.arange(before[-1]) + np.repeat(first, carried)
        total = len(ticker) + int(before[-1])
        out = np.empty((total, values.shape[1]), dtype=np.float32)
        tickers, numbers = np.empty(total, dtype=np.int64), np.empty(total, dtype=np.int64)
        out[own], tickers[own], numbers[own] = values, ticker, period
        out[at] = self._tail[group, self._length - 1 - back]
        tickers[at], numbers[at] = group, self._last[group] - back + 1
        return out, tickers, numbers, own

    def _carry(self, group: np.ndarray, number: np.ndarray, history: np.ndarray, values: np.ndarray) -> None:
        """Save the last consecutive periods of each ticker."""
        last = np.ones(len(group), dtype=bool)
        last[:-1] = group[1:] != group[:-1]
        ends = np.flatnonzero(last)
        ticker = group[ends]
        self._last[ticker] = number[ends]
        self._count[ticker] = np.minimum(history[ends], self._length - 1)
        # If fewer rows are carried, the oldest entries are never read.
        self._tail[ticker] = values[np.maximum(ends[:, None] + np.arange(2 - self._length, 1), 0)]


def _extend(array: np.ndarray, rows: int, value: float) -> np.ndarray:
    out = np.full((rows, *array.shape[1:]), value, dtype=array.dtype)
    out[: len(array)] = array
    return out
