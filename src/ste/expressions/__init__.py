"""The expression language of feature sets: parse, look-back, evaluation."""

from ste.expressions.evaluator import BarPeriods, Evaluator
from ste.expressions.expression import Expression, lookback, parse
from ste.expressions.user_functions import feature_function

__all__ = ["BarPeriods", "Evaluator", "Expression", "feature_function", "lookback", "parse"]
