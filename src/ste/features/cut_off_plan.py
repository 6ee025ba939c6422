"""Choose the dates and tickers at which the feature rows of a table are computed again.

Every ticker is cut at least once, and one with a long history at several dates, so that a fault of one ticker or of a
part of the time is met. The cost is a fixed fraction of the table's own.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from ste.features.cut_off import Cut

COST = 0.12
"""Fraction of the bars that is computed again, where one window of each ticker is not more already."""

MAX_TICKERS = 500
"""Tickers that are cut in any table; of the others one in `_OTHERS` is."""

_OTHERS = 10
_MIN_DATES, _MAX_DATES = 2, 8  # spread over the rows
_BARS_PER_DATE = 40_000  # of the table, for built-in functions: each date has a fixed cost
_FURTHER = 24  # dates for tickers that have no row on those
_PER_TICKER = 6
_ROWS = 3  # periods that are compared, up to the cut


def choose_cuts(
    rows: pd.DataFrame,
    bars: int,
    window: int,
    sampled: Callable[[str], bool],
    *,
    cross_sectional: bool,
    user_defined: bool,
) -> list[Cut]:
    """Return cuts that leave `window` bars of each ticker before a date.

    Args:
        rows: `date` and `ticker` of the rows of all data.
        bars: number of bars of all tickers.
        window: bars that the compared rows depend on.
        sampled: whether a ticker is to be cut.
        cross_sectional: a row depends on the other tickers of its date, so that a date is cut for all of them.
        user_defined: the features are of functions of the user, which get more dates.
    """
    dates = np.sort(rows["date"].unique())
    if not len(dates):
        return []
    most = _MAX_DATES if user_defined else int(np.clip(bars // _BARS_PER_DATE, _MIN_DATES, _MAX_DATES))
    known = {str(ticker): own.to_numpy() for ticker, own in rows.groupby("ticker", observed=True)["date"]}
    if cross_sectional:
        count = int(np.clip(COST * bars / (len(known) * window), _MIN_DATES, most))
        return [_cut(dates, last, None, window) for last in _spread(dates, count)]
    common = _spread(dates, most)
    tickers: dict[np.datetime64, list[str]] = defaultdict(list)
    uncovered = {}
    per_ticker = int(np.clip(COST * bars / (len(known) * window), 1, _PER_TICKER))
    for number, (ticker, own) in enumerate(known.items()):
        if not sampled(ticker):
            continue
        possible = common[np.isin(common, own)]
        if not len(possible):
            uncovered[ticker] = own
            continue
        step = max(1, len(possible) // per_ticker)
        for position in {(number + step * k) % len(possible) for k in range(per_ticker)}:
            tickers[possible[position]].append(ticker)
    for last, some in _further(uncovered):
        tickers[last] += some
    return [_cut(dates, last, some, window) for last, some in sorted(tickers.items())]


def _spread(dates: np.ndarray, count: int) -> np.ndarray:
    """Return dates that cut a span into equal parts; the last date, after which there is no future, is not one."""
    at = np.linspace(0, len(dates) - 1, count + 2)[1:-1].round().astype(int)
    return dates[np.unique(at)]


def _further(uncovered: dict[str, np.ndarray]) -> Iterable[tuple[np.datetime64, list[str]]]:
    """Yield dates that most of the remaining tickers have rows on, each with those tickers."""
    left = dict(uncovered)
    for _ in range(_FURTHER):
        if not left:
            return
        before_last = [np.unique(own[:-1] if len(own) > 1 else own) for own in left.values()]
        days, counts = np.unique(np.concatenate(before_last), return_counts=True)
        last = days[counts.argmax()]
        some = [ticker for ticker, own in left.items() if last in own]
        yield last, some
        for ticker in some:
            del left[ticker]


def _cut(dates: np.ndarray, last: np.datetime64, tickers: list[str] | None, window: int) -> Cut:
    first = max(0, int(np.searchsorted(dates, last)) - _ROWS + 1)
    return Cut(pd.Timestamp(last), tickers, window, pd.Timestamp(dates[first]))


class TickerSample:
    """Select the tickers that are cut, over the blocks of a table: the first `MAX_TICKERS`, then one in ten."""

    def __init__(self) -> None:
        self._chosen: dict[str, bool] = {}

    def __call__(self, ticker: str) -> bool:
        """Return whether a ticker is cut."""
        number = len(self._chosen)
        return self._chosen.setdefault(ticker, number < MAX_TICKERS or number % _OTHERS == 0)

    @property
    def tickers(self) -> int:
        """Number of tickers so far."""
        return len(self._chosen)
