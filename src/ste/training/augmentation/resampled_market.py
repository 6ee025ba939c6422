"""Training examples from a market resampled from the training periods (`ste.synthetic.block_bootstrap`)."""

import numpy as np
import pandas as pd
import torch

from ste.config import AugmentSettings
from ste.data.history_only import with_history_only
from ste.data.panel import HISTORY, Panel
from ste.data.row_store import RowStore
from ste.data.sources.daily_sources import daily_sources
from ste.data.window_dataset import WindowDataset
from ste.errors import DataError
from ste.features.feature_rows import feature_rows, look_back
from ste.labels.label_method import label_method
from ste.labels.targets import fit_to_rows, labelled_returns, with_trends
from ste.market.sources import Market
from ste.schema import table_columns
from ste.synthetic.block_bootstrap import ResampledMarket

STREAM = 0x5EED
"""Keeps the synthetic market's random numbers apart from those of the batches."""


def synthetic_rows(
    settings: AugmentSettings, panel: Panel, train: WindowDataset, seed: int, market: Market | None = None
) -> tuple[RowStore, np.ndarray]:
    """Rows that end synthetic training examples, labelled by the rule of the real ones.

    Args:
        settings: `amount` and `block`.
        panel: the real rows and their splits.
        train: the real training examples.
        seed: of the draw.
        market: the daily sources of the real rows; None reads or draws them again.

    Returns:
        A store, and bool `[N]`, those of its rows that end the `amount` asked for.

    Raises:
        DataError: training periods too few or too broken to resample.
    """
    chosen = panel.settings
    source = daily_sources(chosen) if market is None else market
    days, lookback = (
        training_days(panel, source.bars["date"]),
        look_back(chosen.feature_set, source.bars_per_period(chosen.frequency)),
    )
    fitted = ResampledMarket.fit(source, days, settings.block, lookback)
    rng = np.random.default_rng([seed, STREAM])
    wanted = max(round(settings.amount * len(train)), 1)
    frames: list[pd.DataFrame] = []
    found = 0
    while found < wanted:
        frame = _labelled(fitted.draw(rng), panel)
        usable = _usable(
            RowStore.from_frame(frame, chosen.feature_set, chosen.periods, chosen.labels.classes), train.needed
        )
        if not usable.any():
            raise DataError(
                f"augment=synthetic: {len(days)} training sessions give no example of {train.needed} periods. "
                "Give the table more rows, or try augment=mixup."
            )
        found += int(usable.sum())
        frames.append(frame.assign(ticker=frame["ticker"] + f"~{len(frames)}"))
    store = RowStore.from_frame(
        pd.concat(frames, ignore_index=True), chosen.feature_set, chosen.periods, chosen.labels.classes
    )
    rows = np.zeros(len(store), dtype=bool)
    rows[rng.choice(np.flatnonzero(_usable(store, train.needed)), wanted, replace=False)] = True
    return store, rows


def training_days(panel: Panel, dates: pd.Series) -> pd.DatetimeIndex:
    """The sessions that training rows and their labels lie in, none of which validates or tests.

    Args:
        panel: rows and splits.
        dates: of the bars.
    """
    horizon = panel.settings.labels.horizon
    period, row_split = panel.store.period, panel.row_split
    trained = np.unique(period[row_split == 0][:, None] + np.arange(horizon + 1))
    others = np.unique(period[(row_split != 0) & (row_split != HISTORY)])
    days = pd.DatetimeIndex(dates.unique()).sort_values()
    return days[np.isin(panel.settings.periods.index(days), np.setdiff1d(trained, others))]


def _labelled(market: Market, panel: Panel) -> pd.DataFrame:
    chosen, method = panel.settings, label_method(panel.settings.labels)
    rows = feature_rows(market, chosen.frequency, chosen.feature_set)
    rows = labelled_returns(rows, method, market.bars, chosen.periods)
    fitted = panel.fit_labels(panel.row_split) if method.needs_training else fit_to_rows(method, rows)
    table, without = with_trends(rows, method, fitted)
    return with_history_only(table[list(table_columns(chosen.feature_set))], without).reset_index(drop=True)


def _usable(store: RowStore, needed: int) -> np.ndarray:
    """Rows that can end an example, bool `[N]`."""
    usable: torch.Tensor = (store.history >= needed) & (store.label >= 0)
    return usable.numpy() & ~store.columns.history_only
