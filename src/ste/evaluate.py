"""Score a tracked run again: `python -m ste.evaluate run=latest`."""

import tempfile
from dataclasses import asdict
from pathlib import Path

from omegaconf import DictConfig

from ste.cli import run
from ste.config import evaluate_settings, plain, train_settings


def evaluate_task(config: DictConfig) -> None:
    """Load the run's checkpoint and data, score, and hold the figures against the tracked ones."""
    settings = evaluate_settings(plain(config))
    from ste.console import differences, print_scores  # torch and mlflow load only now
    from ste.errors import RunError
    from ste.pipeline import evaluate
    from ste.record import SPLIT_PREFIX
    from ste.tracking.find import CHECKPOINT, download, find_run, read_config
    from ste.tracking.run import DIGEST_TAG
    from ste.tracking.store import open_store

    client = open_store(settings.tracking, Path(settings.paths.output))
    found = find_run(client, settings.run, settings.tracking.experiment)
    values = {**read_config(client, found), "paths": asdict(settings.paths)}
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = download(client, found, CHECKPOINT, Path(folder))
        scores = evaluate(train_settings(values), checkpoint, found.tags.get(DIGEST_TAG))
    if settings.split != "all":
        if settings.split not in scores:
            raise RunError(f"split={settings.split}: run {found.id} has only {', '.join(scores)}.")
        scores = {settings.split: scores[settings.split]}
    print(f"run {found.id}  {found.name}")
    print_scores(values["model"]["net"], scores)
    off = differences(scores, found.metrics, SPLIT_PREFIX)
    if off:
        raise RunError(f"run={found.id}: the figures differ from what was tracked:\n  " + "\n  ".join(off))
    print("the same figures as tracked, to the last digit")


def main() -> None:
    """Console entry."""
    run("evaluate", evaluate_task)


if __name__ == "__main__":
    main()
