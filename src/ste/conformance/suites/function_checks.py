"""Checks of a function of feature expressions: the past alone, its look-back, no state, any history."""

from functools import cached_property

import numpy as np

from ste.conformance.component_checks import SUITES, Check, NotApplicable, expect
from ste.conformance.daily_market import checked_rows
from ste.expressions.expression import lookback, parse
from ste.expressions.operators import Operator, Parameter
from ste.expressions.user_functions import UserFunction
from ste.features.bar_fields import BAR_FIELDS
from ste.features.feature_check import CheckedFeatures, Kind
from ste.registry import FEATURE_FUNCTIONS
from ste.schema import Column, FeatureSet

_FREQUENCY = "daily"
_BARS = ("close", "high", "low", "volume")
_WHOLE, _NUMBER = 10, 2.0  # of a parameter without a default


def feature_checks(name: str) -> list[Check]:
    """Return the checks of a function, on bars and with the defaults of its numbers."""
    function = FunctionUnderTest(name)
    return [
        Check("an expression can name it", function.parses),
        Check("one number for each bar, once its look-back is filled", function.values),
        Check("it uses the past alone", function.no_future),
        Check("it looks back no further than it declares", function.no_older),
        Check("the same bars give the same values", function.no_state),
        Check("bars without a value are no error", function.missing),
    ]


class FunctionUnderTest:
    """A registered function in an expression.

    Args:
        name: in `FEATURE_FUNCTIONS`.
    """

    def __init__(self, name: str) -> None:
        self.operator: Operator = FEATURE_FUNCTIONS[name]
        numbers = [_number(one) for one in self.operator.parameters]
        self.numbers = tuple(float(one) for one in numbers)
        fields = [f"${field}" for field in _fields(self.operator)]
        output = "" if len(self.operator.outputs) == 1 else f".{self.operator.outputs[0]}"
        self.text = f"{name}({', '.join([*fields, *(f'{one:g}' for one in numbers)])}){output}"

    @cached_property
    def checked(self) -> tuple[np.ndarray, CheckedFeatures]:
        """Its values on a small market, and what the cut-off check found."""
        rows, found = checked_rows(FeatureSet("checked", (Column("value", expr=self.text),)), _FREQUENCY)
        return rows["value"].to_numpy(), found

    def parses(self) -> str:
        """Check the expression."""
        bars = max(lookback(parse(self.text, "feature"), 1))
        return f"{self.text}: {bars:,} bar{'s' * (bars > 1)}"

    def values(self) -> str:
        """Check shape and type, which the engine requires, and that there are values."""
        values, _ = self.checked
        defined = np.isfinite(values).mean()
        expect(bool(defined > 0), "no value on any row: expected numbers where the look-back is filled")
        return f"{100 * defined:.0f} % of {len(values):,} rows"

    def no_future(self) -> str:
        """Check that removed later bars change nothing."""
        self._expect_no("future", "without the bars after {last}")
        return f"{self.checked[1].values:,} values computed again"

    def no_older(self) -> str:
        """Check that bars before the look-back change nothing."""
        self._expect_no("past", "without the bars before its look-back: declare a longer one")
        return ""

    def no_state(self) -> str:
        """Check that values do not depend on earlier calls."""
        self._expect_no("unstable", "when it is computed again: it keeps a state")
        return ""

    def missing(self) -> str:
        """Check values without numbers, as an inner expression or own columns have, and the shortest history."""
        if not isinstance(self.operator, UserFunction):
            raise NotApplicable("an operator of STE")
        length = self.operator.window(self.numbers) + 20
        rng = np.random.default_rng(0)
        for count, start in ((length, length // 2), (length, length), (length - 20, 0)):
            inputs = [rng.uniform(1, 2, count) for _ in range(self.operator.inputs)]
            for values in inputs:
                values[:start] = np.nan
            with np.errstate(all="ignore"):
                self.operator.of_history(inputs, self.numbers)
        return ""

    def _expect_no(self, kind: Kind, when: str) -> None:
        """Raise `CheckFailure` with the first fault of a kind."""
        for one in self.checked[1].faults:
            change = f"{one.ticker} {one.date:%Y-%m-%d}: {one.complete:.4g} becomes {one.part:.4g}"
            expect(one.kind != kind, f"{change} {when.format(last=f'{one.last:%Y-%m-%d}')}")


def _fields(operator: Operator) -> list[str]:
    """Return a field of a bar for each input: that of its name, else another one for each."""
    named = operator.input_names if isinstance(operator, UserFunction) else ()
    others = iter([field for field in _BARS if field not in named] * (1 + operator.inputs))
    return [named[at] if at < len(named) and named[at] in BAR_FIELDS else next(others) for at in range(operator.inputs)]


def _number(parameter: Parameter) -> float:
    if parameter.default is not None:
        return parameter.default
    return min(max(_WHOLE if parameter.integer else _NUMBER, parameter.minimum), parameter.maximum)


SUITES.add("feature", feature_checks)
