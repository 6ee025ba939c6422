"""Check a table or data set for leaks: `python -m ste.audit table.csv`; exit code 3 if one is found."""

import re
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
    """Run the checks on a table or on the `data` group, print the results and write the page."""
    settings = load_settings(AuditSettings, config)
    with fast_imports("pandas and scikit-learn"):
        from ste.leakage.plain_audit import audit_plain
        from ste.leakage.suite import audit
        from ste.reporting.audit_text import print_audit
        from ste.reporting.html.audit_page import render_audit

    if settings.table is not None:
        name = Path(settings.table).stem
        report = audit_plain(
            settings.table,
            settings.label,
            settings.returns,
            settings.horizon,
            strict=settings.strict,
            shuffles=settings.shuffles,
        )
    else:
        name = settings.data.source
        report = audit(settings.data, Path(settings.paths.data), strict=settings.strict, shuffles=settings.shuffles)
    page = Path(settings.file or Path(settings.paths.output) / "reports" / f"audit-{name}.html")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(render_audit(report, name), encoding="utf-8")
    print_audit(report)
    print(f"page   {page.resolve()}")
    if report.alarms:
        sys.exit(ALARM)


def as_settings(arguments: list[str]) -> list[str]:
    """Return the arguments with `table=FILE` for a file alone, and `returns=` for `return=`."""
    out = []
    for text in arguments:
        named = text.startswith(("-", "+", "~")) or "=" in text
        out.append(re.sub(r"^return=", "returns=", text) if named else f"table={text}")
    return out


def main() -> None:
    """Console entry."""
    sys.argv[1:] = as_settings(sys.argv[1:])
    run("audit", audit_task)


if __name__ == "__main__":
    main()
