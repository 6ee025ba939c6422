"""Report a tracked run on one HTML page: `python -m ste.report run=latest`."""

from omegaconf import DictConfig

from ste.config import ReportSettings
from ste.config.fast_imports import fast_imports
from ste.config.hydra_app import run
from ste.config.load import load_settings


def report_task(config: DictConfig) -> None:
    """Write the page, track it with the run, and print the verdict and where the page is."""
    settings = load_settings(ReportSettings, config)
    with fast_imports("torch, Lightning and MLflow"):  # the libraries of data, nets and tracking load only now
        from ste.ensembles.run_report import write_report
        from ste.reporting.console import print_verdict
        from ste.reporting.importance_text import print_importance

    file, verdict, importance = write_report(settings)
    print_verdict(verdict)
    print_importance(importance)
    print(f"page   {file.resolve()}")


def main() -> None:
    """Console entry."""
    run("report", report_task)


if __name__ == "__main__":
    main()
