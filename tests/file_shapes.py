"""Files of bars in the shapes that providers and programs write, for `test_file_shapes`.

Every writer formats the same known bars by itself; `docs/files.md` lists the shapes by the same names.
"""

import bz2
import gzip
import lzma
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

FIELDS = ["open", "high", "low", "close", "volume"]
TITLES = ["Open", "High", "Low", "Close", "Volume"]
TICKERS = ("AAPL", "BRK.B", "NA")


def known_bars() -> pd.DataFrame:
    """Bars of three tickers on the first 40 sessions of 2024, prices of two decimals, sorted by ticker and date."""
    rng = np.random.default_rng(7)
    days = pd.bdate_range("2024-01-02", periods=42).drop(["2024-01-15", "2024-02-19"])  # holidays
    frames = []
    for at, ticker in enumerate(TICKERS):
        close = np.round((30 + 60 * at) * np.exp(np.cumsum(rng.normal(0, 0.01, len(days)))), 2)
        opened = np.round(close * (1 + rng.normal(0, 0.005, len(days))), 2)
        high = np.round(np.maximum(opened, close) + rng.uniform(0.01, 0.5, len(days)), 2)
        low = np.round(np.minimum(opened, close) - rng.uniform(0.01, 0.5, len(days)), 2)
        volume = rng.integers(1_000_000, 9_000_000, len(days)).astype(float)
        columns = {"open": opened, "high": high, "low": low, "close": close, "volume": volume}
        frames.append(pd.DataFrame({"ticker": ticker, "date": days, **columns}))
    return pd.concat(frames, ignore_index=True)


@dataclass(frozen=True)
class FileShape:
    """One way to write bars.

    Attributes:
        name: as the documentation lists it.
        write: writes known bars to a folder and returns what `data.bars` is set to.
        options: settings that the shape needs.
        tickers: names that are read, in the order of `TICKERS`; fewer of them where the shape holds one.
        adjusted: whether an adjusted close of half the close is read.
        volume: unit that the volume is rounded to.
        refused: part of the message, where the shape is refused.
    """

    name: str
    write: Callable[[pd.DataFrame, Path], Path]
    options: dict[str, Any] = field(default_factory=dict)
    tickers: tuple[str, ...] = TICKERS
    adjusted: bool = False
    volume: float = 1.0
    refused: str = ""


def one(bars: pd.DataFrame, ticker: str = "AAPL") -> pd.DataFrame:
    return bars[bars["ticker"] == ticker].reset_index(drop=True)


def each(bars: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for ticker in TICKERS:
        yield ticker, one(bars, ticker)


def titled(bars: pd.DataFrame, form: str = "%Y-%m-%d") -> pd.DataFrame:
    """Date, Open, High, Low, Close, Volume of one ticker, whole volumes."""
    out = bars[["date", *FIELDS]].set_axis(["Date", *TITLES], axis=1)
    return out.assign(Date=out["Date"].dt.strftime(form), Volume=out["Volume"].astype(int))


def csv(frame: pd.DataFrame, path: Path, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False, **options)
    return path


def folder_of(name: Callable[[str], str], content: Callable[[pd.DataFrame], pd.DataFrame]) -> Any:
    """Return a writer of a folder with one file for each ticker."""

    def write(bars: pd.DataFrame, folder: Path) -> Path:
        for ticker, own in each(bars):
            csv(content(own), folder / "bars" / name(ticker))
        return folder / "bars"

    return write


def long(bars: pd.DataFrame, **names: str) -> pd.DataFrame:
    return bars.assign(date=bars["date"].dt.strftime("%Y-%m-%d")).rename(columns=names)


def newest_first(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.iloc[::-1]


def text_of(frame: pd.DataFrame, path: Path, text: Callable[[str], bytes]) -> Path:
    path.write_bytes(text(frame.to_csv(index=False)))
    return path


def yfinance(bars: pd.DataFrame, *, tickers: tuple[str, ...] = TICKERS) -> pd.DataFrame:
    """The frame that `yfinance.download` returns: columns (Price, Ticker), a day without a bar is empty."""
    wide = bars[bars["ticker"].isin(tickers)].pivot(index="date", columns="ticker", values=FIELDS)
    wide.columns = pd.MultiIndex.from_tuples([(f.title(), t) for f, t in wide.columns], names=["Price", "Ticker"])
    return wide.rename_axis(index="Date")


def header_levels(
    bars: pd.DataFrame,
    folder: Path,
    *,
    order: tuple[str, str] = ("Price", "Ticker"),
    index_row: bool = True,
    adjusted: bool = False,
) -> Path:
    wide = yfinance(bars)
    if adjusted:
        for ticker in TICKERS:
            wide["Adj Close", ticker] = wide["Close", ticker] / 2
    wide = wide.reorder_levels(list(order), axis=1).sort_index(axis=1)
    rows = [[order[0], *wide.columns.get_level_values(0)], [order[1], *wide.columns.get_level_values(1)]]
    if index_row:
        rows.append(["Date", *[""] * len(wide.columns)])
    lines = [",".join(row) for row in rows]
    lines += [
        ",".join([f"{day:%Y-%m-%d}", *map(str, values)]) for day, values in zip(wide.index, wide.values, strict=True)
    ]
    path = folder / "yfinance.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def dollars(own: pd.DataFrame) -> pd.DataFrame:
    out = titled(own, "%m/%d/%Y").rename(columns={"Close": "Close/Last"})
    out = out[["Date", "Close/Last", "Volume", "Open", "High", "Low"]]
    for name in ("Close/Last", "Open", "High", "Low"):
        out[name] = out[name].map("${:,.2f}".format)
    return newest_first(out)


def investing(own: pd.DataFrame) -> pd.DataFrame:
    out = titled(own, "%m/%d/%Y")
    out = out[["Date", "Close", "Open", "High", "Low", "Volume"]].rename(columns={"Close": "Price", "Volume": "Vol."})
    out["Vol."] = (out["Vol."] / 1e6).map("{:.2f}M".format)
    out["Change %"] = "0.51%"
    return newest_first(out)


def comma(frame: pd.DataFrame, form: str = "{:.2f}") -> pd.DataFrame:
    """Prices with a decimal comma."""
    return frame.assign(**{name: frame[name].map(lambda x: form.format(x).replace(".", ",")) for name in TITLES[:4]})


def german(bars: pd.DataFrame, folder: Path) -> Path:
    out = titled(one(bars), "%d.%m.%Y")
    for name in TITLES[:4]:
        out[name] = (out[name] * 100).map(lambda x: f"{x:,.2f}".translate(str.maketrans(",.", ".,")))
    return csv(out, folder / "AAPL.csv", sep=";")


def footer(bars: pd.DataFrame, folder: Path) -> Path:
    out = newest_first(titled(one(bars), "%m/%d/%Y").rename(columns={"Date": "Time", "Close": "Latest"}))
    out.insert(5, "Change", 0.5)
    out.insert(6, "%Change", "0.31%")
    text = out.to_csv(index=False) + '"Downloaded from Barchart.com as of 11-30-2026 09:15am CST"\n'
    path = folder / "aapl_daily_historical-data-11-30-2026.csv"
    path.write_text(text)
    return path


def yahoo_page(bars: pd.DataFrame, folder: Path) -> Path:
    out = titled(one(bars), "%b %d, %Y").rename(columns={"Close": "Close*"})
    out.insert(5, "Adj Close**", (out["Close*"] / 2).map("{:,.3f}".format))
    out["Volume"] = out["Volume"].map("{:,}".format)
    return csv(newest_first(out), folder / "AAPL.csv")


def zoned(bars: pd.DataFrame, form: str, zone: str = "America/New_York") -> pd.Series:
    stamps = bars["date"].dt.tz_localize("America/New_York").dt.tz_convert(zone)
    if form == "ns":
        return stamps.dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[ns]").astype("int64")
    text = stamps.dt.strftime(form)
    return text.str.replace(r"([+-]\d{2})(\d{2})$", r"\1:\2", regex=True)


def history(own: pd.DataFrame) -> pd.DataFrame:
    out = titled(own)
    return out.assign(Date=zoned(own, "%Y-%m-%d %H:%M:%S%z"), Dividends=0.0, **{"Stock Splits": 0.0})


def alpaca(bars: pd.DataFrame, folder: Path) -> Path:
    out = bars.assign(timestamp=zoned(bars, "%Y-%m-%dT%H:%M:%SZ", "UTC"), trade_count=9, vwap=bars["close"])
    return csv(out.rename(columns={"ticker": "symbol"}).drop(columns="date"), folder / "bars.csv")


def tiingo(own: pd.DataFrame) -> pd.DataFrame:
    out = own[["date", "close", "high", "low", "open", "volume"]].assign(
        date=own["date"].dt.strftime("%Y-%m-%dT00:00:00.000Z")
    )
    for name in ("close", "high", "low", "open"):
        out[f"adj{name.title()}"] = own[name] / 2
    return out.assign(adjVolume=own["volume"] * 2, divCash=0.0, splitFactor=1.0)


def wiki(bars: pd.DataFrame, folder: Path) -> Path:
    out = long(bars).assign(**{"ex-dividend": 0.0, "split_ratio": 1.0})
    for name in FIELDS[:4]:
        out[f"adj_{name}"] = bars[name] / 2
    return csv(out.assign(adj_volume=bars["volume"]), folder / "WIKI_PRICES.csv")


def only_adjusted(bars: pd.DataFrame, folder: Path) -> Path:
    return csv(long(bars).rename(columns={name: f"adj_{name}" for name in FIELDS}), folder / "bars.csv")


def wide_folder(suffix: str) -> Any:
    def write(bars: pd.DataFrame, folder: Path) -> Path:
        target = folder / "wide"
        target.mkdir()
        for name in FIELDS:
            wide = bars.pivot(index="date", columns="ticker", values=name)
            wide.to_parquet(target / f"{name}{suffix}") if suffix == ".parquet" else wide.to_csv(
                target / f"{name}{suffix}"
            )
        return target

    return write


def qlib_store(bars: pd.DataFrame, folder: Path) -> Path:
    root = folder / "qlib"
    (root / "calendars").mkdir(parents=True)
    (root / "instruments").mkdir()
    days = pd.DatetimeIndex(sorted(bars["date"].unique()))
    (root / "calendars" / "day.txt").write_text("\n".join(days.strftime("%Y-%m-%d")) + "\n")
    for ticker, own in each(bars):
        target = root / "features" / ticker
        target.mkdir(parents=True)
        start = days.get_loc(own["date"].iloc[0])
        for name in FIELDS:
            np.concatenate([[start], own[name]]).astype("<f4").tofile(target / f"{name}.day.bin")
    return root


def database(name: str, extra: bool = False) -> Any:
    def write(bars: pd.DataFrame, folder: Path) -> Path:
        path = folder / name
        frame = long(bars)
        if name.endswith(".duckdb"):
            import duckdb

            with duckdb.connect(str(path)) as store:
                store.execute("CREATE TABLE prices AS SELECT * FROM frame")
            return path
        with closing(sqlite3.connect(path)) as store:
            frame.to_sql("prices", store, index=False)
            if extra:
                frame.head(3).to_sql("notes", store, index=False)
            store.commit()
        return path

    return write


def zipped(bars: pd.DataFrame, folder: Path) -> Path:
    with zipfile.ZipFile(folder / "bars.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for ticker, own in each(bars):
            archive.writestr(f"data/{ticker}.csv", titled(own).to_csv(index=False))
    return folder / "bars.zip"


def compressed(suffix: str, compress: Callable[[bytes], bytes]) -> Any:
    return lambda bars, folder: text_of(long(bars), folder / f"bars.csv{suffix}", lambda text: compress(text.encode()))


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def parquet(frame: pd.DataFrame, path: Path, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path, **options)
    return path


def partitions(bars: pd.DataFrame, folder: Path) -> Path:
    for ticker, own in each(bars):
        parquet(own.drop(columns="ticker"), folder / "bars" / f"ticker={ticker}" / "part-0.parquet", index=False)
    return folder / "bars"


def quantmod(bars: pd.DataFrame, folder: Path) -> Path:
    own = one(bars)
    out = own[FIELDS].set_axis([f"AAPL.{name}" for name in TITLES], axis=1)
    out.insert(0, "", own["date"].dt.strftime("%Y-%m-%d"))
    return csv(out.assign(**{"AAPL.Adjusted": own["close"] / 2}), folder / "prices.csv")


def flattened(bars: pd.DataFrame, folder: Path) -> Path:
    wide = yfinance(bars)
    wide.columns = [f"{price}_{ticker}" for price, ticker in wide.columns]
    return csv(wide.reset_index(), folder / "prices.csv")


def intraday(bars: pd.DataFrame, folder: Path) -> Path:
    """Two rows a day that make the known bar: its open and high, then its low and close."""
    own = one(bars)
    first = own.assign(
        date=own["date"] + pd.Timedelta("10h"), close=own["open"], low=own["open"], volume=own["volume"] - 7
    )
    last = own.assign(date=own["date"] + pd.Timedelta("16h"), open=own["close"], high=own["close"], volume=7)
    out = pd.concat([last, first])
    return csv(out.assign(date=out["date"].dt.strftime("%Y-%m-%d %H:%M:%S")), folder / "bars.csv")


def metatrader(own: pd.DataFrame) -> pd.DataFrame:
    out = titled(own, "%Y.%m.%d").set_axis(["<DATE>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<VOL>"], axis=1)
    return out.assign(**{"<SPREAD>": 2})


def stooq(own: pd.DataFrame) -> pd.DataFrame:
    names = ["<DATE>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<VOL>"]
    out = titled(own, "%Y%m%d").set_axis(names, axis=1)
    out.insert(0, "<TICKER>", f"{own['ticker'].iloc[0]}.US")
    out.insert(1, "<PER>", "D")
    out.insert(3, "<TIME>", "000000")
    return out.assign(**{"<OPENINT>": 0})


def above(bars: pd.DataFrame, folder: Path) -> Path:
    return text_of(long(bars), folder / "bars.csv", lambda text: f"Daily prices\nAll rights\n\n{text}".encode())


def epoch(own: pd.DataFrame) -> pd.DataFrame:
    seconds = own["date"].dt.tz_localize("America/New_York").dt.tz_convert("UTC").dt.tz_localize(None)
    days = (seconds - pd.Timestamp(0)) // pd.Timedelta("1s")
    return own[["date", *FIELDS]].rename(columns={"date": "time", "volume": "Volume"}).assign(time=days)


def headless(bars: pd.DataFrame, folder: Path) -> Path:
    return csv(titled(one(bars)), folder / "AAPL.csv", header=False)


def blanks(bars: pd.DataFrame, folder: Path) -> Path:
    return csv(long(bars).assign(ticker="  " + bars["ticker"] + " "), folder / "bars.csv")


US = tuple(f"{ticker}.US" for ticker in TICKERS)
AAPL = ("AAPL",)


def renamed(bars: pd.DataFrame, folder: Path) -> Path:
    return csv(
        long(bars, ticker="Papier", open="Erster", high="Hoch", low="Tief", close="Schluss"), folder / "bars.csv"
    )


def written(name: str, frame: Callable[[pd.DataFrame], pd.DataFrame], **options: Any) -> Any:
    return lambda bars, folder: csv(frame(bars), folder / name, **options)


def bytes_in(name: str, content: bytes) -> Any:
    def write(_bars: pd.DataFrame, folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


SHAPES = (
    FileShape("long CSV", written("bars.csv", long)),
    FileShape("capitals", written("bars.csv", lambda b: long(b).rename(columns=str.upper))),
    FileShape("Symbol and Name", written("bars.csv", lambda b: long(b, ticker="Symbol").assign(Name="Apple Inc."))),
    FileShape("Kaggle S&P 500", written("all_stocks_5yr.csv", lambda b: long(b, ticker="Name"))),
    FileShape(
        "Kaggle NYSE",
        written(
            "prices.csv", lambda b: long(b, ticker="symbol").assign(date=b["date"].dt.strftime("%Y-%m-%d 00:00:00"))
        ),
    ),
    FileShape(
        "Kaggle Huge Stock Market",
        folder_of(lambda t: f"{t.lower()}.us.txt", lambda own: titled(own).assign(OpenInt=0)),
        tickers=US,
    ),
    FileShape("Stooq", folder_of(lambda t: f"{t.lower()}.us.txt", stooq), tickers=US),
    FileShape("Nasdaq.com", folder_of(lambda t: f"{t}.csv", dollars)),
    FileShape("Investing.com", folder_of(lambda t: f"{t} Historical Data.csv", investing), volume=1e4),
    FileShape(
        "Alpha Vantage",
        folder_of(
            lambda t: f"daily_{t}.csv",
            lambda own: newest_first(titled(own).rename(columns=str.lower).rename(columns={"date": "timestamp"})),
        ),
    ),
    FileShape(
        "Alpha Vantage adjusted",
        folder_of(
            lambda t: f"daily_adjusted_{t}.csv",
            lambda own: newest_first(
                titled(own)
                .rename(columns=str.lower)
                .rename(columns={"date": "timestamp"})
                .assign(adjusted_close=own["close"] / 2, dividend_amount=0.0, split_coefficient=1.0)
            ),
        ),
        adjusted=True,
    ),
    FileShape("Alpaca", alpaca),
    FileShape("Barchart", footer, tickers=AAPL),
    FileShape("yfinance history", folder_of(lambda t: f"{t}.csv", history)),
    FileShape("yfinance download", header_levels),
    FileShape("yfinance download with Adj Close", partial(header_levels, adjusted=True), adjusted=True),
    FileShape("yfinance download, ticker first", partial(header_levels, order=("Ticker", "Price"))),
    FileShape("yfinance download, two header lines", partial(header_levels, index_row=False)),
    FileShape("Yahoo web page", yahoo_page, tickers=AAPL, adjusted=True, volume=1.0),
    FileShape(
        "semicolons and decimal commas",
        lambda b, f: csv(comma(titled(one(b), "%d.%m.%Y")), f / "AAPL.csv", sep=";"),
        tickers=AAPL,
    ),
    FileShape("decimal commas with thousands", german, tickers=("AAPL",)),
    FileShape("tabs", written("bars.tsv", long, sep="\t")),
    FileShape("pipes", written("bars.txt", long, sep="|")),
    FileShape("UTF-16", lambda b, f: text_of(long(b), f / "bars.csv", lambda text: text.encode("utf-16"))),
    FileShape(
        "UTF-8 with byte order mark", lambda b, f: text_of(long(b), f / "bars.csv", lambda t: t.encode("utf-8-sig"))
    ),
    FileShape(
        "Excel's sep line",
        lambda b, f: text_of(long(b), f / "bars.csv", lambda t: f"sep=;\n{t.replace(',', ';')}".encode()),
    ),
    FileShape("title lines", above),
    FileShape("gzip", compressed(".gz", gzip.compress)),
    FileShape("bzip2", compressed(".bz2", bz2.compress)),
    FileShape("xz", compressed(".xz", lzma.compress)),
    FileShape("Zstandard", compressed(".zst", zstd)),
    FileShape("zip of a file for each ticker", zipped),
    FileShape("Parquet", lambda b, f: parquet(b, f / "bars.parquet", index=False)),
    FileShape("Parquet with a row index", lambda b, f: parquet(b.set_index(["ticker", "date"]), f / "bars.parquet")),
    FileShape("Parquet of yfinance", lambda b, f: parquet(yfinance(b), f / "bars.parquet")),
    FileShape(
        "Parquet with time zone",
        lambda b, f: parquet(b.assign(date=b["date"].dt.tz_localize("America/New_York")), f / "bars.parquet"),
    ),
    FileShape("Parquet partitions", partitions),
    FileShape("Feather", lambda b, f: b.to_feather(f / "bars.feather") or f / "bars.feather"),
    FileShape("wide CSV for each field", wide_folder(".csv")),
    FileShape("wide Parquet for each field", wide_folder(".parquet")),
    FileShape(
        "Qlib CSV",
        folder_of(lambda t: f"{t}.csv", lambda own: titled(own).rename(columns=str.lower).assign(factor=1.0)),
    ),
    FileShape("Qlib binary store", qlib_store, volume=0.0),
    FileShape("SQLite table", database("bars.db")),
    FileShape(
        "SQLite query",
        database("bars.db", extra=True),
        options={
            "query": "SELECT ticker AS t, date, open, high, low, close, volume FROM prices",
            "columns": {"ticker": "t"},
        },
    ),
    FileShape("DuckDB", database("bars.duckdb")),
    FileShape("quantmod", quantmod, tickers=AAPL, adjusted=True),
    FileShape("flattened columns", flattened),
    FileShape("Tiingo", folder_of(lambda t: f"{t}.csv", tiingo), adjusted=True),
    FileShape(
        "Polygon aggregates",
        lambda b, f: csv(b.assign(window_start=zoned(b, "ns"), transactions=5).drop(columns="date"), f / "bars.csv"),
    ),
    FileShape(
        "EOD Historical Data",
        folder_of(lambda t: f"{t}.csv", lambda own: titled(own).assign(Adjusted_close=own["close"] / 2)),
        adjusted=True,
    ),
    FileShape(
        "Sharadar",
        written(
            "SEP.csv",
            lambda b: long(b).assign(closeadj=b["close"] / 2, closeunadj=b["close"], lastupdated="2024-12-01"),
        ),
        adjusted=True,
    ),
    FileShape("Quandl WIKI", wiki, adjusted=True),
    FileShape("adjusted columns only", only_adjusted),
    FileShape(
        "Tushare",
        written(
            "daily.csv",
            lambda b: long(b, ticker="ts_code", date="trade_date", volume="vol").assign(
                trade_date=b["date"].dt.strftime("%Y%m%d"), pre_close=1.0, pct_chg=0.1, amount=3.0
            ),
        ),
    ),
    FileShape(
        "NSE bhavcopy",
        written(
            "bhavcopy.csv",
            lambda b: (
                long(b)
                .rename(columns=str.upper)
                .rename(columns={"TICKER": "SYMBOL", "VOLUME": "TOTTRDQTY"})
                .assign(DATE=b["date"].dt.strftime("%d-%b-%Y").str.upper(), SERIES="EQ", PREVCLOSE=1.0)
                .rename(columns={"DATE": "TIMESTAMP"})
            ),
        ),
    ),
    FileShape("MetaTrader", lambda b, f: csv(metatrader(one(b)), f / "AAPL.csv", sep="\t"), tickers=AAPL),
    FileShape("TradingView", folder_of(lambda t: f"{t}.csv", epoch)),
    FileShape(
        "Bloomberg",
        folder_of(
            lambda t: f"{t}.csv",
            lambda own: titled(own).set_axis(["Dates", "PX_OPEN", "PX_HIGH", "PX_LOW", "PX_LAST", "PX_VOLUME"], axis=1),
        ),
    ),
    FileShape(
        "Refinitiv",
        written(
            "bars.csv",
            lambda b: long(b, ticker="Instrument").rename(columns={n: f"Price {n.title()}" for n in FIELDS[:4]}),
        ),
    ),
    FileShape("blanks around tickers", blanks),
    FileShape(
        "day first",
        written("bars.csv", lambda b: b.assign(date=b["date"].dt.strftime("%d/%m/%Y"))),
    ),
    FileShape(
        "other names, stated",
        renamed,
        options={"columns": {"ticker": "Papier", "open": "Erster", "high": "Hoch", "low": "Tief", "close": "Schluss"}},
    ),
    FileShape(
        "no header, positions stated",
        headless,
        options={"columns": {"date": 1, "open": 2, "high": 3, "low": 4, "close": 5, "volume": 6}},
        tickers=AAPL,
    ),
    FileShape(
        "two-digit years, format stated",
        written("bars.csv", lambda b: b.assign(date=b["date"].dt.strftime("%d.%m.%y"))),
        options={"date_format": "%d.%m.%y"},
    ),
    FileShape("intraday, aggregated", intraday, options={"aggregate": True}, tickers=AAPL),
    # --- refused in words ---
    FileShape("other names", renamed, refused="no column for open, high, low, close.*data.columns={open: "),
    FileShape("no header", headless, refused="no column for date, open.*Found the columns 1, 2, 3, 4, 5, 6"),
    FileShape("intraday", intraday, refused="several rows of a ticker on one day.*data.aggregate=true"),
    FileShape(
        "ambiguous dates",
        written("bars.csv", lambda b: b.head(7).assign(date=b["date"].head(7).dt.strftime("%d/%m/%Y"))),
        refused="a day may be a month.*data.date_format=%d/%m/%Y",
    ),
    FileShape(
        "two-digit years",
        written("bars.csv", lambda b: b.assign(date=b["date"].dt.strftime("%d.%m.%y"))),
        refused="a year of two digits.*data.date_format=",
    ),
    FileShape(
        "ambiguous decimals",
        written(
            "bars.csv",
            lambda b: long(b).assign(
                **{n: b[n].map(lambda x: f"{x:.3f}".replace(".", ",")) for n in FIELDS[:4]}, volume=7
            ),
        ),
        refused='decimal comma or with thousands.*data.decimal=","',
    ),
    FileShape(
        "closes only",
        written("closes.csv", lambda b: b.pivot(index="date", columns="ticker", values="close").reset_index()),
        refused="no open, high, low, close and volume. Give a folder",
    ),
    FileShape(
        "several tables in a database",
        database("bars.db", extra=True),
        refused="has the tables notes, prices.*data.query=notes",
    ),
    FileShape("Excel", lambda b, f: _excel(f), refused="is an Excel workbook. Save its sheet as CSV"),
    FileShape("JSON", bytes_in("bars.json", b'{"AAPL": [1, 2]}'), refused="is JSON. Expected CSV"),
    FileShape("pickle", bytes_in("bars.pkl", b"\x80\x04\x95\x00\x00"), refused="is a pickle, which could run any code"),
    FileShape("HDF5", bytes_in("bars.h5", b"\x89HDF\r\n\x1a\n"), refused="is HDF5. Expected CSV"),
    FileShape("web page", bytes_in("bars.csv", b"<!DOCTYPE html><html></html>"), refused="is a web page"),
)


def _excel(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "bars.xlsx", "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
    return folder / "bars.xlsx"
