"""Opens and closes outside the range of their day."""

import pandas as pd

from ste.leakage.check_result import Alarm, CheckResult

BARS = "bars"


def odd_bars(bars: pd.DataFrame, file: str = "bars") -> CheckResult:
    """Find opens and closes outside the range of their day: prices of another day, or adjusted differently."""
    alarms = []
    for name in ("open", "close"):
        outside = (bars[name] > bars["high"] * 1.002) | (bars[name] < bars["low"] * 0.998)
        if outside.mean() > 0.01:
            row = bars[outside].iloc[0]
            alarms.append(
                Alarm(
                    BARS,
                    f"{file}: {name}",
                    f"{outside.sum():,} of {len(bars):,} lie outside the day's low to high, the first "
                    f"{row['ticker']} {row['date']:%Y-%m-%d}: {row[name]:g} and {row['low']:g} to {row['high']:g}",
                    f"every {name} within the range of its day",
                    f"Check whether {name} is shifted by a day, or adjusted differently from high and low.",
                )
            )
    return CheckResult(BARS, f"{len(bars):,} bars, opens and closes within the range of their day", tuple(alarms))
