"""The track record of a deployed model: score predictions with known outcomes and compare with the model's test."""

from dataclasses import asdict, dataclass, replace
from math import hypot
from typing import Any

import numpy as np
import pandas as pd

from ste.errors import DataError
from ste.evaluation.predictions import Predictions, row_columns
from ste.evaluation.scorecard import Estimate, Scorecard
from ste.evaluation.scoring import score
from ste.inference.card_metrics import AUTO_BLOCKS, COMPARED_METRICS
from ste.inference.model_card import ModelCard
from ste.monitoring.drift import count_of
from ste.monitoring.outcomes import LABEL
from ste.schema import PERIOD, probability_names

LOWER_IS_BETTER = ("log_loss",)
WORSE, BETTER, SAME, INCONCLUSIVE = "worse", "better", "same", "inconclusive"


@dataclass(frozen=True)
class MetricComparison:
    """An out-of-sample metric compared with the test's.

    Attributes:
        name: name of the metric.
        now: out-of-sample value, with its interval.
        then: value of the test, with its interval.
        gain: improvement, above 0 is better also for losses, with the interval of the difference.
        result: `worse` or `better` if that interval excludes 0, `same`, or `inconclusive`.
    """

    name: str
    now: Estimate
    then: Estimate
    gain: Estimate
    result: str


@dataclass(frozen=True)
class TrackRecord:
    """Out-of-sample scores.

    Attributes:
        card: scorecard of the predictions with known outcomes.
        pending: number of predictions without an outcome yet.
        comparisons: metrics compared with the test's; empty if the model card has none.
        confidence: mean probability of the predicted class; a calibrated model's accuracy equals it.
        split: split that is compared with: `test`, or `validation` if there was no test.
        summary: the result as text.
    """

    card: Scorecard
    pending: int
    comparisons: tuple[MetricComparison, ...]
    confidence: float
    split: str
    summary: str

    @property
    def worse(self) -> tuple[MetricComparison, ...]:
        """Metrics that are worse than in the test, beyond their intervals."""
        return tuple(one for one in self.comparisons if one.result == WORSE)

    @property
    def overconfident(self) -> bool:
        """Whether the confidence lies above the accuracy's interval."""
        high = self.card.figures["accuracy"].high
        return high is not None and self.confidence > high

    def to_dict(self) -> dict[str, Any]:
        """Convert to nested dicts of plain values."""
        out = asdict(self)
        out["card"] = {name: out["card"][name] for name in ("examples", "periods", "unit", "method", "reliability")}
        names = (*COMPARED_METRICS, "brier", "calibration_error", "mcc")
        metrics = self.card.figures
        return out | {"figures": {name: asdict(metrics[name]) for name in names if name in metrics}}


def track_record(rows: pd.DataFrame, card: ModelCard, resamples: int = 2000) -> TrackRecord | None:
    """Score the predictions with known outcomes; None without any.

    Intervals resample blocks as long as the metrics' own dependence, because the test covers other weeks than these.

    Args:
        rows: predictions with their outcomes, of `join_outcomes`.
        card: card of the model.
        resamples: number of bootstrap resamples.
    """
    known = rows[rows[LABEL] >= 0]
    if known.empty:
        return None
    classes = tuple(card.classes)
    names = list(probability_names(classes))
    frame = row_columns(known, "test", known[LABEL].to_numpy(), known["return"].to_numpy())
    frame = frame.join(known[names].reset_index(drop=True).astype(np.float64))
    if card.class_fractions is not None:
        majority = zip(names, card.class_fractions, strict=True)
        frame = frame.assign(**{f"majority.{name}": fraction for name, fraction in majority})
    scored = score(
        Predictions(frame, classes, card.frequency, card.horizon, card.name, calendar=card.calendar),
        resamples=resamples,
        blocks="auto",
    )
    split = "test" if "test" in card.metrics else "validation"
    record = TrackRecord(
        card=scored,
        pending=int(rows[LABEL].isna().sum()),
        comparisons=compare_with_card(scored, card, split),
        confidence=float(known[names].to_numpy().max(axis=1).mean()),
        split=split,
        summary="",
    )
    return replace(record, summary=_summary(record, PERIOD[card.frequency]))


def join_outcomes(predictions: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    """Add `return` and `label` to predictions, NaN where the outcome is unknown.

    Args:
        predictions: `date`, `ticker` and a probability of each class; one row per date and ticker.
        outcomes: outcomes of `ste.monitoring.outcomes`.

    Raises:
        DataError: a date and ticker occurs twice.
    """
    for frame, name in ((predictions, "predictions"), (outcomes, "truth")):
        repeated = frame.duplicated(["date", "ticker"])
        if repeated.any():
            first = frame[repeated].iloc[0]
            raise DataError(
                f"{name}: {first['ticker']} on {first['date']:%Y-%m-%d} occurs twice ({repeated.sum()} such rows). "
                "Expected one row per date and ticker."
            )
    return predictions.merge(outcomes[["date", "ticker", "return", LABEL]], on=["date", "ticker"], how="left")


def compare_with_card(scored: Scorecard, card: ModelCard, split: str) -> tuple[MetricComparison, ...]:
    """Compare with the metrics of a split in the model card; empty if it has none."""
    stored = card.metrics.get(split, {})
    metrics = stored.get(AUTO_BLOCKS) or stored.get("figures", {})
    return compare_metrics(scored, {name: Estimate(**metrics[name]) for name in COMPARED_METRICS if name in metrics})


def compare_metrics(scored: Scorecard, earlier: dict[str, Estimate]) -> tuple[MetricComparison, ...]:
    """Compare with earlier metrics.

    The interval of a difference combines the intervals of both values in squares (Zou and Donner 2008, Statistics in
    Medicine 27(10)), because they come from different weeks.

    Args:
        scored: current scorecard.
        earlier: metrics by name; those of `COMPARED_METRICS` that both have are compared.
    """
    out = []
    for name in COMPARED_METRICS:
        if name not in earlier or name not in scored.figures:
            continue
        now, then = scored.figures[name], earlier[name]
        gain = _difference(then, now) if name in LOWER_IS_BETTER else _difference(now, then)
        if gain.low is None or gain.high is None or scored.method != "bootstrap":
            result = INCONCLUSIVE
        else:
            result = WORSE if gain.high < 0 else BETTER if gain.low > 0 else SAME
        out.append(MetricComparison(name, now, then, gain, result))
    return tuple(out)


def _difference(a: Estimate, b: Estimate) -> Estimate:
    value = a.value - b.value
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return Estimate(value)
    return Estimate(
        value, value - hypot(a.value - a.low, b.high - b.value), value + hypot(a.high - a.value, b.value - b.low)
    )


def _summary(record: TrackRecord, unit: str) -> str:
    scored = record.card
    comparison = next((one for one in record.comparisons if one.name == "accuracy"), None)
    text = (
        f"The outcomes of {scored.examples:,} predictions in {count_of(scored.periods, unit)} are known: "
        f"{_percent(scored.figures['accuracy'])} were correct"
    )
    text += f", {_percent(comparison.then)} in the {record.split}. " if comparison is not None else ". "
    if any(one.result == INCONCLUSIVE for one in record.comparisons):
        text += f"Too few {unit}s to detect whether the model has become worse. "
    elif record.worse:
        names = " and ".join(one.name.replace("_", "-") for one in record.worse)
        text += f"That is worse than in the {record.split} by more than chance ({names}). "
    elif record.comparisons:
        text += f"There is no evidence that the model has become worse than in the {record.split}"
        if comparison is not None and comparison.gain.high is not None:
            detectable = 100 * (comparison.gain.high - comparison.gain.value)
            text += f"; a drop of less than {detectable:.0f} points cannot be detected yet"
        text += ". "
    text += f"The mean probability of the predicted class is {100 * record.confidence:.1f} %"
    return text + (", above the accuracy: the model is overconfident." if record.overconfident else ".")


def _percent(value: Estimate) -> str:
    bounds = "" if value.low is None or value.high is None else f" [{100 * value.low:.1f}, {100 * value.high:.1f}]"
    return f"{100 * value.value:.1f} %{bounds}"
