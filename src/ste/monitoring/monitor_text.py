"""Print the monitor report to the console."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ste.evaluation.scorecard import Estimate
from ste.inference.card_metrics import COMPARED_METRICS
from ste.inference.training_data import synthetic_warning
from ste.monitoring.drift import ALARM_LEVELS, LEVELS
from ste.monitoring.monitor_report import MonitorReport
from ste.monitoring.recommendation import RETRAIN
from ste.monitoring.track_record import TrackRecord
from ste.reporting.console import console as default_console
from ste.reporting.console import plain_table
from ste.reporting.formatting import Cell, cell, is_percent, label

MAX_COLUMNS = 12
"""Drift columns that are printed."""
_STYLE = {LEVELS[0]: "dim", LEVELS[1]: "", LEVELS[2]: "yellow", LEVELS[3]: "bold red"}


def print_report(report: MonitorReport, console: Console | None = None) -> None:
    """Print the drift, worst first, the track record, notes and the recommendation.

    Args:
        report: monitor report.
        console: target; None is standard output.
    """
    console = console or default_console()
    card = report.card
    console.print(f"[bold]{escape(card.name)}[/] of run {escape(card.run_id)}, version {report.version}")
    console.print(f"trained to {card.trained_to}, covers {report.since} to {report.until}")
    if warning := synthetic_warning(card):
        console.print(f"[bold yellow]{warning}[/]")
    console.print()
    console.print(_drift_table(report))
    rest = report.drift.columns[MAX_COLUMNS:]
    if rest:
        calm = not any(one.level in ALARM_LEVELS for one in rest)
        console.print(f"[dim]and {len(rest)} more{', none beyond chance' if calm else ''}[/]")
    console.print(f"\n{escape(report.drift.summary)}")
    if report.record is not None:
        console.print()
        console.print(_metrics_table(report.record))
        for baseline, metrics in report.record.card.baselines.items():
            shown = (name for name in COMPARED_METRICS if name in metrics)
            figures = ", ".join(f"{label(name)} {_text(metrics[name], name)}" for name in shown)
            console.print(f"{baseline}: {figures}", style="dim", markup=False)
        console.print(f"\n{escape(report.record.summary)}")
    for note in report.notes:
        console.print(f"[dim]note: {escape(note)}[/]")
    advice = report.recommendation
    style = "bold red" if advice.action == RETRAIN else "bold yellow" if advice.alarm else "bold"
    console.print(f"\n[{style}]Recommendation: {advice.action}.[/] {escape(advice.reason)}")


def _drift_table(report: MonitorReport) -> Table:
    numbers = ("PSI", "by chance", "outside")
    table = plain_table("column", *numbers, "", numbers=numbers)
    for one in report.drift.columns[:MAX_COLUMNS]:
        p = "p < 0.001" if one.p < 0.001 else f"p = {one.p:.3f}"
        outside = f"{100 * one.outside:.0f} %"
        table.add_row(one.title, f"{one.psi:.3f}", p, outside, one.level, style=_STYLE[one.level])
    return table


def _metrics_table(record: TrackRecord) -> Table:
    table = plain_table("metric", "out of sample", record.split, "gain", "")
    for one in record.comparisons:
        now, then = _text(one.now, one.name), _text(one.then, one.name)
        gain = _cell(one.gain, one.name, signed=True)
        table.add_row(label(one.name), now, then, Text(gain.text), one.result)
    return table


def _text(figure: Estimate, name: str) -> Text:
    shown = _cell(figure, name)
    return Text(f"{shown.text} {shown.interval}".rstrip())


def _cell(figure: Estimate, name: str, *, signed: bool = False) -> Cell:
    """A cell in percent or with three digits, so that the table fits the terminal."""
    return cell(figure, name if is_percent(name) else "", signed=signed)
