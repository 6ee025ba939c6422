"""The market that a stream has seen, as tables that `ste.features.feature_rows` reads."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ste.features.bar_fields import MACRO_FIELDS
from ste.features.feature_rows import is_cross_sectional, needed_fields
from ste.features.news import NEWS_FIELDS
from ste.features.policy import POLICY_FIELDS
from ste.market.calendar import Periods
from ste.market.sources import RAW_CLOSE, Market
from ste.schema import MACRO_SERIES, FeatureSet
from ste.streaming.closed_events import BAR_COLUMNS, ClosedEvents
from ste.streaming.events import BarEvent, MacroEvent, NewsEvent, PolicyEvent
from ste.streaming.own_columns import OwnColumnEvents
from ste.streaming.pending_periods import OpenPeriod
from ste.streaming.sufficient_bars import first_bars

_FIELDS = {"news": NEWS_FIELDS, "macro": MACRO_FIELDS, "policy": POLICY_FIELDS}
_FRAME_COLUMNS = {"raw": RAW_CLOSE}


def needed_kinds(features: FeatureSet) -> frozenset[str]:
    """Return the kinds of events besides bars that a feature set reads."""
    fields = needed_fields(features)
    return frozenset(kind for kind, names in _FIELDS.items() if fields.intersection(names))


def market_of(
    closed: ClosedEvents,
    features: FeatureSet,
    periods: Periods,
    closes: Sequence[int],
    still_open: OpenPeriod | None = None,
    releases: Sequence[MacroEvent] = (),
    own_columns: OwnColumnEvents | None = None,
) -> Market:
    """Return what decides the rows at some closes.

    Args:
        closed: the events of closed periods.
        features: the set.
        periods: of the rows.
        closes: days, ascending.
        still_open: the period of the last close, if it has not ended.
        releases: macro figures of open periods.
        own_columns: the user's own.
    """
    until, kinds = closes[-1], needed_kinds(features)
    own = OpenPeriod() if still_open is None else still_open
    bars = _bars_by_ticker(closed, own, until)
    if not is_cross_sectional(features):
        bars = {name: each for name, each in bars.items() if each[0, -1] >= closes[0]}
    starts = first_bars(features, periods.frequency, [each[0] for each in bars.values()], closes[0])
    used = {name: each[:, a:] for (name, each), a in zip(bars.items(), starts, strict=True) if each.shape[1] > a}
    names = list(used)
    news = [event for each in own.news.values() for event in each.values() if event.day <= until]
    policy = [event for event in own.policy.values() if event.day <= until]
    return Market(
        bars=_bars_frame(used),
        news=_news_frame(closed, names, news, until) if "news" in kinds else None,
        macro=_macro_frame(closed, releases) if "macro" in kinds else None,
        policy=_policy_frame(closed, policy, until) if "policy" in kinds else None,
        calendar=periods.calendar,
        extra={} if own_columns is None else own_columns.tables(closed),
    )


def _bars_by_ticker(closed: ClosedEvents, still_open: OpenPeriod, until: int) -> dict[str, np.ndarray]:
    """Return each ticker's bars up to a day, float64 `[7, N]`, sorted by ticker."""
    bars = {}
    for name in sorted({*closed.bars, *still_open.bars}):
        own = closed.bars[name].values if name in closed.bars else np.empty((1 + len(BAR_COLUMNS), 0))
        own = own[:, : np.searchsorted(own[0], until, side="right")]
        new = sorted(bar_values(event) for day, event in still_open.bars.get(name, {}).items() if day <= until)
        if new:
            own = np.concatenate([own, np.array(new).T], axis=1)
        if own.shape[1]:
            bars[name] = own
    return bars


def bar_values(event: BarEvent) -> tuple[float, ...]:
    """Return the day of a bar, then `closed_events.BAR_COLUMNS`."""
    return tuple(event[1:])


def _bars_frame(bars: dict[str, np.ndarray]) -> pd.DataFrame:
    columns = np.concatenate([*bars.values()], axis=1) if bars else np.empty((1 + len(BAR_COLUMNS), 0))
    codes = np.repeat(np.arange(len(bars)), [each.shape[1] for each in bars.values()])
    values = {_FRAME_COLUMNS.get(name, name): column for name, column in zip(BAR_COLUMNS, columns[1:], strict=True)}
    tickers = pd.Categorical.from_codes(codes, categories=pd.Index(list(bars), dtype=object))
    return pd.DataFrame({"ticker": tickers, "date": _dates(columns[0]), **values}, copy=False)


def _news_frame(closed: ClosedEvents, names: list[str], still_open: Sequence[NewsEvent], until: int) -> pd.DataFrame:
    """Return the news of some tickers up to a day."""
    codes = np.full(len(closed.names) + 1, -1)  # the last one is that of a ticker without a closed event
    codes[[closed.names.get(name, -1) for name in names]] = np.arange(len(names))
    table, known = closed.tables["news"].values, {name: code for code, name in enumerate(names)}
    code = codes[table["ticker"]]
    used = (code >= 0) & (table["day"] <= until)
    new = [(known[event.ticker], *event[1:]) for event in still_open if event.ticker in known]
    columns = [code[used], *(table[name][used] for name in ("day", "count", "sentiment", "relevance"))]
    if new:
        columns = [np.append(column, values) for column, values in zip(columns, zip(*new, strict=True), strict=True)]
    tickers = pd.Categorical.from_codes(columns[0], categories=pd.Index(names, dtype=object))
    values = dict(zip(("count", "sentiment", "relevance"), columns[2:], strict=True))
    return pd.DataFrame({"ticker": tickers, "date": _dates(columns[1]), **values}, copy=False)


def _macro_frame(closed: ClosedEvents, releases: Sequence[MacroEvent]) -> pd.DataFrame:
    table, codes = closed.tables["macro"].values, np.full(len(closed.names) + 1, -1)
    codes[[closed.names.get(series, -1) for series in MACRO_SERIES]] = np.arange(len(MACRO_SERIES))
    numbers = {series: number for number, series in enumerate(MACRO_SERIES)}
    code = np.append(codes[table["series"]], [numbers[release.series] for release in releases]).astype(np.int64)
    return pd.DataFrame(
        {
            "series": pd.Categorical.from_codes(code, categories=pd.Index(list(MACRO_SERIES))),
            "release_date": _dates(np.append(table["day"], [release.day for release in releases])),
            "value": np.append(table["value"], [release.value for release in releases]),
        }
    )


def _policy_frame(closed: ClosedEvents, still_open: Sequence[PolicyEvent], until: int) -> pd.DataFrame:
    table = closed.tables["policy"].values
    table = table[table["day"] <= until]
    return pd.DataFrame(
        {
            "date": _dates(np.append(table["day"], [event.day for event in still_open])),
            "impact": np.append(table["impact"], [event.impact for event in still_open]),
        }
    )


def _dates(days: np.ndarray) -> np.ndarray:
    return days.astype(np.int64).astype("datetime64[D]").astype("datetime64[s]")
