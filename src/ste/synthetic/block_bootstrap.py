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

from ste.errors import DataError
from ste.features.feature_rows import latest_release
from ste.market.calendar import sessions
from ste.market.daily import MACRO_NEUTRAL, Market

_SHAPE = ("open", "high", "low")


@dataclass(frozen=True, eq=False)
class ResampledMarket:
    """What sessions of a market leave to draw from; D sessions, N tickers, L sessions in a drawn market.

    Attributes:
        days: the drawn market's sessions `[L]`; the last is the last fitted one.
        tickers: those with a bar on every fitted session.
        first: their close on the first, dollars `[N]`.
        common: log return of the market, `[D]`.
        beta: of each ticker on it, `[N]`.
        own: what is left, drift included, `[D, N]`.
        shape: open, high and low over the close, `[3, D, N]`.
        volume: shares `[D, N]`.
        news, policy: as they came, with the fitted session that they were known at as `at`; None without.
        macro: value of each series known at each fitted session, `[D]`.
        starts: fitted sessions that a block may start on.
        block: sessions in a block.
    """

    days: pd.DatetimeIndex
    tickers: tuple[str, ...]
    first: np.ndarray
    common: np.ndarray
    beta: np.ndarray
    own: np.ndarray
    shape: np.ndarray
    volume: np.ndarray
    news: pd.DataFrame | None
    policy: pd.DataFrame | None
    macro: dict[str, np.ndarray]
    starts: np.ndarray
    block: int

    @classmethod
    def fit(cls, market: Market, days: pd.DatetimeIndex, block: int, lookback: int) -> "ResampledMarket":
        """Take what these sessions hold, and nothing else of the market.

        Args:
            market: daily sources.
            days: sessions to learn from, sorted; where one is missing between two, no block and no return
                reaches across.
            block: consecutive sessions taken over at once.
            lookback: sessions that a drawn market has beside as many as are fitted.

        Raises:
            DataError: no ticker traded on all of them, or no block fits.
        """
        bars = market.bars[market.bars["date"].isin(days)]
        whole = bars["ticker"].value_counts()
        tickers = tuple(sorted(whole.index[whole == len(days)]))
        if not tickers:
            raise DataError(
                f"augment=synthetic: no ticker has bars on all of the {len(days)} training sessions. "
                "Try data.tickers=[...] with those that do, or augment=mixup."
            )
        span = len(days) + lookback
        every = sessions(days[0] - pd.Timedelta(days=30 + 2 * span), days[-1])
        number = every.get_indexer(days)
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
        deviation = common[inner] - common[inner].mean()
        spread = float(deviation @ deviation)
        beta = deviation @ returns[inner] / spread if spread > 0 else np.ones(len(tickers))
        news = _at(market.news, days, every[number - 1])
        macro = {name: latest_release(market.macro, name, days.to_numpy()) for name in MACRO_NEUTRAL}
        return cls(
            days=every[-span:],
            tickers=tickers,
            first=close[0],
            common=common,
            beta=beta,
            own=returns - np.outer(common, beta),
            shape=np.stack([cells[name] / close for name in _SHAPE]),
            volume=cells["volume"],
            news=None if news is None else news[news["ticker"].isin(tickers)],
            policy=_at(market.policy, days, every[number - 1]),
            macro={name: values for name, values in macro.items() if values is not None},
            starts=starts,
            block=block,
        )

    def draw(self, rng: np.random.Generator) -> Market:
        """A market that never was."""
        n = len(self.days)
        market_at, own_at = self._blocks(rng), self._blocks(rng)
        log_return = np.outer(self.common[market_at], self.beta) + self.own[own_at]
        close = self.first * np.exp(np.cumsum(log_return, axis=0))
        columns = {name: close * ratio[own_at] for name, ratio in zip(_SHAPE, self.shape, strict=True)}
        columns |= {"close": close, "volume": self.volume[own_at]}
        bars = pd.DataFrame(
            {
                "ticker": np.repeat(self.tickers, n),
                "date": np.tile(self.days.to_numpy(), len(self.tickers)),
                **{name: values.T.ravel() for name, values in columns.items()},
            }
        )
        return Market(
            bars=bars,
            news=self._moved(self.news, own_at),
            macro=self._macro(market_at),
            policy=self._moved(self.policy, market_at),
        )

    def _blocks(self, rng: np.random.Generator) -> np.ndarray:
        """The fitted session that each drawn one takes over, int64 `[L]`."""
        n = len(self.days)
        starts = rng.choice(self.starts, -(-n // self.block))
        return (starts[:, None] + np.arange(self.block)).ravel()[:n]

    def _moved(self, known: pd.DataFrame | None, at: np.ndarray) -> pd.DataFrame | None:
        if known is None:
            return None
        return pd.DataFrame({"date": self.days, "at": at}).merge(known, on="at").drop(columns="at")

    def _macro(self, market_at: np.ndarray) -> pd.DataFrame | None:
        """A release of every series on every drawn day: VIX of the market's block, the others in their own order."""
        if not self.macro:
            return None
        n, fitted = len(self.days), len(self.common)
        in_order = np.maximum(np.arange(n) - (n - fitted), 0)
        parts = [
            pd.DataFrame(
                {"series": name, "release_date": self.days, "value": values[market_at if name == "vix" else in_order]}
            )
            for name, values in self.macro.items()
        ]
        return pd.concat(parts, ignore_index=True)


def _block_starts(number: np.ndarray, block: int) -> np.ndarray:
    """Places from which `block` consecutive sessions follow, each with the session before it."""
    at = np.arange(1, max(len(number) - block, 0) + 1)
    return at[number[at + block - 1] - number[at - 1] == block]


def _at(frame: pd.DataFrame | None, days: pd.DatetimeIndex, before: pd.DatetimeIndex) -> pd.DataFrame | None:
    """News or events by the fitted session that they were known at, a weekend's at the Monday; others are left out.

    Args:
        frame: with their `date`.
        days: the fitted sessions.
        before: the session before each.
    """
    if frame is None:
        return None
    date = frame["date"].to_numpy()
    place = np.minimum(np.searchsorted(days.to_numpy(), date), len(days) - 1)
    ours = (date <= days.to_numpy()[place]) & (date > before.to_numpy()[place])
    return frame[ours].drop(columns="date").assign(at=place[ours])
