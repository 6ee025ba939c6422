"""Temperature scaling: one number, fitted on validation rows, that makes probabilities more or less certain.

Logits are divided by the temperature T (Guo, Pleiss, Sun and Weinberger 2017, ICML). T above 1 moves probabilities
towards equal ones, T below 1 away from them. The order of the classes of a row does not change, and with it no
predicted class. N rows, C classes.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from ste.evaluation.cross_fit import cross_fit_blocks
from ste.evaluation.explain.paired_difference import PeriodResampling
from ste.evaluation.verdict import Verdict

_RANGE = np.log(20.0)  # of the temperature, to either side of 1
_TOLERANCE = 1e-6  # relative, of the temperature


@dataclass(frozen=True)
class Calibration:
    """A temperature and what it is worth on the validation rows.

    Attributes:
        temperature: T, fitted on all of the rows.
        before: log-loss of the rows without it.
        after: log-loss of the rows, each block of periods predicted with the temperature of the others.
        low: lower end of the 95 % interval over periods of `before` less `after`.
    """

    temperature: float
    before: float
    after: float
    low: float

    def to_dict(self) -> dict[str, float]:
        """Convert to plain numbers."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any] | None) -> "Calibration | None":
        """Restore from `to_dict`; None of None."""
        return None if values is None else cls(**values)

    def __str__(self) -> str:
        losses = f"{self.before:.4f} → {self.after:.4f}"
        return f"temperature {self.temperature:.2f}, log-loss on validation {losses} (cross-fitted)"


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature, from 1/20 to 20, with the lowest log-loss, which is convex in 1/T.

    Args:
        logits: float64 `[N, C]`.
        labels: int `[N]`.
    """

    def loss(log_temperature: float) -> float:
        return float(_losses(logits, labels, np.exp(log_temperature)).mean())

    fit = minimize_scalar(loss, bounds=(-_RANGE, _RANGE), method="bounded", options={"xatol": _TOLERANCE})
    return float(np.exp(fit.x))


def choose_temperature(
    logits: np.ndarray, labels: np.ndarray, periods: np.ndarray, horizon: int, *, only_if_better: bool
) -> Calibration | None:
    """Fit a temperature, of rows that are of `MIN_PERIODS` times the horizon or more periods.

    Args:
        logits: of validation rows, float64 `[N, C]`.
        labels: int `[N]`.
        periods: number of each row's period, int `[N]`.
        horizon: periods that a label looks ahead.
        only_if_better: return None unless the interval of what the cross-fitted log-loss gains by it lies above 0.
    """
    before, after = _losses(logits, labels, 1.0), np.empty(len(labels))
    for fitting, predicted in cross_fit_blocks(periods, np.ones(len(labels), dtype=bool), horizon):
        temperature = fit_temperature(logits[fitting], labels[fitting])
        after[predicted] = _losses(logits[predicted], labels[predicted], temperature)
    (gain,) = PeriodResampling(periods, horizon).means((before - after)[None])
    low = float("-inf") if gain.low is None else gain.low
    if only_if_better and not low > 0.0:
        return None
    return Calibration(fit_temperature(logits, labels), float(before.mean()), float(after.mean()), low)


def calibration_text(folds: Sequence[Calibration | None]) -> str:
    """Return one sentence on the calibration of a run, empty where there is none.

    Args:
        folds: of each fold's model; of a holdout the only one.
    """
    used = [one for one in folds if one is not None]
    if not used:
        return ""
    if len(folds) == 1:
        return f"Calibrated on validation: {used[0]}."
    low, high = min(one.temperature for one in used), max(one.temperature for one in used)
    before, after = (float(np.mean([getattr(one, name) for one in used])) for name in ("before", "after"))
    return (
        f"Calibrated on validation in {len(used)} of {len(folds)} folds: temperatures {low:.2f} to {high:.2f}, mean "
        f"log-loss on validation {before:.4f} → {after:.4f} (cross-fitted)."
    )


def with_calibration(verdict: Verdict, folds: Sequence[Calibration | None]) -> Verdict:
    """Add the calibration to the details of a verdict; its word, headline and points stay.

    Args:
        verdict: of a run.
        folds: of each fold's model; of a holdout the only one.
    """
    text = calibration_text(folds)
    if not text:
        return verdict
    fitted = "The validation figures are of the rows that the temperature was fitted on."
    return replace(verdict, details=(*verdict.details, text, fitted))


def _losses(logits: np.ndarray, labels: np.ndarray, temperature: float) -> np.ndarray:
    """Log-loss of each row, float64 `[N]`."""
    scaled = logits / temperature
    losses: np.ndarray = logsumexp(scaled, axis=1) - scaled[np.arange(len(labels)), labels]
    return losses
