"""Open the market files that the features of a served model need."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar

import pandas as pd

from ste.config import MarketSettings
from ste.config.extra_settings import ExtraSettings
from ste.config.read_options import ReadingSettings
from ste.data.bar_files.bar_frame import OnFaults
from ste.data.sources.market_files import read_market
from ste.errors import DataError
from ste.inference.model_card import ModelCard
from ste.market.calendar import TradingCalendar, calendar_of_days
from ste.market.sources import Market
from ste.schema import BARS

SOURCES = ("bars", "news", "macro", "policy")


class _CommandMarket(MarketSettings):
    """Market files of a command whose settings have no group."""

    section: ClassVar[str] = ""
    by_model: ClassVar[bool] = True


class _ReplayMarket(MarketSettings):
    """Market files of `python -m ste.live source=replay`."""

    section: ClassVar[str] = "replay"
    by_model: ClassVar[bool] = True


_SECTIONS: dict[str, type[MarketSettings]] = {one.section: one for one in (_CommandMarket, _ReplayMarket)}


def open_market(
    card: ModelCard, given: Mapping[str, Any], on_faults: OnFaults | None = None, section: str = ""
) -> Market:
    """Read daily bars, news, macro releases and policy events as the features of a model card need them.

    Args:
        card: of the model.
        given: settings of the command: the path of each of `SOURCES`, of which `bars` is required, and how to read
            them (`ReadingSettings`), and the user's own columns (`ExtraSettings`); what is missing is the default.
        on_faults: gets the bars with a fault, which are left out; None raises an error for them.
        section: of these settings, for messages.

    Raises:
        DataError: a file that cannot be used.
    """
    names = (*SOURCES, *(field.name for kind in (ReadingSettings, ExtraSettings) for field in fields(kind)))
    values: dict[str, Any] = {
        "source": "market",
        "calendar": BARS if card.periods.calendar.label == BARS else card.calendar,
        "frequency": card.frequency,
        "representation": "standard",  # the model has its own
        **{name: given[name] for name in names if name in given},
    }
    missing = [name for name in card.extra_files if name not in (given.get("extra") or {})]
    if missing:
        prefix = f"{section}." if section else ""
        raise DataError(
            f"bars: {card.name} reads columns of {', '.join(missing)}, the user's own. Expected "
            f"{prefix}extra.{missing[0]}=FILE."
        )
    lags = card.extra_lag | (given.get("extra_lag") or {})
    values["extra_lag"] = {name: lag for name, lag in lags.items() if name in (given.get("extra") or {})}
    market = read_market(_SECTIONS[section](**values), on_faults, card.feature_set)
    check_card_bars(card, market)
    return market


def bars_calendar(card: ModelCard, bars: pd.DataFrame) -> TradingCalendar:
    """Return the calendar of bars for a model; for one trained with `data.calendar=bars`, their days are its sessions.

    Args:
        card: of the model.
        bars: with `date`.
    """
    calendar = card.periods.calendar
    return calendar_of_days(bars["date"]) if calendar.label == BARS else calendar


def check_card_bars(card: ModelCard, market: Market) -> None:
    """Compare bars with those that a model was trained on: another spacing is refused, another adjustment is noted.

    Raises:
        DataError: the bars have another spacing.
    """
    if market.spacing != card.spacing:
        raise DataError(
            f"bars: are {market.spacing}, and {card.name} was trained on {card.spacing} bars: its indicators would "
            f"have other lengths. Give {card.spacing} bars."
        )
    adjusted = market.summary.adjustment.adjusted
    if card.adjusted and adjusted is False:
        market.summary.state(
            f"bars: no adjusted close, and {card.name} was trained on adjusted prices: a split or dividend looks like "
            "a move, unless these prices are adjusted already"
        )
    elif card.adjusted is False and adjusted:
        market.summary.state(
            f"bars: prices are adjusted, and {card.name} was trained on prices without an adjusted close"
        )
