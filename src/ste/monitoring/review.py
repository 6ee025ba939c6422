"""From files to the page: what a model in use was given, what it said, what came of it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from ste.config import MonitorSettings
from ste.errors import DataError, RunError
from ste.inference.card_market import open_market
from ste.inference.inputs import ModelInputs, rows_of_bars, windows_of_rows
from ste.inference.model_card import ModelCard
from ste.inference.onnx_model import ServedModel
from ste.inference.reference import ReferenceDistributions
from ste.inference.watched_columns import SLOW_MACRO
from ste.market.daily import Market
from ste.monitoring.drift import Drift, drift_of
from ste.monitoring.input_counts import Monitor
from ste.monitoring.input_files import VERSION, is_bars, read_predictions, read_rows
from ste.monitoring.outcomes import outcomes_of_market, outcomes_of_table
from ste.monitoring.recommendation import Page, verdict_of
from ste.monitoring.scoring import record_of
from ste.schema import PERIOD, probability_names

STILL = 8
"""Periods over which one value is worth a note."""
_CHUNK = 8192  # examples that are predicted at once


def look(model: ServedModel, settings: MonitorSettings) -> Page:
    """Everything that can be said with the files given.

    Args:
        model: served one.
        settings: files.

    Raises:
        SteError: a file that cannot be used, a model without a reference, or nothing to look at.
    """
    card, notes = model.card, []  # type: tuple[ModelCard, list[str]]
    if settings.served is not None:
        return look_at_served(model, Path(settings.served))
    reference = ReferenceDistributions.from_dict(card.reference)
    market = None
    if settings.bars is not None:
        market = open_market(card, vars(settings))
        notes += market.notes
    rows = None
    if market is not None:
        rows = rows_of_bars(market, card)
    elif settings.features is not None:
        rows = read_rows(Path(settings.features), card.features)
    examples = None if rows is None else windows_of_rows(rows, card)
    if settings.predictions is not None:
        predictions = read_predictions(Path(settings.predictions), card, notes)
        _other_versions(predictions, model.version, notes)
    else:
        assert examples is not None
        predictions = predict(model, examples)
        notes.append("no file of predictions was given: the model predicted again")
    after = settings.since or f"{pd.Timestamp(card.trained_to) + pd.Timedelta(days=1):%Y-%m-%d}"
    early = predictions["date"] < pd.Timestamp(after)
    if early.any():
        notes.append(f"{early.sum():,} predictions before {after} left out" + " (training)" * (not settings.since))
    predictions = predictions[~early].reset_index(drop=True)
    if predictions.empty:
        raise DataError(
            f"predictions: none is of {after} or later. The model was trained to {card.trained_to}; what it says of "
            "earlier rows says nothing. Give later ones."
        )
    drift = drift_since(reference, card, predictions, examples, settings.periods, notes)
    record = None
    outcomes = _outcomes(settings, market, rows, card)
    if outcomes is not None:
        record = record_of(predictions, outcomes, card, reference.class_fractions)
        if record is None:
            notes.append("no outcome of these predictions is known yet")
    dates = predictions["date"]
    return Page(
        card=card,
        version=model.version,
        drift=drift,
        record=record,
        verdict=verdict_of(drift, record),
        since=f"{dates.min():%Y-%m-%d}",
        until=f"{dates.max():%Y-%m-%d}",
        notes=tuple(notes),
    )


def look_at_served(model: ServedModel, path: Path) -> Page:
    """The drift that a service has counted.

    Args:
        model: that it serves.
        path: of the counts that it keeps.

    Raises:
        SteError: no such counts, or another model's.
    """
    monitor = Monitor(model.card)
    if not path.is_file():
        raise DataError(f"served={path}: no such file. A service keeps its counts in monitor/ of its output folder.")
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DataError(f"served={path}: cannot be read ({error}). Expected counts that a service keeps.") from None
    if not monitor.resume(state):
        raise RunError(f"served={path}: counts of another model than run {model.card.run_id}. Give its model.")
    drift = monitor.report()
    first, last = monitor.dates or ("-", "-")
    notes = (f"{monitor.total:,} examples since the counts began",)
    return Page(model.card, model.version, drift, None, verdict_of(drift, None), first, last, notes)


def predict(model: ServedModel, examples: ModelInputs) -> pd.DataFrame:
    """What the model says of examples: `date`, `ticker`, a probability of each class; sorted by date and ticker."""
    x = examples.features
    parts = [model.probabilities(x[i : i + _CHUNK]) for i in range(0, len(x), _CHUNK)]
    chances = np.concatenate(parts) if parts else np.empty((0, len(model.card.classes)))
    names = probability_names(tuple(model.card.classes))
    frame = pd.DataFrame({"date": pd.to_datetime(examples.date), "ticker": examples.ticker})
    frame[list(names)] = chances.astype(np.float64)
    return frame.sort_values(["date", "ticker"], kind="stable", ignore_index=True)


def drift_since(
    reference: ReferenceDistributions,
    card: ModelCard,
    predictions: pd.DataFrame,
    examples: ModelInputs | None,
    periods: int,
    notes: list[str],
) -> Drift:
    """Drift over the latest periods; without examples of the predictions alone.

    Args:
        reference: of the card.
        card: of the model.
        predictions: rows with a date, a ticker and probabilities.
        examples: what they were made of, in any order, or None.
        periods: that count, the latest ones.
        notes: what was left out is appended.
    """
    names = list(probability_names(tuple(card.classes)))
    dates = np.sort(predictions["date"].unique())
    kept = predictions[predictions["date"] >= dates[-periods:][0]]
    features = np.empty((len(kept), 0), dtype=np.float32)
    if examples is None:
        reference = reference.predictions_only()
        notes.append("neither features= nor bars= was given: the features' drift is not known")
    else:
        at = pd.MultiIndex.from_arrays([pd.to_datetime(examples.date), examples.ticker])
        where = at.get_indexer(pd.MultiIndex.from_frame(kept[["date", "ticker"]]))
        if (where < 0).all():
            raise DataError("predictions: no row of the features has their dates and tickers. Expected the same weeks.")
        if (where < 0).any():
            notes.append(f"{(where < 0).sum():,} predictions without a row of features left out of the drift")
        kept, features = kept[where >= 0], examples.features[where[where >= 0]]
        if kept["date"].nunique() >= STILL:
            notes += [
                f"{name} has one value in all of them: is its source at work?" for name in still(reference, features)
            ]
    codes = reference.codes(features, kept[names].to_numpy())
    return drift_of(reference, reference.counts(codes), kept.groupby("date").size().to_numpy(), PERIOD[card.frequency])


def still(reference: ReferenceDistributions, features: np.ndarray) -> list[str]:
    """Features that have one value, and one that training seldom had: the index cannot tell them from a calm time.

    Args:
        reference: of the model.
        features: raw ones `[B, *shape]` of several periods.
    """
    last = features[:, -1] if features.ndim == 3 else features
    codes = reference.codes(features[:1], np.zeros((1, len(reference.classes))))[0]
    out = []
    for k, name in enumerate(reference.features):
        column = reference.columns[k]
        counts = [0, *column.counts, 0]
        share = counts[codes[k]] / max(sum(counts), 1)
        if np.ptp(last[:, k]) == 0.0 and not column.constant and share < 0.5 and name not in SLOW_MACRO:
            out.append(name)
    return out


def _outcomes(
    settings: MonitorSettings, market: Market | None, rows: pd.DataFrame | None, card: ModelCard
) -> pd.DataFrame | None:
    """What came, from the best source given."""
    if settings.truth is not None:
        path = Path(settings.truth)
        if is_bars(path):
            return outcomes_of_market(open_market(card, {"bars": str(path)}), card)
        return outcomes_of_table(read_rows(path, ()), card, path)
    if market is not None:
        return outcomes_of_market(market, card)
    known = rows is not None and ("stock_weekly_return" in rows or "stock_close" in rows)
    if rows is None or not known or (card.labels.get("method") == "volatility" and "stock_weekly_return" not in rows):
        return None
    return outcomes_of_table(rows, card, str(settings.features))


def _other_versions(predictions: pd.DataFrame, version: str, notes: list[str]) -> None:
    if VERSION not in predictions:
        return
    other = predictions[VERSION].astype(str) != version
    if other.any():
        seen = ", ".join(sorted(set(predictions.loc[other, VERSION].astype(str)))[:3])
        notes.append(f"{other.sum():,} predictions are of another version ({seen}) than the model given ({version})")
