"""Review a deployed model: build the monitor report from its prediction log, inputs and outcomes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ste.config import MonitorSettings
from ste.data.windows import MAX_EXAMPLES
from ste.errors import DataError, RunError
from ste.inference.by_date import predict_in_batches
from ste.inference.card_market import open_market
from ste.inference.inputs import ModelInputs, rows_of_bars, windows_of_rows
from ste.inference.model_card import ModelCard
from ste.inference.onnx_model import ServedModel
from ste.inference.reference import ReferenceDistributions
from ste.inference.training_data import early_notes, training_rows
from ste.market.sources import Market
from ste.monitoring.drift import DriftReport, drift_report
from ste.monitoring.drift_monitor import DriftMonitor
from ste.monitoring.input_files import VERSION, is_table, read_predictions, read_rows
from ste.monitoring.monitor_report import MonitorReport
from ste.monitoring.outcomes import outcomes_of_market, outcomes_of_table
from ste.monitoring.recommendation import recommend
from ste.monitoring.track_record import join_outcomes, track_record
from ste.schema import PERIOD, RETURN, probability_names

MIN_CONSTANT_PERIODS = 8
"""Periods with a single value after which a feature gets a note."""
_CHUNK = 8192  # examples in one run of the model


def review(model: ServedModel, settings: MonitorSettings) -> MonitorReport:
    """Build the monitor report from the given files.

    Args:
        model: deployed model.
        settings: files and options.

    Raises:
        SteError: a file is invalid, the model has no reference distributions, or there are no predictions.
    """
    card = model.card
    notes: list[str] = []
    if settings.served is not None:
        return review_served(model, Path(settings.served))
    market = None
    if settings.bars is not None:
        market = open_market(card, vars(settings))
        notes += market.notes
    rows = None
    if market is not None:
        rows = rows_of_bars(market, card)
    elif settings.features is not None:
        rows = read_rows(Path(settings.features), card.features)
    examples = (
        None
        if rows is None
        else windows_of_rows(rows, card, None if market is None else market.periods(card.frequency))
    )
    if settings.predictions is not None:
        predictions = read_predictions(Path(settings.predictions), card, notes)
        _note_other_versions(predictions, model.version, notes)
    else:
        assert examples is not None
        predictions = predict(model, examples)
        notes.append("no file of predictions was given: the model predicted again")
    predictions = _out_of_sample(predictions, card, rows, settings.since, notes)
    drift = latest_drift(card, predictions, examples, settings.periods, notes)
    record = None
    outcomes = _outcomes(settings, market, rows, card, notes)
    if outcomes is not None:
        record = track_record(join_outcomes(predictions, outcomes), card)
        if record is None:
            notes.append("no outcome of these predictions is known yet")
    dates = predictions["date"]
    return MonitorReport(
        card=card,
        version=model.version,
        drift=drift,
        record=record,
        recommendation=recommend(drift, record),
        since=f"{dates.min():%Y-%m-%d}",
        until=f"{dates.max():%Y-%m-%d}",
        notes=tuple(notes),
    )


def review_served(model: ServedModel, path: Path) -> MonitorReport:
    """Build the monitor report from the drift counts of a service.

    Args:
        model: the model that it serves.
        path: file of the counts.

    Raises:
        SteError: the file does not exist, is invalid, or belongs to another model.
    """
    monitor = DriftMonitor(model.card)
    if not path.is_file():
        raise DataError(f"served={path}: no such file. A service saves its counts in monitor/ of its output folder.")
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DataError(f"served={path}: cannot be read ({error}). Expected the drift counts of a service.") from None
    if not monitor.resume(state):
        raise RunError(f"served={path}: counts of another model than run {model.card.run_id}. Give its model.")
    drift = monitor.report()
    first, last = monitor.dates or ("-", "-")
    notes = (f"{monitor.total:,} examples since the counts started",)
    return MonitorReport(model.card, model.version, drift, None, recommend(drift, None), first, last, notes)


def predict(model: ServedModel, examples: ModelInputs) -> pd.DataFrame:
    """Predict examples: `date`, `ticker` and a probability of each class, sorted by date and ticker."""
    size = MAX_EXAMPLES if model.card.sees_market else _CHUNK
    probs = predict_in_batches(model, examples.period, lambda rows: examples.features[rows], size)
    names = probability_names(tuple(model.card.classes))
    frame = pd.DataFrame({"date": pd.to_datetime(examples.date), "ticker": examples.ticker})
    frame[list(names)] = probs.astype(np.float64)
    return frame.sort_values(["date", "ticker"], kind="stable", ignore_index=True)


def latest_drift(
    card: ModelCard,
    predictions: pd.DataFrame,
    examples: ModelInputs | None,
    periods: int,
    notes: list[str],
) -> DriftReport:
    """Compute the drift over the latest periods; without examples, of the predictions only.

    Args:
        card: card of the model.
        predictions: `date`, `ticker` and probabilities.
        examples: inputs of the predictions, in any order, or None.
        periods: number of latest periods.
        notes: list to which notes on omitted rows are appended.
    """
    reference = ReferenceDistributions.from_dict(card.reference)
    names = list(probability_names(tuple(card.classes)))
    dates = np.sort(predictions["date"].unique())
    latest = predictions[predictions["date"] >= dates[-periods:][0]]
    features = np.empty((len(latest), 0), dtype=np.float32)
    if examples is None:
        reference = reference.predictions_only()
        notes.append("neither features= nor bars= was given: the drift of the features is unknown")
    else:
        keys = pd.MultiIndex.from_arrays([pd.to_datetime(examples.date), examples.ticker])
        index = keys.get_indexer(pd.MultiIndex.from_frame(latest[["date", "ticker"]]))
        if (index < 0).all():
            raise DataError("predictions: no row of the features has their dates and tickers. Expected the same weeks.")
        if (index < 0).any():
            notes.append(f"{(index < 0).sum():,} predictions without a row of features left out of the drift")
        latest, features = latest[index >= 0], examples.features[index[index >= 0]]
        if latest["date"].nunique() >= MIN_CONSTANT_PERIODS:
            notes += [
                f"{name} has a single value in all of them: check its source"
                for name in suspect_constants(reference, features)
            ]
    codes = reference.codes(features, latest[names].to_numpy())
    rows = latest.groupby("date").size().to_numpy()
    return drift_report(reference, reference.counts(codes), rows, PERIOD[card.frequency])


def suspect_constants(reference: ReferenceDistributions, features: np.ndarray) -> list[str]:
    """List features with a single value that was rare in training, which the PSI cannot distinguish from a calm market.

    Args:
        reference: reference distributions of the model.
        features: raw features `[B, *shape]` of several periods.
    """
    last = features[:, -1] if features.ndim == 3 else features
    codes = reference.codes(features[:1], np.zeros((1, len(reference.classes))))[0]
    out = []
    for k, name in enumerate(reference.features):
        column, is_slow = reference.columns[k], reference.forms.normalizations[k] == "window_change"
        counts = [0, *column.counts, 0]
        fraction = counts[codes[k]] / max(sum(counts), 1)
        if np.ptp(last[:, k]) == 0.0 and not column.constant and fraction < 0.5 and not is_slow:
            out.append(name)
    return out


def _out_of_sample(
    predictions: pd.DataFrame, card: ModelCard, rows: pd.DataFrame | None, since: str | None, notes: list[str]
) -> pd.DataFrame:
    """Leave out the predictions of training rows and those before the setting `since`."""
    early = training_rows(card, predictions, rows)
    reason = f"up to {card.trained_to} left out (training)"
    if since is not None:
        early, reason = (predictions["date"] < pd.Timestamp(since)).to_numpy(), f"before {since} left out"
    if early.any():
        notes.append(f"{early.sum():,} predictions {reason}")
    if early.all():
        first = since or f"{pd.Timestamp(card.trained_to) + pd.Timedelta(days=1):%Y-%m-%d}"
        raise DataError(
            f"predictions: found none of {first} or later. The model was trained to {card.trained_to}, and predictions "
            "of training rows are no evidence. Give later ones."
        )
    out = predictions[~early].reset_index(drop=True)
    notes += early_notes(card, out)
    return out


def _outcomes(
    settings: MonitorSettings, market: Market | None, rows: pd.DataFrame | None, card: ModelCard, notes: list[str]
) -> pd.DataFrame | None:
    """Compute the outcomes from the best source given, and note how it was read; None without any."""
    if settings.truth is not None:
        if is_table(settings.truth, settings.read_options()):
            path = Path(settings.truth).expanduser()
            return outcomes_of_table(read_rows(path, ()), card, path)
        sides: dict[str, Any] = {**dict.fromkeys(("news", "macro", "policy")), "extra": {}, "extra_lag": {}}
        later = open_market(card, {**vars(settings), **sides, "bars": settings.truth})
        # What stands in for the other files plays no part in outcomes.
        notes += [f"truth: {note}" for note in later.notes if note not in later.summary.assumptions]
        return outcomes_of_market(later, card)
    if market is not None:
        return outcomes_of_market(market, card)
    if rows is None or RETURN not in rows:
        return None
    return outcomes_of_table(rows, card, str(settings.features))


def _note_other_versions(predictions: pd.DataFrame, version: str, notes: list[str]) -> None:
    if VERSION not in predictions:
        return
    other = predictions[VERSION].astype(str) != version
    if other.any():
        versions = ", ".join(sorted(set(predictions.loc[other, VERSION].astype(str)))[:3])
        notes.append(
            f"{other.sum():,} predictions come from another version ({versions}) than the model given ({version})"
        )
