"""Error rates of the drift alarm (docs/monitor.md): `python -m studies.drift`.

Each synthetic market follows one return model from its first week to its last, so that every alarm is false. Then a
known shift is added to the last weeks of the same markets.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ste.config import SyntheticSettings
from ste.config.feature_sets import DEFAULT, load_feature_set
from ste.data.build.labelled_rows import build_table
from ste.evaluation.bootstrap import binomial_interval
from ste.inference.reference import ReferenceDistributions
from ste.market.calendar import WEEKS
from ste.monitoring.drift import DriftReport, drift_report
from ste.schema import DIRECTION, class_names
from studies.regimes import views

CLASSES = class_names(3)
_FEATURES = load_feature_set(DEFAULT)
Shift = Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Setup:
    """A synthetic market in three parts, and a classifier.

    Attributes:
        table: all rows.
        train, live: bool `[N]`; the reference has the predictions of the rows between them.
        week: int64 `[N]`.
        probs: from rows to the probabilities of the classifier `[N, 3]`.
        reference: of the training rows.
    """

    table: pd.DataFrame
    train: np.ndarray
    live: np.ndarray
    week: np.ndarray
    probs: Callable[[pd.DataFrame], np.ndarray]
    reference: ReferenceDistributions


def setup(seed: int, *, years: int, held: int, weeks: int, tickers: int) -> Setup:
    """Generate a market, fit the classifier, and compute the reference.

    Args:
        seed: of the market.
        years: length of the market.
        held: number of weeks between training and live, whose predictions are in the reference.
        weeks: number of live weeks, at the end.
        tickers: number of tickers.
    """
    settings = SyntheticSettings(
        source="world", seed=seed, start=f"{2025 - years}-01-01", end="2024-12-31", tickers=tickers
    )
    table, _, _, _ = build_table(settings)
    week = WEEKS.index(table["date"])
    live = week > week.max() - weeks
    train = week <= week.max() - weeks - held
    classifier = make_pipeline(StandardScaler(), LogisticRegression()).fit(views(table[train]), table[DIRECTION][train])
    middle = ~live & ~train
    reference = ReferenceDistributions.from_examples(
        _features(table[train]),
        classifier.predict_proba(views(table[middle])),
        _FEATURES,
        CLASSES,
        periods=week[train],
        probability_periods=week[middle],
        labels=table[DIRECTION][train].to_numpy(),
    )
    return Setup(table, train, live, week, lambda rows: classifier.predict_proba(views(rows)), reference)


def look(world: Setup, rows: np.ndarray, shift: Shift | None = None) -> DriftReport:
    """Drift report on these rows `[N]`, after a shift if one is given."""
    seen = world.table[rows]
    if shift is not None:
        seen = shift(seen.copy(), world.table[world.train])
    codes = world.reference.codes(_features(seen), world.probs(seen))
    _, counts = np.unique(world.week[rows], return_counts=True)
    return drift_report(world.reference, world.reference.counts(codes), counts)


def _features(table: pd.DataFrame) -> np.ndarray:
    return table[list(_FEATURES.names)].to_numpy(dtype=np.float32)


def moved_sentiment(deviations: float) -> Shift:
    """Raise the news sentiment by a number of its standard deviations in training."""

    def shift(rows: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
        rows["news_sentiment"] = (rows["news_sentiment"] + deviations * train["news_sentiment"].std()).clip(-1, 1)
        return rows

    return shift


def wider_ranges(factor: float) -> Shift:
    """Move open, high and low of a week away from its close, by a factor of their log distance."""

    def shift(rows: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
        for name in ("stock_open", "stock_high", "stock_low"):
            rows[name] = rows["stock_close"] * (rows[name] / rows["stock_close"]) ** factor
        return rows

    return shift


def no_news(rows: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """Remove the news."""
    rows[["news_sentiment", "news_count", "news_relevance"]] = 0.0
    return rows


SHIFTS: dict[str, tuple[str, Shift]] = {
    "sentiment + 0.25 sd": ("news_sentiment", moved_sentiment(0.25)),
    "sentiment + 0.5 sd": ("news_sentiment", moved_sentiment(0.5)),
    "sentiment + 1 sd": ("news_sentiment", moved_sentiment(1.0)),
    "ranges x 1.25": ("stock_high", wider_ranges(1.25)),
    "ranges x 1.5": ("stock_high", wider_ranges(1.5)),
    "ranges x 2": ("stock_high", wider_ranges(2.0)),
    "no news": ("news_count", no_news),
}
"""Shifts, each with the feature that the report should name."""


def looks(world: Setup, weeks: int, every: int) -> Iterator[DriftReport]:
    """Reports of a sliding window over the weeks since training, one every `every` weeks."""
    first, last = world.week[world.train].max() + 1, world.week.max()
    for end in range(first + weeks, last + 1, every):
        yield look(world, (world.week > end - weeks) & (world.week <= end))


def main() -> None:
    """Generate markets, compute reports, print the error rates."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--held", type=int, default=104)
    parser.add_argument("--weeks", type=int, nargs="+", default=[4, 13, 26, 52])
    parser.add_argument("--tickers", type=int, default=7)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    shape = {"years": args.years, "held": args.held, "tickers": args.tickers}
    print(f"{args.worlds} markets of {args.tickers} tickers, {args.years} years; 95 % intervals (Clopper-Pearson)")
    print("weeks  shift                  alarms    rate  interval           named  what alarmed")
    for weeks in args.weeks:
        alarms: Counter[str] = Counter()
        named: Counter[str] = Counter()
        raw, culprits = 0, Counter[str]()
        for seed in range(args.seed, args.seed + args.worlds):
            world = setup(seed, weeks=weeks, **shape)
            drift = look(world, world.live)
            alarms["none"] += drift.alarm
            raw += any(one.psi >= 0.25 for one in drift.columns)
            culprits.update(one.name for one in drift.at_level("watch", "changed"))
            for name, (feature, shift) in SHIFTS.items():
                found = look(world, world.live, shift).at_level("watch", "changed")
                alarms[name] += bool(found)
                named[name] += feature in {one.name for one in found}
        for name in ("none", *SHIFTS):
            low, high = binomial_interval(alarms[name], args.worlds)
            fraction = alarms[name] / args.worlds
            print(
                f"{weeks:5}  {name:21}  {alarms[name]:6}  {fraction:6.1%}  [{low:5.1%}, {high:6.1%}]  "
                f"{named[name] / args.worlds if name in SHIFTS else 0:11.1%}  "
                + (", ".join(f"{who} {times}" for who, times in culprits.most_common(4)) if name == "none" else "")
            )
        print(f"       a PSI above 0.25 somewhere, without a shift: {raw} of {args.worlds}", flush=True)


if __name__ == "__main__":
    main()
