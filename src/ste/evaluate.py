"""Score a tracked run again: `python -m ste.evaluate run=latest`."""

import tempfile
from dataclasses import asdict
from pathlib import Path

from omegaconf import DictConfig

from ste.cli import run
from ste.config import evaluate_settings, plain, train_settings


def evaluate_task(config: DictConfig) -> None:
    """Load the run's checkpoint and data, score, judge, and hold the figures against the tracked ones."""
    settings = evaluate_settings(plain(config))
    from ste.console import differences, print_anatomy, print_scores, print_verdict  # torch and mlflow load only now
    from ste.errors import RunError
    from ste.evaluation.predictions import Predictions
    from ste.pipeline import evaluate, verdict_of
    from ste.record import CHECKPOINT, PREDICTIONS, SPLIT_PREFIX, score_metrics
    from ste.tracking.find import download, find_run, read_config
    from ste.tracking.found import DIGEST_TAG, find_children
    from ste.tracking.store import open_store
    from ste.tracking.trials import find_trials

    client = open_store(settings.tracking, Path(settings.paths.output))
    found = find_run(client, settings.run, settings.tracking.experiment)
    values = {**read_config(client, found), "paths": asdict(settings.paths)}
    run_settings = train_settings(values)
    digest = found.tags.get(DIGEST_TAG, "")
    with tempfile.TemporaryDirectory() as folder:
        if run_settings.validation.method == "holdout":
            sources = [found]
        else:
            sources = [run for _, run in sorted(find_children(client, found.id).items())]
        folders = [Path(folder) / str(i) for i in range(len(sources))]
        for path in folders:
            path.mkdir()
        kept = [download(client, run, CHECKPOINT, path) for run, path in zip(sources, folders, strict=True)]
        scores, predictions = evaluate(run_settings, kept, digest)
        tracked = Predictions.read(download(client, found, PREDICTIONS, Path(folder)))
    verdict = verdict_of(scores, predictions, find_trials(client, found.id, digest, scores.get("test")))
    for key, value in verdict.tags.items():
        client.set_tag(found.id, key, value)
    shown = scores
    if settings.split != "all":
        if settings.split not in scores:
            raise RunError(f"split={settings.split}: run {found.id} has only {', '.join(scores)}.")
        shown = {settings.split: scores[settings.split]}
    print(f"run {found.id}  {found.name}")
    print_scores(predictions.model, shown)
    print_anatomy(shown)
    print_verdict(verdict)
    off = differences(score_metrics(shown), found.metrics, SPLIT_PREFIX)
    if not predictions.of_split(*tracked.splits).frame.equals(tracked.frame):
        off.append("predictions.parquet: other probabilities than now")
    if off:
        raise RunError(f"run={found.id}: the figures differ from what was tracked:\n  " + "\n  ".join(off))
    print("the same figures as tracked, to the last digit")


def main() -> None:
    """Console entry."""
    run("evaluate", evaluate_task)


if __name__ == "__main__":
    main()
