"""Views of an experiment in the MLflow UI: the table of its runs, and the charts of a sweep.

A view that is saved in the UI is a tag of the experiment, and an address opens it by the tag's key. The addresses name
the workflow `machine_learning` too, without which MLflow 3 opens its pages for language models.
"""

import json
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from mlflow.tracking import MlflowClient

from ste.tracking.retry import retried
from ste.tracking.run_info import PARENT_TAG

RUNS_VIEW = "ste-runs"
"""Key of the view of all runs; the key of a sweep's view is the ID of its run."""

_WORKFLOW = {"workflowType": "machine_learning"}
_TAG = "mlflow.sharedViewState."
_MAX_SWEEP_VIEWS = 20
"""Views of the latest sweeps that remain: MLflow lets a user save no more than 40 views of an experiment."""

_WIDTHS = {"verdict": 148, "accuracy": 76, "interval": 106, "log-loss": 74, "model": 124, "data": 114}
"""Tags that are the columns of the run table, in order, with their widths in pixels: they fit a window of 1280."""

_COLUMNS = {f"tags.`{tag}`": width for tag, width in _WIDTHS.items()}

_LINES = (("LINE", "curves/val_log_loss"), ("LINE", "curves/train_loss"))
"""Curves of the trials, below the charts of the compared metric."""

_FOLDED = ("curves", "final_validation", "final_test", "final_train", "Model metrics")
"""Sections of charts that MLflow adds by itself; they start folded."""


def runs_page(experiment_id: str) -> str:
    """Return the address of the run table, relative to that of the UI."""
    return _page(experiment_id, RUNS_VIEW)


def run_page(experiment_id: str, run_id: str) -> str:
    """Return the address of a run, relative to that of the UI."""
    return f"#/experiments/{experiment_id}/runs/{run_id}?{urlencode(_WORKFLOW)}"


def sweep_page(experiment_id: str, parent: str) -> str:
    """Return the address of the charts of a sweep, relative to that of the UI.

    Args:
        experiment_id: of the sweep.
        parent: run ID of the sweep.
    """
    return _page(experiment_id, parent, compareRunsMode="CHART")


def save_runs_view(client: MlflowClient, experiment_id: str) -> None:
    """Save the view of all runs, latest first; a saved one remains as it is.

    Args:
        client: of the store.
        experiment_id: of the runs.
    """
    if _TAG + RUNS_VIEW not in client.get_experiment(experiment_id).tags:
        _save(client, experiment_id, RUNS_VIEW, "Runs", _state())


def save_sweep_view(
    client: MlflowClient,
    experiment_id: str,
    parent: str,
    name: str,
    keys: Sequence[str],
    metric: str,
    *,
    ascending: bool,
) -> None:
    """Save a view of the trials of a sweep, with charts of a metric over the swept settings.

    Args:
        client: of the store.
        experiment_id: of the sweep.
        parent: run ID of the sweep.
        name: of the sweep.
        keys: settings that vary, override keys.
        metric: tracked metric that is compared, of the validation split.
        ascending: sort the trials by it from the lowest to the highest.
    """
    params = [f"sweep.{key}" for key in keys]
    y = _axis("METRIC", metric)
    charts = [_chart(parent, "SCATTER", param, xaxis=_axis("PARAM", param), yaxis=y) for param in params]
    if len(params) > 1:
        chosen = {"selectedParams": params, "selectedMetrics": [metric], "showAllRuns": True}
        charts.append(_chart(parent, "PARALLEL", metric, **chosen))
    charts += [_chart(parent, kind, key, metricKey=key, displayName=key) for kind, key in (("BAR", metric), *_LINES)]
    state = _state(f"tags.`{PARENT_TAG}` = '{parent}'", f"metrics.`{metric}`", ascending=ascending) | {
        "compareRunCharts": charts,
        "compareRunSections": [
            _section(parent, f"Sweep: {name}"),
            *(_section(one, one, show=False) for one in _FOLDED),
        ],
        "isAccordionReordered": True,
        "runsHiddenMode": "SHOW_ALL",
    }
    views = _sweep_views(client, experiment_id)
    for tag in views[: max(0, len(views) + 1 - _MAX_SWEEP_VIEWS)]:
        client.delete_experiment_tag(experiment_id, tag)
    _save(client, experiment_id, parent, name, state)


def _page(experiment_id: str, key: str, **options: str) -> str:
    return f"#/experiments/{experiment_id}/runs?{urlencode({'viewStateShareKey': key, **_WORKFLOW, **options})}"


def _state(where: str = "", order: str = "attributes.start_time", *, ascending: bool = False) -> dict[str, Any]:
    """Return filter, order and columns of a view; runs that are ordered by their start are nested below their sweep."""
    return {
        "searchFilter": where,
        "orderByKey": order,
        "orderByAsc": ascending,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": list(_COLUMNS),
        "columnOrder": list(_COLUMNS),
        "columnWidths": _COLUMNS,
    }


def _chart(section: str, kind: str, name: str, **options: Any) -> dict[str, Any]:
    common = {"type": kind, "uuid": f"{section}-{kind}-{name}", "metricSectionId": section, "runsCountToCompare": 100}
    return {**common, "deleted": False, "isGenerated": False, **options}


def _section(key: str, name: str, *, show: bool = True) -> dict[str, Any]:
    return {"uuid": key, "name": name, "display": show, "isReordered": False, "isGenerated": False}


def _axis(kind: str, key: str) -> dict[str, str]:
    return {"type": kind, "key": key}


def _save(client: MlflowClient, experiment_id: str, key: str, name: str, state: dict[str, Any]) -> None:
    now = int(time.time() * 1000)
    view = {"name": name, "createdAt": now, "updatedAt": now, "state": json.dumps(state)}
    retried(client.set_experiment_tag, experiment_id, _TAG + key, json.dumps(view))


def _sweep_views(client: MlflowClient, experiment_id: str) -> list[str]:
    """Return the tags of the sweeps' views, oldest first; views that a user saved are not among them."""
    tags = client.get_experiment(experiment_id).tags
    own = {tag: json.loads(text) for tag, text in tags.items() if tag.startswith(_TAG) and PARENT_TAG in text}
    return sorted(own, key=lambda tag: int(own[tag]["createdAt"]))
