"""Single columns in one ticker of many: each ticker's own values against its own coming return, over time.

A column that is shifted in one ticker of 88 moves the information coefficient of the panel by a hundredth. The ticker's
own rank correlation over its periods shows it, with the bound of as many tests as there are tickers, columns and forms.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from ste.features.association import centred_ranks, ic_of_ranks
from ste.leakage.audit_table import AuditTable
from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.leakage.single_columns import probes, single_returns
from ste.schema import RETURN

CHECK = "single tickers"

MIN_PERIODS = 40
"""Periods of a ticker below which its own correlation is not looked at."""

_MIN_CORRELATION = 0.35  # thin trading and mean reversion stay below
_LEFT = 0.5  # fraction of the correlation that a leak loses one period later
_FALSE_ALARM = 1e-5  # probability of one among all tests
_NAMED = 5  # tickers in a message


@dataclass(frozen=True)
class _Tickers:
    """Tickers whose own values of a column predict their coming return, and how much.

    Attributes:
        form: of the column.
        what: `return`, or `size of the move`.
        codes: of the tickers, the strongest first.
        now, after: their correlations with the coming period and the one after, in the same order.
        periods: of the first ticker.
    """

    form: str
    what: str
    codes: np.ndarray
    now: np.ndarray
    after: np.ndarray
    periods: int


def single_tickers(table: AuditTable, named: Collection[str]) -> CheckResult:
    """Find columns that predict the coming return of single tickers too well.

    Args:
        table: any table with returns.
        named: columns that are alarms in the panel, which are left out here.
    """
    counts = np.bincount(table.tickers)
    if RETURN not in table.frame or (counts >= MIN_PERIODS).sum() < 2:
        return skipped(CHECK, f"not run: needs returns, and two tickers of {MIN_PERIODS} {table.word}s")
    forms = [one for one in probes(table) if one.column not in table.shared and one.column not in named]
    returns = single_returns(table)
    coming = {"return": returns, "size of the move": np.abs(returns)}
    ranked = {
        what: [centred_ranks(table.ahead(values, lag), table.tickers) for lag in (0, 1)]
        for what, values in coming.items()
    }
    bound = float(norm.isf(_FALSE_ALARM / (2 * max(1, len(forms) * 2 * len(counts)))))
    found: dict[str, _Tickers] = {}
    largest = 0.0
    for form in forms:
        ranks = centred_ranks(form.values, table.tickers)
        known = np.bincount(table.tickers, ~np.isnan(ranks))
        for what, (first, second) in ranked.items():
            now = _by_ticker(ranks, first, table.tickers, known)
            after = _by_ticker(ranks, second, table.tickers, known)
            largest = max(largest, float(np.abs(now).max(initial=0.0)))
            loud = _sudden(now, after, known, bound)
            if loud.any():
                codes = np.flatnonzero(loud)
                codes = codes[np.argsort(-np.abs(now[codes]), kind="stable")]
                one = _Tickers(form.form, what, codes, now[codes], after[codes], int(known[codes[0]]))
                if form.column not in found or abs(one.now[0]) > abs(found[form.column].now[0]):
                    found[form.column] = one
    line = f"{len(counts)} tickers by themselves; the largest correlation with the coming {table.word} is {largest:.2f}"
    return CheckResult(CHECK, line, tuple(_alarm(table, name, one) for name, one in found.items()))


def _by_ticker(x: np.ndarray, y: np.ndarray, tickers: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Rank correlation of each ticker over its periods, `[tickers]`; 0 where there are too few."""
    series = ic_of_ranks(x, y, tickers).series
    if len(series) != len(known):
        return np.zeros(len(known))
    return np.where((known >= MIN_PERIODS) & np.isfinite(series), series, 0.0)


def _sudden(now: np.ndarray, after: np.ndarray, known: np.ndarray, bound: float) -> np.ndarray:
    """Which tickers predict the coming period strongly and the one after it less than half as well, bool."""
    sign = np.where(now < 0, -1.0, 1.0)
    strength, gap = np.abs(now), np.abs(now) - sign * after
    error = np.sqrt(2.0 / np.maximum(known - 3, 1))
    return (strength > _MIN_CORRELATION) & (gap > _LEFT * strength) & (gap > bound * error)


def _alarm(table: AuditTable, name: str, found: _Tickers) -> Alarm:
    names = table.ticker_names[found.codes]
    many = len(names) > _NAMED
    who = f"{len(names)} tickers" if many else ", ".join(names)
    return Alarm(
        CHECK,
        f"{name} of {who}",
        f"{found.form} of {names[0]} has a rank correlation of {found.now[0]:+.3f} with its {found.what} of the coming "
        f"{table.word} over {found.periods} {table.word}s, and of {found.after[0]:+.3f} with the {table.word} after; "
        f"{len(names)} of {len(table.ticker_names)} tickers",
        "no ticker whose column predicts one period and not the next: a forecast fades slowly",
        f"Compare the dates of {name} of {names[0]} with those of another ticker: is it shifted, or joined by row?",
    )
