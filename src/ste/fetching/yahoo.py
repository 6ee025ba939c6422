"""Daily bars, dividends and splits from Yahoo, by the package yfinance.

A ticker that is stored already is asked for from a few of its last sessions on. Where Yahoo's values of those sessions
are still the stored ones, the later rows are added; where they differ, because a split or dividend changed the history,
the ticker is fetched as a whole. The last stored session is always replaced: it may have been fetched before it ended.
"""

import logging
import warnings
from http import HTTPStatus
from typing import Any

import numpy as np
import pandas as pd

from ste.config import FetchSettings
from ste.config.progress import print_line
from ste.errors import ConfigError
from ste.fetching.fetch_report import FetchedItem, FetchReport, gap_count
from ste.fetching.pacing import Pace, ServiceError, TooManyRequestsError, fetch_each
from ste.fetching.ticker_store import ACTION_COLUMNS, BAR_COLUMNS, TickerStore
from ste.market.calendar import TradingCalendar, trading_calendar
from ste.registry import FETCHERS
from ste.schema import ADJUSTED_CLOSE

_OVERLAP = 6  # stored sessions that are asked for again
_TOLERANCE = 1e-5
"""Relative difference of equal prices: Yahoo's 32-bit prices differ by 1e-7, dividends change them by 1e-4 or more."""
_COMPARED = ("open", "high", "low", "close", ADJUSTED_CLOSE.name)
_NAMES = dict(
    zip(
        ("Open", "High", "Low", "Close", "Adj Close", "Volume", "Dividends", "Stock Splits"),
        (*BAR_COLUMNS[1:], *ACTION_COLUMNS),
        strict=True,
    )
)


def fetch_yahoo(settings: FetchSettings) -> FetchReport:
    """Fetch the bars and actions of `settings.tickers` into `bars.csv` and `actions.csv`.

    Raises:
        ConfigError: yfinance is not installed, no tickers are given, or the folder holds other bars.
    """
    names = list(dict.fromkeys(name.upper() for name in settings.ticker_names()))  # as yfinance asks for them
    service = _library()
    store = TickerStore(settings.output())
    store.check()
    report = FetchReport({"bars": store.bars, "actions": store.actions})
    calendar = trading_calendar(settings.calendar, "calendar")
    pace = Pace(settings.pause, settings.backoff, settings.retries)
    complete = False
    try:
        fetch_each(names, lambda name: _fetch_ticker(service, name, store, calendar), pace, report)
        complete = True
    finally:
        count = store.combine()
        if not complete and count:
            print_line(f"{store.bars}: {count} tickers; the same command goes on from there")
    return report


FETCHERS.add("yahoo", fetch_yahoo)


def _library() -> Any:
    try:
        import yfinance
    except ImportError:
        raise ConfigError(
            'source=yahoo: the package yfinance is not installed. Try pip install "ste[fetch]".'
        ) from None
    logging.getLogger("yfinance").setLevel(logging.CRITICAL)  # the report names what fails
    debug = yfinance.config.debug
    debug.hide_exceptions = False  # yfinance's own switch: a failure is raised with its reason
    return yfinance


def _fetch_ticker(service: Any, name: str, store: TickerStore, calendar: TradingCalendar) -> FetchedItem:
    """Bring a ticker in the store up to date, and count the sessions of the calendar that it has no row on."""
    stored, change = store.read(name), "new"
    notes: tuple[str, ...] = ()
    frame = None
    if stored is not None and len(stored) >= _OVERLAP:
        recent = _history(service, name, stored["date"].iloc[-_OVERLAP])
        if _continues(stored.tail(_OVERLAP), recent):
            earlier = stored[stored["date"] < recent["date"].iloc[0]]
            frame = pd.concat([earlier, recent], ignore_index=True)
            change = f"+{len(frame) - len(stored):,} rows"
        else:
            change = "again"
            notes = ("a split or dividend changed its history, which was fetched again",)
    if frame is None:
        frame = _history(service, name, None)
    store.write(name, frame)
    return FetchedItem(
        name,
        len(frame),
        frame["date"].iloc[0],
        frame["date"].iloc[-1],
        change,
        gaps=gap_count(frame["date"], calendar),
        splits=int((frame["split"] != 0).sum()),
        notes=notes,
    )


def _continues(stored: pd.DataFrame, recent: pd.DataFrame) -> bool:
    """Whether the stored prices of the overlap, the last session aside, are those that the service gives now."""
    expected = stored.iloc[:-1].set_index("date")[list(_COMPARED)]
    found = recent.set_index("date")[list(_COMPARED)].reindex(expected.index)
    return bool(np.allclose(found, expected, rtol=_TOLERANCE, atol=0.0, equal_nan=True))


def _history(service: Any, name: str, start: pd.Timestamp | None) -> pd.DataFrame:
    """Ask for the daily bars and actions of a ticker.

    Args:
        service: the module yfinance.
        name: of the ticker.
        start: first day; None is the first that there is.

    Returns:
        `BAR_COLUMNS` and `ACTION_COLUMNS` by day, without a session that has not ended.

    Raises:
        ServiceError: there are no bars, or the service does not answer.
        TooManyRequestsError: the service refuses requests.
    """
    ticker = service.Ticker(name)
    span = {"period": "max"} if start is None else {"start": f"{start:%Y-%m-%d}"}
    try:
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # yfinance's use of pandas
            raw = ticker.history(**span, interval="1d", auto_adjust=False, actions=True)
    except service.exceptions.YFRateLimitError:
        raise TooManyRequestsError from None
    # A malformed answer is a KeyError or TypeError in yfinance; it must not stop the other tickers.
    except (service.exceptions.YFException, OSError, ValueError, KeyError, TypeError) as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status == HTTPStatus.NOT_FOUND or isinstance(error, service.exceptions.YFTzMissingError):
            raise ServiceError("Yahoo has no such ticker, or no longer has it") from None
        raise ServiceError(" ".join(str(error).split())[:200] or type(error).__name__) from None
    frame = raw[list(_NAMES)].rename(columns=_NAMES)
    frame.insert(0, "date", pd.to_datetime(raw.index).tz_localize(None).normalize().astype("datetime64[us]"))
    frame = frame.reset_index(drop=True)
    opened = _open_session(ticker.history_metadata)
    if opened is not None:
        frame = frame[frame["date"] < opened].reset_index(drop=True)
    if frame.empty:
        raise ServiceError("the service has no daily bars of it")
    return frame


def _open_session(metadata: Any) -> pd.Timestamp | None:
    """Return the day of the session that is open now, or None."""
    regular = (metadata.get("currentTradingPeriod") or {}).get("regular") or {}
    start, end = regular.get("start"), regular.get("end")
    if not isinstance(start, pd.Timestamp) or not isinstance(end, pd.Timestamp):
        return None
    return start.tz_localize(None).normalize() if start <= pd.Timestamp.now("UTC") < end else None
