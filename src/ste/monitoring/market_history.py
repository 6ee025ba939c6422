"""Every past period of a market as a model saw it: what it was given, what it said, what came."""

from dataclasses import dataclass
from math import ceil

import numpy as np
import pandas as pd

from ste.evaluation.bootstrap import binomial_interval
from ste.evaluation.scorecard import Estimate
from ste.inference.inputs import rows_of_bars, windows_of_rows
from ste.inference.onnx_model import ServedModel
from ste.inference.reference import ReferenceDistributions
from ste.market.calendar import periods
from ste.market.daily import Market
from ste.monitoring.drift import Drift
from ste.monitoring.outcomes import LABEL, outcomes_of_market
from ste.monitoring.review import drift_since, predict
from ste.monitoring.scoring import Record, joined, record_of
from ste.schema import probability_names


@dataclass(frozen=True)
class History:
    """A market's past periods.

    Attributes:
        bars: `ticker`, `date` (last session), `open`, `high`, `low`, `close` (adjusted, dollars) of each ticker and
            period, sorted; with the model's probabilities, `return` and `label` where they are known, else NaN.
        record: of all tickers since training, or None where nothing has come since.
        drift: of the latest periods since training, or None.
        notes: on the files.
    """

    bars: pd.DataFrame
    record: Record | None
    drift: Drift | None
    notes: tuple[str, ...]


def history(model: ServedModel, market: Market, drift_periods: int = 26) -> History:
    """Predict every period that the market's bars allow.

    Args:
        model: served one.
        market: daily sources.
        drift_periods: the latest ones that drift is measured over.
    """
    card, notes = model.card, list(market.notes)
    examples = windows_of_rows(rows_of_bars(market, card), card)
    said = joined(predict(model, examples), outcomes_of_market(market, card))
    since = said[said["date"] > pd.Timestamp(card.trained_to)].reset_index(drop=True)
    record, drift = None, None
    if len(since):
        reference = ReferenceDistributions.from_dict(card.reference) if card.reference else None
        known = since.drop(columns=["return", LABEL])
        record = record_of(
            known,
            since[["date", "ticker", "return", LABEL]].dropna(),
            card,
            reference.class_fractions if reference else None,
        )
        if reference is not None:
            drift = drift_since(reference, card, known, examples, drift_periods, notes)
    bars = bars_of_periods(market.bars, card.frequency).merge(said, on=["ticker", "date"], how="left")
    return History(bars, record, drift, tuple(notes))


def bars_of_periods(bars: pd.DataFrame, frequency: str) -> pd.DataFrame:
    """Daily bars as one bar for each ticker and period, dated by its last session."""
    number = periods(bars["date"], frequency)
    grouped = bars.assign(number=number).groupby(["ticker", "number"], sort=True)
    columns = {"date": "last", "open": "first", "high": "max", "low": "min", "close": "last"}
    return grouped.agg(columns).reset_index().drop(columns="number")


@dataclass(frozen=True)
class Hits:
    """How often a ticker's predictions came true.

    Attributes:
        right, examples: counts since training; `share` with its exact binomial interval.
        usual: name of the class that training saw most, and how often saying it every time would have been right.
    """

    right: int
    examples: int
    share: Estimate
    usual: tuple[str, int] | None


def hits(rows: pd.DataFrame, classes: list[str], horizon: int, shares: list[float] | None) -> Hits | None:
    """A ticker's record; None where nothing has come.

    Where labels look ahead over several periods, neighbours overlap: only every `horizon`-th counts as a trial.

    Args:
        rows: of one ticker since training, with probabilities and `label`.
        classes: of the model.
        horizon: periods that a label looks ahead.
        shares: of the classes in training, or None.
    """
    known = rows[rows[LABEL] >= 0]
    if known.empty:
        return None
    labels = known[LABEL].to_numpy(dtype=np.int64)
    said = known[list(probability_names(tuple(classes)))].to_numpy().argmax(axis=1)
    right, n = int((said == labels).sum()), len(labels)
    low, high = binomial_interval(right / horizon, max(n / horizon, ceil(right / horizon)))
    usual = None
    if shares is not None:
        most = int(np.argmax(shares))
        usual = classes[most], int((labels == most).sum())
    return Hits(right, n, Estimate(right / n, low, high), usual)
