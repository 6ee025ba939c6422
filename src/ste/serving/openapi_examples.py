"""Valid example requests of the deployed model, for the documentation."""

from typing import Any

import numpy as np
import pandas as pd

from ste.features.bar_fields import BAR_FIELDS
from ste.features.feature_rows import needed_fields
from ste.inference.inputs import card_look_back
from ste.inference.model_card import ModelCard
from ste.market.calendar import Periods
from ste.serving.request_features import feature_limits

_TYPICAL = {
    "stock_open": 188.2, "stock_high": 193.9, "stock_low": 186.4, "stock_close": 192.1, "stock_volume": 2.4e8,
    "stock_sma_20": 189.5, "stock_sma_50": 185.3, "stock_rsi": 56.0, "stock_macd": 1.3, "stock_bb_upper": 196.0,
    "stock_bb_lower": 183.0, "news_sentiment": 0.1, "news_count": 12.0, "news_relevance": 0.6,
    "macro_gdp_growth": 2.1, "macro_inflation": 2.6, "macro_unemployment": 4.1, "macro_interest_rate": 4.75,
    "macro_vix": 15.0, "policy_event_count": 0.0, "policy_impact_score": 0.0,
}  # fmt: skip
_LAST = pd.Timestamp("2024-11-29")
"""A Friday, last session of its week and month in New York."""
_SPAN = {"daily": 1, "weekly": 7, "monthly": 31}
"""Days between bars, by their spacing."""


def rows(card: ModelCard, count: int) -> list[dict[str, float]]:
    """Make consecutive rows of a ticker, oldest first."""
    out = []
    for i in range(count):
        row = {}
        for name, limit in zip(card.features, feature_limits(card), strict=True):
            value = _TYPICAL.get(name, 0.0 if limit.low < 0.0 else min(1.0, limit.high))
            value *= 1.0 + 0.01 * i if name.startswith("stock_") else 1.0
            row[name] = round(min(max(value, limit.low), limit.high), 6)
        out.append(row)
    return out


def predict(card: ModelCard) -> dict[str, dict[str, Any]]:
    """Make examples of `POST /v1/predict` by name."""
    length = 1 if card.view == "flat" else card.sequence_length
    one = rows(card, length)
    arrays = [[*row.values()] for row in one]
    if card.view == "flat":
        return {
            "one row by name": {"value": {"rows": one}},
            "two rows as arrays": {"value": {"rows": [arrays[0], arrays[0]]}},
        }
    longer = rows(card, length + 2)
    return {
        "one window as arrays": {"value": {"windows": [arrays]}},
        "one window by name": {"value": {"windows": [one]}},
        f"the three newest {card.periods.word}s of a ticker": {"value": {"rows": [[*row.values()] for row in longer]}},
    }


def bars(lookback: int, length: int, periods: Periods, spacing: str = "daily") -> list[dict[str, Any]]:
    """Make bars of one ticker, just long enough for one example."""
    last = periods.last_sessions(np.array([_LAST.to_datetime64()]))[0]
    days = periods.calendar.sessions(last - pd.Timedelta(days=_SPAN[spacing] * 2 * (lookback + 31 * length)), last)
    if spacing != "daily":
        days = periods.ends(days)
    first = days.get_indexer(periods.ends(days)[-length:])[0]
    days = days[first - lookback + 1 :]
    i = np.arange(len(days))
    close = (100.0 + 8.0 * np.sin(i / 9.0) + 0.05 * i).round(2).tolist()
    return [
        {
            "ticker": "AAA",
            "date": f"{day:%Y-%m-%d}",
            "open": round(value * 0.998, 2),
            "high": round(value * 1.009, 2),
            "low": round(value * 0.99, 2),
            "close": value,
            "volume": 1e6 + 1000.0 * (i % 7),
        }
        for i, (day, value) in enumerate(zip(days, close, strict=True))
    ]


def predict_bars(card: ModelCard) -> dict[str, dict[str, Any]]:
    """Make an example of `POST /v1/predict/bars` by name."""
    length = 1 if card.view == "flat" else card.sequence_length
    daily = bars(card_look_back(card), length, card.periods, card.spacing)
    value: dict[str, Any] = {"bars": daily}
    if not needed_fields(card.feature_set) <= {*BAR_FIELDS}:
        last = daily[-1]["date"]
        value["news"] = [{"ticker": "AAA", "date": last, "count": 3.0, "sentiment": 0.2, "relevance": 0.7}]
        value["macro"] = [{"series": "vix", "release_date": last, "value": 14.1}]
        value["policy"] = [{"date": last, "impact": 1.0}]
    return {"one ticker": {"value": value}}
