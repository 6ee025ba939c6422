"""The positions that follow from the newest predictions of a file."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from ste.config import PredictSettings
from ste.config.progress import step
from ste.data.storage.parquet_shards import part_files
from ste.errors import DataError
from ste.evaluation.information_coefficient import MIN_TICKERS
from ste.evaluation.portfolio.candidates import Candidates, no_past
from ste.evaluation.portfolio.past_returns import PastReturns
from ste.evaluation.portfolio.positions import write_positions
from ste.evaluation.portfolio.rules import TradingRules
from ste.inference.model_card import ModelCard
from ste.market.calendar import Periods
from ste.market.sources import RAW_CLOSE, Market
from ste.market.ticker_groups import values_ahead
from ste.schema import KEYS, probability_names

log = logging.getLogger(__name__)


def write_next_positions(settings: PredictSettings, card: ModelCard, market: Market | None) -> str:
    """Write the positions of the newest date of the predictions, and return what was written, in words.

    Args:
        settings: of the command; `output` holds the predictions, `positions` is the file.
        card: of the model.
        market: that the features were computed from; None with `input`.

    Raises:
        DataError: too few tickers on that date.
    """
    names = list(probability_names(tuple(card.classes)))
    with step("choosing positions"):
        frame = _read_predictions(settings, [*KEYS, *names])
        last = frame["date"].max()
        older = sorted(set(frame["ticker"]) - set(frame["ticker"][frame["date"] == last]))
        frame = frame[frame["date"] == last].sort_values("ticker", kind="stable")
    if len(frame) < MIN_TICKERS:
        raise DataError(
            f"positions={settings.positions}: {last:%Y-%m-%d} has predictions of {len(frame)} tickers. Expected "
            f"{MIN_TICKERS} or more, to compare them."
        )
    tickers = frame["ticker"].astype(str).to_numpy(dtype=object)
    past = no_past if market is None else _Past(market, card, tickers, last)
    candidates = Candidates(frame[names].to_numpy(dtype=np.float64), np.zeros(len(frame)), past)
    rules = TradingRules(settings.portfolio, settings.portfolio_arguments, settings.execution)
    weights = dict(zip(tickers.tolist(), rules.construction("portfolio_arguments")(candidates).tolist(), strict=True))
    prices = {} if market is None else _last_prices(market, last)
    unknown = write_positions(
        Path(str(settings.positions)),
        weights,
        f"{last:%Y-%m-%d}",
        settings.execution,
        card.periods.calendar,
        prices,
        settings.capital,
    )
    if older:
        some = ", ".join(older[:5]) + (", ..." if len(older) > 5 else "")
        log.info(f"{len(older)} tickers without a prediction of {last:%Y-%m-%d} get no position: {some}")
    held = [weight for weight in weights.values() if weight]
    text = f"{sum(weight > 0 for weight in held):,} long, {sum(weight < 0 for weight in held):,} short"
    return f"{text}, as of {last:%Y-%m-%d}" + (f"; {unknown:,} without a price" if unknown else "")


def _read_predictions(settings: PredictSettings, columns: list[str]) -> pd.DataFrame:
    path = Path(settings.output)
    files = sorted(path.glob(f"*{settings.ending}")) if path.is_dir() else [path]
    if settings.ending == ".parquet":
        frames = [pd.read_parquet(file, columns=columns) for file in (part_files(path) if path.is_dir() else files)]
    else:
        types = {"ticker": str}
        frames = [pd.read_csv(file, usecols=columns, dtype=types, keep_default_na=False) for file in files]
    frame = pd.concat(frames, ignore_index=True)
    return frame.assign(date=pd.to_datetime(frame["date"]))


class _Past:
    """Past returns of the tickers, computed from bars when they are asked for."""

    def __init__(self, market: Market, card: ModelCard, tickers: np.ndarray, last: pd.Timestamp) -> None:
        self._market, self._card, self._tickers, self._last = market, card, tickers, last

    def __call__(self, periods: int) -> np.ndarray:
        known = Periods(self._card.frequency, self._market.calendar)
        bars = self._market.bars[self._market.bars["date"] <= self._last]
        index, code = known.index(bars["date"]), pd.Index(self._tickers).get_indexer(bars["ticker"].astype(str))
        ends = np.append((index[1:] != index[:-1]) | (code[1:] != code[:-1]), True) & (code >= 0)
        index, code, close = index[ends], code[ends], bars["close"].to_numpy(dtype=np.float64)[ends]
        order = np.lexsort((index, code))
        index, code, close = index[order], code[order], close[order]
        returns = values_ahead(close, code, index, self._card.horizon) / close - 1.0
        now = int(known.index(np.array([self._last], dtype="datetime64[D]"))[0])
        past = PastReturns(index, code, returns, self._card.horizon)
        return past(now, periods, np.arange(len(self._tickers)))


def _last_prices(market: Market, last: pd.Timestamp) -> dict[str, float]:
    """Return the price of each ticker as traded at the close of a date."""
    bars = market.bars[market.bars["date"] == last]
    price = bars[RAW_CLOSE if RAW_CLOSE in bars else "close"]
    return dict(zip(bars["ticker"].astype(str), price.astype(float).tolist(), strict=True))
