"""Numbers of weeks, months and days since 1970, without any library but NumPy."""

import numpy as np

MONDAY = 3  # 1970-01-01 was a Thursday: the week of that day starts 3 days before
_DAY = np.timedelta64(1, "D")


def span_numbers(days: np.ndarray, frequency: str, before: int = MONDAY) -> np.ndarray:
    """Return the number of each day's week, day or month since 1970, int64 `[N]`.

    Args:
        days: datetime64[D] `[N]`.
        frequency: `weekly`, `daily` or `monthly`.
        before: days of the first week before 1970.
    """
    if frequency == "monthly":
        return days.astype("datetime64[M]").astype(np.int64)
    numbers = days.astype(np.int64)
    return numbers if frequency == "daily" else (numbers + before) // 7


def span_days(number: int, frequency: str, before: int = MONDAY) -> tuple[np.datetime64, np.datetime64]:
    """Return the first and last day of a week, day or month by its number (`span_numbers`)."""
    if frequency == "monthly":
        first, after = (np.datetime64(each, "M").astype("datetime64[D]") for each in (number, number + 1))
        return first, after - _DAY
    length = 1 if frequency == "daily" else 7
    first = np.datetime64(length * number - (before if length == 7 else 0), "D")
    return first, first + (length - 1) * _DAY
