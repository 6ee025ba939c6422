"""The expression language of feature sets: parse, look-back, evaluation."""

from ste.expressions.evaluator import BarPeriods, Evaluator
from ste.expressions.expression import Expression, lookback, parse

__all__ = ["BarPeriods", "Evaluator", "Expression", "lookback", "parse"]
