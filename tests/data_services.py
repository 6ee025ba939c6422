"""A loopback server that answers like Yahoo's chart service and like FRED, with a market that the test controls."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import quoteattr

import numpy as np
import pandas as pd
import requests
from requests.adapters import HTTPAdapter

ZONE = "America/New_York"


@dataclass
class Stock:
    """A stock as it traded.

    Attributes:
        days: of its bars.
        close: as traded.
        volume: as traded.
        dividends, splits: amount per share as traded, and new shares per old share, by day.
    """

    days: pd.DatetimeIndex
    close: np.ndarray
    volume: np.ndarray
    dividends: dict[str, float] = field(default_factory=dict)
    splits: dict[str, float] = field(default_factory=dict)

    def answer(self, today: str) -> pd.DataFrame:
        """Bars as Yahoo gives them on a day: prices and volume for splits, `adj` for dividends as well."""
        days = self.days[self.days <= today]
        close, volume = self.close[: len(days)].copy(), self.volume[: len(days)].astype(float)
        adjusted = close.copy()
        for day, ratio in self.splits.items():
            before = days < day
            if pd.Timestamp(day) <= pd.Timestamp(today):
                close[before] /= ratio
                adjusted[before] /= ratio
                volume[before] *= ratio
        for day, amount in self.dividends.items():
            before = days < day
            if pd.Timestamp(day) <= pd.Timestamp(today):
                adjusted[before] *= 1 - amount / self.close[: len(days)][before][-1]
        return pd.DataFrame(
            {
                "open": close * 0.99,
                "high": close * 1.02,
                "low": close * 0.98,
                "close": close,
                "adj": adjusted,
                "volume": volume,
            },
            index=days,
        )


@dataclass
class Services:
    """What the server knows and has been asked.

    Attributes:
        today: last day of the bars that are given.
        stocks: by ticker.
        releases: of FRED, by series: observation day to (release day, value), in order.
        refuse: requests to answer with 429.
        session_open: whether the session of `today` has not ended.
        interrupt: ticker whose request is interrupted by Ctrl-C.
        asked: ticker and first day of each request for bars; series of each request for observations.
    """

    today: str = "2024-06-28"
    stocks: dict[str, Stock] = field(default_factory=dict)
    releases: dict[str, dict[str, list[tuple[str, float | None]]]] = field(default_factory=dict)
    refuse: int = 0
    session_open: bool = False
    interrupt: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""

    def chart(self, ticker: str, query: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Answer `/v8/finance/chart/TICKER`."""
        if ticker not in self.stocks:
            error = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
            return 404, {"chart": {"result": None, "error": error}}
        stock = self.stocks[ticker]
        start = pd.Timestamp(int(query.get("period1", 0)), unit="s").tz_localize("UTC").tz_convert(ZONE)
        if "period1" in query:
            self.asked.append((ticker, f"{start:%Y-%m-%d}"))
        bars = stock.answer(self.today)
        bars = bars[bars.index >= start.tz_localize(None).normalize()]

        def opened(days: pd.DatetimeIndex) -> list[int]:
            return [int((day.tz_localize(ZONE) + pd.Timedelta("9h30min")).timestamp()) for day in days]

        def events(known: dict[str, float]) -> dict[str, float]:
            return {
                str(opened(pd.DatetimeIndex([day]))[0]): value
                for day, value in known.items()
                if start.tz_localize(None) <= pd.Timestamp(day) <= pd.Timestamp(self.today)
            }

        dividends = {at: {"amount": value, "date": int(at)} for at, value in events(stock.dividends).items()}
        splits = {
            at: {"date": int(at), "numerator": value, "denominator": 1, "splitRatio": f"{value:g}:1"}
            for at, value in events(stock.splits).items()
        }
        first = opened(pd.DatetimeIndex([self.today]))[0]
        end = first + 23_400 if not self.session_open else 4_102_444_800
        period = {"start": first, "end": end, "gmtoffset": -14400, "timezone": "EDT"}
        meta = {
            "currency": "USD",
            "symbol": ticker,
            "instrumentType": "EQUITY",
            "exchangeTimezoneName": ZONE,
            "priceHint": 2,
            "validRanges": ["1d", "5d", "1mo", "max"],
            "currentTradingPeriod": {name: dict(period) for name in ("pre", "regular", "post")},
        }
        quote = {name: bars[name].tolist() for name in ("open", "high", "low", "close", "volume")}
        result = {
            "meta": meta,
            "timestamp": opened(pd.DatetimeIndex(bars.index)),
            "events": {"dividends": dividends, "splits": splits},
            "indicators": {"quote": [quote], "adjclose": [{"adjclose": bars["adj"].tolist()}]},
        }
        return 200, {"chart": {"result": [result], "error": None}}

    def observations(self, query: dict[str, str]) -> tuple[int, str]:
        """Answer `/fred/series/observations` in XML."""
        if query.get("api_key") != "good":
            return 400, '<error code="400" message="Bad Request.  The value for variable api_key is not registered."/>'
        series = query["series_id"]
        self.asked.append((series, query.get("realtime_start", "latest")))
        if series not in self.releases:
            return 400, '<error code="400" message="Bad Request.  The series does not exist."/>'
        lines = []
        for day, known in self.releases[series].items():
            for released, value in known if "realtime_start" in query else known[-1:]:
                text = "." if value is None else repr(value)
                lines.append(
                    f"<observation realtime_start={quoteattr(released)} date={quoteattr(day)} value='{text}'/>"
                )
        return 200, f"<observations>{''.join(lines)}</observations>"


class LoopbackAdapter(HTTPAdapter):
    """Sends every request of a session to the server, whatever host it names."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.services = services

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        parts = urlsplit(str(request.url))
        if self.services.interrupt and parts.path.endswith(f"/{self.services.interrupt}"):
            raise KeyboardInterrupt
        request.url = f"{self.services.url}{parts.path or '/'}?{parts.query}"
        return super().send(request, *args, **{**kwargs, "proxies": {}})


@contextmanager
def serving(services: Services) -> Iterator[Services]:
    """Serve until the block ends; `services.url` is the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            status, kind, body = 404, "text/plain", "not found"
            answers = parts.path.startswith(("/v8/", "/fred/"))
            if answers and services.refuse:
                services.refuse -= 1
                status, body = 429, "<error code='429' message='Too Many Requests.  Exceeded Rate Limit'/>"
            elif parts.path.startswith("/v8/finance/chart/"):
                status, answer = services.chart(unquote(parts.path.rpartition("/")[2]), query)
                kind, body = "application/json", json.dumps(answer)
            elif parts.path == "/v1/test/getcrumb":
                status, body = 200, "crumb"
            elif parts.path == "/fred/series/observations":
                status, body = services.observations(query)
            data = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    services.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield services
    finally:
        server.shutdown()
        server.server_close()
