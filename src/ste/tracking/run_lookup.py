"""Find tracked runs by ID, `latest` or `best`, and read their artifacts."""

import re
import tempfile
from pathlib import Path
from typing import Any

import yaml
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ste.config.progress import print_line
from ste.errors import RunError
from ste.evaluation.run_choice import RunChoice, choice_text
from ste.tracking.run_info import BEST_TAG, DIGEST_TAG, FOLD_TAG, PARENT_TAG, SWEEP_TAG, RunInfo, find_runs, trains

CONFIG = "config.yaml"
DATA_CARD = "data_card.json"
EXPORTED = "served/model.onnx"
"""ONNX artifact of an exported run."""
RANKED_BY = "final_validation/log_loss"
_EXAMPLES = "final_validation/examples"
_MIN_ID = 6  # characters of an ID that identify a run


def find_run(
    client: MlflowClient, wanted: str, experiment: str | None = None, key: str = "run", *, sweep: bool = False
) -> RunInfo:
    """Find a run by its ID, the `latest` finished run, or the `best` run of an experiment.

    `best` has the lowest validation log-loss among the finished runs on the same validation rows as the latest run:
    log-losses on different rows are not comparable. Which run that is, and why, is printed on standard error.

    Args:
        client: of the store.
        wanted: an ID or its first characters, `latest` or `best`.
        experiment: name; None is any experiment for `latest`, and that of the latest run for `best`.
        key: setting that names the run, for messages.
        sweep: accept the parent run of a sweep, which has no model.

    Raises:
        RunError: there is no such run.
    """
    if wanted == "latest":
        return _latest(client, experiment)
    if wanted == "best":
        ranked = rank_runs(client, _latest(client, experiment).experiment)
        print_line(choice_text([RunChoice(run.id, run.tags.get("model", run.name), run.verdict) for run in ranked]))
        return ranked[0]
    run = _by_id(client, wanted, key)
    if FOLD_TAG in run.tags:
        parent = run.tags.get(PARENT_TAG, "")
        raise RunError(f"{key}={wanted}: that is fold {run.tags[FOLD_TAG]} of run {parent}. Try {key}={parent}.")
    if SWEEP_TAG in run.tags and not sweep:
        raise RunError(
            f"{key}={wanted}: that is a sweep, which has no model. Try {key}={run.tags.get(BEST_TAG, 'best')}."
        )
    return run


def _by_id(client: MlflowClient, wanted: str, key: str) -> RunInfo:
    """Find a run by its ID or by the first characters of it, as tables show them."""
    found = []
    if re.fullmatch(rf"[0-9a-f]{{{_MIN_ID},31}}", wanted):
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        found = list(client.search_runs(experiments, f"attributes.run_id LIKE '{wanted}%'", max_results=2))
        if len(found) > 1:
            raise RunError(f"{key}={wanted}: the IDs of several runs start like that. Give more characters.")
    try:
        return RunInfo.from_mlflow(found[0] if found else client.get_run(wanted))
    except MlflowException:
        raise RunError(
            f"{key}={wanted}: no such run. Expected an ID or its first {_MIN_ID} characters or more, as "
            f"python -m ste.compare lists them. Try {key}=latest."
        ) from None


def find_experiment(client: MlflowClient, name: str | None = None) -> Experiment:
    """Find an experiment by name; None is that of the latest finished run.

    Raises:
        RunError: there is none of that name, or no run.
    """
    if name is None:
        return client.get_experiment(_latest(client, None).experiment)
    found = client.get_experiment_by_name(name)
    if found is None:
        names = ", ".join(e.name for e in client.search_experiments() if e.name != "Default") or "none yet"
        raise RunError(f"tracking.experiment={name}: no such experiment. There are: {names}.")
    return found


def experiment_name(client: MlflowClient, run: RunInfo) -> str:
    """Return the name of the experiment of a run."""
    return str(client.get_experiment(run.experiment).name)


def rank_runs(client: MlflowClient, experiment: str) -> list[RunInfo]:
    """Find the finished runs on the data and validation rows of the latest one, lowest validation log-loss first."""
    runs = [run for run in find_runs(client, [experiment]) if run.status == "FINISHED" and RANKED_BY in run.metrics]

    def rows(run: RunInfo) -> tuple[str, float]:
        return run.tags.get(DIGEST_TAG, ""), run.metrics.get(_EXAMPLES, 0.0)

    same = [run for run in runs if rows(run) == rows(runs[0])]
    return sorted(same, key=lambda run: (run.metrics[RANKED_BY], run.started))


def _latest(client: MlflowClient, experiment: str | None) -> RunInfo:
    if experiment is None:
        ids, where = [e.experiment_id for e in client.search_experiments()], ""
    else:
        ids, where = [find_experiment(client, experiment).experiment_id], f" in {experiment}"
    # A thousand runs hold one of a training, unless all of them are folds.
    page = client.search_runs(
        ids, "attributes.status = 'FINISHED'", order_by=["attributes.start_time DESC"], max_results=1000
    )
    found = next((run for run in page if trains(run.data.tags)), None)  # neither a fold nor a sweep
    if found is None:
        raise RunError(f"no finished run{where} yet. Try python -m ste.train model=lstm first.")
    return RunInfo.from_mlflow(found)


def read_config(client: MlflowClient, run: RunInfo) -> dict[str, Any]:
    """Read the configuration of a run as plain data."""
    with tempfile.TemporaryDirectory() as folder:
        return dict(yaml.safe_load(Path(download(client, run, CONFIG, Path(folder))).read_text()))


def download(client: MlflowClient, run: RunInfo, artifact: str, folder: Path) -> Path:
    """Download an artifact of a run.

    Raises:
        RunError: the run has no such artifact.
    """
    try:
        return Path(client.download_artifacts(run.id, artifact, str(folder)))
    except (MlflowException, OSError):
        if run.status == "FINISHED":
            reason = "Another version of the project made the run, or the file was removed. Train again."
        elif artifact == CONFIG:
            reason = "It was stopped before the training started. Train again."
        else:
            reason = f"Expected a finished run. Try python -m ste.train resume={run.id}."
        raise RunError(f"run {run.id} is {run.status} and has no {artifact}. {reason}") from None
