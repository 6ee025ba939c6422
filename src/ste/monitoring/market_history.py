"""Predictions and outcomes of every past period of a market."""

from dataclasses import dataclass
from math import ceil

import numpy as np
import pandas as pd

from ste.errors import DataError
from ste.evaluation.bootstrap import binomial_interval
from ste.evaluation.scorecard import Estimate
from ste.inference.inputs import needed_bars, rows_of_bars, windows_of_rows
from ste.inference.model_card import ModelCard
from ste.inference.onnx_model import ServedModel
from ste.inference.training_data import early_notes, training_rows
from ste.market.calendar import Periods
from ste.market.sources import Market
from ste.monitoring.drift import DriftReport, count_of
from ste.monitoring.drift_monitor import WINDOW
from ste.monitoring.outcomes import LABEL, outcomes_of_market
from ste.monitoring.review import latest_drift, predict
from ste.monitoring.track_record import TrackRecord, join_outcomes, track_record
from ste.schema import probability_names


@dataclass(frozen=True)
class MarketHistory:
    """Past periods of a market.

    Attributes:
        bars: one bar per ticker and period, sorted: `ticker`, `date` (last session), `open`, `high`, `low`, `close`
            (adjusted, dollars), the model's probabilities, `return` and `label`, NaN where unknown; and `training`,
            whether the row belongs to the model's training (`training_data.training_rows`).
        record: out-of-sample scores of all tickers; None without outcomes.
        drift: drift of the latest out-of-sample periods; None without any.
        notes: notes on the files.
    """

    bars: pd.DataFrame
    record: TrackRecord | None
    drift: DriftReport | None
    notes: tuple[str, ...]


def market_history(model: ServedModel, market: Market) -> MarketHistory:
    """Predict every period of a market.

    Raises:
        DataError: no ticker has bars enough for a prediction.
    """
    card, notes = model.card, list(market.notes)
    rows = rows_of_bars(market, card)
    examples = windows_of_rows(rows, card, market.periods(card.frequency))
    if not len(examples):
        sessions = market.bars.groupby("ticker").size()
        found = "no ticker"
        if len(sessions):
            found = f"{count_of(len(sessions), 'ticker')}, the longest with {count_of(sessions.max(), 'session')}"
        raise DataError(f"bars: found {found}. A prediction needs {needed_bars(card)}. Give longer bars.")
    predictions = join_outcomes(predict(model, examples), outcomes_of_market(market, card))
    since = predictions[~training_rows(card, predictions, rows)].reset_index(drop=True)
    notes += early_notes(card, since)
    record, drift = None, None
    if len(since):
        record = track_record(since, card)
        if card.reference:
            drift = latest_drift(card, since, examples, WINDOW, notes)
    bars = bars_of_periods(market.bars, market.periods(card.frequency)).merge(
        predictions, on=["ticker", "date"], how="left"
    )
    bars["training"] = training_rows(card, bars, rows)
    return MarketHistory(bars, record, drift, tuple(notes))


def bars_of_periods(bars: pd.DataFrame, periods: Periods) -> pd.DataFrame:
    """Aggregate daily bars to one bar per ticker and period, dated by its last session."""
    period_index = periods.index(bars["date"])
    grouped = bars.assign(period_index=period_index).groupby(["ticker", "period_index"], sort=True)
    columns = {"date": "last", "open": "first", "high": "max", "low": "min", "close": "last"}
    return grouped.agg(columns).reset_index().drop(columns="period_index")


@dataclass(frozen=True)
class HitRate:
    """Accuracy of a ticker's out-of-sample predictions.

    Attributes:
        correct, examples: number of correct predictions and of all.
        accuracy: their ratio with its exact binomial interval.
        majority: most frequent class of training, and how many predictions of it alone would have been correct.
    """

    correct: int
    examples: int
    accuracy: Estimate
    majority: tuple[str, int] | None


def hit_rate(rows: pd.DataFrame, card: ModelCard) -> HitRate | None:
    """Compute the accuracy of one ticker; None without outcomes.

    Labels over several periods overlap, so only every `horizon`-th prediction counts as a trial of the interval.

    Args:
        rows: out-of-sample rows of one ticker, with probabilities and `label`.
        card: card of the model.
    """
    known = rows[rows[LABEL] >= 0]
    if known.empty:
        return None
    labels = known[LABEL].to_numpy(dtype=np.int64)
    predicted = known[list(probability_names(tuple(card.classes)))].to_numpy().argmax(axis=1)
    correct, n = int((predicted == labels).sum()), len(labels)
    trials = correct / card.horizon
    low, high = binomial_interval(trials, max(n / card.horizon, ceil(trials)))
    majority = None
    if card.class_fractions is not None:
        index = int(np.argmax(card.class_fractions))
        majority = card.classes[index], int((labels == index).sum())
    return HitRate(correct, n, Estimate(correct / n, low, high), majority)
