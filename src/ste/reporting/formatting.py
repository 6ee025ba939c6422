"""Names and digits of metrics, the same on every page."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ste.evaluation import run_choice
from ste.evaluation.scorecard import Estimate

NONE = "\N{EN DASH}"
"""Text of a missing value."""

SHORT_ID = run_choice.SHORT_ID
"""Characters of a run ID that tables show; `run=` accepts them."""

MINUS = "\N{MINUS SIGN}"

LABELS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "precision": "precision (macro)",
    "recall": "recall (macro)",
    "f1": "F1 (macro)",
    "mcc": "MCC",
    "auroc": "AUROC",
    "log_loss": "log-loss",
    "brier": "Brier score",
    "calibration_error": "calibration error",
    "move_auroc": "movement: AUC",
    "move_accuracy": "movement: accuracy",
    "move_mcc": "movement: MCC",
    "direction_auroc": "direction: AUC",
    "direction_accuracy": "direction: accuracy",
    "direction_mcc": "direction: MCC",
    "ic_mean": "IC: mean",
    "ic_std": "IC: deviation",
    "ic_ir": "IC: IR",
    "ic_t": "IC: t",
    "rank_ic_mean": "rank IC: mean",
    "rank_ic_std": "rank IC: deviation",
    "rank_ic_ir": "rank IC: IR",
    "rank_ic_t": "rank IC: t",
    "portfolio_annual_return": "annual return",
    "portfolio_volatility": "annual volatility",
    "portfolio_sharpe": "Sharpe ratio",
    "portfolio_sortino": "Sortino ratio",
    "portfolio_calmar": "Calmar ratio",
    "portfolio_max_drawdown": "largest drawdown",
    "portfolio_value_at_risk": "value at risk, 95 %",
    "portfolio_expected_shortfall": "expected shortfall, 95 %",
    "portfolio_hit_rate": "periods with a gain",
    "portfolio_profit_factor": "profit factor",
    "portfolio_time_in_market": "time in the market",
    "portfolio_exposure": "exposure",
    "portfolio_turnover": "turnover per period",
    "portfolio_alpha": "alpha, annual",
    "portfolio_beta": "beta",
    "expected_accuracy": "expected accuracy",
    "bayes_expected_accuracy": "Bayes: expected accuracy",
    "gap_closed": "gap to Bayes closed",
}
"""Printed name of each metric, by its name in a scorecard."""

_PERCENT = {
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "move_accuracy",
    "direction_accuracy",
    "expected_accuracy",
    "bayes_expected_accuracy",
    "portfolio_annual_return",
    "portfolio_volatility",
    "portfolio_max_drawdown",
    "portfolio_hit_rate",
    "portfolio_value_at_risk",
    "portfolio_expected_shortfall",
    "portfolio_time_in_market",
    "portfolio_alpha",
    "gap_closed",
}
_FOUR_DIGITS = {"log_loss", "brier", "ic_mean", "ic_std", "rank_ic_mean", "rank_ic_std"}
_TWO_DIGITS = {
    *("portfolio_sharpe", "portfolio_sortino", "portfolio_calmar", "portfolio_turnover", "portfolio_exposure"),
    *("portfolio_profit_factor", "portfolio_beta"),
    "ic_t",
    "rank_ic_t",
    "ic_ir",
    "rank_ic_ir",
}


@dataclass(frozen=True)
class Cell:
    """A table cell: its text, the text of its interval (or empty), and the number to sort by."""

    text: str = NONE
    interval: str = ""
    value: float | None = None

    @property
    def empty(self) -> bool:
        """Whether there is no value."""
        return self.text == NONE


def ordered(names: Iterable[str]) -> list[str]:
    """Sort names of metrics as `LABELS` lists them; others follow in their own order."""
    position = {name: i for i, name in enumerate(LABELS)}
    return sorted(dict.fromkeys(names), key=lambda name: position.get(name, len(position)))


def label(name: str) -> str:
    """Printed name of a metric; `precision_uptrend` is the precision of a class."""
    if name in LABELS:
        return LABELS[name]
    figure, _, of_class = name.partition("_")
    return (
        f"{LABELS.get(figure, figure).removesuffix(' (macro)')}, {of_class.replace('_', ' ').capitalize()}"
        if of_class
        else name
    )


def number(value: float, name: str = "", *, signed: bool = False, unit: bool = True) -> str:
    """Format a value with a typographic minus sign.

    Args:
        value: of the metric.
        name: of the metric, which decides the digits and percent.
        signed: of a difference: with a plus sign, and in points where the metric is in percent.
        unit: with the percent sign or `points`.
    """
    digits = 4 if name in _FOUR_DIGITS else 2 if name in _TWO_DIGITS else 3
    percent = is_percent(name)
    text = f"{100 * value:{'+' * signed}.1f}" if percent else f"{value:{'+' * signed}.{digits}f}"
    if not any(digit in "123456789" for digit in text):
        text = text.lstrip("+-")  # no sign before a zero
    return text.replace("-", MINUS) + (" points" if signed else " %") * (percent and unit)


def typographic(text: str) -> str:
    """Replace the hyphens before numbers in a sentence by minus signs, as `number` writes them."""
    return re.sub(r"(?<![\w-])-(?=\d)", MINUS, text)


def is_percent(name: str) -> bool:
    """Whether a metric, or that of a class such as `precision_uptrend`, is printed in percent."""
    return name in _PERCENT or name.startswith(("precision_", "recall_"))


def cell(figure: Estimate | None, name: str, *, signed: bool = False) -> Cell:
    """The table cell of an estimate."""
    if figure is None or not math.isfinite(figure.value):
        return Cell()
    if figure.low is None or figure.high is None:
        return Cell(number(figure.value, name, signed=signed), "", figure.value)
    ends = ", ".join(number(end, name, unit=False) for end in (figure.low, figure.high))
    return Cell(number(figure.value, name, signed=signed), f"[{ends}]", figure.value)


def short_id(run_id: str) -> str:
    """The characters of a run ID that tables show."""
    return run_id[:SHORT_ID]


def shorten(text: str, width: int) -> str:
    """Cut a text to a number of characters, the last of which is an ellipsis."""
    return text if len(text) <= width else text[: width - 1] + "\N{HORIZONTAL ELLIPSIS}"


def p_value(p: float) -> str:
    """Format a p-value; below 0.001 as a bound."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def short_verdict(word: str) -> str:
    """The word of a verdict in ten characters or fewer, for tables."""
    return {"better than guessing": "> guessing", "inconclusive": "too few"}.get(word, word)


def count(number: int, unit: str) -> str:
    """`1 week`, `1,234 weeks`."""
    return f"{number:,} {unit}{'' if number == 1 else 's'}"


def who(name: str, model: str) -> str:
    """Printed name of a table row: the model, a baseline, or Bayes."""
    return {"": model, "bayes": "Bayes"}.get(name, name)
