"""The real market of `data=sample`: five US stocks from the package `bokeh_sampledata`, which needs no network.

The package carries Quandl's WIKI prices, which the publisher placed in the public domain: prices and volume as traded,
and a close adjusted for splits and dividends. They take the path of a file of bars from there on: the same checks and
the same adjustment. The adjusted close explains every split of the five (AAPL 2000-06-21 and 2005-02-28, MSFT
2003-02-18, each 2:1) and Google's later issue of a second class of shares (2014-04-03).
"""

from ste.config import SampleSettings
from ste.config.data_settings import SAMPLE_PACKAGE
from ste.data.sources.market_files import check_tickers, checked_bars, market_of_bars
from ste.errors import DataError
from ste.market.bar_adjustment import BarSummary, adjusted_bars
from ste.market.sources import Market
from ste.schema import ADJUSTED_CLOSE, MARKET_COLUMNS

_LICENCE = "public domain (Quandl WIKI prices), package BSD-3"


def read_sample(settings: SampleSettings) -> Market:
    """Read the bars of `data=sample`, and the other files of `settings` where they are given.

    Raises:
        DataError: the package is another version than expected, a ticker is unknown, or a file cannot be used.
    """
    from bokeh_sampledata import stocks  # reads 300 KB

    where = f"package {SAMPLE_PACKAGE}"
    if not hasattr(stocks, "data"):  # before 2026.1 there was no adjusted close, and the licence was unclear
        raise DataError(f"{where}: no table of stocks. Expected 2026.1 or later. Try pip install -U {SAMPLE_PACKAGE}.")
    frame = stocks.data[[*MARKET_COLUMNS["bars"], ADJUSTED_CLOSE.name]]
    if settings.tickers is not None:
        check_tickers(settings.tickers, set(frame["ticker"]), where)
        frame = frame[frame["ticker"].isin(settings.tickers)]
    summary = BarSummary()
    bars = checked_bars(frame, where, summary)
    span = f"{bars['date'].min():%Y-%m-%d} to {bars['date'].max():%Y-%m-%d}"
    notes = [f"sample: {bars['ticker'].nunique()} US stocks, {span}; {_LICENCE}"]
    adjusted = adjusted_bars(bars, notes, summary, where)
    if summary.jumps:
        notes.append("sample: the fall of AAPL by 52 % on 2000-09-29 is real: a profit warning")
    return market_of_bars(adjusted, settings, notes)
