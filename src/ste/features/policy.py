"""Policy fields: number and summed impact of a period's events."""

import numpy as np
import pandas as pd

from ste.market.calendar import WEEKS, Periods
from ste.schema import ROW_PERIOD

POLICY_FIELDS = ("policy_event_count", "policy_impact_score")


def policy_features(rows: pd.DataFrame, policy: pd.DataFrame | None, periods: Periods = WEEKS) -> pd.DataFrame:
    """Compute the number and the summed impact of the events of each row's period up to its close.

    Args:
        rows: `period`, N rows.
        policy: `MARKET_COLUMNS["policy"]`; None gives zeros.
        periods: of the rows; default: weeks of New York.

    Returns:
        The columns of `POLICY_FIELDS`, float64, with the index of `rows`.
    """
    out = pd.DataFrame(0.0, index=rows.index, columns=list(POLICY_FIELDS))
    if policy is None or policy.empty or rows.empty:
        return out
    policy = policy.sort_values("date", kind="stable")
    events = policy["impact"].astype(float).groupby(periods.known(policy["date"]))
    period = rows[ROW_PERIOD].to_numpy()
    every = range(period.min(), period.max() + 1)
    figures: tuple[pd.Series, ...] = (events.size(), events.sum())
    for name, known in zip(POLICY_FIELDS, figures, strict=True):
        out[name] = known.reindex(every).fillna(0.0).to_numpy(dtype=np.float64)[period - every.start]
    return out
