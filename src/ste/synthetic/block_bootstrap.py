"""Resample the sessions of a market into a new market by a moving-block bootstrap.

Each ticker's daily log return is its beta times the market's (the mean over tickers) plus a residual. A resampled
market draws both from blocks of consecutive sessions (Kuensch 1989, Annals of Statistics 17(3)): the market's blocks
and the residuals' blocks independently, the residuals of all tickers together. Drift, volatility and its clustering,
fat tails and correlations are those of the fitted sessions; the weekly returns are new sums. The VIX and the policy
events come with the market's blocks, the news, the volume and the day's range with the residuals' blocks. The slow
macro figures keep their original order, since they do not jump.

A model can learn from it how next week depends on this week within a block; the dependence is weaker where two blocks
meet. It has no information beyond the fitted sessions.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ste.errors import DataError
from ste.features.macro import latest_release
from ste.market.calendar import TradingCalendar
from ste.market.sources import MACRO_NEUTRAL, Market

_SHAPE = ("open", "high", "low")


@dataclass(frozen=True, eq=False)
class ResampledMarket:
    """Components of the fitted sessions; D fitted sessions, N tickers, L sessions in a resampled market.

    Attributes:
        days: sessions of a resampled market `[L]`; the last is the last fitted session.
        tickers: those with a bar on every fitted session.
        first: close of each ticker on the first session, dollars `[N]`.
        common: log return of the market, `[D]`.
        beta: of each ticker on the market's return, `[N]`.
        own: residual log returns with drift, `[D, N]`.
        shape: open, high and low over the close, `[3, D, N]`.
        volume: shares `[D, N]`.
        news, policy: with the position of the fitted session at which they were known as `at`; None without.
        macro: value of each series known at each fitted session, `[D]`.
        starts: positions of the fitted sessions that a block may start on.
        block: sessions in a block.
        calendar: of the sessions.
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
    calendar: TradingCalendar

    @classmethod
    def fit(cls, market: Market, days: pd.DatetimeIndex, block: int, lookback: int) -> "ResampledMarket":
        """Fit to some sessions of a market; no other session is read.

        Args:
            market: daily sources.
            days: sessions to fit, sorted; no block and no return spans a missing session.
            block: consecutive sessions in a block.
            lookback: sessions that a resampled market has in addition to the number of fitted ones.

        Raises:
            DataError: no ticker traded on all sessions, or no block fits.
        """
        bars = market.bars[market.bars["date"].isin(days)]
        counts = bars["ticker"].value_counts()
        tickers = tuple(sorted(counts.index[counts == len(days)]))
        if not tickers:
            raise DataError(
                f"augment=synthetic: no ticker has bars on all of the {len(days)} training sessions. "
                "Try data.tickers=[...] with those that do, or augment=mixup."
            )
        span = len(days) + lookback
        every = market.calendar.sessions(days[0] - pd.Timedelta(days=30 + 2 * span), days[-1])
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
        inner = np.append(False, np.diff(number) == 1)  # other returns start on a session that is not fitted
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
            calendar=market.calendar,
        )

    def draw(self, rng: np.random.Generator) -> Market:
        """Draw a resampled market."""
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
            news=self._resampled(self.news, own_at),
            macro=self._macro(market_at),
            policy=self._resampled(self.policy, market_at),
            calendar=self.calendar,
        )

    def _blocks(self, rng: np.random.Generator) -> np.ndarray:
        """Draw the fitted session that each resampled session copies, int64 `[L]`."""
        n = len(self.days)
        starts = rng.choice(self.starts, -(-n // self.block))
        return (starts[:, None] + np.arange(self.block)).ravel()[:n]

    def _resampled(self, known: pd.DataFrame | None, at: np.ndarray) -> pd.DataFrame | None:
        if known is None:
            return None
        return pd.DataFrame({"date": self.days, "at": at}).merge(known, on="at").drop(columns="at")

    def _macro(self, market_at: np.ndarray) -> pd.DataFrame | None:
        """Return a release of every series on every day: VIX of the market's blocks, others in original order."""
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
    """Return the positions from which `block` consecutive sessions follow that also have the session before."""
    at = np.arange(1, max(len(number) - block, 0) + 1)
    return at[number[at + block - 1] - number[at - 1] == block]


def _at(frame: pd.DataFrame | None, days: pd.DatetimeIndex, before: pd.DatetimeIndex) -> pd.DataFrame | None:
    """Add the position of the fitted session at which news or events were known; drop those of other sessions.

    News of a weekend is known on Monday.

    Args:
        frame: with their `date`.
        days: fitted sessions.
        before: the session before each.
    """
    if frame is None:
        return None
    date = frame["date"].to_numpy()
    position = np.minimum(np.searchsorted(days.to_numpy(), date), len(days) - 1)
    fitted = (date <= days.to_numpy()[position]) & (date > before.to_numpy()[position])
    return frame[fitted].drop(columns="date").assign(at=position[fitted])
