"""Checks across the user's own tables: date order of the splits, and the horizon of the labels."""

from itertools import pairwise
from pathlib import Path

import pandas as pd

from ste.config import TableSettings
from ste.data.table_labels import TableLabels
from ste.errors import DataError
from ste.labels.targets import closes, horizon_agreement
from ste.schema import RETURN


def check_split_order(dates: dict[str, tuple[pd.Timestamp, pd.Timestamp]], files: dict[str, Path]) -> None:
    """Raise `DataError` unless the splits follow each other in date order.

    Args:
        dates: split to first and last date, in order.
        files: split to file or folder, for messages.
    """
    for (before, (_, last)), (after, (first, _)) in pairwise(dates.items()):
        if first <= last:
            raise DataError(
                f"{files[after]}: starts on {first:%Y-%m-%d}, but {files[before]} reaches to {last:%Y-%m-%d}. Expected "
                "train, validation and test in date order without overlap. (The seed document's own cut goes through a "
                "week: data=seed repeats it.)"
            )


def check_horizon(table: pd.DataFrame, settings: TableSettings) -> None:
    """Raise `DataError` where the labels have another horizon than the settings: the purge would be too short.

    Returns that are not those of the closes over the horizon, such as excess returns, cannot be checked.
    """
    if not TableLabels.of(settings.labels).plain_return:
        return
    rows = table.sort_values(["ticker", "date"], kind="stable")
    close = closes(rows, settings.feature_set)
    if close is None:
        return  # nothing to compare with
    codes, period = pd.factorize(rows["ticker"])[0], settings.periods.index(rows["date"])
    agreement = horizon_agreement(rows[RETURN].to_numpy(), close, codes, period, range(1, 14))
    best = max(agreement, key=lambda h: agreement[h], default=None)
    stated_horizon = settings.labels.horizon
    # Files may round, or adjust closes on another scale: refuse clear cases only.
    if best is not None and best != stated_horizon and agreement[best] > 0.8 > agreement.get(stated_horizon, 0.0):
        raise DataError(
            f"data.labels.horizon={stated_horizon}: in these tables {RETURN} is the return over {best} "
            f"{settings.periods.word}s ({agreement[best]:.0%} of the rows agree with their ticker's own later "
            "close). "
            f"Try data.labels.horizon={best}, which also decides the purge."
        )
