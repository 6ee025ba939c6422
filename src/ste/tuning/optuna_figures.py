"""Optuna's figures of a sweep on one HTML page that needs no network."""

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ste.tuning.search_space import value_of
from ste.tuning.trial_result import FINISHED, TrialRow

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

PAGE = "figures.html"
MIN_TRIALS = 2
"""Finished trials with different values that the figures need."""


def build_study(rows: list[TrialRow], mode: str) -> "Study":
    """Build a study in memory from the finished trials.

    Args:
        rows: of a grid or a search.
        mode: whether the value is better `min` or `max`.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="minimize" if mode == "min" else "maximize")
    finished = _finished(rows)
    keys = finished[0].trial.values if finished else []  # those of every trial
    values = {key: [value_of(row.trial.values[key]) for row in finished] for key in keys}
    space = {key: _distribution(tried) for key, tried in values.items() if len(set(tried)) > 1}
    for i, row in enumerate(finished):
        params = {key: values[key][i] for key in space}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=row.result.value))
    return study


def _finished(rows: list[TrialRow]) -> list[TrialRow]:
    return [row for row in rows if row.result.status == FINISHED and row.result.value is not None]


def _distribution(tried: list[Any]) -> "BaseDistribution":
    """Choose an axis: categories for texts, else the range of the numbers."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if any(isinstance(value, str) for value in tried):
        return CategoricalDistribution(sorted(set(tried), key=str))
    low, high = float(min(tried)), float(max(tried))
    return FloatDistribution(low, high, log=low > 0 and high / low > _LOG_RATIO)


_LOG_RATIO = 50.0  # largest over smallest value, above which the axis is logarithmic
_BACKGROUND = "#d9dee6"  # Optuna draws the worst trials in almost white


def write_figures(rows: list[TrialRow], monitor: str, mode: str, title: str, folder: Path) -> Path | None:
    """Write parallel coordinates, importances and the optimization history; None with too few trials.

    Args:
        rows: of the sweep.
        monitor: name of the monitored metric.
        mode: whether it is better `min` or `max`.
        title: of the page.
        folder: of the page; created if missing.
    """
    study = build_study(rows, mode)
    trials = study.get_trials(deepcopy=False)
    if len(trials) < MIN_TRIALS or not trials[0].params:
        return None
    from optuna import visualization

    lines = visualization.plot_parallel_coordinate(study, target_name=monitor)
    lines.update_traces(line_width=2, opacity=0.9, selector={"mode": "lines"})
    history = visualization.plot_optimization_history(study, target_name=monitor)
    numbers = [row.trial.number for row in _finished(rows)]
    for trace in history.data:  # Optuna numbers the finished trials from 0
        trace.x = [numbers[i] for i in trace.x]
    figures = [lines, history]
    if len({trial.value for trial in trials}) > 1:  # equal values have no importances
        figures.insert(1, visualization.plot_param_importances(study, target_name=monitor))
    for figure in figures:
        figure.update_layout(template="plotly_white")
    lines.update_layout(plot_bgcolor=_BACKGROUND, title_pad_b=12)
    lines.update_annotations(bgcolor="rgba(255,255,255,0.7)")  # so that lines do not cross out the values
    parts = [figure.to_html(full_html=False, include_plotlyjs=i == 0) for i, figure in enumerate(figures)]
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / PAGE
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
    style = "<style>body{font:16px sans-serif;margin:1.5rem}</style>"
    page.write_text(f"{head}{style}<h1>{escape(title)}</h1>{''.join(parts)}</html>\n", encoding="utf-8")
    return page
