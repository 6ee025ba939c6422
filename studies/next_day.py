"""Next-day movement after Feng et al. (IJCAI 2019): `python -m studies.next_day --bars bars.csv.gz`.

The settings of each model are selected by validation accuracy (mean over two seeds), then ten seeds of the selected
settings are scored on the test days (docs/results.md). The interval resamples whole days, all seeds of a day together:
more seeds reduce the variance of the training and not that of the days.
"""

import argparse
import itertools
import logging
import tempfile
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from ste.config import TrainSettings
from ste.config.load import compose_command, load_settings, to_dict
from ste.evaluation.predictions import Predictions
from ste.evaluation.scorecard import Scorecard
from ste.evaluation.scoring import score
from ste.experiment.run import train

GRID: dict[str, tuple[float, ...]] = {"data.sequence_length": (5, 10, 15), "model.hidden_size": (16, 32, 64)}
ADVERSARIAL: dict[str, tuple[float, ...]] = {"fit.adversarial_weight": (0.1, 1.0), "fit.adversarial_size": (0.05,)}
MODELS: dict[str, tuple[list[str], dict[str, tuple[float, ...]]]] = {
    "LSTM": (["model=lstm"], GRID),
    "ALSTM": (["model=alstm"], GRID),
    "Adv-ALSTM": (["model=alstm"], GRID | ADVERSARIAL),
}
"""Overrides of each model, and the searched values."""

PUBLISHED = {
    "acl18": {"LSTM": (0.5318, 0.0674), "ALSTM": None, "Adv-ALSTM": (0.5720, 0.1483)},
    "kdd17": {"LSTM": (0.5162, 0.0183), "ALSTM": None, "Adv-ALSTM": (0.5305, 0.0523)},
}
"""Accuracy and MCC in the paper, with price features only."""

SEARCH_SEEDS = (100, 101)


@dataclass(frozen=True)
class Trained:
    """One training: its validation accuracy and its out-of-sample predictions."""

    accuracy: float
    predictions: Predictions


def run(overrides: tuple[str, ...], experiment: str, bars: str, data: str) -> Trained:
    """Train once, untracked."""
    torch.set_num_threads(1)
    logging.getLogger("ste").setLevel(logging.ERROR)  # the same note about the bars at every training
    fixed = ["tracking=off", "trainer.threads=1", "trainer.enable_progress_bar=false", "scoring.resamples=100"]
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"paths.output={folder}", f"paths.data={data}"]
        config = to_dict(
            compose_command("train", [f"experiment={experiment}", f"data.bars={bars}", *fixed, *paths, *overrides])
        )
        result = train(load_settings(TrainSettings, config), config, Path(folder) / "run", "next day")
    assert result is not None
    return Trained(
        result.scores["validation"].metrics["accuracy"], result.predictions.slice_split("validation", "test")
    )


def settings_of(grid: dict[str, tuple[float, ...]]) -> list[tuple[str, ...]]:
    """Every point of a grid as overrides."""
    return [
        tuple(f"{key}={value}" for key, value in zip(grid, values, strict=True))
        for values in itertools.product(*grid.values())
    ]


def pooled(runs: Iterable[Predictions]) -> Predictions:
    """Test predictions of several seeds, a path for each."""
    frames = []
    for seed, predictions in enumerate(runs):
        test = predictions.slice_split("test")
        frames.append(test.frame.assign(path=np.int16(seed)))
    return Predictions.from_frames(frames, test.classes, test.frequency, test.horizon, test.model)


def line(
    name: str, scores: list[Scorecard], all_seeds: Scorecard, chosen: str, published: tuple[float, float] | None
) -> str:
    """A row of the table."""
    accuracy = np.array([card.metrics["accuracy"] for card in scores])
    mcc = np.array([card.metrics["mcc"] for card in scores])
    pooled_accuracy, direction = all_seeds.figures["accuracy"], all_seeds.figures["direction_auroc"]
    paper = f"{published[0]:.2%}, {published[1]:.4f}" if published else "-"
    return (
        f"{name:<10} {accuracy.mean():.2%} ± {accuracy.std(ddof=1):.2%} "
        f"[{pooled_accuracy.low:.3f}, {pooled_accuracy.high:.3f}]  "
        f"MCC {mcc.mean():.3f} ± {mcc.std(ddof=1):.3f}  "
        f"AUC {direction.value:.3f} [{direction.low:.3f}, {direction.high:.3f}]  "
        f"paper {paper}  chosen {chosen}"
    )


def main() -> None:
    """Search on validation, score ten seeds on the test days, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bars", required=True, help="daily bars, the same form as data.bars")
    parser.add_argument("--experiment", default="acl18", choices=sorted(PUBLISHED))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as data,
        ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn")) as pool,
    ):
        once = partial(run, experiment=arguments.experiment, bars=str(Path(arguments.bars).resolve()), data=data)
        for name, (model, grid) in MODELS.items():
            points = settings_of(grid)
            tried = [(*model, *point, f"seed={seed}") for point in points for seed in SEARCH_SEEDS]
            found = [trained.accuracy for trained in pool.map(once, tried)]
            means = np.reshape(found, (len(points), len(SEARCH_SEEDS))).mean(axis=1)
            best = points[int(means.argmax())]
            seeds = [(*model, *best, f"seed={seed}") for seed in range(arguments.seeds)]
            runs = [trained.predictions for trained in pool.map(once, seeds)]
            scores = [score(predictions.slice_split("test"), resamples=100) for predictions in runs]
            together = score(pooled(runs))
            published = PUBLISHED[arguments.experiment][name]
            print(line(name, scores, together, " ".join(best), published), flush=True)
            if name == next(iter(MODELS)):
                for title, figures in together.baselines.items():
                    low, high = figures["accuracy"].low, figures["accuracy"].high
                    print(f"{title:<10} {figures['accuracy'].value:.2%} [{low:.3f}, {high:.3f}]", flush=True)
    print(f"{together.examples:,} test rows on {together.periods} days")


if __name__ == "__main__":
    main()
