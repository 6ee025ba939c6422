"""Check a data set for leaks: `python -m ste.audit data=…`; exit code 3 if one is found."""

import sys
from pathlib import Path

from omegaconf import DictConfig

from ste.config import AuditSettings
from ste.config.fast_imports import fast_imports
from ste.config.hydra_app import run
from ste.config.load import load_settings

ALARM = 3
"""Exit code of an audit with an alarm."""


def audit_task(config: DictConfig) -> None:
    """Run the checks on the `data` group and print the results."""
    settings = load_settings(AuditSettings, config)
    with fast_imports("pandas and scikit-learn"):
        from ste.leakage.suite import audit
        from ste.reporting.audit_text import print_audit

    report = audit(settings.data, Path(settings.paths.data), strict=settings.strict, shuffles=settings.shuffles)
    print_audit(report)
    if report.alarms:
        sys.exit(ALARM)


def main() -> None:
    """Console entry."""
    run("audit", audit_task)


if __name__ == "__main__":
    main()
