"""Check at build time that the features of a table use the past alone, and no more of it than they declare.

Rows are computed again from the last bars before some dates (`cut_off_plan`): as many as the expressions look back on.
A value that is the same depends neither on later data nor on older data. One that is not is computed from all of the
past, which separates the two; what a recursive function such as an exponential mean remembers is no fault.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Literal

import numpy as np
import pandas as pd

from ste.expressions.expression import lookback
from ste.features.bar_fields import PERIOD_FIELDS
from ste.features.cut_off import ROUNDING, Compute, Cut, Recomputation, RecomputedRows, spread
from ste.features.cut_off_plan import TickerSample, choose_cuts
from ste.features.feature_rows import expressions, feature_rows, is_cross_sectional, look_back
from ste.market.sources import Market
from ste.schema import KEYS, FeatureSet

Kind = Literal["future", "past", "unstable"]

_RECURSIVE = 4  # times the bars until a recursion's start weighs less than 0.5 %: then below 1e-9
_MEMORY = 0.005  # of a feature's spread: what a declared look-back may leave out, as that of built-in recursions
_PERIODS = 4  # bars of which a window has in addition: the compared rows and a first, incomplete period
_EXAMPLES = 2  # values of a feature of built-in functions that are computed from all of the past
_MAX_PAIRS = 2000  # of the others


@dataclass(frozen=True)
class FeatureFault:
    """A feature with another value where a part of the data is missing.

    Attributes:
        feature: its name.
        kind: `future`: it changes without later data; `past`: without the bars before its look-back; `unstable`: when
            it is computed again from the same data.
        ticker, date: of an example.
        complete, part: its value with all data and with the part.
        last: date of the part's last data.
    """

    feature: str
    kind: Kind
    ticker: str
    date: pd.Timestamp
    complete: float
    part: float
    last: pd.Timestamp


@dataclass(frozen=True, eq=False)
class _Suspect:
    """Values that differ, `[K]` each, of one feature at one cut."""

    name: str
    comparison: RecomputedRows
    column: int
    rows: np.ndarray
    size: np.ndarray  # of the difference, in spreads of the feature


@dataclass(frozen=True)
class CheckedFeatures:
    """What was computed again, and what differs.

    Attributes:
        faults: one for each feature and kind.
        values: number of compared values.
        rows: number of compared rows.
        tickers: that were cut.
        dates: at which they were.
    """

    faults: tuple[FeatureFault, ...]
    values: int
    rows: int
    tickers: frozenset[str]
    dates: tuple[pd.Timestamp, ...]

    @classmethod
    def combine(cls, parts: "Sequence[CheckedFeatures]") -> "CheckedFeatures":
        """Join what was found of different features or tickers."""
        return cls(
            tuple(fault for one in parts for fault in one.faults),
            sum(one.values for one in parts),
            max((one.rows for one in parts), default=0),
            frozenset[str]().union(*(one.tickers for one in parts)),
            tuple(sorted({date for one in parts for date in one.dates})),
        )


def check_features(
    market: Market, frequency: str, features: FeatureSet, rows: pd.DataFrame, sampled: TickerSample
) -> CheckedFeatures:
    """Compute a sample of rows again without later and without older data.

    Args:
        market: daily sources of complete tickers.
        frequency: of the rows.
        features: computed from bars.
        rows: that `feature_rows` computed from the market.
        sampled: selects tickers.
    """
    again = Recomputation(market, rows[[*KEYS, *features.names]])
    own = tuple(bool(one.functions) for one in expressions(features))
    checks = [
        _Check(again, frequency, replace(features, columns=columns), user_defined)
        for user_defined in (False, True)
        if (columns := tuple(compress(features.columns, (each == user_defined for each in own))))
    ]
    return CheckedFeatures.combine([one.run(sampled) for one in checks])


@dataclass(frozen=True, eq=False)
class _Check:
    """The check of the features of built-in functions, or of those of the user's.

    Attributes:
        again: computes rows from parts of the market.
        frequency: of the rows.
        features: some columns of a set.
        user_defined: whether functions of the user compute them.
    """

    again: Recomputation
    frequency: str
    features: FeatureSet
    user_defined: bool

    def run(self, sampled: TickerSample) -> CheckedFeatures:
        """Compare the values at every cut, and explain the features that differ."""
        market, rows, names = self.again.market, self.again.complete, self.features.names
        window = look_back_window(self.features, market.bars_per_period(self.frequency))
        cuts = choose_cuts(
            rows,
            len(market.bars),
            window,
            sampled,
            cross_sectional=is_cross_sectional(self.features),
            user_defined=self.user_defined,
        )
        scale = spread(rows, names)
        suspects: dict[str, list[_Suspect]] = defaultdict(list)
        values, compared, tickers = 0, 0, set()
        for cut in cuts:
            one = self.again.compare(self._compute(self.features), cut, names)
            values, compared = values + one.complete.size, compared + len(one.keys)
            tickers |= set(one.keys["ticker"].astype(str))
            for suspect in _suspects(one, scale):
                suspects[suspect.name].append(suspect)
        scales = dict(zip(names, scale.tolist(), strict=True))
        faults = [fault for name, found in suspects.items() for fault in self._explain(name, found, scales[name])]
        return CheckedFeatures(tuple(faults), values, compared, frozenset(tickers), tuple(cut.last for cut in cuts))

    def _compute(self, features: FeatureSet) -> Compute:
        return lambda market: feature_rows(market, self.frequency, features, with_undefined=True)

    def _explain(self, name: str, suspects: Sequence[_Suspect], scale: float) -> Iterator[FeatureFault]:
        """Yield why a feature's values differ: compute them from all of the past, then from all data."""
        [column] = [one for one in self.features.columns if one.name == name]
        alone = replace(self.features, columns=(column,))
        whole = is_cross_sectional(alone)
        compute = self._compute(alone)
        for suspect in _selected(suspects, _MAX_PAIRS if self.user_defined else _EXAMPLES):
            last = suspect.comparison.last
            keys = suspect.comparison.keys.iloc[suspect.rows]
            tickers = None if whole else sorted(set(keys["ticker"].astype(str)))
            cut = Cut(last, tickers, None, keys["date"].min())
            fault = _first_fault("future", self.again.compare(compute, cut, [name]), scale)
            if fault is None:
                continue
            end = Cut(self.again.market.bars["date"].max(), [fault.ticker] if tickers else None, None, cut.since)
            again = _first_fault("unstable", self.again.compare(compute, end, [name]), scale)
            yield again or fault
            return
        largest = max(suspects, key=lambda one: float(one.size.max()))
        if self.user_defined and largest.size.max() > _MEMORY:
            yield _example("past", largest.comparison, largest.column, int(largest.rows[largest.size.argmax()]))


def look_back_window(features: FeatureSet, bars_per_period: int) -> int:
    """Return the bars of a ticker that the last rows of a window depend on, up to rounding."""
    needs = [lookback(one, bars_per_period, PERIOD_FIELDS) for one in expressions(features)]
    recursive = _RECURSIVE * max(bars for _, bars in needs)
    return max(look_back(features, bars_per_period), recursive) + _PERIODS * bars_per_period


def _suspects(one: RecomputedRows, scale: np.ndarray) -> Iterator[_Suspect]:
    changed = one.changed(ROUNDING * scale) | one.missing[:, None]
    for column in np.flatnonzero(changed.any(axis=0)).tolist():
        rows = np.flatnonzero(changed[:, column])
        with np.errstate(invalid="ignore", divide="ignore"):
            size = np.abs(one.complete[rows, column] - one.part[rows, column]) / scale[column]
        yield _Suspect(one.names[column], one, column, rows, np.where(np.isnan(size), np.inf, size))


def _selected(suspects: Sequence[_Suspect], pairs: int) -> Iterator[_Suspect]:
    """Yield suspects of at most so many values, those with the largest difference first."""
    for one in sorted(suspects, key=lambda suspect: -float(suspect.size.max())):
        if pairs <= 0:
            return
        largest = np.argsort(-one.size, kind="stable")[:pairs]
        pairs -= len(largest)
        yield replace(one, rows=one.rows[largest], size=one.size[largest])


def _first_fault(kind: Kind, one: RecomputedRows, scale: float) -> FeatureFault | None:
    """Return the latest value of a feature that differs by more than rounding, or None."""
    rows = np.flatnonzero(one.changed(ROUNDING * scale)[:, 0] | one.missing)
    return _example(kind, one, 0, int(rows[-1])) if len(rows) else None


def _example(kind: Kind, one: RecomputedRows, column: int, row: int) -> FeatureFault:
    key = one.keys.iloc[row]
    values = float(one.complete[row, column]), float(one.part[row, column])
    return FeatureFault(one.names[column], kind, str(key["ticker"]), key["date"], *values, one.last)
