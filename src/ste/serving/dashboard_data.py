"""The dashboard's content as plain values for JSON: model, track record, drift, and each ticker's history."""

from dataclasses import asdict
from typing import Any

import numpy as np

from ste.evaluation.bootstrap import binomial_interval
from ste.evaluation.scorecard import Estimate
from ste.inference.class_cuts import CUTS, method_of
from ste.inference.model_card import ModelCard
from ste.inference.training_data import synthetic_warning, trained_on_synthetic
from ste.monitoring.drift import DriftReport
from ste.monitoring.market_history import HitRate, MarketHistory, hit_rate
from ste.monitoring.outcomes import LABEL
from ste.monitoring.recommendation import recommend
from ste.monitoring.track_record import TrackRecord
from ste.registry import LABELS
from ste.schema import PERIOD, probability_names

MAX_DRIFT_COLUMNS = 8
"""Number of drift columns in the content."""
MIN_EFFECTIVE_EXAMPLES = 5
"""Independent examples that a bin of the calibration curve needs to be included."""


def model_json(card: ModelCard, version: str) -> dict[str, Any]:
    """Return the model and the verdict of its run."""
    names = ("name", "run_id", "trained_from", "trained_to", "frequency", "horizon", "classes", "data_source", "view")
    return {
        **{name: getattr(card, name) for name in names},
        "version": version,
        "unit": PERIOD[card.frequency],
        "per_year": card.periods.per_year,
        "features": len(card.features),
        "sequence_length": card.sequence_length,
        "made_of": card.made_of,
        "thresholds": thresholds_text(card),
        "verdict": card.verdict_parts(),
        "synthetic": trained_on_synthetic(card),
        "warning": synthetic_warning(card),
        "tickers": card.tickers,
        "calendar": card.periods.calendar.label,
        "adjustment": card.adjustment,
    }


def thresholds_text(card: ModelCard) -> str:
    """Describe the classes: the returns between them, or in words what decides them."""
    labels, unit = card.labels, PERIOD[card.frequency]
    ahead = f"the next {unit}'s" if card.horizon == 1 else f"the next {card.horizon} {unit}s'"
    name, cuts = labels.get("method", "fixed"), labels.get(CUTS)
    if cuts is None and name == "volatility":
        return f"{ahead} return beyond {labels.get('threshold', 0):g} times the ticker's own volatility"
    if cuts is None and name in LABELS:
        cuts = method_of(card).fixed_edges()
    if cuts is None:
        meaning = getattr(LABELS.get(name), "meaning", "") if name in LABELS else ""
        return (meaning or f"the label {name} of {{ahead}} prices").format(ahead=ahead)
    middle = len(cuts) // 2
    strong = f", strong below {100 * cuts[0]:+.1f} % or above {100 * cuts[-1]:+.1f} %" if middle > 1 else ""
    return f"{ahead} return below {100 * cuts[middle - 1]:+.1f} % or above {100 * cuts[middle]:+.1f} %{strong}"


def tested_json(card: ModelCard) -> dict[str, Any] | None:
    """Return the metrics of the split that the verdict is about; None if the card has none."""
    split = next((name for name in ("test", "validation") if card.metrics.get(name, {}).get("figures")), None)
    if split is None:
        return None
    stored = card.metrics[split]
    baselines = {
        name: metrics["accuracy"] for name, metrics in stored.get("baselines", {}).items() if metrics.get("accuracy")
    }
    accuracy = Estimate(**stored["figures"]["accuracy"])
    return {
        "split": split,
        "examples": stored["examples"],
        "periods": stored["periods"],
        "accuracy": stored["figures"]["accuracy"],
        "log_loss": stored["figures"].get("log_loss"),
        "baselines": baselines,
        "calibration": calibration(stored["reliability"], accuracy, stored["examples"]),
    }


def calibration(bins: list[dict[str, Any]], accuracy: Estimate, examples: int) -> list[dict[str, float]]:
    """Add intervals to the bins of a reliability curve.

    Examples of one period are dependent. The effective number of examples is smaller by the design effect (Kish 1965):
    the squared ratio of the accuracy's interval, which resamples periods, to its binomial interval.

    Args:
        bins: bins with `confidence`, `accuracy` and `examples`.
        accuracy: accuracy of all examples, with its interval.
        examples: number of examples.
    """
    effective = 1.0
    if accuracy.low is not None and accuracy.high is not None and examples:
        low, high = binomial_interval(accuracy.value * examples, examples)
        effective = min(1.0, ((high - low) / max(accuracy.high - accuracy.low, 1e-9)) ** 2)
    out = []
    for one in bins:
        n = one["examples"] * effective
        if n < MIN_EFFECTIVE_EXAMPLES:
            continue
        low, high = binomial_interval(one["accuracy"] * n, n)
        out.append({**one, "low": low, "high": high})
    return out


def record_json(record: TrackRecord) -> dict[str, Any]:
    """Return the track record of all tickers."""
    card = record.card
    return {
        "examples": card.examples,
        "periods": card.periods,
        "pending": record.pending,
        "method": card.method,
        "summary": record.summary,
        "accuracy": asdict(card.figures["accuracy"]),
        "log_loss": asdict(card.figures["log_loss"]),
        "confidence": record.confidence,
        "baselines": {
            name: asdict(metrics["accuracy"]) for name, metrics in card.baselines.items() if "accuracy" in metrics
        },
        "comparisons": [asdict(one) for one in record.comparisons],
        "calibration": calibration([asdict(one) for one in card.reliability], card.figures["accuracy"], card.examples),
    }


def drift_json(drift: DriftReport, record: TrackRecord | None, source: str) -> dict[str, Any]:
    """Return the drift and the recommendation.

    Args:
        drift: drift of inputs and predictions.
        record: track record, or None.
        source: description of the examples.
    """
    recommendation = recommend(drift, record)
    names = ("name", "kind", "psi", "p", "outside", "level", "watched_as")
    return {
        "source": source,
        "examples": drift.examples,
        "periods": drift.periods,
        "summary": drift.summary,
        "action": recommendation.action,
        "reason": recommendation.reason,
        "columns": [{name: getattr(one, name) for name in names} for one in drift.columns[:MAX_DRIFT_COLUMNS]],
    }


def latest_predictions(history: MarketHistory, card: ModelCard) -> list[dict[str, Any]]:
    """Return each ticker with its latest prediction, None if it has none."""
    names = list(probability_names(tuple(card.classes)))
    predicted = history.bars.dropna(subset=names).groupby("ticker", sort=True).tail(1).set_index("ticker")
    out = []
    for ticker in history.bars["ticker"].unique():
        latest = None
        if ticker in predicted.index:
            row = predicted.loc[ticker]
            latest = {"date": f"{row['date']:%Y-%m-%d}", "p": _numbers(row[names].to_numpy(float), 4)}
        out.append({"ticker": str(ticker), "latest": latest})
    return out


def ticker_json(history: MarketHistory, name: str, card: ModelCard) -> dict[str, Any] | None:
    """Return bars, predictions, outcomes and record of a ticker; None if it does not exist.

    The first `training_periods` periods belong to the model's training: they are shown and never counted.

    Args:
        history: market history.
        name: ticker symbol.
        card: card of the model.
    """
    rows = history.bars[history.bars["ticker"] == name]
    if rows.empty:
        return None
    names = list(probability_names(tuple(card.classes)))
    training = int(rows["training"].sum())
    hits = hit_rate(rows.iloc[training:].dropna(subset=names), card)
    probs = [_numbers(row, 4) for row in rows[names].to_numpy(float)]
    return {
        "ticker": name,
        "dates": [f"{date:%Y-%m-%d}" for date in rows["date"]],
        "training_periods": training,
        **{column: _numbers(rows[column].to_numpy(float), 4) for column in ("open", "high", "low", "close")},
        "p": [None if row[0] is None else row for row in probs],
        "return": _numbers(rows["return"].to_numpy(float), 5),
        "outcome": [None if np.isnan(value) else int(value) for value in rows[LABEL].to_numpy(float)],
        "record": None if hits is None else _hit_rate_json(hits),
    }


def _hit_rate_json(hits: HitRate) -> dict[str, Any]:
    majority = hits.majority
    return {
        "correct": hits.correct,
        "examples": hits.examples,
        "accuracy": asdict(hits.accuracy),
        "majority": None if majority is None else {"class": majority[0], "correct": majority[1]},
    }


def _numbers(values: np.ndarray, digits: int) -> list[float | None]:
    """Round to a number of decimals; NaN becomes None."""
    return [None if np.isnan(value) else round(float(value), digits) for value in values]
