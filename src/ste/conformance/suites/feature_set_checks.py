"""Checks of a feature set: that each column has values, and uses the past alone."""

from collections.abc import Callable
from functools import cached_property

import numpy as np
import pandas as pd

from ste.config.feature_sets import load_feature_set
from ste.conformance.component_checks import SUITES, Check, NotApplicable, expect
from ste.conformance.daily_market import checked_rows
from ste.expressions.expression import lookback, parse
from ste.features.bar_fields import PERIOD_FIELDS
from ste.features.feature_check import CheckedFeatures
from ste.features.feature_rows import look_back
from ste.market.calendar import Periods
from ste.schema import Column

_FAULTS = {
    "future": "it uses the future",
    "past": "it looks back further than a function of its own declares",
    "unstable": "a function of its own keeps a state",
}


def feature_set_checks(name: str) -> list[Check]:
    """Return a check for each column of a set, by its name or file."""
    tested = SetUnderTest(name)
    return [
        *(Check(column.name, tested.column(column)) for column in tested.features.columns),
        Check("rows of the set", tested.rows),
    ]


class SetUnderTest:
    """A feature set on a small market; `$NAME.column` is random there.

    Args:
        name: of the set, or its file.
    """

    def __init__(self, name: str) -> None:
        self.features = load_feature_set(name)
        self.frequency = self.features.frequency or "weekly"
        self.bars = Periods(self.frequency).bars

    @cached_property
    def checked(self) -> tuple[pd.DataFrame, CheckedFeatures]:
        """Rows of a small market, and what the cut-off check found."""
        return checked_rows(self.features, self.frequency)

    def column(self, column: Column) -> Callable[[], str]:
        """Return the check of a column."""

        def run() -> str:
            if not column.expr:
                raise NotApplicable(f"{column.unit}, {column.normalization}; of a ready table")
            if not self.features.from_bars:
                raise NotApplicable(f"{_described(column, self.bars)}; other columns are of a ready table")
            rows, found = self.checked
            defined = np.isfinite(rows[column.name].to_numpy(dtype=np.float64)).mean()
            expect(bool(defined > 0), f"{column.expr} has no value on any of {len(rows):,} rows")
            fault = next((one for one in found.faults if one.feature == column.name), None)
            if fault is not None:
                where = f"{fault.ticker} {fault.date:%Y-%m-%d}: {fault.complete:.4g} becomes {fault.part:.4g}"
                expect(False, f"{_FAULTS[fault.kind]}: {where}")
            share = "" if defined == 1 else f", {100 * defined:.0f} % of rows"
            return _described(column, self.bars) + share

        return run

    def rows(self) -> str:
        """Check that there are rows."""
        if not self.features.from_bars:
            raise NotApplicable("columns of a ready table")
        rows, found = self.checked
        expect(len(rows) > 0, "none")
        back = look_back(self.features, self.bars)
        return f"{self.frequency}, {back:,} bars back; {found.values:,} values computed again"


def _described(column: Column, bars: int) -> str:
    """Unit, normalization and look-back of a column."""
    back = max(lookback(parse(column.expr, column.name), bars, PERIOD_FIELDS))
    return f"{column.unit}, {column.normalization}, {back:,} bar{'s' * (back > 1)}"


SUITES.add("feature_set", feature_set_checks)
