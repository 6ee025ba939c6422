"""The return that a position earns from the price at which it can enter."""

import numpy as np
import pandas as pd

from ste.evaluation.portfolio.rules import SAME_CLOSE
from ste.schema import TRADED_RETURNS


def traded_returns(frame: pd.DataFrame, execution: str) -> tuple[np.ndarray, str]:
    """Return the simple return of each row over the holding period, `[N]`, and the execution that it is of.

    Rows that were not built from bars have no price after their close: their positions enter at that close.

    Args:
        frame: of `Predictions`.
        execution: of `EXECUTIONS`.
    """
    column = TRADED_RETURNS[execution]
    if column in frame:
        return frame[column].to_numpy(dtype=np.float64), execution
    same_close = TRADED_RETURNS[SAME_CLOSE]
    return frame[same_close if same_close in frame else "return"].to_numpy(dtype=np.float64), SAME_CLOSE
