"""Open the market files that the features of a served model need."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ste.config import MarketSettings
from ste.data.sources.market_files import market_of_bars, read_market
from ste.errors import DataError
from ste.inference.model_card import ModelCard
from ste.market.bar_adjustment import adjusted_bars
from ste.market.calendar import Periods, TradingCalendar, calendar_of_days
from ste.market.read_summary import ReadSummary
from ste.market.sources import Market
from ste.schema import BARS

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
        "calendar": BARS if card.periods.calendar.label == BARS else card.calendar,
        "frequency": card.frequency,
        "features": card.feature_set,
        "representation": "stationary" if card.feature_set == "full" else "standard",
        **{name: files.get(name) for name in SOURCES},
    }
    settings = MarketSettings(**values)
    if bars is None:
        market = read_market(settings)
    else:
        notes: list[str] = []
        summary, calendar = ReadSummary(), bars_calendar(card, bars)
        adjusted = adjusted_bars(bars, notes, summary, files["bars"], Periods(card.frequency, calendar))
        market = market_of_bars(adjusted, settings, notes, calendar, summary.spacing)
    check_card_spacing(card, market)
    return market


def bars_calendar(card: ModelCard, bars: pd.DataFrame) -> TradingCalendar:
    """Return the calendar of bars for a model; for one trained with `data.calendar=bars`, their days are its sessions.

    Args:
        card: of the model.
        bars: with `date`.
    """
    calendar = card.periods.calendar
    return calendar_of_days(bars["date"]) if calendar.label == BARS else calendar


def check_card_spacing(card: ModelCard, market: Market) -> None:
    """Raise `DataError` where bars have another spacing than those that a model was trained on."""
    if market.spacing != card.spacing:
        raise DataError(
            f"bars: are {market.spacing}, and {card.name} was trained on {card.spacing} bars: its indicators would "
            f"have other lengths. Give {card.spacing} bars."
        )
