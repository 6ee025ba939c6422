"""Dates as people write them; one that fits two readings is refused."""

from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ste.config.read_options import ReadOptions
from ste.data.bar_files.raw_table import NULLS
from ste.data.cells import FIRST_DAY, LAST_DAY, decoded
from ste.errors import DataError
from ste.market.exchange_sessions import time_zone

_ISO = r"^\d{4}([-/.])\d{1,2}([-/.])\d{1,2}([ T]\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?)?\s*(Z|UTC|[+-]\d{2}:?\d{2})?$"
_COMPACT = r"^\d{8}([ T]?\d{4}(\d{2})?)?$"
_EPOCH = r"^\d{9,10}(\.0+)?$|^\d{12,13}$|^\d{15,16}$|^\d{18,19}$"
_NUMERIC = r"^\d{1,2}([-/.])\d{1,2}([-/.])\d{4}([ T,].*)?$"
_EXCEL_DAY = r"^[2-6]\d{4}(\.\d+)?$"
_OFFSET = r"\s*(?:Z|UTC|[+-]\d{2}:?\d{2})$"
_SHORT = r"^\d{1,2}[-/.]\d{1,2}[-/.]\d{2}$"
_MONTH_NAMES = ("%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%Y-%b-%d", "%a %b %d %Y")
_UNITS = {10: "s", 9: "s", 13: "ms", 12: "ms", 16: "us", 15: "us", 19: "ns", 18: "ns"}
_MIDNIGHT = pd.Timedelta(0)
DAY = "a day such as 2024-11-29"
"""What a date is expected to be, for messages."""


@dataclass(frozen=True)
class Times:
    """Dates of a column.

    Attributes:
        day: datetime64[D] `[N]`, NaT where a cell is no date from 1900 to 2199.
        time: of the day, timedelta64[ns] `[N]`; None where every cell is a midnight.
    """

    day: np.ndarray
    time: np.ndarray | None


def to_times(cells: Any, where: str, options: ReadOptions) -> Times:
    """Convert a column to days and times of day on the exchange's clock.

    A time with a zone is converted to the exchange's, unless each is a midnight as written: that is a day, not a time.

    Args:
        cells: Arrow array of text, dates, times or numbers `[N]`.
        where: file and column, for messages.
        options: with the format of text that is not ISO 8601, and the calendar, whose exchange has the clock.

    Raises:
        DataError: every date fits two readings, such as 1/2/2024.
    """
    cells = decoded(cells)
    kind = cells.type
    if pa.types.is_date(kind):
        return Times(_bounded(pc.cast(cells, pa.date32()).to_numpy(zero_copy_only=False)), None)
    if pa.types.is_timestamp(kind):
        stamps = pd.Series(cells.to_pandas())
        return _zoned(stamps, stamps.dt.tz_localize(None), options.calendar) if kind.tz else _times(stamps)
    if pa.types.is_null(kind):
        return Times(np.full(len(cells), np.datetime64("NaT"), "datetime64[D]"), None)
    text = pc.utf8_trim_whitespace(pc.cast(cells, pa.string()))
    if options.date_format is None:
        try:
            return Times(_bounded(pc.cast(text, pa.date32()).to_numpy(zero_copy_only=False)), None)
        except pa.ArrowInvalid:
            pass
    text = pc.if_else(pc.is_in(text, pa.array(NULLS)), pa.scalar(None, pa.string()), text)
    if not len(text) - text.null_count:
        return Times(np.full(len(cells), np.datetime64("NaT"), "datetime64[D]"), None)
    return _times_of_text(text, where, options)


def _times_of_text(text: Any, where: str, options: ReadOptions) -> Times:
    series = text.to_pandas().astype(object)
    if options.date_format is not None:
        stated = _stated(series, options)
        if (~np.isnat(stated.day)).sum() > _count(text, _ISO):
            return stated
    counts = {pattern: _count(text, pattern) for pattern in (_ISO, _COMPACT, _EPOCH, _NUMERIC, _SHORT)}
    pattern, count = max(counts.items(), key=lambda item: item[1])
    fits = pd.Series(pc.match_substring_regex(text, pattern).to_pandas().fillna(False).astype(bool))
    if pattern == _SHORT and count:
        raise DataError(
            f"{where}: {series[fits].iloc[0]} has a year of two digits. Say how dates are written, for example "
            f"{options.prefix}date_format=%d.%m.%y."
        )
    if count == 0 and _count(text, _EXCEL_DAY):
        raise DataError(
            f"{where}: {series[series.notna()].iloc[0]} looks like Excel's number of a day. Format the column as dates "
            "and save it again."
        )
    if count == 0 or pattern == _NUMERIC:
        return _times(_numeric(series.where(fits), where, options.prefix) if count else _by_month_name(series))
    if pattern == _EPOCH:
        return _epoch(series.where(fits), options.calendar)
    if pattern == _ISO:
        return _iso(series.where(fits), options.calendar)
    compact = series.where(fits).str.replace(r"[ T]", "", regex=True)
    form = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}[int(compact.str.len().mode().iloc[0])]
    return _times(pd.to_datetime(compact, format=form, errors="coerce"))


def _stated(series: pd.Series, options: ReadOptions) -> Times:
    """Read dates of the format that the user states."""
    form = options.date_format or ""
    if "%z" not in form:
        return _times(pd.to_datetime(series, format=form, errors="coerce"))
    stamps = pd.to_datetime(series, format=form, errors="coerce", utc=True)
    clock = series.str.replace(_OFFSET, "", regex=True)
    written = pd.to_datetime(clock, format=form.replace("%z", "").rstrip(), errors="coerce")
    return _zoned(stamps, written, options.calendar)


def _epoch(series: pd.Series, calendar: str) -> Times:
    """Read seconds since 1970, or thousandths, millionths and so on by their number of digits."""
    digits = series.str.replace(r"\.0+$", "", regex=True)
    unit = _UNITS[int(digits.str.len().mode().iloc[0])]
    number = pd.to_numeric(digits, errors="coerce")
    stamps = pd.Series(pd.Timestamp(0) + pd.to_timedelta(number, unit=unit), index=series.index)  # type: ignore[call-overload]
    return _zoned(pd.Series(pd.DatetimeIndex(stamps).tz_localize("UTC"), index=series.index), stamps, calendar)


def _iso(written: pd.Series, calendar: str) -> Times:
    """Read ISO 8601 and what differs from it in separators and zeros: 2024/1/5."""
    zone = written.str.contains(r":\d.*(?:Z|UTC|[+-]\d{2}:?\d{2})$", na=False)
    clock = written.where(~zone, written.str.replace(_OFFSET, "", regex=True))
    clock = clock.str.replace(r"^(\d{4})[/.](\d{1,2})[/.]", r"\1-\2-", regex=True)
    local = pd.to_datetime(clock, format="ISO8601", errors="coerce")
    padded = local.isna() & clock.notna()
    if padded.any():
        local = local.fillna(pd.to_datetime(clock[padded], format="mixed", errors="coerce", yearfirst=True))
    if zone.any():
        stamps = pd.to_datetime(written.where(zone), utc=True, format="mixed", errors="coerce")
        return _zoned(stamps, local, calendar)
    return _times(local)


def _numeric(series: pd.Series, where: str, prefix: str) -> pd.Series:
    """Read days and months in the one order that fits all dates.

    Raises:
        DataError: both orders fit, or neither.
    """
    parts = series.str.extract(r"^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})(?:[ T,]+(.*))?$")
    first, second = (pd.to_numeric(parts[at], errors="coerce") for at in (0, 1))
    day_first, month_first = (first > 12).any(), (second > 12).any()
    shown = series.dropna().iloc[0]
    if day_first == month_first:
        why = "days above 12 in both places" if day_first else "no number above 12, so that a day may be a month"
        raise DataError(
            f"{where}: dates such as {shown} have {why}. Say how they are written: {prefix}date_format=%d/%m/%Y (day "
            f"first) or {prefix}date_format=%m/%d/%Y (month first)."
        )
    day, month = (first, second) if day_first else (second, first)
    out = pd.to_datetime(pd.DataFrame({"year": pd.to_numeric(parts[2]), "month": month, "day": day}), errors="coerce")
    if parts[3].notna().any():
        out += pd.to_timedelta(pd.to_datetime(parts[3].str.strip(), format="mixed", errors="coerce").dt.strftime("%T"))
    return out


def _by_month_name(series: pd.Series) -> pd.Series:
    tried = [pd.to_datetime(series, format=form, errors="coerce") for form in _MONTH_NAMES]
    return max(tried, key=lambda one: one.notna().sum())


def _zoned(stamps: pd.Series, written: pd.Series, calendar: str) -> Times:
    """Return times on the exchange's clock.

    Args:
        stamps: with a zone; NaT where a cell has none.
        written: the same without their zone, as the file has them.
        calendar: name of the exchange's; without a known zone, times stay as written.
    """
    zone = time_zone(calendar)
    if zone is None:
        return _times(written)
    local = stamps.dt.tz_convert(ZoneInfo(zone)).dt.tz_localize(None).fillna(written)
    clock = written - written.dt.normalize()
    exchange = local - local.dt.normalize()
    if (clock.dropna() == _MIDNIGHT).all() and not (exchange.dropna() == _MIDNIGHT).all():
        return _times(written)
    return _times(local)


def _times(stamps: pd.Series) -> Times:
    days = stamps.dt.normalize()
    time = (stamps - days).to_numpy().astype("timedelta64[ns]")
    known = time[~np.isnat(time)]
    out = _bounded(days.to_numpy().astype("datetime64[D]"))
    return Times(out, time if known.any() else None)


def _bounded(days: np.ndarray) -> np.ndarray:
    days = days.astype("datetime64[D]")
    with np.errstate(invalid="ignore"):
        days[~((days >= FIRST_DAY) & (days <= LAST_DAY))] = np.datetime64("NaT")
    return days


def _count(text: Any, pattern: str) -> int:
    return int(pc.sum(pc.match_substring_regex(text, pattern)).as_py() or 0)
