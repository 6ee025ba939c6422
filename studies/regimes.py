"""Coverage of the 95 % intervals in markets with regimes (docs/trust.md): `python -m studies.regimes`.

One classifier is fitted on one synthetic market. Then long markets with the same settings are generated and cut into
test sets of some weeks, half a year apart, and each is scored like any test set. The true class probabilities given the
features are known. Coverage is measured of two true values:

- of the weeks tested: the mean true probability of the predicted classes on these rows, which is the expected accuracy
  if the returns of the same weeks are drawn again.
- of the market: the same over all of its weeks (137 years). Calm and stressed regimes last for months and change the
  predictability, so that two years do not show all of it. Blocks as long as the regimes (`scoring.blocks=auto`) are
  meant for this value.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from ste.config import SyntheticSettings
from ste.data.build.labelled_rows import build_table
from ste.evaluation.predictions import Predictions, row_columns
from ste.evaluation.scoring import score
from ste.schema import DIRECTION, RETURN, class_names, probability_names

CLASSES = class_names(3)
BASELINE = "majority"

CLASSIFIER = ("2015-01-01", "2024-12-31")
LONG = ("1961-01-01", "2098-12-31")
APART = 26


@dataclass(frozen=True)
class Test:
    """The interval of a metric on one test set, the true value, and the block length."""

    figure: str
    truth: str
    blocks: str
    true: float
    low: float
    high: float
    block: int


def world(seed: int, dates: tuple[str, str], tickers: int, signal: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Weekly table of a synthetic market and P(class | features) `[N, 3]` of its rows."""
    start, end = dates
    settings = SyntheticSettings(source="world", seed=seed, start=start, end=end, tickers=tickers, signal=signal)
    table, _, truth, _ = build_table(settings)
    assert truth is not None
    return table, truth[list(probability_names(class_names(3)))].to_numpy()


def views(table: pd.DataFrame) -> np.ndarray:
    """Features without the scale of the price `[N, 5]`."""
    middle = (table["stock_bb_upper"] + table["stock_bb_lower"]) / 2
    width = (table["stock_bb_upper"] - table["stock_bb_lower"]) / middle
    position = (table["stock_close"] - middle) / (width * middle)
    columns = (
        np.log(table["macro_vix"]),
        np.log(width),
        position,
        table["news_sentiment"],
        np.log1p(table["news_count"]),
    )
    return np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)


def predictions(table: pd.DataFrame, probs: np.ndarray, majority: int) -> Predictions:
    """Predictions of the classifier and of majority for the rows of a table."""
    frame = row_columns(table[["date", "ticker"]], "test", table[DIRECTION].to_numpy(), table[RETURN].to_numpy())
    for k, name in enumerate(probability_names(CLASSES)):
        frame[name] = probs[:, k]
        frame[f"{BASELINE}.{name}"] = float(k == majority)
    return Predictions(frame, CLASSES, model="logistic regression")


def tests(
    table: pd.DataFrame, truth: np.ndarray, classifier: Pipeline, majority: int, weeks: int, count: int, resamples: int
) -> Iterator[Test]:
    """Score up to `count` test sets of some weeks each, spread over a market."""
    week = table["date"].rank(method="dense").to_numpy().astype(np.int64) - 1
    probs = classifier.predict_proba(views(table))
    called = truth[np.arange(len(truth)), probs.argmax(axis=1)]
    beyond = called - truth[:, majority]
    starts = np.arange(0, week[-1] + 1 - weeks, weeks + APART)[:count]
    for start in starts:
        rows = (week >= start) & (week < start + weeks)
        for blocks in ("horizon", "auto"):
            card = score(predictions(table[rows], probs[rows], majority), resamples=resamples, blocks=blocks)
            estimate, gain = card.figures["accuracy"], card.gains[BASELINE]["accuracy"]
            assert estimate.low is not None
            assert estimate.high is not None
            assert gain.low is not None
            assert gain.high is not None
            for title, of in (("weeks tested", rows), ("market", np.ones_like(rows))):
                bounds = (title, blocks, called[of].mean(), estimate.low, estimate.high, card.block)
                yield Test("accuracy", *bounds)
                yield Test("gain", title, blocks, beyond[of].mean(), gain.low, gain.high, card.block)


def line(weeks: int, done: list[Test]) -> str:
    """A line of the table."""
    true, low, high, block = np.array([(test.true, test.low, test.high, test.block) for test in done]).T
    covered, width = (low <= true) & (true <= high), (high - low).mean() / 2
    return (
        f"{weeks:5}  {done[0].figure:8}  {done[0].truth:12}  {done[0].blocks:7}  {len(done):4}  {true.mean():6.4f}"
        f"  {width:10.4f}  {block.mean():5.1f}  {covered.mean():15.1%}  {(high < true).mean():5.1%}"
        f"  {(low > true).mean():5.1%}"
    )


def main() -> None:
    """Generate markets, score test sets, print the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--repetitions", type=int, default=400)
    parser.add_argument("--weeks", type=int, nargs="+", default=[52, 104, 208], help="in a test set")
    parser.add_argument("--worlds", type=int, default=14)
    parser.add_argument("--tickers", type=int, default=7)
    parser.add_argument("--signal", type=float, default=0.4)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1, help="of the first test market; that of the classifier is 0")
    args = parser.parse_args()

    train, _ = world(0, CLASSIFIER, args.tickers, args.signal)
    classifier = make_pipeline(StandardScaler(), LogisticRegression()).fit(views(train), train[DIRECTION])
    majority = int(train[DIRECTION].mode()[0])
    each = -(-args.repetitions // args.worlds)
    done: dict[int, list[Test]] = {weeks: [] for weeks in args.weeks}
    for seed in range(args.seed, args.seed + args.worlds):
        table, truth = world(seed, LONG, args.tickers, args.signal)
        for weeks in args.weeks:
            done[weeks] += tests(table, truth, classifier, majority, weeks, each, args.resamples)

    print(f"{args.worlds} markets of {args.tickers} tickers, signal {args.signal:g}, {args.resamples} resamples")
    print("weeks  figure    truth of      blocks   sets   truth  half-width  block  covers the truth  below  above")
    for weeks, found in done.items():
        kinds = dict.fromkeys((test.figure, test.truth, test.blocks) for test in found)
        for kind in kinds:
            chosen = [test for test in found if (test.figure, test.truth, test.blocks) == kind]
            print(line(weeks, chosen[: args.repetitions]))


if __name__ == "__main__":
    main()
