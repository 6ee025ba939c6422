"""Which ticker a file is named after."""

import re
from pathlib import PurePath
from urllib.parse import unquote

import numpy as np

from ste.data.bar_files.column_names import is_ticker_name
from ste.errors import DataError

_YEAR = re.compile(r"(19|20)\d\d")
_PART = re.compile(r"part[-_.]?\d.*|data_\d+|\d{1,8}", re.I)  # names that Spark, Arrow, DuckDB and Polars give
_NOISE = re.compile(
    r"daily|weekly|monthly|hist|historical|history|data|prices?|quotes?|ohlcv?|stocks?|bars|adjusted|max|1d|d1|download|"
    r"historicaldata|(historical-(data|prices|quotes)|hist)([-_]?\d+)*|\d{4}-?\d{2}-?\d{2}|\d{8,}|\(\d+\)|to",
    re.I,
)


def ticker_of(where: str, stem: str, *, shared: bool = False) -> str:
    """Return the ticker that a file is named after, in capitals.

    Words that describe the content are left out: `IBM` of `daily_IBM`, `AAPL` of `aapl_historical-data-11-30-2026` and
    of `AAPL_2024`. A folder `ticker=AAPL` names it too.

    Args:
        where: path of the file.
        stem: its name without endings.
        shared: whether another table has this name; its folder then names the ticker of a name that describes the
            content alone, such as `AAPL/daily.csv`.

    Raises:
        DataError: the file is a part in folders that name something else.
    """
    folders = [re.fullmatch(r"([^=]+)=(.+)", part) for part in PurePath(where).parts[:-1]]
    partitions = {found[1]: unquote(found[2]) for found in folders if found}
    for key, value in partitions.items():
        if is_ticker_name(key):
            return value
    if partitions and _PART.fullmatch(stem):
        raise DataError(
            f"{where}: neither a column nor a folder names the ticker. Expected a column of tickers or folders such as "
            "ticker=AAPL."
        )
    words = [word for word in re.split(r"[ _]+", stem) if word]
    names = [word for word in words if not _NOISE.fullmatch(word)]
    if not names and shared:
        return PurePath(where).parent.name.upper()
    if len(names) > 1:
        names = [word for word in names if not _YEAR.fullmatch(word)]
    return (names[0] if len(names) == 1 else stem.strip()).upper()


def check_no_year(ticker: str, days: np.ndarray, where: str) -> None:
    """Raise `DataError` where a file is named after the year of all its bars rather than after a ticker.

    Args:
        ticker: that the file's name gives.
        days: of its bars, datetime64[D] `[N]`.
        where: the file, for messages.
    """
    if _YEAR.fullmatch(ticker) and len(days) and (days.astype("datetime64[Y]") == np.datetime64(ticker, "Y")).all():
        raise DataError(
            f"{where}: is named after a year and has no column of tickers. Expected the ticker in the name, such as "
            f"AAPL_{ticker}.csv, or a column."
        )
