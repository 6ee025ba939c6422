"""Check a deployed model for drift: `python -m ste.monitor model=… predictions=FILE`; strict=true sets exit code 3."""

import json
import sys
from pathlib import Path

from omegaconf import DictConfig

from ste.config import MonitorSettings
from ste.config.fast_imports import fast_imports
from ste.config.hydra_app import run
from ste.config.load import load_settings
from ste.config.progress import step

ALARM_EXIT_CODE = 3
"""Exit code with strict=true unless the recommendation is `no change`."""


def monitor_task(config: DictConfig) -> None:
    """Review the model, print the report and write its files."""
    settings = load_settings(MonitorSettings, config)
    with fast_imports("pandas and ONNX Runtime"):
        from ste.data.storage.files import atomic_file
        from ste.inference.onnx_model import ServedModel
        from ste.inference.registry.lookup import find_model
        from ste.monitoring.monitor_text import print_report
        from ste.monitoring.review import review

    model = find_model(settings.model, settings.tracking, settings.paths)
    with step("measuring drift and record"):
        report = review(ServedModel(model), settings)
    print_report(report)
    if settings.json is not None:
        with atomic_file(Path(settings.json)) as partial:
            partial.write_text(json.dumps(report.to_dict(), indent=2, allow_nan=False) + "\n")
        print(f"json  {settings.json}")
    if settings.html is not None:
        from ste.reporting.html.monitor_page import render_monitor

        with atomic_file(Path(settings.html)) as partial:
            partial.write_text(render_monitor(report.to_dict()), encoding="utf-8")
        print(f"page  {settings.html}")
    if settings.strict and report.recommendation.alarm:
        sys.exit(ALARM_EXIT_CODE)


def main() -> None:
    """Console entry."""
    run("monitor", monitor_task)


if __name__ == "__main__":
    main()
