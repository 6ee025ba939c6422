"""Gain of augmentation on real weeks (docs/augmentation.md): `python -m studies.augmentation --bars bars.csv.gz`.

For each net and each augmentation the strength is selected by the log-loss of a walk-forward validation that ends
before the first tested week, averaged over the search seeds. Then other seeds without augmentation and with each
selected one are retrained fold by fold and tested on the following weeks, and as a control without augmentation for
more epochs. The gain over no augmentation is paired: same rows, folds and seeds, hence same initial weights. Its
interval resamples whole weeks, all seeds of a week together.
"""

import argparse
import tempfile
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from ste.evaluation.predictions import Predictions
from ste.evaluation.scorecard import Scorecard
from ste.evaluation.scoring import score
from ste.schema import probability_names
from studies.next_day import pooled, run, settings_of

GRIDS: dict[str, dict[str, tuple[float, ...]]] = {
    "jitter": {"augment.sigma": (0.1, 0.3, 1.0)},
    "scaling": {"augment.sigma": (0.1, 0.3, 1.0)},
    "window_warping": {"augment.factor": (1.5, 3.0)},
    "mixup": {"augment.alpha": (0.2, 1.0)},
    "synthetic": {"augment.amount": (0.5, 2.0)},
}
"""Values that are searched."""

LONGER = ("trainer.max_epochs=150", "callbacks.early_stopping.patience=30")
"""Without augmentation, three times the epochs: a control for the longer epochs of synthetic examples."""

ONLY_WINDOWS = ("window_warping",)
NETS_ON_ROWS = ("dual_tower", "mlp")
FIRST_TEST = "2015-07-01"
SEARCH = ("data.end=2015-06-26", "validation.folds=3")
FIRST_SEARCH_SEED = 100
PLAIN = "plain"
FIGURES = ("accuracy", "log_loss", "direction_auroc")


def with_plain_baseline(runs: list[Predictions], plain: list[Predictions]) -> Predictions:
    """Test predictions of several seeds, with those of the same seeds without augmentation as the only baseline.

    Args:
        runs: by seed.
        plain: the same rows and seeds.
    """
    own, other = pooled(runs), pooled(plain)
    keys = ["date", "ticker", "path"]
    names = list(probability_names(own.classes))
    baselines = [name for name in own.frame if "." in str(name)]
    claims = other.frame[[*keys, *names]].rename(columns={name: f"{PLAIN}.{name}" for name in names})
    frame = own.frame.drop(columns=baselines).merge(claims, on=keys, how="left", validate="one_to_one")
    return Predictions(frame, own.classes, own.frequency, own.horizon, own.model, calendar=own.calendar)


def row(name: str, chosen: str, card: Scorecard) -> str:
    """A row of the table: metrics, then gains over no augmentation, each with its interval."""
    cells = [name, chosen, *(f"{card.figures[figure].value:.4f}" for figure in FIGURES)]
    for figure in FIGURES:
        gain = card.gains[PLAIN][figure]
        same = gain.low == gain.high == 0
        cells.append("" if same else f"{gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]")
    return "| " + " | ".join(cells) + " |"


def table(model: str, once: Any, pool: Executor, seeds: int, search_seeds: int, folds: int) -> Iterator[str]:
    """Lines of the table of one net, each as soon as it is computed."""
    base = (f"model={model}",)
    final = (*base, f"validation.test_start={FIRST_TEST}", f"validation.folds={folds}")

    def tested(overrides: tuple[str, ...]) -> list[Predictions]:
        runs = pool.map(once, [(*final, *overrides, f"seed={seed}") for seed in range(seeds)])
        return [trained.predictions.slice_split("test") for trained in runs]

    plain = tested(())
    card = score(with_plain_baseline(plain, plain))
    yield f"{model}: {card.examples:,} test rows in {card.periods} weeks, {folds} folds, {seeds} seeds"
    yield row("none", "", card)
    for name, grid in GRIDS.items():
        if name in ONLY_WINDOWS and model in NETS_ON_ROWS:
            continue
        points = settings_of(grid)
        tries = [(*base, *SEARCH, f"augment={name}", *point, seed) for point in points for seed in _seeds(search_seeds)]
        losses = [_log_loss(trained.predictions.slice_split("test")) for trained in pool.map(once, tries)]
        best = points[int(np.reshape(losses, (len(points), search_seeds)).mean(axis=1).argmin())]
        runs = tested((f"augment={name}", *best))
        yield row(name, " ".join(best).removeprefix("augment."), score(with_plain_baseline(runs, plain)))
    yield row("none", "three times the epochs", score(with_plain_baseline(tested(LONGER), plain)))


def _seeds(count: int) -> list[str]:
    return [f"seed={FIRST_SEARCH_SEED + i}" for i in range(count)]


def _log_loss(predictions: Predictions) -> float:
    return score(predictions, resamples=100).metrics["log_loss"]


def main() -> None:
    """Print a table for each net."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bars", required=True, help="daily bars, the same form as data.bars")
    parser.add_argument("--models", nargs="+", default=["lstm", "dual_tower"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--search-seeds", type=int, default=2)
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as data,
        ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn")) as pool,
    ):
        once = partial(run, experiment="weekly", bars=str(Path(arguments.bars).resolve()), data=data)
        for model in arguments.models:
            for line in table(model, once, pool, arguments.seeds, arguments.search_seeds, arguments.folds):
                print(line, flush=True)


if __name__ == "__main__":
    main()
