"""The real market of `data=sample`: five US stocks from the package `bokeh_sampledata`, which needs no network.

The package carries Quandl's WIKI prices, which the publisher placed in the public domain: prices and volume as traded,
and a close adjusted for splits and dividends. They take the path of a file of bars from there on: the same checks and
the same adjustment. The adjusted close explains every split of the five (AAPL 2000-06-21 and 2005-02-28, MSFT
2003-02-18, each 2:1) and Google's later issue of a second class of shares (2014-04-03).
"""

from ste.config.data_settings import SAMPLE_PACKAGE
from ste.data.bar_files.raw_table import ArrowTable, RawTable
from ste.data.cells import cells_of_series
from ste.errors import DataError
from ste.market.read_summary import ReadSummary
from ste.schema import ADJUSTED_CLOSE, MARKET_COLUMNS

SAMPLE = f"package {SAMPLE_PACKAGE}"


def sample_tables(summary: ReadSummary) -> list[RawTable]:
    """Return the bars of the package as one table.

    Args:
        summary: the licence and what is known of the data are stated.

    Raises:
        DataError: the package is another version than expected.
    """
    from bokeh_sampledata import stocks  # reads 300 KB

    if not hasattr(stocks, "data"):  # before 2026.1 there was no adjusted close, and the licence was unclear
        raise DataError(f"{SAMPLE}: no table of stocks. Expected 2026.1 or later. Try pip install -U {SAMPLE_PACKAGE}.")
    names = [*MARKET_COLUMNS["bars"], ADJUSTED_CLOSE.name]
    summary.state("sample: public domain (Quandl WIKI prices), package BSD-3")
    summary.state("sample: the fall of AAPL by 52 % on 2000-09-29 is real: a profit warning")
    return [ArrowTable(SAMPLE, "sample", [names], [cells_of_series(stocks.data[name]) for name in names])]
