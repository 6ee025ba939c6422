"""Render the monitor report as an HTML page."""

from typing import Any

from ste.evaluation.scorecard import Estimate
from ste.reporting.formatting import cell, label, p_value
from ste.reporting.html.render import render


def render_monitor(content: dict[str, Any]) -> str:
    """Render one self-contained HTML page.

    Args:
        content: monitor report as plain values (`ste.monitoring.monitor_report.MonitorReport.to_dict`).
    """
    columns = [
        {
            **one,
            "title": f"P({one['name']})" if one["kind"] == "probability" else one["name"],
            "p_text": p_value(one["p"]),
        }
        for one in content["drift"]["columns"]
    ]
    return render("monitor.html", page=content, columns=columns, metrics=_metrics(content["record"]))


def _metrics(record: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return each compared metric with its three cells."""
    if record is None:
        return []
    return [
        {
            "name": label(one["name"]),
            "cells": [cell(Estimate(**one[key]), one["name"], signed=key == "gain") for key in ("now", "then", "gain")],
            "result": one["result"],
        }
        for one in record["comparisons"]
    ]
