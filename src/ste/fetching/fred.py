"""Macro series with their release dates from FRED and ALFRED, by the package fredapi.

A series that is revised enters with its first releases: the value that was published, on the day that it was published.
A change over time is computed from the figures of that day, so that a later revision or a new base year has no effect.
ALFRED's records of a series begin at some day; the release dates of older observations are unknown, and they are left
out. A series that is not revised enters with its observations, a fixed number of business days later.
"""

import os
from typing import Any
from xml.etree.ElementTree import ParseError

import numpy as np
import pandas as pd
from pandas.tseries.holiday import USFederalHolidayCalendar

from ste.config import FetchSettings
from ste.config.fetch_settings import MacroRequest, Transform
from ste.config.read_options import ReadOptions
from ste.data.sources.side_files import read_side_file
from ste.data.storage.files import write_frame
from ste.errors import ConfigError
from ste.fetching.fetch_report import FetchedItem, FetchReport
from ste.fetching.pacing import Pace, ServiceError, TooManyRequestsError, fetch_each
from ste.registry import FETCHERS
from ste.schema import MARKET_COLUMNS

KEY = "FRED_API_KEY"
_MONTHS: dict[Transform, int] = {"yearly": 12, "annualized": 3}


def fetch_fred(settings: FetchSettings) -> FetchReport:
    """Fetch `settings.series` into `macro.csv`; the file is written after each of them.

    Raises:
        ConfigError: fredapi or the key is missing.
        DataError: there is a `macro.csv` already that is no file of macro series.
    """
    requests = settings.macro_requests()
    settings.require(bool(requests), "series", "at least one series", example="{inflation:'CPIAUCSL:yearly'}")
    service = _library()
    path = settings.output() / "macro.csv"
    report = FetchReport({"macro": path})
    stored = read_side_file(str(path), "macro", ReadOptions()).groupby("series") if path.is_file() else ()
    parts = {str(name): rows for name, rows in stored}

    def fetch(name: str) -> FetchedItem:
        rows, notes = _release_rows(service, requests[name])
        change = f"+{len(rows) - len(parts[name]):,} rows" if name in parts else "new"
        parts[name] = rows.assign(series=name)[list(MARKET_COLUMNS["macro"])]
        write_frame(pd.concat([parts[each] for each in sorted(parts)], ignore_index=True), path)
        dates = rows["release_date"]
        return FetchedItem(name, len(rows), dates.iloc[0], dates.iloc[-1], change, notes=notes)

    fetch_each(requests, fetch, Pace(settings.pause, settings.backoff, settings.retries), report)
    return report


FETCHERS.add("fred", fetch_fred)


def _library() -> Any:
    try:
        import fredapi
    except ImportError:
        raise ConfigError('source=fred: the package fredapi is not installed. Try pip install "ste[fetch]".') from None
    key = os.environ.get(KEY, "").strip()
    if not key:
        raise ConfigError(
            f"source=fred: the environment variable {KEY} is not set. FRED gives a key without charge at "
            f"https://fred.stlouisfed.org/docs/api/api_key.html. Then type export {KEY}=YOUR_KEY."
        )
    return fredapi.Fred(api_key=key)


def _release_rows(service: Any, request: MacroRequest) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return `release_date` and `value` of a series, one row a day, and what was left out."""
    try:
        if request.lag is not None:
            observed = service.get_series(request.series_id).dropna()
            return _one_a_day(lagged_releases(observed, request.lag, request.transform)), ()
        releases = service.get_series_all_releases(request.series_id)
    except (ValueError, OSError, ParseError) as error:
        text = " ".join(str(error).split())[:200]
        if "rate limit" in text.lower() or "too many requests" in text.lower():
            raise TooManyRequestsError from None
        raise ServiceError(f"{request.series_id}: {text or type(error).__name__}") from None
    if releases.empty:
        raise ServiceError(f"{request.series_id}: no observations")
    rows, unknown = first_releases(releases, request.transform)
    notes = (
        f"{unknown:,} observations left out: released before ALFRED's records begin, or without a figure to compare",
    )
    return _one_a_day(rows), notes if unknown else ()


def first_releases(releases: pd.DataFrame, transform: Transform) -> tuple[pd.DataFrame, int]:
    """Return the first release of each observation, and the number of observations without a known one.

    Args:
        releases: `date` (of the observation), `realtime_start` (of a release of it) and `value`, one row a release.
        transform: of the values, see `MacroRequest`.

    Returns:
        `date`, `release_date`, `value` by date; and the count.
    """
    known = releases.dropna(subset="value").astype(
        {"date": "datetime64[ns]", "realtime_start": "datetime64[ns]", "value": float}
    )
    known = known.sort_values(["date", "realtime_start"], kind="stable")
    first = known.drop_duplicates("date").rename(columns={"realtime_start": "release_date"})
    begin = first["release_date"].min()
    # On the first day of the records all older observations appear at once; the newest of them was released then.
    bulk = (first["release_date"] == begin) & (first["date"] < first.loc[first["release_date"] == begin, "date"].max())
    rows = first[~bulk]
    if transform in _MONTHS:
        base = rows.assign(date=rows["date"] - pd.DateOffset(months=_MONTHS[transform])).drop(columns="value")
        base = pd.merge_asof(
            base.assign(row=base.index).sort_values("release_date"),
            known.rename(columns={"realtime_start": "release_date"}).sort_values("release_date"),
            on="release_date",
            by="date",
        ).set_index("row")["value"]
        rows = rows.assign(value=_change(rows["value"], base.reindex(rows.index), transform)).dropna(subset="value")
    return rows[["date", "release_date", "value"]], len(first) - len(rows)


def lagged_releases(observed: pd.Series, lag: int, transform: Transform) -> pd.DataFrame:
    """Return observations as releases `lag` business days later.

    Args:
        observed: values by day.
        lag: business days of the United States government; 0 is the day itself.
        transform: of the values, see `MacroRequest`.
    """
    values = observed.astype(float)
    if transform in _MONTHS:
        base = values.reindex(pd.DatetimeIndex(values.index) - pd.DateOffset(months=_MONTHS[transform]))
        values = _change(values, pd.Series(base.to_numpy(), values.index), transform).dropna()
    days = values.index.to_numpy().astype("datetime64[D]")
    if lag and len(days):
        holidays = USFederalHolidayCalendar().holidays(days.min(), days.max() + np.timedelta64(40, "D"))
        days = np.busday_offset(days, lag, roll="backward", holidays=holidays.to_numpy().astype("datetime64[D]"))
    return pd.DataFrame(
        {"date": values.index, "release_date": days.astype("datetime64[ns]"), "value": values.to_numpy()}
    )


def _change(values: pd.Series, base: pd.Series, transform: Transform) -> pd.Series:
    """Return the change of values to a base, percent: over a year, or at the annual rate of a quarter."""
    ratio = values / base
    return 100.0 * ((ratio if transform == "yearly" else ratio**4) - 1.0)


def _one_a_day(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the newest observation of each release date, by release date."""
    if rows.empty:
        raise ServiceError("no observation has a known release date")
    rows = rows.sort_values(["release_date", "date"], kind="stable").drop_duplicates("release_date", keep="last")
    return rows[["release_date", "value"]].reset_index(drop=True)
