"""Draw the conditions that all tickers of a synthetic market share: VIX, policy events and macro releases."""

import numpy as np
import pandas as pd


def draw_vix(rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw the daily VIX `[n]`, percent: log VIX reverts to a level that switches between calm and stress."""
    stressed = np.zeros(n, dtype=bool)
    switch = rng.random(n)
    for t in range(1, n):
        stressed[t] = switch[t] >= 0.02 if stressed[t - 1] else switch[t] < 0.008
    level = np.where(stressed, np.log(28.0), np.log(16.0))
    shocks = rng.normal(0.0, 0.05, n)
    log_vix = np.empty(n)
    log_vix[0] = level[0]
    for t in range(1, n):
        log_vix[t] = log_vix[t - 1] + 0.08 * (level[t] - log_vix[t - 1]) + shocks[t]
    return np.exp(np.clip(log_vix, np.log(9.0), np.log(80.0)))


def draw_policy(rng: np.random.Generator, days: pd.DatetimeIndex) -> pd.DataFrame:
    """Draw scheduled statements every 32 sessions, most without a change of rates, and rare surprises."""
    scheduled = np.arange(int(rng.integers(32)), len(days), 32)
    surprise = np.flatnonzero(rng.random(len(days)) < 0.002)
    move = np.concatenate(
        [
            rng.choice([0.0, 1.0, 2.0], len(scheduled), p=[0.7, 0.25, 0.05]),
            rng.choice([1.0, 2.0, 3.0], len(surprise), p=[0.3, 0.5, 0.2]),
        ]
    )
    sign = rng.choice([-1.0, 1.0], len(move))
    at = np.concatenate([scheduled, surprise])
    order = np.argsort(at, kind="stable")
    kind = np.repeat(["scheduled", "surprise"], [len(scheduled), len(surprise)])
    return (
        pd.DataFrame({"date": days[at], "event": kind, "impact": move, "sign": sign}).iloc[order].reset_index(drop=True)
    )


def draw_macro(rng: np.random.Generator, days: pd.DatetimeIndex, vix: np.ndarray, policy: pd.DataFrame) -> pd.DataFrame:
    """Draw releases in long form: monthly and quarterly figures weeks after their period, rates and VIX daily."""
    months = pd.date_range(days[0] - pd.DateOffset(months=6), days[-1], freq="MS")
    quarters = months[months.month % 3 == 1]
    unemployment = 5.0 + autoregression(rng, (len(months), 1), 0.97, 1.0)[:, 0]
    inflation = 2.2 + autoregression(rng, (len(months), 1), 0.95, 1.0)[:, 0]
    growth = 2.2 + autoregression(rng, (len(quarters), 1), 0.5, 1.5)[:, 0]
    steps = 0.25 * (policy["impact"] * policy["sign"]).groupby(policy["date"]).sum()
    rate = np.empty(len(days))
    rate[0] = 2.0
    moves = steps.reindex(days).fillna(0.0).to_numpy()
    for t in range(1, len(days)):
        rate[t] = np.clip(rate[t - 1] + moves[t], 0.0, 8.0)

    def releases(series: str, dates: pd.DatetimeIndex, values: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame({"series": series, "release_date": dates, "value": values})

    day, month = pd.Timedelta(days=1), pd.DateOffset(months=1)
    return pd.concat(
        [
            releases("gdp_growth", quarters + pd.DateOffset(months=4), growth),
            releases("inflation", months + month + 11 * day, inflation),
            releases("unemployment", months + month + 6 * day, np.clip(unemployment, 1.0, 20.0)),
            releases("interest_rate", days, rate),
            releases("vix", days, vix),
        ],
        ignore_index=True,
    )


def autoregression(rng: np.random.Generator, shape: tuple[int, int], persistence: float, scale: float) -> np.ndarray:
    """Draw a stationary first-order autoregression along axis 0 with standard deviation `scale`."""
    shocks = rng.normal(0.0, scale * np.sqrt(1 - persistence**2), shape)
    out = np.empty(shape)
    out[0] = rng.normal(0.0, scale, shape[1])
    for t in range(1, shape[0]):
        out[t] = persistence * out[t - 1] + shocks[t]
    return out
