"""News fields: count, sentiment and relevance of a period's items."""

import numpy as np
import pandas as pd

from ste.market.calendar import WEEKS, Periods
from ste.schema import ROW_PERIOD

NEWS_FIELDS = ("news_sentiment", "news_count", "news_relevance")


def news_features(rows: pd.DataFrame, news: pd.DataFrame | None, periods: Periods = WEEKS) -> pd.DataFrame:
    """Compute the count, and the count-weighted sentiment and relevance, of each row's period up to its close.

    News dated after a period's last session (a weekend) counts for the next period.

    Args:
        rows: `ticker` and `period`, N rows.
        news: `MARKET_COLUMNS["news"]`; None gives zeros.
        periods: of the rows; default: weeks of New York.

    Returns:
        The columns of `NEWS_FIELDS`, float64, with the index of `rows`.
    """
    out = pd.DataFrame(0.0, index=rows.index, columns=list(NEWS_FIELDS))
    if news is None or news.empty or rows.empty:
        return out
    code, news_code = _shared_codes(rows["ticker"], news["ticker"])
    period, known = rows[ROW_PERIOD].to_numpy(), periods.known(news["date"])
    low, high = period.min(), period.max()
    used = np.flatnonzero((news_code >= 0) & (known >= low) & (known <= high))
    # A group is a ticker's period. Its items are summed in date order, so that the order of the file does not matter.
    group = news_code[used] * (high - low + 1) + known[used] - low
    order = np.lexsort((news["date"].to_numpy()[used], group))
    used, group = used[order], group[order]
    if not len(used):
        return out
    starts = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    wanted = code * (high - low + 1) + period - low
    at = np.minimum(np.searchsorted(group[starts], wanted), len(starts) - 1)
    has_news = group[starts][at] == wanted
    count = news["count"].to_numpy(dtype=np.float64)[used]
    with np.errstate(over="ignore", invalid="ignore"):  # a sum that float64 cannot hold is no value
        total = np.where(has_news, np.add.reduceat(count, starts)[at], 0.0)
        out["news_count"] = total
        for name in ("sentiment", "relevance"):
            weighted = np.add.reduceat(news[name].to_numpy(dtype=np.float64)[used] * count, starts)
            out[f"news_{name}"] = np.where(has_news, weighted[at], 0.0) / np.maximum(total, 1.0)
    return out


def _shared_codes(rows: pd.Series, others: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return codes of the tickers of two columns, int64; -1 in the second for a ticker that the first does not have."""
    if isinstance(rows.dtype, pd.CategoricalDtype) and rows.dtype == others.dtype:
        return rows.cat.codes.to_numpy(dtype=np.int64), others.cat.codes.to_numpy(dtype=np.int64)
    codes, names = pd.factorize(rows)
    return codes.astype(np.int64), pd.Index(names).get_indexer(pd.Index(others)).astype(np.int64)
