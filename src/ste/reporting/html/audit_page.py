"""The findings of an audit as a page."""

from ste.leakage.suite import Audit
from ste.reporting.html.render import render


def render_audit(report: Audit, name: str) -> str:
    """Render one self-contained HTML page: the conclusion, every alarm, the notes and each check.

    Args:
        report: of the audit.
        name: of the table or source, for the title.
    """
    checks = [
        {
            "name": one.check,
            "state": "alarm" if one.alarms else "passed" if one.ran else "not run",
            "seen": ", ".join(dict.fromkeys(alarm.where for alarm in one.alarms)) if one.alarms else one.seen,
        }
        for one in report.results
    ]
    return render("audit.html", report=report, name=name, checks=checks)
