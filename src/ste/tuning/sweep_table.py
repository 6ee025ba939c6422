"""The table of a sweep as CSV and JSON, and its best trials in Markdown."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from ste.reporting.formatting import short_id
from ste.tuning.trial_result import FINISHED, SHOWN, TrialRow, ranked

CSV, JSON = "sweep.csv", "sweep.json"
_NOTE_ROWS = 10


def table(rows: list[TrialRow], monitor: str) -> list[dict[str, Any]]:
    """Convert rows to flat dicts: number, status, monitored value, swept values, metrics with bounds, run, error.

    Args:
        rows: of the sweep.
        monitor: name of the monitored metric.
    """
    keys = list(dict.fromkeys(key for row in rows for key in row.trial.values))
    lines = []
    for row in rows:
        result = row.result
        line: dict[str, Any] = {"trial": row.trial.number, "status": result.status}
        line[f"validation_{monitor}"] = result.value
        line |= {key: row.trial.values.get(key) for key in keys}
        line["split"] = result.split if result.figures else None
        for name in SHOWN:
            value, low, high = result.figures.get(name, (None, None, None))
            line |= {name: value, f"{name}_low": low, f"{name}_high": high}
        line |= {
            "seconds": result.seconds,
            "verdict": result.verdict,
            "run_id": result.run_id,
            "rows": result.rows,
            "error": result.error,
        }
        lines.append(line)
    return lines


def write_table(rows: list[TrialRow], monitor: str, folder: Path) -> list[Path]:
    """Write both files, in the order of the rows.

    Args:
        rows: of the sweep.
        monitor: name of the monitored metric.
        folder: created if missing.
    """
    lines = table(rows, monitor)
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(lines).to_csv(folder / CSV, index=False)
    (folder / JSON).write_text(json.dumps(lines, indent=2) + "\n")
    return [folder / CSV, folder / JSON]


def note(rows: list[TrialRow], monitor: str, mode: str, charts: str, pages: Callable[[str], str]) -> str:
    """Write the description of the parent run in Markdown: the best trials, with links to runs and charts.

    Args:
        rows: of the sweep.
        monitor: name of the monitored metric.
        mode: whether it is better `min` or `max`.
        charts: address of the charts, relative to that of the UI.
        pages: from a run ID to the address of the run.
    """
    shown = [row for row in ranked(rows, mode) if row.result.status == FINISHED][:_NOTE_ROWS]
    split = next((row.result.split for row in shown if row.result.figures), "test")
    lines = [f"**[Charts of the trials]({charts})**", ""]
    lines += [f"| trial | values | {monitor} | {split} accuracy | run |", "|---|---|---|---|---|"]
    for row in shown:
        run_id, values = str(row.result.run_id), row.trial.name.replace("|", "\\|")
        accuracy = row.result.figure_text("accuracy")
        link = f"[{short_id(run_id)}]({pages(run_id)})"
        lines.append(f"| {row.trial.number} | {values} | {row.result.value:.4f} | {accuracy} | {link} |")
    return "\n".join(lines)
