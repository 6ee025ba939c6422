"""What the page shows, as plain values for JSON: the model, its record, its drift, and each ticker's past."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from ste.evaluation.bootstrap import binomial_interval
from ste.evaluation.scorecard import Estimate
from ste.inference.model_card import ModelCard
from ste.monitoring.drift import Drift
from ste.monitoring.market_history import History, Hits, hits
from ste.monitoring.outcomes import LABEL
from ste.monitoring.recommendation import verdict_of
from ste.monitoring.scoring import Record
from ste.schema import PERIOD, probability_names

MOVED = 8
"""Drifting columns that are shown."""
LEAST = 5
"""Independent examples below which a bin of the calibration curve says nothing and is left out."""


def about(card: ModelCard, version: str) -> dict[str, Any]:
    """The model itself, and the verdict of its run."""
    names = ("name", "run_id", "trained_from", "trained_to", "frequency", "horizon", "classes", "data_source", "view")
    return {
        **{name: getattr(card, name) for name in names},
        "version": version,
        "unit": PERIOD[card.frequency],
        "features": len(card.features),
        "sequence_length": card.sequence_length,
        "made_of": card.made_of,
        "cut": cut(card),
        "verdict": {"word": card.verdict.get("word", ""), "paragraph": card.verdict.get("paragraph", "")},
    }


def cut(card: ModelCard) -> str:
    """Where the classes part, in words."""
    labels, unit = card.labels, PERIOD[card.frequency]
    ahead = f"the next {unit}'s" if card.horizon == 1 else f"the next {card.horizon} {unit}s'"
    if labels.get("method") == "volatility":
        return f"{ahead} return beyond {labels.get('threshold', 0):g} times the ticker's own volatility"
    known = labels.get("cuts")
    if known is None and labels.get("method") != "balanced":
        above = float(labels.get("threshold", 0.01))
        known = [-above if labels.get("lower") is None else float(labels["lower"]), above]
    if known is None:
        return f"thirds of {ahead} return in training"
    return f"{ahead} return below {100 * known[0]:+.1f} % or above {100 * known[1]:+.1f} %"


def tested(card: ModelCard) -> dict[str, Any] | None:
    """Figures of the split that the verdict is of; None where the card has none."""
    split = next((name for name in ("test", "validation") if card.metrics.get(name, {}).get("figures")), None)
    if split is None:
        return None
    kept = card.metrics[split]
    company = {
        name: figures["accuracy"] for name, figures in kept.get("baselines", {}).items() if figures.get("accuracy")
    }
    return {
        "split": split,
        "examples": kept.get("examples"),
        "periods": kept.get("periods"),
        "accuracy": kept["figures"].get("accuracy"),
        "log_loss": kept["figures"].get("log_loss"),
        "company": company,
        "calibration": calibration(
            kept.get("reliability", []), Estimate(**kept["figures"]["accuracy"]), kept["examples"]
        ),
    }


def calibration(bins: list[dict[str, Any]], accuracy: Estimate, examples: int) -> list[dict[str, float]]:
    """Bins of a reliability curve with intervals.

    Examples of one period move together, so that n of them are worth fewer: as many fewer in each bin as the
    accuracy's own interval, which resamples periods, is wider than the binomial one (the design effect, Kish 1965).

    Args:
        bins: `confidence`, `accuracy`, `examples`.
        accuracy: of all examples, with its interval.
        examples: number.
    """
    worth = 1.0
    if accuracy.low is not None and accuracy.high is not None and examples:
        low, high = binomial_interval(accuracy.value * examples, examples)
        worth = min(1.0, ((high - low) / max(accuracy.high - accuracy.low, 1e-9)) ** 2)
    out = []
    for one in bins:
        n = one["examples"] * worth
        if n < LEAST:
            continue
        low, high = binomial_interval(one["accuracy"] * n, n)
        out.append({**one, "low": low, "high": high})
    return out


def record(found: Record) -> dict[str, Any]:
    """The score so far of all tickers."""
    card = found.card
    return {
        "examples": card.examples,
        "periods": card.periods,
        "pending": found.pending,
        "method": card.method,
        "told": found.told,
        "accuracy": asdict(card.figures["accuracy"]),
        "log_loss": asdict(card.figures["log_loss"]),
        "confidence": found.confidence,
        "company": {
            name: asdict(figures["accuracy"]) for name, figures in card.baselines.items() if "accuracy" in figures
        },
        "compared": [asdict(one) for one in found.compared],
        "calibration": calibration([asdict(one) for one in card.reliability], card.figures["accuracy"], card.examples),
    }


def drifted(drift: Drift, found: Record | None, of: str) -> dict[str, Any]:
    """What has moved, and what follows.

    Args:
        drift: of inputs and predictions.
        found: scores so far, or None.
        of: what was looked at, in words.
    """
    verdict = verdict_of(drift, found)
    kept = ("name", "kind", "psi", "p", "outside", "level", "watched")
    return {
        "of": of,
        "examples": drift.examples,
        "periods": drift.periods,
        "told": drift.told,
        "word": verdict.word,
        "paragraph": verdict.paragraph,
        "moved": [{name: getattr(one, name) for name in kept} for one in drift.moved[:MOVED]],
    }


def latest(history: History, card: ModelCard) -> list[dict[str, Any]]:
    """Each ticker with its newest prediction; None where it has none."""
    names = list(probability_names(tuple(card.classes)))
    said = history.bars.dropna(subset=names).groupby("ticker", sort=True).tail(1).set_index("ticker")
    out = []
    for ticker in history.bars["ticker"].unique():
        row = said.loc[ticker] if ticker in said.index else None
        newest = (
            None if row is None else {"date": f"{row['date']:%Y-%m-%d}", "p": _numbers(row[names].to_numpy(float), 4)}
        )
        out.append({"ticker": str(ticker), "newest": newest})
    return out


def ticker(history: History, name: str, card: ModelCard, shares: list[float] | None) -> dict[str, Any] | None:
    """A ticker's bars, predictions, outcomes and record; None where there is no such ticker.

    `seen` is the number of periods at the beginning that end no later than the training: they are shown and never
    counted.

    Args:
        history: of the market.
        name: of the ticker.
        card: of the model.
        shares: of the classes in training, or None.
    """
    rows = history.bars[history.bars["ticker"] == name]
    if rows.empty:
        return None
    names = list(probability_names(tuple(card.classes)))
    seen = int((rows["date"] <= pd.Timestamp(card.trained_to)).sum())
    counted = hits(rows.iloc[seen:].dropna(subset=names), card.classes, card.horizon, shares)
    return {
        "ticker": name,
        "dates": [f"{date:%Y-%m-%d}" for date in rows["date"]],
        "seen": seen,
        **{column: _numbers(rows[column].to_numpy(float), 4) for column in ("open", "high", "low", "close")},
        "p": [None if row[0] is None else row for row in _rows(rows[names].to_numpy(float), 4)],
        "return": _numbers(rows["return"].to_numpy(float), 5),
        "came": [None if np.isnan(value) else int(value) for value in rows[LABEL].to_numpy(float)],
        "record": None if counted is None else _hits(counted),
    }


def _hits(counted: Hits) -> dict[str, Any]:
    usual = counted.usual
    return {
        "right": counted.right,
        "examples": counted.examples,
        "share": asdict(counted.share),
        "usual": None if usual is None else {"class": usual[0], "right": usual[1]},
    }


def _rows(values: np.ndarray, digits: int) -> list[list[float | None]]:
    return [_numbers(row, digits) for row in values]


def _numbers(values: np.ndarray, digits: int) -> list[float | None]:
    """Rounded to so many decimals; None for what is not known."""
    return [None if np.isnan(value) else round(float(value), digits) for value in values]
