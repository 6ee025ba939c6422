"""Error rates of intervals, p-values and the verdict in markets without signal: `python -m studies.coverage`.

Labels over several weeks overlap, the tickers of a week move together, and weeks may be few. In each cell of a grid of
horizons, weeks, tickers and predictors, markets without signal are drawn, predictions are drawn independently of them,
and both are scored and judged as a run is. The predictors are

- persistent: class probabilities that follow an autoregression with a coefficient of 0.95 from week to week,
- fresh: drawn again each week,
- skilled (`--predictors skilled`): persistent, in a market whose returns follow the predictions, so that not every
  true value is 0.

In every other draw the probabilities are bold, and else so close to the class fractions that the most probable class
hardly ever changes: such a cautious predictor equals the majority baseline in all but the order of the rows, so that
one lucky order makes it better.

Counted are the 95 % intervals that miss the true value, one-sided p-values below 0.05 of the gain over majority in
AUROC, and verdicts of "better" of any kind. The true value of the accuracy and of gains is that of the same
predictions when the returns are drawn again. A dash is a figure that has no interval: see `docs/trust.md`.
"""

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from ste.evaluation.predictions import Predictions, row_columns
from ste.evaluation.scorecard import Estimate, Gain
from ste.evaluation.scoring import score
from ste.evaluation.verdict import judge
from ste.schema import class_names, probability_names

CLASSES = class_names(3)
FRACTIONS = np.array([0.3, 0.4, 0.3])
PREDICTORS = ("persistent", "fresh", "skilled")
FIGURES = ("accuracy", "gain", "auroc", "direction", "rank IC", "log-loss")
"""Intervals that are counted: the accuracy, its gain over majority, areas, the rank IC, and the gain in log-loss."""

_CUTS = ndtri(np.cumsum(FRACTIONS)[:-1])
_CORRELATION = 0.3  # of the returns of two tickers
_PERSISTENCE = 0.95
_BOLD, _CAUTIOUS = 0.4, 0.05  # standard deviation of log-probabilities
_SKILL = 0.25  # mean return of a period at a prediction of one standard deviation, in standard deviations


@dataclass(frozen=True)
class Cell:
    """One cell of the grid: label horizon and number of weeks, number of tickers, predictor."""

    horizon: int
    weeks: int
    tickers: int
    predictor: str


@dataclass
class Rates:
    """Counts of the draws of a cell.

    Attributes:
        missed: 0 or 1 by draw and figure, NaN without an interval `[D][6]`.
        significant: the same for p below 0.05 in AUROC.
        better: the same for the verdict.
    """

    missed: list[list[float]] = field(default_factory=list)
    significant: list[float] = field(default_factory=list)
    better: list[float] = field(default_factory=list)


def autoregression(rng: np.random.Generator, shape: tuple[int, ...], coefficient: float) -> np.ndarray:
    """Stationary autoregression of order 1 along the first axis, with variance 1."""
    out = rng.normal(size=shape)
    scale = np.sqrt(1 - coefficient**2)
    for k in range(1, len(out)):
        out[k] = coefficient * out[k - 1] + scale * out[k]
    return out


@cache
def _keys(weeks: int, tickers: int) -> pd.DataFrame:
    dates = pd.date_range("2000-01-07", periods=weeks, freq="7D").to_numpy()
    names = np.array([f"T{k:03}" for k in range(tickers)])
    return pd.DataFrame({"date": np.repeat(dates, tickers), "ticker": np.tile(names, weeks)})


def draw(cell: Cell, rng: np.random.Generator, strength: float = _BOLD) -> tuple[Predictions, dict[str, float]]:
    """Draw a market and predictions of it, and the true values of the figures.

    Args:
        cell: of the grid.
        rng: random generator.
        strength: standard deviation of the log-probabilities around the class fractions.

    Returns:
        Predictions with the baselines majority and persistence, and the true value by figure, NaN where unknown.
    """
    horizon, weeks, tickers = cell.horizon, cell.weeks, cell.tickers
    span = weeks + 2 * horizon  # persistence needs a horizon before, labels one after
    shape = (span, tickers, len(CLASSES))
    latent = rng.normal(size=shape) if cell.predictor == "fresh" else autoregression(rng, shape, _PERSISTENCE)
    logits = np.log(FRACTIONS) + strength * latent
    probs = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    common = np.sqrt(_CORRELATION) * rng.normal(size=(span, 1))
    noise = common + np.sqrt(1 - _CORRELATION) * rng.normal(size=(span, tickers))
    skill = _SKILL if cell.predictor == "skilled" else 0.0
    drift = skill * (latent[..., -1] - latent[..., 0]) / np.sqrt(2)
    mean, shock = (_over_horizon(values, horizon) for values in (drift, noise))
    labels = np.searchsorted(_CUTS, mean + shock)
    known, scored = slice(0, weeks), slice(horizon, horizon + weeks)
    probs = probs[scored].reshape(-1, len(CLASSES))
    frame = row_columns(_keys(weeks, tickers), "test", labels[scored].ravel(), 0.02 * (mean + shock)[scored].ravel())
    persistence = np.eye(len(CLASSES))[labels[known].ravel()]
    majority = np.tile(FRACTIONS, (len(probs), 1))
    for prefix, values in (("", probs), ("majority.", majority), ("persistence.", persistence)):
        frame[[prefix + name for name in probability_names(CLASSES)]] = values
    below = ndtr(_CUTS - mean[scored].reshape(-1, 1))
    truth = np.diff(below, axis=1, prepend=0.0, append=1.0)
    rows = np.arange(len(truth))
    accuracy = float(truth[rows, probs.argmax(axis=1)].mean())
    values = {
        "accuracy": accuracy,
        "gain": accuracy - float(truth[:, FRACTIONS.argmax()].mean()),
        "log-loss": float((truth * np.log(probs / majority)).sum(axis=1).mean()),
    }
    null = {"auroc": 0.5, "direction": 0.5, "rank IC": 0.0}
    return Predictions(frame, CLASSES, horizon=horizon), values | (
        null if skill == 0.0 else dict.fromkeys(null, np.nan)
    )


def _over_horizon(values: np.ndarray, horizon: int) -> np.ndarray:
    """Sum of the next `horizon` values, in the unit of one, `[S, K]` to `[S - horizon, K]`."""
    total = np.concatenate([np.zeros((1, values.shape[1])), values.cumsum(axis=0)])
    return ((total[horizon:] - total[:-horizon]) / np.sqrt(horizon))[:-1]


def measure(cell: Cell, draws: int, resamples: int, seed: int) -> Rates:
    """Score and judge that many draws of a cell."""
    out = Rates()
    key = (seed, cell.horizon, cell.weeks, cell.tickers, PREDICTORS.index(cell.predictor))
    for k, sequence in enumerate(np.random.SeedSequence(key).spawn(draws)):
        cautious = k % 2 == 1
        predictions, truth = draw(cell, np.random.default_rng(sequence), _CAUTIOUS if cautious else _BOLD)
        truth["gain"] = np.nan if cautious else truth["gain"]  # it is of the few rows, if any, that are not majority's
        card = score(predictions, resamples=resamples)
        gains = card.gains["majority"]
        found: dict[str, Estimate | Gain | None] = {
            "accuracy": card.figures["accuracy"],
            "gain": gains["accuracy"],
            "auroc": card.figures.get("auroc"),
            "direction": card.figures.get("direction_auroc"),
            "rank IC": card.figures.get("rank_ic_mean"),
            "log-loss": gains["log_loss"],
        }
        out.missed.append([_missed(found[name], truth[name]) for name in FIGURES])
        areas = gains.get("auroc")
        out.significant.append(float(areas.p < 0.05) if areas and areas.low is not None else np.nan)
        out.better.append(float(judge(card, cell.predictor, horizon=cell.horizon).word.startswith("better")))
    return out


def _missed(figure: Estimate | Gain | None, true: float) -> float:
    """Whether an interval misses the true value; NaN where one of them is unknown."""
    if figure is None or figure.low is None or figure.high is None or np.isnan(true):
        return np.nan
    return float(not figure.low <= true <= figure.high)


def rates(cells: list[Rates]) -> list[float]:
    """Fractions over the draws of several cells: of each figure's intervals, of p-values, of verdicts."""
    drawn = np.concatenate([np.column_stack([one.missed, one.significant, one.better]) for one in cells])
    known = np.isfinite(drawn)
    return [
        float(column[there].mean()) if there.any() else np.nan for column, there in zip(drawn.T, known.T, strict=True)
    ]


def line(*values: object) -> str:
    """A row of a table: fractions in percent, a dash for NaN."""
    cells = [("-" if np.isnan(v) else f"{100 * v:.1f}") if isinstance(v, float) else str(v) for v in values]
    return "| " + " | ".join(cells) + " |"


def summary(done: dict[Cell, Rates]) -> Iterator[str]:
    """One row for each horizon, number of weeks and predictor, over all numbers of tickers.

    The last column is the rate of the cell with the most verdicts of "better".
    """
    for key in dict.fromkeys((cell.horizon, cell.weeks, cell.predictor) for cell in done):
        cells = [found for cell, found in done.items() if (cell.horizon, cell.weeks, cell.predictor) == key]
        yield line(*key, *rates(cells), max(rates([found])[-1] for found in cells))


def main() -> None:
    """Draw every cell, print the grid, its summary and its largest error rates."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--draws", type=int, default=200, help="markets in a cell; 20 for a quick look")
    parser.add_argument(
        "--horizons", type=int, nargs="+", default=[1, 4, 13, 26], help="weeks that a label looks ahead"
    )
    parser.add_argument("--weeks", type=int, nargs="+", default=[12, 52, 104, 260])
    parser.add_argument("--tickers", type=int, nargs="+", default=[1, 7, 50, 200])
    parser.add_argument("--predictors", nargs="+", choices=PREDICTORS, default=list(PREDICTORS[:2]))
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    done: dict[Cell, Rates] = {}
    print(line("horizon", "weeks", "tickers", "predictor", *FIGURES, "p < 0.05", "better"))
    for parts in itertools.product(args.horizons, args.weeks, args.tickers, args.predictors):
        cell = Cell(*parts)
        done[cell] = measure(cell, args.draws, args.resamples, args.seed)
        print(line(*parts, *rates([done[cell]])), flush=True)
    print(f"\nover {', '.join(map(str, args.tickers))} tickers, {args.draws} draws each, in percent:")
    print(line("horizon", "weeks", "predictor", *FIGURES, "p < 0.05", "better", "most"))
    print("\n".join(summary(done)))
    worst = max(done, key=lambda cell: rates([done[cell]])[-1])
    print(f"\nmost verdicts of better of any kind in a cell: {100 * rates([done[worst]])[-1]:.1f} % ({worst})")


if __name__ == "__main__":
    main()
