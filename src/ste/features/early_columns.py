"""Find columns of the user's own files that know the next session: a file that was dated a day early.

The engine never uses a row before it was known, so no cut-off shows that a file's dates are wrong. The values do: they
are associated with the return of the next session and not with that of the session after it, while a forecast from the
past fades slowly (`ste.features.association`). Each ticker is also examined by itself. N bars.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ste.features.association import (
    EXCESS_OVER_TIME,
    SUDDEN,
    centred_ranks,
    difference,
    ic_of_ranks,
    predicts_too_well,
)
from ste.market.sources import Market
from ste.market.ticker_groups import ticker_starts, values_ahead

_MIN_SESSIONS = 40  # of a ticker by itself
_MIN_ERRORS = 6.0  # of a ticker by itself: there are many


@dataclass(frozen=True)
class EarlyColumn:
    """A column that is associated with the next session.

    Attributes:
        name: of the field, such as `mine.sentiment`.
        what: `return`, or `size of the move`.
        ticker: the one where it is; empty for all of them together.
        now: rank correlation with the next session.
        after: with the session after it.
    """

    name: str
    what: str
    ticker: str
    now: float
    after: float


def early_columns(market: Market, columns: Mapping[str, np.ndarray]) -> list[EarlyColumn]:
    """Return the columns that know the next session, each once.

    Args:
        market: bars sorted by ticker and date.
        columns: values as of each bar by name of the field, float64 `[N]`.
    """
    if not columns or not len(market.bars):
        return []
    bars = market.bars
    starts = ticker_starts(bars)
    ticker = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(bars))))
    bar = np.arange(len(bars))
    day = np.unique(bars["date"].to_numpy(), return_inverse=True)[1].astype(np.int64)
    close = bars["close"].to_numpy(dtype=np.float64)
    move = values_ahead(close, ticker, bar, 1) / close - 1.0
    later = values_ahead(move, ticker, bar, 1)
    targets = {"return": (move, later), "size of the move": (np.abs(move), np.abs(later))}
    out = []
    for name, values in columns.items():
        probes = (values, values - values_ahead(values, ticker, bar, -1))
        found = [
            (what, *one)
            for what, (now, after) in targets.items()
            for probe in probes
            for one in (*_of_all(what, probe, now, after, day), *_of_each(probe, now, after, ticker))
        ]
        if found:
            what, code, now, after = max(found, key=lambda one: (one[1] is None, abs(one[2])))
            named = "" if code is None else str(bars["ticker"].iloc[starts[code]])
            out.append(EarlyColumn(name, what, named, now, after))
    return out


def _of_all(
    what: str, values: np.ndarray, now: np.ndarray, after: np.ndarray, day: np.ndarray
) -> Iterator[tuple[int | None, float, float]]:
    """Compare the tickers of each day."""
    ranks = centred_ranks(values, day)
    first, second = (ic_of_ranks(ranks, centred_ranks(target, day), day) for target in (now, after))
    kind = "direction" if what == "return" else "size"
    if predicts_too_well(first, difference(first, second), kind, shared=False):
        yield None, first.value, second.value


def _of_each(
    values: np.ndarray, now: np.ndarray, after: np.ndarray, ticker: np.ndarray
) -> Iterator[tuple[int | None, float, float]]:
    """Compare the days of each ticker, and yield its code with the two correlations."""
    ranks = centred_ranks(values, ticker)
    first, second = (ic_of_ranks(ranks, centred_ranks(target, ticker), ticker).series for target in (now, after))
    if not len(first) or not len(second):
        return
    known = np.bincount(ticker, np.isfinite(values + now))
    with np.errstate(invalid="ignore"):
        excess = np.abs(first) - np.sign(first) * second
        limit = np.maximum(EXCESS_OVER_TIME, SUDDEN * np.abs(first))
        sudden = (excess > limit) & (np.abs(first) > EXCESS_OVER_TIME)
        sudden &= excess > _MIN_ERRORS / np.sqrt(np.maximum(known - 3, 1))
    for code in np.flatnonzero(sudden & (known >= _MIN_SESSIONS)).tolist():
        yield code, float(first[code]), float(second[code])
