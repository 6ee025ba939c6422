"""Combine tracked runs into one forecast: `python -m ste.ensemble runs=best:5`."""

import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from ste.config import EnsembleSettings, TrainSettings
from ste.config.fast_imports import loading
from ste.config.hydra_app import run
from ste.config.load import load_settings


def ensemble_task(config: DictConfig) -> None:
    """Find the members, combine what they said, score, judge and track it as a run."""
    settings = load_settings(EnsembleSettings, config)
    with loading():
        from ste.ensembles.combine import make_ensemble  # torch and mlflow load only now
        from ste.ensembles.members import fetch_members
        from ste.ensembles.selection import find_members
        from ste.reporting.console import print_run, print_scores, print_text, print_verdict
        from ste.tracking.store import open_store

    client = open_store(settings.tracking, Path(settings.paths.output))
    runs = find_members(client, settings.runs, settings.tracking.experiment)
    place = client.get_experiment(runs[0].experiment).name
    settings = replace(settings, tracking=replace(settings.tracking, experiment=place))
    values = {"runs": [found.id for found in runs], "method": settings.method, "C": settings.C}
    folder = Path(HydraConfig.get().runtime.output_dir)
    with tempfile.TemporaryDirectory() as scratch:
        members, said = fetch_members(client, runs, Path(scratch))
        first = load_settings(TrainSettings, {**members[0].config, "paths": asdict(settings.paths)})
        result = make_ensemble(settings, values, runs, members, said, first, client, folder)
    print_scores(result.model, result.beside)
    print_text(result.told)
    print_verdict(result.verdict)
    trials = f"trial {result.trials} on this data in this experiment, its members among them"
    print_run([trials], result.folder, result.run_id)


def main() -> None:
    """Console entry."""
    run("ensemble", ensemble_task)


if __name__ == "__main__":
    main()
