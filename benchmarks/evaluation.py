"""Seconds and memory of a whole scorecard: `python -m benchmarks.evaluation`.

The yardstick is the plain way to the same intervals, on the same rows in the same run: draw periods, gather
their rows, ask scikit-learn for accuracy and area, again for each resample. It is timed for a few resamples
of the model's own two figures and multiplied up; the scorecard has every figure, also of each baseline.
"""

import argparse
import resource
import time

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, roc_auc_score

from ste.evaluation.predictions import BAYES, Predictions, row_columns
from ste.evaluation.scoring import score
from ste.schema import class_names, probability_names

_PRIOR = 5.0  # of the Dirichlet law that true probabilities are drawn from
_SKILL = {"": 0.7, "volatility.": 0.4, "linear.": 0.5, f"{BAYES}.": 1.0}


def synthetic(weeks: int, tickers: int, classes: int, seed: int = 0) -> Predictions:
    """Predictions of a model, four baselines and the truth, with as much skill as `_SKILL` says."""
    rng = np.random.default_rng(seed)
    rows = weeks * tickers
    dates = pd.date_range("1990-01-05", periods=weeks, freq="7D")
    names = [f"T{k:05d}" for k in range(tickers)]
    keys = pd.DataFrame({"date": np.repeat(dates.to_numpy(), tickers), "ticker": np.tile(names, weeks)})
    truth = rng.dirichlet(np.full(classes, _PRIOR), rows)
    labels = np.minimum((truth.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1), classes - 1)
    returns = 0.02 * (labels - (classes - 1) / 2) + rng.normal(0.0, 0.02, rows)
    claims = {
        prefix: skill * truth + (1 - skill) * rng.dirichlet(np.full(classes, _PRIOR), rows)
        for prefix, skill in _SKILL.items()
    }
    claims["majority."] = np.tile(np.bincount(labels, minlength=classes) / rows, (rows, 1))
    claims["persistence."] = np.eye(classes)[rng.integers(classes, size=rows)]
    frame = row_columns(keys, "test", labels, returns)
    for prefix, chances in claims.items():
        for k, name in enumerate(probability_names(class_names(classes))):
            frame[prefix + name] = chances[:, k]
    return Predictions(frame, class_names(classes))


def plain_loop(predictions: Predictions, resamples: int, seed: int = 0) -> float:
    """Seconds that a resample takes when rows are gathered and scored anew, accuracy and area alone."""
    rng = np.random.default_rng(seed)
    _, period = np.unique(predictions.periods, return_inverse=True)
    by_period = np.split(np.argsort(period, kind="stable"), np.cumsum(np.bincount(period))[:-1])
    labels, chances = predictions.labels, predictions.probs
    begin = time.perf_counter()
    for _ in range(resamples):
        rows = np.concatenate([by_period[p] for p in rng.integers(len(by_period), size=len(by_period))])
        accuracy_score(labels[rows], chances[rows].argmax(axis=1))
        if chances.shape[1] == 2:
            roc_auc_score(labels[rows], chances[rows, 1])
        else:
            roc_auc_score(labels[rows], chances[rows], multi_class="ovr")
    return (time.perf_counter() - begin) / resamples


def main() -> None:
    """Make rows, score them, print one line."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--weeks", type=int, default=1000)
    parser.add_argument("--tickers", type=int, default=1000)
    parser.add_argument("--classes", type=int, default=3, choices=(2, 3))
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--yardstick", type=int, default=2, help="resamples of the plain loop that are timed")
    args = parser.parse_args()

    predictions = synthetic(args.weeks, args.tickers, args.classes)
    begin, begin_cpu = time.perf_counter(), time.process_time()
    card = score(predictions, resamples=args.resamples)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kilobytes on Linux
    plain = plain_loop(predictions, args.yardstick) * args.resamples
    intervals = sum(e.low is not None for e in card.figures.values()) + sum(
        e.low is not None for figures in card.baselines.values() for e in figures.values()
    )
    gains = sum(len(figures) for figures in card.gains.values())
    print("     rows  periods  resamples  figures  gains  seconds  CPU s  peak MiB  plain loop, s  times faster")
    print(
        f"{len(predictions):9,}  {card.periods:7,}  {args.resamples:9,}  {intervals:7}  {gains:5}  {seconds:7.1f}"
        f"  {cpu:5.1f}  {peak:8,.0f}  {plain:13,.0f}  {plain / seconds:12,.0f}"
    )
    print(
        f"figures: with intervals, of the model, {len(card.gains)} baselines and the truth. plain loop: "
        f"scikit-learn's accuracy and area of the model alone, {args.yardstick} resamples timed and multiplied up."
    )


if __name__ == "__main__":
    main()
