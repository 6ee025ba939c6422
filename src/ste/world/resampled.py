"""A market fitted to some sessions of another one by resampling them: a source of bars like any other.

Each ticker's daily log return is its beta times the market's (the mean over tickers) plus what is left of it. A
drawn market takes both from blocks of consecutive sessions (moving blocks, Kuensch 1989, Annals of Statistics
17(3)), the market's blocks and the residuals' apart, the residuals of all tickers together. So drift, volatility
and its clustering, fat tails, the tickers' correlation with the market and with each other are those of the fitted
sessions, and every week's return is a sum that never was. With the market's blocks come the VIX and the policy
events, with the residuals' blocks the news, the volume and the day's range. The slow macro figures run as they ran,
since a jump at each joint would be no macro figure.

What it can teach: what of next week follows from this week within a block, weakened where a joint lies between.
Nothing that the fitted sessions do not hold; where they hold no signal, no direction is to be learnt here.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ste.data.calendar import session_numbers, sessions
from ste.data.features import latest_release
from ste.data.market import Market
from ste.errors import DataError

_SHAPE = ("open", "high", "low")


@dataclass(frozen=True, eq=False)
class ResampledMarket:
    """What sessions of a market leave to draw from; D sessions, N tickers.

    Attributes:
        source: the market; news, macro and policy are read on `days` alone.
        days: the fitted sessions `[D]`.
        number: their `session_numbers`.
        tickers: those with a bar on every one of them.
        first: their close on the first, dollars `[N]`.
        common: log return of the market, `[D]`.
        beta: of each ticker on it, `[N]`.
        own: what is left, drift included, `[D, N]`.
        shape: open, high and low over the close, `[3, D, N]`.
        volume: shares `[D, N]`.
        starts: sessions that a block may start on.
        block: sessions in a block.
    """

    source: Market
    days: pd.DatetimeIndex
    number: np.ndarray
    tickers: tuple[str, ...]
    first: np.ndarray
    common: np.ndarray
    beta: np.ndarray
    own: np.ndarray
    shape: np.ndarray
    volume: np.ndarray
    starts: np.ndarray
    block: int

    @classmethod
    def fit(cls, market: Market, days: pd.DatetimeIndex, block: int) -> "ResampledMarket":
        """Take what these sessions hold, and nothing else of the market.

        Args:
            market: daily sources.
            days: sessions to learn from, sorted; where one is missing between two, no block and no return
                reaches across.
            block: consecutive sessions taken over at once.

        Raises:
            DataError: no ticker traded on all of them, or no block fits.
        """
        bars = market.bars[market.bars["date"].isin(days)]
        whole = bars["ticker"].value_counts()
        tickers = sorted(whole.index[whole == len(days)])
        if not tickers:
            raise DataError(
                f"augment=synthetic: no ticker has bars on all of the {len(days)} training sessions. "
                "Try data.tickers=[…] with those that do, or augment=mixup."
            )
        number = session_numbers(days)
        starts = _block_starts(number, block)
        if not len(starts):
            raise DataError(
                f"augment.block={block}: the training rows hold no {block + 1} sessions in a row (they are {len(days)} "
                "in all). Try a smaller augment.block, or augment=mixup."
            )
        bars = bars[bars["ticker"].isin(tickers)].sort_values(["date", "ticker"])
        cells = {name: bars[name].to_numpy(np.float64).reshape(len(days), -1) for name in (*_SHAPE, "close", "volume")}
        close = cells["close"]
        returns = np.diff(np.log(close), axis=0, prepend=np.log(close[:1]))
        inner = np.append(False, np.diff(number) == 1)  # the others' return began on a session that is not ours
        common = returns.mean(axis=1)
        deviation = common - common[inner].mean()
        spread = float(deviation[inner] @ deviation[inner])
        beta = deviation[inner] @ returns[inner] / spread if spread > 0 else np.ones(len(tickers))
        return cls(
            source=market,
            days=days,
            number=number,
            tickers=tuple(tickers),
            first=close[0],
            common=common,
            beta=beta,
            own=returns - np.outer(common, beta),
            shape=np.stack([cells[name] / close for name in _SHAPE]),
            volume=cells["volume"],
            starts=starts,
            block=block,
        )

    def draw(self, lookback: int, rng: np.random.Generator) -> Market:
        """A market of as many sessions as were fitted, and `lookback` before them; it ends on the last of them."""
        n = len(self.days) + lookback
        last = self.days[-1]
        days = sessions(last - pd.Timedelta(days=int(n * 1.5) + 30), last)[-n:]
        market_at, own_at = self._blocks(n, rng), self._blocks(n, rng)
        log_return = np.outer(self.common[market_at], self.beta) + self.own[own_at]
        close = self.first * np.exp(np.cumsum(log_return, axis=0))
        columns = {name: close * ratio[own_at] for name, ratio in zip(_SHAPE, self.shape, strict=True)}
        columns |= {"close": close, "volume": self.volume[own_at]}
        bars = pd.DataFrame(
            {
                "ticker": np.repeat(self.tickers, n),
                "date": np.tile(days.to_numpy(), len(self.tickers)),
                **{name: values.T.ravel() for name, values in columns.items()},
            }
        )
        news = self._moved(self.source.news, days, own_at)
        if news is not None:
            news = news[news["ticker"].isin(self.tickers)].reset_index(drop=True)
        policy = self._moved(self.source.policy, days, market_at)
        return Market(bars=bars, news=news, macro=self._macro(days, market_at), policy=policy)

    def _blocks(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """The fitted session that each of `n` drawn ones takes over, int64 `[n]`."""
        starts = rng.choice(self.starts, -(-n // self.block))
        return (starts[:, None] + np.arange(self.block)).ravel()[:n]

    def _moved(self, frame: pd.DataFrame | None, days: pd.DatetimeIndex, at: np.ndarray) -> pd.DataFrame | None:
        """News or events of the fitted sessions on the days that take them over; a weekend's go with the Monday."""
        if frame is None:
            return None
        known = session_numbers(pd.DatetimeIndex(frame["date"]) - pd.Timedelta(days=1)) + 1
        place = np.minimum(np.searchsorted(self.number, known), len(self.number) - 1)
        ours = self.number[place] == known
        kept = frame[ours].drop(columns="date").assign(at=place[ours])
        return pd.DataFrame({"date": days, "at": at}).merge(kept, on="at").drop(columns="at")

    def _macro(self, days: pd.DatetimeIndex, market_at: np.ndarray) -> pd.DataFrame | None:
        """A release of every series on every drawn day: VIX of the market's block, the others in their own order."""
        macro = self.source.macro
        if macro is None:
            return None
        in_order = np.maximum(np.arange(len(days)) - (len(days) - len(self.days)), 0)
        parts = []
        for series in sorted(macro["series"].unique()):
            known = latest_release(macro, series, self.days.to_numpy())
            if known is not None:
                value = known[market_at if series == "vix" else in_order]
                parts.append(pd.DataFrame({"series": series, "release_date": days, "value": value}))
        return pd.concat(parts, ignore_index=True) if parts else None


def _block_starts(number: np.ndarray, block: int) -> np.ndarray:
    """Places from which `block` consecutive sessions follow, each with the session before it."""
    last = len(number) - block
    at = np.arange(1, last + 1)
    return at[number[at + block - 1] - number[at - 1] == block] if last >= 1 else at[:0]
