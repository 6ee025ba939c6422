"""Compute labelled rows from daily sources: for a table in memory, or for one block of a table in parts."""

import numpy as np
import pandas as pd

from ste.config import DataSettings, RealMarketSettings, SyntheticSettings
from ste.config.feature_sets import DEFAULT, load_feature_set
from ste.data.build.feature_checks import FeatureChecks
from ste.data.build.market_rows import MarketRows
from ste.data.build.split_summary import check_training
from ste.data.history_only import history_only_rows, with_history_only
from ste.data.sources.daily_sources import daily_sources
from ste.data.splits import assign_splits, usable_rows
from ste.errors import DataError
from ste.features.feature_rows import feature_rows, look_back
from ste.labels.targets import Terciles, future_returns, label, return_terciles, thresholds
from ste.market.sources import Market
from ste.schema import HISTORY_ONLY, KEYS, PERIOD, PROBABILITIES, RETURN, ROW_VOLATILITY, table_columns
from ste.synthetic import return_model


def build_table(
    settings: DataSettings,
    checks: FeatureChecks | None = None,
) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame | None, Market]:
    """Build a labelled table in memory.

    Args:
        settings: of a synthetic market or of market files.
        checks: of the features; None checks none.

    Returns:
        The table sorted by date and ticker; its splits, int8 `[N]` (`splits.assign_splits`); class probabilities by
        date and ticker where `has_class_probabilities`, else None; and the daily sources.

    Raises:
        DataError: no labelled row, an empty split, no training row left by the purge, or features that `checks`
            refuses.
    """
    market = daily_sources(settings)
    builder = RowBuilder(settings, market.bars["date"].max(), checks)
    rows = builder.build(market)
    builder.check()
    market.summary.of_rows += builder.notes()
    rows = rows.sort_values(["date", "ticker"], kind="stable").reset_index(drop=True)
    split = assign_splits(rows["date"], settings.split, settings.periods)
    purge = settings.split.purged_periods(settings.labels.horizon)
    training = (split == 0) & usable_rows(rows["date"], split, purge, settings.periods)
    history_only = history_only_rows(rows)
    check_training(int((training & ~history_only).sum()), int((training & history_only).sum()))
    training &= ~history_only
    balanced = settings.labels.method == "balanced"
    table, truth = label_rows(rows, return_terciles(rows[RETURN].to_numpy(), training) if balanced else None, settings)
    return table, split, truth, market


class RowBuilder:
    """Computes rows with features and returns from one or more blocks of sources.

    Args:
        settings: of the table.
        last_bar: date of the latest bar of all blocks; needed with `data.delisting_return` only.
        checks: of the features of each block; None checks none.
    """

    def __init__(
        self, settings: DataSettings, last_bar: pd.Timestamp | None = None, checks: FeatureChecks | None = None
    ) -> None:
        self.settings = settings
        self._checks = checks
        self._market = MarketRows(settings, last_bar) if isinstance(settings, RealMarketSettings) else None
        self.start, self.end = (getattr(settings, name, None) for name in ("start", "end"))
        self._rows, self._has_features = 0, False
        self._bars_per_period = 1
        self._bar_dates: list[pd.Timestamp] = []

    def build(self, market: Market) -> pd.DataFrame:
        """Compute the rows of a block of tickers between the table's start and end, sorted by ticker and date.

        Where `has_class_probabilities`, `mu` and `sigma` of the return model are among the columns; the last column is
        `schema.HISTORY_ONLY` where a row needs it.
        """
        settings = self.settings
        self._bars_per_period = market.bars_per_period(settings.frequency)
        self._bar_dates += [market.bars["date"].min(), market.bars["date"].max()]
        rows = feature_rows(market, settings.frequency, settings.feature_set)
        ends = None if self._market is None else self._market.ends(market.bars)
        if rows.empty:
            return rows
        self._has_features = True
        if self._checks is not None:
            self._checks.add(market, rows)
        if isinstance(settings, SyntheticSettings) and has_class_probabilities(settings):
            rows["mu"], rows["sigma"] = _moments(market, rows, settings)
        rows = future_returns(rows, settings.labels.horizon, ends)
        inside = np.ones(len(rows), dtype=bool)
        if self.start is not None:
            inside &= rows["date"] >= pd.Timestamp(self.start)
        if self.end is not None:
            inside &= rows["date"] <= pd.Timestamp(self.end)
        rows = rows if inside.all() else rows[inside]
        self._rows += len(rows)
        if self._market is None:
            return rows
        return with_history_only(rows, self._market.history_only(rows, market.bars))

    def notes(self) -> list[str]:
        """Return what was found of members, delistings, rows without trades and features, after the last block."""
        return [
            *([] if self._market is None else self._market.notes()),
            *([] if self._checks is None else self._checks.notes()),
        ]

    def check(self) -> None:
        """Raise `DataError` where no block gave a row, or no ticker is one of the universe."""
        if self._market is not None:
            self._market.check()
        if not self._has_features:
            lookback = look_back(self.settings.feature_set, self._bars_per_period)
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
    weekly = (settings.frequency, settings.labels.horizon) == ("weekly", 1)
    return isinstance(settings, SyntheticSettings) and weekly


def _moments(market: Market, rows: pd.DataFrame, settings: SyntheticSettings) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of each row's coming log return, which columns of `weekly21` decide, whatever the set.

    NaN where a ticker has no such row; such rows have no class probabilities.
    """
    known = rows
    if not set(return_model.COLUMNS) <= set(rows):
        known = feature_rows(market, settings.frequency, load_feature_set(DEFAULT))
    moments = dict(zip(("mu", "sigma"), return_model.table_moments(known, settings.signal), strict=True))
    if known is rows:
        return moments["mu"], moments["sigma"]
    joined = rows[list(KEYS)].merge(known[list(KEYS)].assign(**moments), on=list(KEYS), how="left")
    return joined["mu"].to_numpy(), joined["sigma"].to_numpy()


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
    columns = [*table_columns(settings.feature_set), *([HISTORY_ONLY] if HISTORY_ONLY in rows else [])]
    return label(rows, low, high)[columns], truth
