"""A sweep's own table, as CSV and as JSON, both written whole."""

import csv
import json
from pathlib import Path
from typing import Any

from ste.tuning.trial_outcome import SHOWN, Row

CSV, JSON = "sweep.csv", "sweep.json"


def table(rows: list[Row], monitor: str) -> list[dict[str, Any]]:
    """A flat dict for each trial: number, status, monitored value, swept values, figures with bounds, run, fault."""
    keys = list(dict.fromkeys(key for row in rows for key in row.trial.values))
    lines = []
    for row in rows:
        outcome = row.outcome
        line: dict[str, Any] = {"trial": row.trial.number, "status": outcome.status}
        line[f"validation_{monitor}"] = outcome.value
        line |= {key: row.trial.values.get(key) for key in keys}
        line["split"] = outcome.split if outcome.figures else None
        for name in SHOWN:
            value, low, high = outcome.figures.get(name, (None, None, None))
            line |= {name: value, f"{name}_low": low, f"{name}_high": high}
        line |= {"seconds": outcome.seconds, "run_id": outcome.run_id, "rows": outcome.rows, "error": outcome.error}
        lines.append(line)
    return lines


def write_table(rows: list[Row], monitor: str, folder: Path) -> list[Path]:
    """Write both files, in the order of the rows.

    Args:
        rows: of the sweep.
        monitor: name of the monitored figure.
        folder: is made where it is missing.
    """
    lines = table(rows, monitor)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / CSV).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]) if lines else ["trial"])
        writer.writeheader()
        writer.writerows(lines)
    (folder / JSON).write_text(json.dumps(lines, indent=2) + "\n")
    return [folder / CSV, folder / JSON]
