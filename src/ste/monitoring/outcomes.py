"""Outcomes of predicted periods: returns, and classes by the thresholds of the model's labels."""

from pathlib import Path

import numpy as np
import pandas as pd

from ste.data.history_only import history_only_rows
from ste.errors import DataError
from ste.features.feature_rows import feature_rows
from ste.inference.class_cuts import trends_of_returns
from ste.inference.model_card import ModelCard
from ste.labels.targets import future_returns
from ste.market.sources import Market
from ste.schema import CLASSES, DIRECTION, KEYS, RETURN, ROW_VOLATILITY, Trend

LABEL = "label"


def outcomes_of_market(market: Market, card: ModelCard) -> pd.DataFrame:
    """Compute the outcomes of every period that the bars cover.

    Args:
        market: daily data.
        card: card of the model.

    Returns:
        `date`, `ticker`, `return`, `label`: the index into `card.classes`, -1 for a row between the thresholds of a
        model with two classes.
    """
    rows = feature_rows(market, card.frequency, card.feature_set)
    ahead = future_returns(rows, card.horizon)
    volatility = ahead[ROW_VOLATILITY].to_numpy(dtype=np.float64)
    returns = ahead[RETURN].to_numpy()
    return _outcomes(ahead, returns, trends_of_returns(returns, volatility, card), card)


def outcomes_of_table(frame: pd.DataFrame, card: ModelCard, where: Path | str) -> pd.DataFrame:
    """Compute the outcomes of a weekly table from its targets.

    Args:
        frame: table of the card's feature set; rows that are history only have no outcome.
        card: card of the model.
        where: name of the file, for messages.

    Returns:
        Columns as in `outcomes_of_market`.

    Raises:
        DataError: the table has no targets.
    """
    needed = DIRECTION if card.labels.get("method") == "volatility" else RETURN  # a table does not have the volatility
    for name in (RETURN, needed):
        if name not in frame:
            raise DataError(f"{where}: no column {name}, so the outcomes are unknown. Give the bars: truth=bars.csv.")
    frame = frame[~history_only_rows(frame)]
    returns = frame[RETURN].to_numpy(dtype=np.float64)
    if needed == DIRECTION:
        return _outcomes(frame, returns, frame[DIRECTION].to_numpy(dtype=np.int64), card)
    return _outcomes(frame, returns, trends_of_returns(returns, np.ones(len(frame)), card), card)


def _outcomes(rows: pd.DataFrame, returns: np.ndarray, trends: np.ndarray, card: ModelCard) -> pd.DataFrame:
    index = np.full(len(Trend), -1, dtype=np.int64)
    index[list(CLASSES[len(card.classes)])] = np.arange(len(card.classes))
    keys = rows[list(KEYS)].reset_index(drop=True)
    return keys.assign(**{"return": returns, LABEL: index[np.asarray(trends, dtype=np.int64)]})
