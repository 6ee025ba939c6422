"""Print the monitor report to the console."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ste.evaluation.scorecard import Estimate
from ste.inference.card_metrics import COMPARED_METRICS
from ste.inference.training_data import synthetic_warning
from ste.monitoring.drift import ALARM_LEVELS, LEVELS
from ste.monitoring.monitor_report import MonitorReport
from ste.monitoring.recommendation import RETRAIN
from ste.monitoring.track_record import TrackRecord

MAX_COLUMNS = 12
"""Drift columns that are printed."""
_STYLE = {LEVELS[0]: "dim", LEVELS[1]: "", LEVELS[2]: "yellow", LEVELS[3]: "bold red"}


def print_report(report: MonitorReport, console: Console | None = None) -> None:
    """Print the drift, worst first, the track record, notes and the recommendation.

    Args:
        report: monitor report.
        console: target; None is standard output.
    """
    console = console or Console(highlight=False, width=None if Console().is_terminal else 100)
    card = report.card
    console.print(
        f"[bold]{escape(card.name)}[/] of run {escape(card.run_id)}, version {report.version}", soft_wrap=True
    )
    console.print(f"trained to {card.trained_to}, covers {report.since} to {report.until}", soft_wrap=True)
    if warning := synthetic_warning(card):
        console.print(f"[bold yellow]{warning}[/]", soft_wrap=True)
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
        console.print(f"\n{escape(report.record.summary)}")
    for note in report.notes:
        console.print(f"[dim]note: {escape(note)}[/]")
    advice = report.recommendation
    style = "bold red" if advice.action == RETRAIN else "bold yellow" if advice.alarm else "bold"
    console.print(f"\n[{style}]Recommendation: {advice.action}.[/] {escape(advice.reason)}")


def _drift_table(report: MonitorReport) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("column")
    table.add_column("watched as")
    for name in ("PSI", "by chance", "outside"):
        table.add_column(name, justify="right")
    table.add_column("")
    for one in report.drift.columns[:MAX_COLUMNS]:
        p = "p < 0.001" if one.p < 0.001 else f"p = {one.p:.3f}"
        outside = f"{100 * one.outside:.0f} %"
        table.add_row(one.title, one.watched_as, f"{one.psi:.3f}", p, outside, one.level, style=_STYLE[one.level])
    return table


def _metrics_table(record: TrackRecord) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("metric", "out of sample", record.split, "gain", ""):
        table.add_column(name, no_wrap=True)
    for one in record.comparisons:
        now, then, gain = _format(one.now), _format(one.then), _format(one.gain, signed=True)
        table.add_row(_label(one.name), now, then, gain, one.result)
    for name, metrics in record.card.baselines.items():
        for metric in COMPARED_METRICS:
            if metric in metrics:
                table.add_row(f"of {name}", _format(metrics[metric]), "", "", _label(metric), style="dim")
    return table


def _label(name: str) -> str:
    return name.replace("_", "-")


def _format(value: Estimate, *, signed: bool = False) -> str:
    text = f"{value.value:{'+' if signed else ''}.3f}"
    return text if value.low is None or value.high is None else f"{text} [{value.low:.3f}, {value.high:.3f}]"
