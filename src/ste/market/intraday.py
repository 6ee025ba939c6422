"""Periods of rows within a day: each time at which there are rows is one."""

from dataclasses import dataclass

import numpy as np

INTRADAY = "intraday"


@dataclass(frozen=True)
class IntradayPeriods:
    """Periods shorter than a day.

    Attributes:
        per_year: periods of a ticker in a year, for annualization.
    """

    per_year: int
    word = "bar"

    @property
    def frequency(self) -> str:
        """Name that `from_name` reads back, such as `intraday:8760`."""
        return f"{INTRADAY}:{self.per_year}"

    @classmethod
    def from_name(cls, frequency: str) -> "IntradayPeriods":
        """Read `frequency` back."""
        return cls(int(frequency.partition(":")[2]))

    @classmethod
    def from_times(cls, times: np.ndarray) -> "IntradayPeriods":
        """Count the periods of a year.

        Args:
            times: different, ascending, datetime64[ns] `[P]`.
        """
        years = (times[-1] - times[0]) / np.timedelta64(8766, "h")  # 365.25 days
        return cls(max(round((len(times) - 1) / years), 1))
