"""Compute labelled rows from daily sources: for a table in memory, or for one block of a table in parts."""

import numpy as np
import pandas as pd

from ste.config import DataSettings, SyntheticSettings
from ste.data.sources.daily_sources import daily_sources
from ste.data.splits import assign_splits, usable_rows
from ste.errors import DataError
from ste.features.feature_rows import feature_rows
from ste.labels.targets import Terciles, future_returns, label, return_terciles, thresholds
from ste.market.sources import Market
from ste.schema import FEATURE_SETS, KEYS, PERIOD, PROBABILITIES, RETURN, ROW_VOLATILITY, table_columns
from ste.synthetic import return_model


def build_table(
    settings: DataSettings,
) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame | None, Market]:
    """Build a labelled table in memory.

    Args:
        settings: of a synthetic market or of market files.

    Returns:
        The table sorted by date and ticker; its splits, int8 `[N]` (`splits.assign_splits`); class probabilities by
        date and ticker where `has_class_probabilities`, else None; and the daily sources.

    Raises:
        DataError: no labelled row, an empty split, or no training row left by the purge.
    """
    market = daily_sources(settings)
    builder = RowBuilder(settings)
    rows = builder.build(market)
    builder.check()
    rows = rows.sort_values(["date", "ticker"], kind="stable").reset_index(drop=True)
    split = assign_splits(rows["date"], settings.split, settings.periods)
    purge = settings.split.purged_periods(settings.labels.horizon)
    training = (split == 0) & usable_rows(rows["date"], split, purge, settings.periods)
    if not training.any():
        raise DataError("data.split: no training row is left after the purge. Give the table more rows.")
    balanced = settings.labels.method == "balanced"
    table, truth = label_rows(rows, return_terciles(rows[RETURN].to_numpy(), training) if balanced else None, settings)
    return table, split, truth, market


class RowBuilder:
    """Computes rows with features and returns from one or more blocks of sources.

    Args:
        settings: of the table.
    """

    def __init__(self, settings: DataSettings) -> None:
        self.settings = settings
        self.start, self.end = (getattr(settings, name, None) for name in ("start", "end"))
        self._rows, self._has_features = 0, False
        self._bar_dates: list[pd.Timestamp] = []

    def build(self, market: Market) -> pd.DataFrame:
        """Compute the rows of a block of tickers between the table's start and end, sorted by ticker and date.

        Where `has_class_probabilities`, `mu` and `sigma` of the return model are among the columns.
        """
        settings = self.settings
        self._bar_dates += [market.bars["date"].min(), market.bars["date"].max()]
        rows = feature_rows(market, settings.frequency, settings.features)
        if rows.empty:
            return rows
        self._has_features = True
        if isinstance(settings, SyntheticSettings) and has_class_probabilities(settings):
            rows["mu"], rows["sigma"] = return_model.table_moments(rows, settings.signal)
        rows = future_returns(rows, settings.labels.horizon)
        inside = np.ones(len(rows), dtype=bool)
        if self.start is not None:
            inside &= rows["date"] >= pd.Timestamp(self.start)
        if self.end is not None:
            inside &= rows["date"] <= pd.Timestamp(self.end)
        rows = rows if inside.all() else rows[inside]
        self._rows += len(rows)
        return rows

    def check(self) -> None:
        """Raise `DataError` where no block gave a row."""
        if not self._has_features:
            lookback = FEATURE_SETS[self.settings.features].lookback
            raise DataError(
                f"data: no ticker has the {lookback} sessions of bars that a row looks back on. Give longer bars."
            )
        if not self._rows:
            raise DataError(
                f"data: no labelled {PERIOD[self.settings.frequency]} between data.start={self.start} and "
                f"data.end={self.end}. "
                f"The sources reach from {min(self._bar_dates):%Y-%m-%d} to {max(self._bar_dates):%Y-%m-%d}."
            )


def has_class_probabilities(settings: DataSettings) -> bool:
    """Return whether the class probabilities are known: in a weekly synthetic market with a horizon of one."""
    weekly = (settings.frequency, settings.labels.horizon, settings.features) == ("weekly", 1, "full")
    return isinstance(settings, SyntheticSettings) and weekly


def label_rows(
    rows: pd.DataFrame, terciles: Terciles | None, settings: DataSettings
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Return the table's own columns of rows, and their class probabilities where they are known.

    Args:
        rows: of `RowBuilder.build`.
        terciles: of the training rows' returns, with balanced labels.
        settings: of the table.
    """
    low, high = thresholds(rows[ROW_VOLATILITY].to_numpy(), settings.labels, terciles)
    truth = None
    if has_class_probabilities(settings):
        probabilities = return_model.probabilities(rows["mu"].to_numpy(), rows["sigma"].to_numpy(), low, high)
        truth = rows[list(KEYS)].assign(**dict(zip(PROBABILITIES, probabilities.T, strict=True)))
    return label(rows, low, high)[list(table_columns(settings.features))], truth
