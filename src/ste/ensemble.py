"""Combine tracked runs into one forecast: `python -m ste.ensemble runs=best:5`."""

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from ste.config import EnsembleSettings
from ste.config.fast_imports import fast_imports
from ste.config.hydra_app import run
from ste.config.load import load_settings


def ensemble_task(config: DictConfig) -> None:
    """Combine the members, track the ensemble as a run, and print its scores and verdict."""
    settings = load_settings(EnsembleSettings, config)
    with fast_imports("torch, Lightning and MLflow"):  # torch and mlflow load only now
        from ste.ensembles.combine import combine_runs
        from ste.reporting.console import print_run, print_scores, print_text, print_verdict

    result = combine_runs(settings, Path(HydraConfig.get().runtime.output_dir))
    print_scores(result.model, result.member_scores)
    print_text(result.description)
    print_verdict(result.verdict)
    print_run(result.lines, result.folder, result.run_id)


def main() -> None:
    """Console entry."""
    run("ensemble", ensemble_task)


if __name__ == "__main__":
    main()
