"""Score a tracked run again: `python -m ste.evaluate run=latest`."""

from omegaconf import DictConfig

from ste.config import EvaluateSettings
from ste.config.fast_imports import fast_imports
from ste.config.hydra_app import run
from ste.config.load import load_settings

MAX_DIFFERENCES = 12
"""Differences that are listed one by one."""


def evaluate_task(config: DictConfig) -> None:
    """Score a run again, print its scores and verdict, and fail where they differ from what was tracked."""
    settings = load_settings(EvaluateSettings, config)
    with fast_imports("torch, Lightning and MLflow"):  # torch and mlflow load only now
        from ste.ensembles.run_evaluation import evaluate_run
        from ste.errors import RunError
        from ste.reporting.console import print_composition, print_portfolio, print_scores, print_verdict

    result = evaluate_run(settings)
    print(f"run {result.run_id}  {result.run_name}")
    print_scores(result.model, result.scores)
    print_composition(result.scores)
    print_portfolio(result.scores, synthetic=result.synthetic)
    print_verdict(result.verdict)
    if result.differences:
        shown, rest = result.differences[:MAX_DIFFERENCES], result.differences[MAX_DIFFERENCES:]
        listed = "\n  ".join([*shown, f"and {len(rest)} more"] if rest else shown)
        raise RunError(f"run={result.run_id}: the figures differ from what was tracked:\n  {listed}")
    print("the same figures as tracked, to the last digit")


def main() -> None:
    """Console entry."""
    run("evaluate", evaluate_task)


if __name__ == "__main__":
    main()
