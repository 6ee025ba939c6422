"""How often the drift alarm is wrong, and what it sees: `python -m studies.drift`.

Each world is drawn once, by one law from its first week to its last: what is new in it is chance and the world's
own regimes, and every alarm is false. Then a known shift is put into the last weeks of the same worlds.
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

from ste.config import WorldSettings
from ste.data.build.labelled_rows import build_table
from ste.evaluation.bootstrap import binomial_interval
from ste.inference.reference import ReferenceDistributions
from ste.market.calendar import week_numbers
from ste.monitoring.drift import DriftReport, drift_report
from ste.schema import DIRECTION, FEATURES, class_names
from studies.coverage import views

CLASSES = class_names(3)
Shift = Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Setup:
    """A world cut in three, its classifier and what the classifier says of the last part.

    Attributes:
        table: of the whole world.
        train, live: bool `[N]`; between them lie the rows that the reference's predictions are of.
        week: int64 `[N]`.
        chances: of the classifier `[N, 3]`, by features.
        reference: of the training rows.
    """

    table: pd.DataFrame
    train: np.ndarray
    live: np.ndarray
    week: np.ndarray
    chances: Callable[[pd.DataFrame], np.ndarray]
    reference: ReferenceDistributions


def setup(seed: int, *, years: int, held: int, weeks: int, tickers: int) -> Setup:
    """A world and a reference.

    Args:
        seed: of the world.
        years: of the whole.
        held: weeks whose predictions are the reference's.
        weeks: the last ones, to be monitored.
        tickers: number.
    """
    settings = WorldSettings(
        source="world", seed=seed, start=f"{2025 - years}-01-01", end="2024-12-31", tickers=tickers
    )
    table, _, _, _ = build_table(settings)
    week = week_numbers(table["date"])
    live = week > week.max() - weeks
    train = week <= week.max() - weeks - held
    classifier = make_pipeline(StandardScaler(), LogisticRegression()).fit(views(table[train]), table[DIRECTION][train])
    middle = ~live & ~train
    reference = ReferenceDistributions.from_examples(
        _features(table[train]),
        classifier.predict_proba(views(table[middle])),
        FEATURES,
        CLASSES,
        periods=week[train],
        probability_periods=week[middle],
    )
    return Setup(table, train, live, week, lambda rows: classifier.predict_proba(views(rows)), reference)


def look(world: Setup, rows: np.ndarray, shift: Shift | None = None) -> DriftReport:
    """The monitor's report on these rows `[N]`, shifted or not."""
    seen = world.table[rows]
    if shift is not None:
        seen = shift(seen.copy(), world.table[world.train])
    codes = world.reference.codes(_features(seen), world.chances(seen))
    _, counts = np.unique(world.week[rows], return_counts=True)
    return drift_report(world.reference, world.reference.counts(codes), counts)


def _features(table: pd.DataFrame) -> np.ndarray:
    return table[list(FEATURES)].to_numpy(dtype=np.float32)


def moved_sentiment(deviations: float) -> Shift:
    """News sentiment higher by so many of its standard deviations in training."""

    def shift(rows: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
        rows["news_sentiment"] = (rows["news_sentiment"] + deviations * train["news_sentiment"].std()).clip(-1, 1)
        return rows

    return shift


def wider_ranges(factor: float) -> Shift:
    """A week's open, high and low further from its close, by a factor on logarithms."""

    def shift(rows: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
        for name in ("stock_open", "stock_high", "stock_low"):
            rows[name] = rows["stock_close"] * (rows[name] / rows["stock_close"]) ** factor
        return rows

    return shift


def no_news(rows: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """The news feed has stopped."""
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
"""Shifts, each with the feature that should be named."""


def looks(world: Setup, weeks: int, every: int) -> Iterator[DriftReport]:
    """Reports of a sliding window over the weeks since training, a look every so many weeks."""
    first, last = world.week[world.train].max() + 1, world.week.max()
    for end in range(first + weeks, last + 1, every):
        yield look(world, (world.week > end - weeks) & (world.week <= end))


def main() -> None:
    """Draw, look, count, print."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--held", type=int, default=104)
    parser.add_argument("--weeks", type=int, nargs="+", default=[4, 13, 26, 52])
    parser.add_argument("--tickers", type=int, default=7)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    shape = {"years": args.years, "held": args.held, "tickers": args.tickers}
    print(f"{args.worlds} worlds of {args.tickers} tickers, {args.years} years; 95 % intervals (Clopper-Pearson)")
    print("weeks  shift                  alarms   share  interval           named  what alarmed")
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
            share = alarms[name] / args.worlds
            print(
                f"{weeks:5}  {name:21}  {alarms[name]:6}  {share:6.1%}  [{low:5.1%}, {high:6.1%}]  "
                f"{named[name] / args.worlds if name in SHIFTS else 0:11.1%}  "
                + (", ".join(f"{who} {times}" for who, times in culprits.most_common(4)) if name == "none" else "")
            )
        print(f"       a PSI above 0.25 somewhere, without a shift: {raw} of {args.worlds}", flush=True)


if __name__ == "__main__":
    main()
