"""Score a tracked run again: `python -m ste.evaluate run=latest`."""

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from ste.config import EvaluateSettings, TrainSettings
from ste.config.fast_imports import loading
from ste.config.hydra_app import run
from ste.config.load import load_settings

if TYPE_CHECKING:
    from ste.config import TrainSettings
    from ste.evaluation.predictions import Predictions
    from ste.evaluation.scorecard import Scorecard


SHOWN = 12
"""Differences that are told one by one."""


def evaluate_task(config: DictConfig) -> None:
    """Load the run's checkpoint and data, score, judge, and hold the figures against the tracked ones."""
    settings = load_settings(EvaluateSettings, config)
    with loading():
        from ste.errors import RunError
        from ste.evaluation.predictions import Predictions
        from ste.experiment.artifacts import PREDICTIONS, differences, score_metrics
        from ste.experiment.run import scores_of, verdict_of
        from ste.reporting.console import print_composition, print_scores, print_verdict
        from ste.tracking.earlier_trials import find_trials
        from ste.tracking.run_info import DIGEST_TAG, ENSEMBLE_TAG
        from ste.tracking.run_lookup import download, find_run
        from ste.tracking.store import open_store

    client = open_store(settings.tracking, Path(settings.paths.output))
    found = find_run(client, settings.run, settings.tracking.experiment)
    digest = found.tags.get(DIGEST_TAG, "")
    with tempfile.TemporaryDirectory() as folder:
        again = _ensemble_again if ENSEMBLE_TAG in found.tags else _run_again
        run_settings, predictions = again(client, found, asdict(settings.paths), Path(folder))
        scores = scores_of(run_settings.scoring, predictions)
        tracked = Predictions.read(download(client, found, PREDICTIONS, Path(folder)))
    if settings.split != "all" and settings.split not in scores:
        raise RunError(f"split={settings.split}: run {found.id} has only {', '.join(scores)}.")
    shown = scores if settings.split == "all" else {settings.split: scores[settings.split]}
    verdict = verdict_of(run_settings, scores, predictions, find_trials(client, found.id, digest, scores.get("test")))
    print(f"run {found.id}  {found.name}")
    print_scores(predictions.model, shown)
    print_composition(shown)
    print_verdict(verdict)
    off = differences(score_metrics(shown), found.metrics)
    if not predictions.slice_split(*tracked.splits).frame.equals(tracked.frame):
        off.append("predictions.parquet: other probabilities than now")
    if off:
        more = [f"and {len(off) - SHOWN} more"] if len(off) > SHOWN else []
        listed = "\n  ".join(off[:SHOWN] + more)
        raise RunError(f"run={found.id}: the figures differ from what was tracked:\n  {listed}")
    print("the same figures as tracked, to the last digit")
    for key, value in verdict.tags.items():  # of all trials made since
        client.set_tag(found.id, key, value)
    with tempfile.TemporaryDirectory() as folder:
        for path in _drawn(scores, Path(folder)):
            client.log_artifact(found.id, str(path), path.parent.name)


def _run_again(client: Any, found: Any, paths: dict[str, str], folder: Path) -> tuple["TrainSettings", "Predictions"]:
    """Settings of a training run, and what its checkpoints say."""
    from ste.errors import RunError
    from ste.experiment.artifacts import CHECKPOINT
    from ste.experiment.run import predict_again
    from ste.tracking.run_info import DIGEST_TAG, find_children
    from ste.tracking.run_lookup import download, read_config

    run_settings = load_settings(TrainSettings, {**read_config(client, found), "paths": paths})
    sources = [found]
    if run_settings.validation.method != "holdout":
        sources = [run for _, run in sorted(find_children(client, found.id).items())]
        if found.status != "FINISHED":
            raise RunError(
                f"run={found.id}: it is {found.status} with {len(sources)} of its folds begun. "
                f"Try python -m ste.train resume={found.id}."
            )
    folders = [folder / str(i) for i in range(len(sources))]
    for path in folders:
        path.mkdir()
    kept = [download(client, run, CHECKPOINT, path) for run, path in zip(sources, folders, strict=True)]
    return run_settings, predict_again(run_settings, kept, found.tags.get(DIGEST_TAG, ""))


def _ensemble_again(
    client: Any, found: Any, paths: dict[str, str], folder: Path
) -> tuple["TrainSettings", "Predictions"]:
    """Settings of an ensemble's first member, which it is scored by, and what its members' checkpoints say together."""
    from ste.ensembles.members import Kept
    from ste.tracking.run_info import DIGEST_TAG

    kept = Kept.read(client, found, folder)
    every = [load_settings(TrainSettings, {**member.config, "paths": paths}) for member in kept.members]
    return every[0], kept.predict_again(every, found.tags.get(DIGEST_TAG, ""))


def _drawn(scores: dict[str, "Scorecard"], folder: Path) -> list[Path]:
    """Reliability curve, portfolio and confusion shares of every split outside training, as figures and tables."""
    import pandas as pd

    from ste.reporting.plots import equity_figure, reliability_figure

    out = []
    for split, card in scores.items():
        if split == "train":
            continue
        bins = pd.DataFrame([asdict(one) for one in card.reliability])
        curve = reliability_figure(*(bins[name].tolist() for name in ("confidence", "accuracy", "examples")))
        drawn = {"reliability": (bins, curve)}
        if card.portfolio:
            entries = pd.DataFrame(
                {name: getattr(card.portfolio, name) for name in ("dates", "returns", "equity", "turnover")}
            )
            peak = entries["equity"].cummax().clip(lower=1.0)
            lost = (1.0 - entries["equity"] / peak).tolist()
            drawn["portfolio"] = (entries, equity_figure(card.portfolio.dates, card.portfolio.equity, lost))
        for name, (table, figure) in drawn.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            out += [folder / name / f"{split}.csv", folder / name / f"{split}.png"]
            table.to_csv(out[-2], index=False)
            figure.savefig(out[-1], dpi=110)
        counts = pd.DataFrame(card.confusion, index=card.classes, columns=card.classes)
        (folder / "confusion").mkdir(exist_ok=True)
        out.append(folder / "confusion" / f"{split}_shares.csv")
        counts.div(counts.sum(axis=1).clip(lower=1), axis=0).to_csv(out[-1], index_label="true\\predicted")
    return out


def main() -> None:
    """Console entry."""
    run("evaluate", evaluate_task)


if __name__ == "__main__":
    main()
