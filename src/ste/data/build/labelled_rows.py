"""From daily sources to labelled rows. A table in memory is one block of what a table in parts is built from.

`Candidates` makes rows with their returns, `labelled` gives them classes.
"""

import numpy as np
import pandas as pd

from ste.config import DataSettings, WorldSettings
from ste.data.sources.daily_sources import daily_sources
from ste.data.splits import assign, counted
from ste.errors import DataError
from ste.features.feature_rows import feature_rows
from ste.labels.targets import future_returns, label, terciles, thresholds_given
from ste.market.daily import Market
from ste.schema import FEATURE_SETS, KEYS, PERIOD, PROBABILITIES, RETURN, table_columns
from ste.synthetic import return_model as law


def build_table(
    settings: DataSettings,
) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame | None, Market]:
    """The whole labelled table in memory, with each row's split code, the truth and the sources.

    Returns:
        The table sorted by date and ticker; int8 `[N]` codes of `split.assign`; for a world with weekly
        rows and a horizon of one its class probabilities by date and ticker, else None.
    """
    market = daily_sources(settings)
    candidates = Candidates(settings)
    rows = candidates.of(market)
    candidates.check()
    rows = rows.sort_values(["date", "ticker"], kind="stable").reset_index(drop=True)
    split = assign(rows["date"], settings.split, settings.frequency)
    gap = settings.split.gap(settings.labels.horizon)
    training = (split == 0) & counted(rows["date"], split, gap, settings.frequency)
    if not training.any():
        raise DataError("data.split: no training row is left after the purge. Give the table more rows.")
    balanced = settings.labels.method == "balanced"
    table, truth = labelled(rows, terciles(rows[RETURN].to_numpy()[training]) if balanced else None, settings)
    return table, split, truth, market


class Candidates:
    """Rows from sources, and at the end the reason where there are none.

    Args:
        settings: of the table.
    """

    def __init__(self, settings: DataSettings) -> None:
        self.settings = settings
        self.start, self.end = (getattr(settings, name, None) for name in ("start", "end"))
        self._rows, self._looked_back = 0, False
        self._reach: list[pd.Timestamp] = []

    def of(self, market: Market) -> pd.DataFrame:
        """Rows with features and returns, and where they are known the law's `mu` and `sigma`; by ticker and date."""
        settings = self.settings
        self._reach += [market.bars["date"].min(), market.bars["date"].max()]
        rows = feature_rows(market, settings.frequency, settings.features)
        if rows.empty:
            return rows
        self._looked_back = True
        if isinstance(settings, WorldSettings) and is_known(settings):
            rows["mu"], rows["sigma"] = law.of_table(rows, settings.signal)
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
        """Raise if no row came of all that was given."""
        if not self._looked_back:
            lookback = FEATURE_SETS[self.settings.features].lookback
            raise DataError(
                f"data: no ticker has the {lookback} sessions of bars that a row looks back on. Give longer bars."
            )
        if not self._rows:
            raise DataError(
                f"data: no labelled {PERIOD[self.settings.frequency]} between data.start={self.start} and "
                f"data.end={self.end}. "
                f"The sources reach from {min(self._reach):%Y-%m-%d} to {max(self._reach):%Y-%m-%d}."
            )


def is_known(settings: DataSettings) -> bool:
    """Whether the probabilities of the classes are known."""
    weekly = (settings.frequency, settings.labels.horizon, settings.features) == ("weekly", 1, "full")
    return isinstance(settings, WorldSettings) and weekly


def labelled(
    rows: pd.DataFrame, thirds: tuple[float, float] | None, settings: DataSettings
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """The table's own columns of candidates, and the truth where it is known.

    Args:
        rows: of `Candidates`.
        thirds: returns that cut the training rows into thirds, with balanced labels.
        settings: of the table.
    """
    low, high = thresholds_given(rows, thirds, settings.labels)
    truth = None
    if is_known(settings):
        chances = law.probabilities(rows["mu"].to_numpy(), rows["sigma"].to_numpy(), low, high)
        truth = rows[list(KEYS)].assign(**dict(zip(PROBABILITIES, chances.T, strict=True)))
    return label(rows, low, high)[list(table_columns(settings.features))], truth
