"""Outcomes of predicted periods: returns, and classes by the thresholds of the model's labels."""

from pathlib import Path

import numpy as np
import pandas as pd

from ste.data.history_only import history_only_rows
from ste.errors import DataError
from ste.features.feature_rows import feature_rows
from ste.inference.class_cuts import known_edges, method_of
from ste.inference.model_card import ModelCard
from ste.labels.targets import fit_to_rows, labelled_returns, with_trends
from ste.labels.thresholds import directions
from ste.market.sources import Market
from ste.schema import CLASSES, DIRECTION, KEYS, RETURN, trend_count

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
    method, edges = method_of(card), known_edges(card)
    rows = labelled_returns(rows, method, market.bars, market.periods(card.frequency))
    if edges is not None:
        return _outcomes(rows, directions(rows[RETURN].to_numpy(), *edges), card)
    rows, without = with_trends(rows, method, fit_to_rows(method, rows))
    outcomes = _outcomes(rows, rows[DIRECTION].to_numpy(), card)
    return outcomes.assign(**{LABEL: np.where(without, -1, outcomes[LABEL])})


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
    edges = known_edges(card)
    needed = DIRECTION if edges is None else RETURN  # a table holds neither volatilities nor bars
    for name in (RETURN, needed):
        if name not in frame:
            raise DataError(f"{where}: no column {name}, so the outcomes are unknown. Give the bars: truth=bars.csv.")
    frame = frame[~history_only_rows(frame)]
    if edges is None:
        return _outcomes(frame, frame[DIRECTION].to_numpy(dtype=np.int64), card)
    return _outcomes(frame, directions(frame[RETURN].to_numpy(dtype=np.float64), *edges), card)


def _outcomes(rows: pd.DataFrame, trends: np.ndarray, card: ModelCard) -> pd.DataFrame:
    count = len(card.classes)
    index = np.full(trend_count(count), -1, dtype=np.int64)
    index[list(CLASSES[count])] = np.arange(count)
    keys, returns = rows[list(KEYS)].reset_index(drop=True), rows[RETURN].to_numpy(dtype=np.float64)
    return keys.assign(**{"return": returns, LABEL: index[np.asarray(trends, dtype=np.int64)]})
