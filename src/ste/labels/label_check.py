"""Check a label method: its labels keep to the end that they state, and to their own ticker.

The bars are a seeded random walk of some tickers, so that the check needs no data.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ste.config import LabelSettings
from ste.config.load import build_settings
from ste.errors import SteError
from ste.labels.label_method import LabelMethod, label_method
from ste.labels.targets import fit_to_rows, labelled_returns, with_trends
from ste.market.calendar import WEEKS
from ste.market.histories import history_starts, row_groups
from ste.schema import CLASSES, DIRECTION, LABEL_END, RETURN, ROW_CLOSE, ROW_PERIOD, ROW_VOLATILITY, trend_names

TICKERS, SESSIONS, SAMPLE, WARM_UP = 6, 400, 40, 21
"""Of the bars; rows whose bars after the label's end are removed; sessions before the first row."""

COMPUTED = "labels can be computed, and end within the horizon"
REPEATED = "two calls return the same labels"
END = "a label does not change where the bars after its end are removed"
OWN_TICKER = "the labels of a ticker do not depend on other tickers"
RULES = (COMPUTED, REPEATED, END, OWN_TICKER)
"""What every label method keeps to; the last one unless it `needs_all_rows`."""


@dataclass(frozen=True)
class LabelFault:
    """A rule that a label method breaks.

    Attributes:
        rule: in words.
        found: what was found, with ticker and date of the first row.
    """

    rule: str
    found: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.found}"


def check_label(
    method: str, arguments: Mapping[str, Any] | None = None, *, horizon: int = 4, classes: int = 3, seed: int = 0
) -> list[LabelFault]:
    """Return the rules that a label method breaks; empty where it keeps all.

    The rules are `RULES`.

    Args:
        method: name in `ste.registry.LABELS`, of a method that computes labels from bars.
        arguments: of the method, and `threshold`, `lower` or `strong`.
        horizon: periods.
        classes: 2 to 5.
        seed: of the bars.

    Raises:
        ConfigError: an unknown method, or arguments that it refuses.
    """
    values = {"method": method, "horizon": horizon, "classes": classes, **(arguments or {})}
    built = label_method(build_settings(LabelSettings, values))
    bars = random_bars(seed)
    try:
        labels = _Labels.of(built, bars)
        again = _Labels.of(built, bars)
    except SteError as error:
        return [LabelFault(COMPUTED, str(error))]
    faults = []
    if not labels.rows.equals(again.rows):
        faults.append(LabelFault(REPEATED, "they differ"))
    faults += _ends(built, bars, labels, seed)
    if not built.needs_all_rows:
        faults += _tickers(built, bars, labels)
    return faults


def class_counts(method: str, values: Mapping[str, Any], seed: int = 0) -> dict[str, int]:
    """Count the classes of a method on the bars of `check_label`.

    Args:
        method: name in `ste.registry.LABELS`.
        values: of `LabelSettings`, and arguments of the method.
        seed: of the bars.

    Returns:
        Number of rows by the name of the class; `without a class` where there are such.
    """
    settings = build_settings(LabelSettings, {"method": method, **values})
    rows = _Labels.of(label_method(settings), random_bars(seed)).rows
    known = rows.loc[~rows["without"], DIRECTION]
    names = trend_names(settings.classes)
    counts = {names[trend]: int((known == trend).sum()) for trend in CLASSES[settings.classes]}
    return counts | ({"without a class": len(rows) - len(known)} if len(known) < len(rows) else {})


@dataclass(frozen=True)
class _Labels:
    """Labelled rows of some bars by ticker and period, and what the method was fitted to."""

    rows: pd.DataFrame
    fitted: object

    @classmethod
    def of(cls, method: LabelMethod, bars: pd.DataFrame, fitted: object = None) -> "_Labels":
        """Label the rows of bars; a method that needs training rows keeps what it was fitted to."""
        rows = labelled_returns(weekly_rows(bars), method, bars, WEEKS)
        if fitted is None or not method.needs_training:
            fitted = fit_to_rows(method, rows)
        labelled, without = with_trends(rows, method, fitted)
        columns = [DIRECTION, RETURN, *([LABEL_END] if LABEL_END in labelled else [])]
        labelled = labelled.assign(without=without).set_index(["ticker", ROW_PERIOD])
        return cls(labelled[[*columns, "without", "date"]], fitted)


def _ends(method: LabelMethod, bars: pd.DataFrame, labels: _Labels, seed: int) -> list[LabelFault]:
    """Remove the bars after the end of one label at a time."""
    period, count = WEEKS.index(bars["date"]), len(labels.rows)
    sample = np.sort(np.random.default_rng(seed).choice(count, min(SAMPLE, count), replace=False))
    own = labels.rows.drop(columns="without")
    for at in sample.tolist():
        key, row = labels.rows.index[at], own.iloc[at]
        end = (
            key[1] + method.horizon
            if LABEL_END not in row
            else int(WEEKS.index(np.array([row[LABEL_END]], dtype="datetime64[D]"))[0])
        )
        known = bars[period <= end].reset_index(drop=True)
        cut = _Labels.of(method, known, labels.fitted).rows.drop(columns="without")
        where = f"{key[0]} {row['date']:%Y-%m-%d}"
        if key not in cut.index:
            return [LabelFault(END, f"the label of {where} is then unknown: state a later end")]
        if not cut.loc[key].equals(row):
            change = f"class {row[DIRECTION]} and return {row[RETURN]:+.4f} become "
            change += f"{cut.loc[key, DIRECTION]} and {cut.loc[key, RETURN]:+.4f}"
            return [LabelFault(END, f"of {where}, {change}: state the period of the last bar that it reads")]
    return []


def _tickers(method: LabelMethod, bars: pd.DataFrame, labels: _Labels) -> list[LabelFault]:
    """Label one ticker without the others."""
    for name, own in bars.groupby("ticker", sort=False):
        alone = _Labels.of(method, own.reset_index(drop=True)).rows
        if not alone.equals(labels.rows.loc[[name]]):
            return [LabelFault(OWN_TICKER, f"those of {name} do; declare needs_all_rows and compare in `trends`")]
    return []


def random_bars(seed: int, tickers: int = TICKERS, sessions: int = SESSIONS) -> pd.DataFrame:
    """Return daily bars of a geometric random walk in New York, sorted by ticker and date."""
    rng = np.random.default_rng(seed)
    days = WEEKS.calendar.sessions(pd.Timestamp("2018-01-02"), pd.Timestamp("2022-12-30"))[:sessions]
    frames = []
    for number in range(tickers):
        close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01 * (1 + number % 3), len(days))))
        reach = np.abs(rng.normal(0.0, 0.005, (2, len(days))))
        open_ = close * np.exp(rng.normal(0.0, 0.003, len(days)))
        high, low = np.maximum(open_, close) * (1 + reach[0]), np.minimum(open_, close) * (1 - reach[1])
        prices = {"open": open_, "high": high, "low": low, "close": close, "volume": 1e6}
        frames.append(pd.DataFrame({"date": days, "ticker": f"T{number}", **prices}))
    return pd.concat(frames, ignore_index=True)


def weekly_rows(bars: pd.DataFrame) -> pd.DataFrame:
    """Return rows as label methods read them: one at each week's last session, after `WARM_UP` sessions."""
    starts = history_starts(bars)
    history, period = pd.Series(row_groups(starts, len(bars))), WEEKS.index(bars["date"])
    change = np.log(bars["close"]).groupby(history).diff()
    volatility = change.groupby(history).rolling(20).std().to_numpy() * np.sqrt(WEEKS.bars)
    ends = bars["date"].to_numpy() == WEEKS.last_sessions(bars["date"]).to_numpy()
    age = np.arange(len(bars)) - np.repeat(starts, np.diff(np.append(starts, len(bars))))
    rows = pd.DataFrame(
        {
            "date": bars["date"],
            "ticker": bars["ticker"],
            ROW_PERIOD: period,
            ROW_CLOSE: bars["close"],
            ROW_VOLATILITY: volatility,
        }
    )
    return rows[ends & (age >= WARM_UP)].reset_index(drop=True)
