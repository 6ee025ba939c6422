"""Check the features of a table while it is built: refuse those that know the future, or say so in the data card."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import pandas as pd

from ste.config import DataSettings
from ste.config.progress import step
from ste.errors import DataError
from ste.features.bar_fields import own_fields
from ste.features.cut_off_plan import MAX_TICKERS, TickerSample
from ste.features.early_columns import EarlyColumn, early_columns
from ste.features.feature_check import CheckedFeatures, FeatureFault, check_features
from ste.features.feature_rows import expressions, needed_fields
from ste.market.sources import Market
from ste.schema import FeatureSet

_LISTED = 8  # faults of a message


class FeatureChecks:
    """The checks of a table's features, over one or more blocks of tickers.

    Args:
        settings: of the table; `audit` decides what follows from a fault.
    """

    def __init__(self, settings: DataSettings) -> None:
        self._settings = settings
        self._sampled = TickerSample()
        self._parts: list[CheckedFeatures] = []
        self._early: list[EarlyColumn] = []
        self._tickers = 0

    def add(self, market: Market, rows: pd.DataFrame) -> None:
        """Check the rows of a block of complete tickers.

        Args:
            market: daily sources.
            rows: that `feature_rows` computed from them.

        Raises:
            DataError: a feature knows the future, with `audit=refuse`.
        """
        settings = self._settings
        if settings.audit == "off" or rows.empty:
            return
        features = settings.feature_set
        # A table in parts has many blocks; only the first one is announced.
        with nullcontext() if self._tickers else step("checking that the features use the past alone"):
            self._tickers += rows["ticker"].nunique()
            self._parts.append(check_features(market, settings.frequency, features, rows, self._sampled))
            names = sorted(name for name in needed_fields(features) if "." in name)
            self._early += early_columns(market, own_fields(market, names))
        if settings.audit == "refuse" and (texts := self._faults()):
            raise DataError(_refusal(settings, texts))

    @property
    def checked(self) -> CheckedFeatures:
        """What was checked in all blocks."""
        return CheckedFeatures.combine(self._parts)

    def _faults(self) -> list[str]:
        """Return a sentence for each feature at fault, which names it first."""
        features = self._settings.feature_set
        first: dict[str, FeatureFault] = {}
        for fault in self.checked.faults:
            first.setdefault(fault.feature, fault)
        early = {one.name: one for one in reversed(self._early)}
        return [_sentence(fault, features) for fault in first.values()] + [
            _early_sentence(one, features) for one in early.values()
        ]

    def notes(self) -> list[str]:
        """Return the lines for the read summary: each fault, and what was not checked."""
        out = [f"warning: features: {text}" for text in self._faults()]
        checked = len(self.checked.tickers)
        if self._parts and checked < self._tickers:
            out.append(
                f"features: {checked:,} of {self._tickers:,} tickers were checked for look-ahead "
                f"(all of the first {MAX_TICKERS}, one in ten of the others, those without a row on the dates left out)"
            )
        return out

    def entry(self) -> dict[str, Any]:
        """Return the data card's entry."""
        if self._settings.audit == "off":
            return {"look_ahead": {"ran": False, "faults": []}}
        checked = self.checked
        return {
            "look_ahead": {
                "ran": True,
                "features": len(self._settings.feature_set.names),
                "values": checked.values,
                "dates": [f"{date:%Y-%m-%d}" for date in checked.dates],
                "tickers": len(checked.tickers),
                "faults": self._faults(),
            }
        }


def _refusal(settings: DataSettings, texts: Sequence[str]) -> str:
    more = [f"and {len(texts) - _LISTED} more"] if len(texts) > _LISTED else []
    listed = "\n  ".join([*texts[:_LISTED], *more])
    count = f"{len(texts)} feature{'s' * (len(texts) > 1)}"
    return (
        f"features={settings.feature_set.name}: {count} cannot be trusted:\n  {listed}\nExpected the same value with "
        "and without the data of later days: a feature may use the past alone. Correct the features, or build the "
        "table with a warning: audit=warn"
    )


def _sentence(fault: FeatureFault, features: FeatureSet) -> str:
    [column] = [one for one in features.columns if one.name == fault.feature]
    where = f"{fault.feature} ({column.expr}) of {fault.ticker} on {fault.date:%Y-%m-%d}"
    whole, part = _number(fault.complete), _number(fault.part)
    if fault.kind == "unstable":
        return f"{where} is {whole}, and {part} when the same data is computed again: its function keeps a state"
    if fault.kind == "past":
        [expression] = expressions(FeatureSet("", (column,)))
        names = " or ".join(sorted(expression.functions))
        return (
            f"{where} is {whole} with all earlier bars and {part} with those of its look-back alone: a prediction from "
            f"fewer bars would differ. Declare a longer look-back of {names}"
        )
    return f"{where} is {whole} with all data and {part} with data to {fault.last:%Y-%m-%d} alone: it uses the future"


def _early_sentence(one: EarlyColumn, features: FeatureSet) -> str:
    readers = [column.name for column in features.columns if one.name in needed_fields(FeatureSet("", (column,)))]
    file = one.name.split(".")[0]
    of = f" of {one.ticker}" if one.ticker else ""
    return (
        f"{', '.join(readers)}: ${one.name}{of} has a rank correlation of {one.now:+.2f} with the {one.what} of the "
        f"next session and of {one.after:+.2f} with that of the session after: data.extra.{file} seems to be dated a "
        f"day early. Check its known_at, or data.extra_lag.{file}=1"
    )


def _number(value: float) -> str:
    return f"{value:.6g}" if np.isfinite(value) else "missing"
