"""Baselines of predictions whose training is unknown, fitted to outcomes that were known before."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from ste.judging.outcomes_by_row import Outcomes, values_at

MIN_HISTORY = 26
"""Periods before the first prediction that baselines are fitted to at least."""

_BLOCKS = 8  # of the predicted periods, each with its own fit
_MAX_ROWS = 100_000  # of a fit, evenly spaced
_SMOOTHING = 1.0  # rows added to each class, so that none has probability 0


@dataclass(frozen=True, eq=False)
class References:
    """Baselines of N predictions.

    Attributes:
        probs: `[N, C]` of each, by name.
        notes: how each was fitted, and why one is missing.
    """

    probs: dict[str, np.ndarray]
    notes: list[str]


def reference_models(
    outcomes: Outcomes,
    ticker: pd.Series,
    period: np.ndarray,
    labels: np.ndarray,
    *,
    classes: int,
    horizon: int,
    word: str,
) -> References:
    """Fit the baselines that the outcomes allow.

    An outcome counts only for periods at or after its end. The predicted periods are cut into blocks; each block has
    fits on all outcomes that ended before it. Without earlier outcomes the majority is that of the scored rows
    themselves, which no model can know: no constant prediction beats it.

    Args:
        outcomes: of the same periods and, with bars, of earlier ones.
        ticker: of the predictions `[N]`.
        period: of the predictions `[N]`.
        labels: of the predictions `[N]`.
        classes: number of classes, C.
        horizon: periods that an outcome looks ahead.
        word: of a period.
    """
    known = outcomes.frame["label"].to_numpy() >= 0
    earlier = np.unique(outcomes.frame["period"].to_numpy()[known]) + horizon <= period.min()
    probs, notes = {}, []
    if earlier.sum() >= MIN_HISTORY:
        probs["majority"] = _by_block(outcomes, period, horizon, classes)
        notes.append(
            f"majority: class frequencies of {earlier.sum():,} earlier {word}s of {outcomes.source} and those that "
            "ended since"
        )
    else:
        counts = np.bincount(labels, minlength=classes)
        probs["majority"] = np.tile(counts / counts.sum(), (len(labels), 1))
        notes.append("majority: class frequencies of the scored rows, known only in hindsight, which favours it")
    at = values_at(outcomes.frame, ticker, period - horizon)
    last = np.where(at < 0, -1, outcomes.frame["label"].to_numpy()[at])
    there = last >= 0
    probs["persistence"] = np.eye(classes)[np.where(there, last, probs["majority"].argmax(axis=1))]
    missing = f", the majority's where there is none ({(~there).sum():,} rows)" if not there.all() else ""
    notes.append(f"persistence: the ticker's class {horizon} {word}{'s' * (horizon > 1)} before{missing}")
    if outcomes.volatility is None:
        notes.append("volatility: not computed, it needs returns=bars.csv")
    elif earlier.sum() < MIN_HISTORY:
        notes.append(
            f"volatility: not computed, the bars have outcomes of {earlier.sum():,} earlier {word}s; it needs "
            f"{MIN_HISTORY}"
        )
    else:
        rows = values_at(outcomes.frame, ticker, period)
        probs["volatility"] = _volatility(outcomes, rows, period, horizon, probs["majority"])
        notes.append(f"volatility: logistic regression on trailing ranges, fitted {_BLOCKS} times to earlier outcomes")
    return References(probs, notes)


def _blocks(period: np.ndarray) -> list[tuple[int, int]]:
    """Return first and last period (exclusive) of blocks with the same number of periods."""
    every = np.unique(period)
    edges = [int(each[0]) for each in np.array_split(every, min(_BLOCKS, len(every)))]
    return list(pairwise([*edges, int(every[-1]) + 1]))


def _by_block(outcomes: Outcomes, period: np.ndarray, horizon: int, classes: int) -> np.ndarray:
    """Return the class frequencies of earlier outcomes for each row, `[N, C]`."""
    frame = outcomes.frame
    label, ended = frame["label"].to_numpy(), frame["period"].to_numpy() + horizon
    out = np.empty((len(period), classes))
    for first, end in _blocks(period):
        counts = np.bincount(label[(ended <= first) & (label >= 0)], minlength=classes) + _SMOOTHING
        out[(period >= first) & (period < end)] = counts / counts.sum()
    return out


def _volatility(
    outcomes: Outcomes, rows: np.ndarray, period: np.ndarray, horizon: int, majority: np.ndarray
) -> np.ndarray:
    """Return the probabilities of a multinomial logistic regression on trailing volatilities, `[N, C]`.

    It is the baseline `ste.baselines.linear.Volatility` without its net-sized wrapping, which needs torch.
    """
    from sklearn.linear_model import LogisticRegression  # takes a second to import
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x = outcomes.volatility
    assert x is not None
    frame = outcomes.frame
    label, ended = frame["label"].to_numpy(), frame["period"].to_numpy() + horizon
    usable = (label >= 0) & np.isfinite(x).all(axis=1)
    out = majority.copy()
    for first, end in _blocks(period):
        own = np.flatnonzero((period >= first) & (period < end) & (rows >= 0))
        own = own[np.isfinite(x[rows[own]]).all(axis=1)]
        train = np.flatnonzero(usable & (ended <= first))
        train = train[:: -(-len(train) // _MAX_ROWS)]
        if not len(own) or len(np.unique(label[train])) < 2:
            continue
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(x[train], label[train])
        found = np.zeros((len(own), majority.shape[1]))
        found[:, model.classes_] = model.predict_proba(x[rows[own]])
        out[own] = found
    return out
