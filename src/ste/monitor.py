"""Check a model in use for drift: `python -m ste.monitor model=… predictions=FILE`; exit code 3 if `strict`."""

import json
import sys
from pathlib import Path

from omegaconf import DictConfig

from ste.config import MonitorSettings
from ste.config.hydra_app import run
from ste.config.load import load_settings

ALARM = 3
"""Exit code of a strict look that has found something."""


def monitor_task(config: DictConfig) -> None:
    """Look at drift and at the score so far, print and write them."""
    settings = load_settings(MonitorSettings, config)
    from ste.data.storage.files import whole_file  # the data libraries load only now
    from ste.inference.onnx_model import ServedModel
    from ste.inference.registry.lookup import find_model
    from ste.monitoring.review import look
    from ste.reporting.monitor_text import print_page

    paths = settings.paths
    model = find_model(settings.model, settings.tracking, Path(paths.output), Path(paths.data))
    page = look(ServedModel(model), settings)
    print_page(page)
    if settings.json is not None:
        with whole_file(Path(settings.json)) as partial:
            partial.write_text(json.dumps(page.plain(), indent=2, allow_nan=False) + "\n")
        print(f"json  {settings.json}")
    if settings.html is not None:
        from ste.reporting.html.monitor_page import render_monitor

        with whole_file(Path(settings.html)) as partial:
            partial.write_text(render_monitor(page.plain()), encoding="utf-8")
        print(f"page  {settings.html}")
    if settings.strict and page.verdict.alarm:
        sys.exit(ALARM)


def main() -> None:
    """Console entry."""
    run("monitor", monitor_task)


if __name__ == "__main__":
    main()
