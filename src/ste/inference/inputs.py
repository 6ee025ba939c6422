"""Assemble what a served model reads from tables and from daily sources, without torch.

The windows equal those of training. Shapes: N rows of a table, E windows, T periods in a window, F features.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ste.data.windows import count_consecutive, gather_windows
from ste.errors import DataError
from ste.features.feature_rows import feature_rows, look_back
from ste.inference.model_card import ModelCard
from ste.market.calendar import Periods
from ste.market.sources import Market
from ste.schema import KEYS


@dataclass(frozen=True)
class ModelInputs:
    """Windows (or rows, for a flat model) of a table, in the order of its rows.

    Attributes:
        features: float32 `[E, *card.shape]`, oldest period first.
        date: close of each window's last period, datetime64 `[E]`.
        ticker: object `[E]`.
        rows: position in the table of each window's last row, int64 `[E]`.
        period: index of each window's last period, int64 `[E]`: the same for all tickers of a date.
    """

    features: np.ndarray
    date: np.ndarray
    ticker: np.ndarray
    rows: np.ndarray
    period: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


def windows_of_rows(frame: pd.DataFrame, card: ModelCard, periods: Periods | None = None) -> ModelInputs:
    """Assemble every window of a table; none spans a missing period or two tickers.

    Args:
        frame: `date` (datetime64), `ticker` and the card's features, in any row order.
        card: of the model.
        periods: of the rows; None are the card's.

    Raises:
        DataError: a column that the model reads is missing.
    """
    missing = [name for name in (*KEYS, *card.features) if name not in frame]
    if missing:
        raise DataError(missing_columns(missing, card))
    date, ticker = frame["date"].to_numpy(), frame["ticker"].to_numpy(dtype=object)
    code = pd.factorize(ticker)[0]
    order = np.lexsort((date, code))
    period = (periods or card.periods).index(frame["date"])
    history = count_consecutive(code[order], period[order])
    ends = np.flatnonzero(history >= card.sequence_length)
    ends = ends[np.argsort(order[ends])]
    values = frame[list(card.features)].to_numpy(dtype=np.float32)[order]
    rows = order[ends]
    return ModelInputs(
        features=gather_windows(values, ends, card.sequence_length).reshape(len(ends), *card.shape),
        date=date[rows],
        ticker=ticker[rows],
        rows=rows,
        period=np.asarray(period)[rows],
    )


def rows_of_bars(market: Market, card: ModelCard, last: int | None = None) -> pd.DataFrame:
    """Compute the feature rows of every ticker and complete period, the newest included, whose label is not known yet.

    Args:
        market: daily sources; bars sorted by ticker and date.
        card: of the model.
        last: select the newest `last` rows of each ticker; None selects all.

    Returns:
        `date`, `ticker` and the card's features, sorted by ticker and date; indexed from 0. A ticker with fewer
        bars than the features look back on has no row.

    Raises:
        DataError: the model reads features that are not computed from bars.
    """
    if not card.feature_set.from_bars:
        raise DataError(
            f"bars: {card.name} reads features that are not computed from bars ({card.feature_set.name}). "
            "Give a table that has them."
        )
    if market.bars.empty:
        return pd.DataFrame({name: [] for name in (*KEYS, *card.features)})
    rows = feature_rows(market, card.frequency, card.feature_set)[[*KEYS, *card.features]]
    if last is not None:
        rows = rows.groupby("ticker", sort=False).tail(last)
    return rows.reset_index(drop=True)


def needed_bars(card: ModelCard) -> str:
    """Describe the bars of a ticker that a prediction needs, as the object of a sentence."""
    period = card.periods.word
    length = f"a complete {period}" if card.view == "flat" else f"{card.sequence_length} complete {period}s in a row"
    return f"{length} after the look-back of {card_look_back(card)} sessions"


def card_look_back(card: ModelCard) -> int:
    """Return how many bars of a ticker a row of the model needs; 0 where its features are not computed from bars."""
    bars = 1 if card.spacing == card.frequency else card.periods.bars
    return look_back(card.feature_set, bars) if card.feature_set.from_bars else 0


def missing_columns(missing: list[str], card: ModelCard) -> str:
    """Describe missing columns for an error message."""
    noun = "columns" if len(missing) > 1 else "column"
    return (
        f"missing {noun} {', '.join(missing)}. {card.name} reads {card.frequency} rows of the feature set "
        f"{card.feature_set.name}: date, ticker and {len(card.features)} features."
    )
