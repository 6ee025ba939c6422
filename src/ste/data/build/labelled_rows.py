"""Compute labelled rows from daily sources: for a table in memory, or for one block of a table in parts."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ste.config import DataSettings, RealMarketSettings, SyntheticSettings
from ste.config.feature_sets import DEFAULT, load_feature_set
from ste.data.build.feature_checks import FeatureChecks
from ste.data.build.market_rows import MarketRows
from ste.data.build.split_summary import check_training
from ste.data.build.trading_returns import add_trading
from ste.data.history_only import history_only_rows, with_history_only
from ste.data.sources.daily_sources import daily_sources
from ste.data.splits import assign_splits, label_reach, usable_periods
from ste.errors import DataError
from ste.features.feature_rows import feature_rows, look_back
from ste.labels.label_method import AllRows, label_method
from ste.labels.targets import labelled_returns, with_trends
from ste.market.read_summary import Finding
from ste.market.sources import Market
from ste.schema import (
    HISTORY_ONLY,
    KEYS,
    LABEL_END,
    PERIOD,
    RETURN,
    ROW_PERIOD,
    ROW_VOLATILITY,
    TRADING_COLUMNS,
    probability_names,
    table_columns,
    trend_names,
)
from ste.synthetic import return_model


@dataclass(frozen=True)
class BuiltTable:
    """A labelled table in memory.

    Attributes:
        table: sorted by date and ticker.
        split: of each row, int8 `[N]` (`splits.assign_splits`).
        truth: class probabilities by date and ticker where `has_class_probabilities`, else None.
        trading: `schema.TRADING_COLUMNS` by date and ticker.
        market: the daily sources.
    """

    table: pd.DataFrame
    split: np.ndarray
    truth: pd.DataFrame | None
    trading: pd.DataFrame
    market: Market


def build_table(
    settings: DataSettings,
    checks: FeatureChecks | None = None,
) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame | None, Market]:
    """Build a labelled table in memory: `table`, `split`, `truth` and `market` of `build_with_trading`."""
    built = build_with_trading(settings, checks)
    return built.table, built.split, built.truth, built.market


def build_with_trading(settings: DataSettings, checks: FeatureChecks | None = None) -> BuiltTable:
    """Build a labelled table in memory, and what portfolios need of its rows.

    Args:
        settings: of a synthetic market or of market files.
        checks: of the features; None checks none.

    Raises:
        DataError: no labelled row, an empty split, no training row left by the purge, or features that `checks`
            refuses.
    """
    market = daily_sources(settings)
    builder = RowBuilder(settings, market.bars["date"].max(), checks)
    rows = builder.build(market)
    builder.check()
    rows = rows.sort_values(["date", "ticker"], kind="stable").reset_index(drop=True)
    split = assign_splits(rows["date"], settings.split, settings.periods)
    purge, period = settings.split.purged_periods(settings.labels.horizon), rows[ROW_PERIOD].to_numpy()
    reach = label_reach(rows, period, settings.split, settings.periods)
    training = (split == 0) & usable_periods(period, split, purge, reach)
    history_only = history_only_rows(rows)
    check_training(int((training & ~history_only).sum()), int((training & history_only).sum()))
    fitted = None
    if builder.method.needs_all_rows:
        tickers, returns = rows["ticker"].to_numpy(dtype=object), rows[RETURN].to_numpy()
        fitted = builder.method.fit(AllRows(tickers, period, returns, ~history_only, training & ~history_only))
    table, truth, trading = builder.label(rows, fitted)
    market.summary.of_rows += builder.notes()
    training &= ~history_only_rows(table)
    builder.check_labelled(int(training.sum()))
    return BuiltTable(table, split, truth, trading, market)


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
        self.method = label_method(settings.labels)
        self._rows, self._has_features = 0, False
        self._bars_per_period = 1
        self._without = Finding()
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
        rows = add_trading(rows, market.bars, self.method.horizon, ends)
        rows = labelled_returns(rows, self.method, market.bars, settings.periods, ends)
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

    def label(self, rows: pd.DataFrame, fitted: object) -> tuple[pd.DataFrame, pd.DataFrame | None, pd.DataFrame]:
        """Return the table's own columns of rows, their class probabilities where known, and `TRADING_COLUMNS`.

        Args:
            rows: of `build`; rows without a class become history only and are counted.
            fitted: of `LabelMethod.fit`, to the rows of all blocks; None where the method needs none.
        """
        truth = None
        if has_class_probabilities(self.settings):
            edges = self.method.edges(rows[ROW_VOLATILITY].to_numpy(), fitted)
            assert edges is not None
            probabilities = return_model.probabilities(rows["mu"].to_numpy(), rows["sigma"].to_numpy(), *edges)
            names = probability_names(trend_names(self.settings.labels.classes))
            truth = rows[list(KEYS)].assign(**dict(zip(names, probabilities.T, strict=True)))
        table, without = with_trends(rows, self.method, fitted)
        if without.any():
            first = rows.iloc[int(np.argmax(without))]
            self._without.add(int(without.sum()), f"{first['ticker']} {first['date']:%Y-%m-%d}")
            table = with_history_only(table, history_only_rows(table) | without)
        optional = [name for name in (LABEL_END, HISTORY_ONLY) if name in table]
        own = table[[*table_columns(self.settings.feature_set), *optional]]
        return own, truth, table[[*KEYS, *TRADING_COLUMNS]]

    def notes(self) -> list[str]:
        """Return what was found of members, delistings, rows without trades or classes, and features."""
        notes = [
            *([] if self._market is None else self._market.notes()),
            *([] if self._checks is None else self._checks.notes()),
        ]
        if self._without.rows:
            rows = f"{self._without.rows:,} row{'s' * (self._without.rows > 1)}"
            notes.append(f"labels: {rows} {self.method.without}: history only (first: {self._without.first})")
        return notes

    def check_labelled(self, usable: int) -> None:
        """Raise `DataError` where no training row has a class.

        Args:
            usable: training rows that have one.
        """
        if not usable:
            raise DataError(
                f"data.labels.method={self.settings.labels.method}: {self._without.rows:,} rows are "
                f"{self.method.without}, and no training row has a class. Give more tickers, or try labels=terciles."
            )

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
    own = settings.labels.method in ("fixed", "volatility", "terciles")
    return isinstance(settings, SyntheticSettings) and weekly and own


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
