"""What a served model was trained on: synthetic or real data, and which rows of a market belong to its training.

Shapes: N rows of a table.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ste.features.bar_fields import BAR_FIELDS
from ste.features.feature_rows import needed_fields
from ste.inference.model_card import ModelCard
from ste.schema import KEYS, SYNTHETIC_SOURCES, FeatureSet

SAMPLE_ROWS = 32
"""Training rows in a model card that a market is compared with."""
SAMPLE_COLUMNS = 11
_TOLERANCE = 1e-3
"""Relative and absolute difference of equal values; features of bars with rounded prices differ by less."""


def trained_on_synthetic(card: ModelCard) -> bool:
    """Whether the model was trained on a market that the project generated."""
    if card.synthetic is not None:
        return card.synthetic
    return card.data_source in SYNTHETIC_SOURCES


def synthetic_warning(card: ModelCard) -> str:
    """Return the sentence to print wherever a model of a synthetic market is applied; empty for other models."""
    if not trained_on_synthetic(card):
        return ""
    return "This model was trained on a synthetic market: its predictions say nothing about real stocks."


def training_sample(rows: pd.DataFrame, features: FeatureSet) -> dict[str, Any]:
    """Return the values of some training rows for a model card, as plain values.

    Args:
        rows: about `SAMPLE_ROWS` training rows: `date` (datetime64), `ticker` and features.
        features: the set; at most `SAMPLE_COLUMNS` are selected, those of the bars first.

    Returns:
        `columns` and `rows`: date, ticker and the values of the columns.
    """
    of_bars = [
        one.name for one in features.columns if needed_fields(replace(features, columns=(one,))) <= {*BAR_FIELDS}
    ]
    columns = [*of_bars, *(name for name in features.names if name not in of_bars)][:SAMPLE_COLUMNS]
    values = rows[columns].to_numpy(dtype=np.float64)
    keys = zip(rows["date"], rows["ticker"], strict=True)
    return {
        "columns": columns,
        "rows": [
            [f"{date:%Y-%m-%d}", str(ticker), *(float(f"{value:.6g}") for value in row)]
            for (date, ticker), row in zip(keys, values, strict=True)
        ],
    }


def is_same_data(card: ModelCard, rows: pd.DataFrame) -> bool:
    """Whether rows are those that the model was trained on: at least half of the sampled rows among them are equal.

    Args:
        card: of the model; one without sampled rows gives True.
        rows: `date` (datetime64), `ticker` and the card's features.
    """
    if not card.training_sample:
        return True
    columns = card.training_sample["columns"]
    sample = pd.DataFrame(card.training_sample["rows"], columns=[*KEYS, *columns])
    sample["date"] = pd.to_datetime(sample["date"]).astype(rows["date"].dtype)
    both = sample.merge(rows[[*KEYS, *columns]], on=list(KEYS), suffixes=("", "_given"))
    if both.empty:
        return False
    given = both[[f"{name}_given" for name in columns]].to_numpy(dtype=np.float64)
    equal = np.isclose(given, both[columns].to_numpy(dtype=np.float64), rtol=_TOLERANCE, atol=_TOLERANCE)
    return bool(equal.all(axis=1).mean() >= 0.5)


def training_rows(card: ModelCard, keys: pd.DataFrame, rows: pd.DataFrame | None) -> np.ndarray:
    """Mark the rows that belong to the training period of the model, bool `[N]`; they are no evidence of its skill.

    They are the rows of the tickers that it was trained on, up to the end of its training. Rows of another market
    than the synthetic one that it was trained on are none, although its tickers may have the same names.

    Args:
        card: of the model.
        keys: `date` (datetime64) and `ticker`, N of them.
        rows: feature rows of the market of `keys`, to compare with the training data; None if they are unknown, which
            is taken for the same data.
    """
    if trained_on_synthetic(card) and rows is not None and not is_same_data(card, rows):
        return np.zeros(len(keys), dtype=bool)
    seen = (keys["date"] <= pd.Timestamp(card.trained_to)).to_numpy()
    return seen if card.tickers is None else seen & keys["ticker"].isin(card.tickers).to_numpy()


def early_notes(card: ModelCard, keys: pd.DataFrame) -> list[str]:
    """Describe rows that are no training rows and yet not later than the training, which saw other tickers then.

    Args:
        card: of the model.
        keys: `date` (datetime64) and `ticker` of the rows that are counted.
    """
    if card.tickers is None or trained_on_synthetic(card):
        return []
    early = (keys["date"] <= pd.Timestamp(card.trained_to)) & ~keys["ticker"].isin(card.tickers)
    if not early.any():
        return []
    return [
        f"{early.sum():,} predictions up to {card.trained_to} are of tickers that the model was not trained on; it was "
        "trained on other tickers in those periods, whose prices move together with theirs"
    ]
