"""Open the market files that the features of a served model need."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ste.config import MarketSettings
from ste.data.sources.market_files import market_of_bars, read_market
from ste.inference.model_card import ModelCard
from ste.market.bar_adjustment import adjusted_bars
from ste.market.sources import Market

SOURCES = ("bars", "news", "macro", "policy")


def open_market(card: ModelCard, files: Mapping[str, str | None], bars: pd.DataFrame | None = None) -> Market:
    """Read daily bars, news, macro releases and policy events as the features of a model card need them.

    Args:
        card: of the model.
        files: path of each of `SOURCES`; `bars` is required, the others may be None or missing.
        bars: checked bars of that file, where they were read already; default: they are read here.

    Raises:
        DataError: a file that cannot be used.
    """
    values: dict[str, Any] = {
        "source": "market",
        "frequency": card.frequency,
        "features": card.feature_set,
        "representation": "stationary" if card.feature_set == "full" else "standard",
        **{name: files.get(name) for name in SOURCES},
    }
    settings = MarketSettings(**values)
    if bars is None:
        return read_market(settings)
    notes: list[str] = []
    return market_of_bars(adjusted_bars(bars, notes), settings, notes)
