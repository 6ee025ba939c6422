"""What came of the predicted periods: returns, and classes cut as the model's labels were."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ste.errors import DataError, RunError
from ste.features.feature_rows import CLOSE, NUMBER, VOLATILITY, feature_rows
from ste.inference.model_card import ModelCard
from ste.labels.targets import directions, future_returns
from ste.market.calendar import periods
from ste.market.daily import Market
from ste.schema import CLASSES, DIRECTION, KEYS, RETURN, Trend

LABEL = "label"
CUTS = "cuts"
"""Key of a card's `labels`: the returns `[low, high]` between the classes, where the settings do not say them: with
the method `balanced`, and of ready tables."""


def cuts_of(returns: np.ndarray, trends: np.ndarray) -> list[float] | None:
    """Returns between the classes, as labelled rows show them; None where no two returns part them.

    Args:
        returns: `[N]`.
        trends: `Trend` of each row `[N]`.
    """
    out = []
    for below, above in ((Trend.DOWNTREND, Trend.NEUTRAL), (Trend.NEUTRAL, Trend.UPTREND)):
        low, high = returns[trends <= below], returns[trends >= above]
        if not len(low) or not len(high) or low.max() > high.min():
            return None
        out.append(float((low.max() + high.min()) / 2))
    return out


def outcomes_of_market(market: Market, card: ModelCard) -> pd.DataFrame:
    """Outcomes of every period whose future the bars show: `date`, `ticker`, `return`, `label`.

    `label` is the index into `card.classes`, -1 for a row between the thresholds of a model of two classes.

    Args:
        market: daily sources.
        card: of the model.
    """
    rows = feature_rows(market, card.frequency, card.feature_set)
    ahead = future_returns(rows, card.horizon)
    volatility = ahead[VOLATILITY].to_numpy(dtype=np.float64)
    return _outcomes(ahead, ahead[RETURN].to_numpy(), _cut(ahead[RETURN].to_numpy(), volatility, card), card)


def outcomes_of_table(frame: pd.DataFrame, card: ModelCard, where: Path | str) -> pd.DataFrame:
    """The same from a weekly table: by its own targets, or by the later closes of a table without any.

    Args:
        frame: a table of the card's feature set.
        card: of the model.
        where: the file, to name in an error.

    Raises:
        DataError: neither targets nor closes, or closes alone where labels need the volatility too.
    """
    if RETURN in frame:
        returns = frame[RETURN].to_numpy(dtype=np.float64)
        if card.labels.get("method") == "volatility":  # a table does not keep the volatility, but the class
            if DIRECTION not in frame:
                raise DataError(f"{where}: has no column {DIRECTION}. Give the bars instead: truth=bars.csv.")
            return _outcomes(frame, returns, frame[DIRECTION].to_numpy(dtype=np.int64), card)
        return _outcomes(frame, returns, _cut(returns, np.ones(len(frame)), card), card)
    if "stock_close" not in frame or card.labels.get("method") == "volatility":
        raise DataError(f"{where}: no column {RETURN}, so what came is not known. Give the bars: truth=bars.csv.")
    rows = frame.sort_values(["ticker", "date"], kind="stable").reset_index(drop=True)
    rows[NUMBER], rows[CLOSE] = periods(rows["date"], card.frequency), rows["stock_close"]
    if not len(rows):
        return _outcomes(rows, np.empty(0), np.empty(0, dtype=np.int64), card)
    ahead = future_returns(rows, card.horizon)
    returns = ahead[RETURN].to_numpy(dtype=np.float64)
    return _outcomes(ahead, returns, _cut(returns, np.ones(len(ahead)), card), card)


def _cut(returns: np.ndarray, volatility: np.ndarray, card: ModelCard) -> np.ndarray:
    """Trend of each return, int64 `[N]`, by the card's thresholds."""
    labels: dict[str, Any] = card.labels
    known = labels.get(CUTS)
    if known is not None:
        low, high = (np.full(len(returns), float(value)) for value in known)
        return directions(returns, low, high)
    if labels.get("method") == "balanced":
        raise RunError(
            f"model of run {card.run_id}: its labels are the training rows' terciles, and its card does not say "
            "them. Export it again (python -m ste.export)."
        )
    above = float(labels.get("threshold", 0.01))
    below = -above if labels.get("lower") is None else float(labels["lower"])
    scale = volatility if labels.get("method") == "volatility" else np.ones(len(returns))
    return directions(returns, below * scale, above * scale)


def _outcomes(rows: pd.DataFrame, returns: np.ndarray, trends: np.ndarray, card: ModelCard) -> pd.DataFrame:
    index = np.full(len(Trend), -1, dtype=np.int64)
    index[list(CLASSES[len(card.classes)])] = np.arange(len(card.classes))
    kept = rows[list(KEYS)].reset_index(drop=True)
    return kept.assign(**{"return": returns, LABEL: index[np.asarray(trends, dtype=np.int64)]})
