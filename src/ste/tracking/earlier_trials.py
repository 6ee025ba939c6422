"""Count the earlier trials of an experiment: runs on the same data before a run."""

import json
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ste.evaluation.scorecard import Scorecard
from ste.evaluation.significance import Trials
from ste.tracking.run_info import DIGEST_TAG, RunInfo, find_runs

SUMMARY = "summary.json"
MAX_PORTFOLIOS = 200
"""Latest trials whose portfolios are read."""

_CLOCK_TOLERANCE = 1000
"""Milliseconds by which the clocks of two machines may differ."""

_Portfolio = tuple[tuple[Any, ...] | None, list[float]]
"""How a portfolio was traded, and its returns."""

_experiments: dict[tuple[str, str], dict[str, RunInfo]] = {}
_portfolios: dict[tuple[str, str], _Portfolio] = {}
# Caches by store: runs that ended do not change.


def find_trials(
    client: MlflowClient, run_id: str, digest: str, card: Scorecard | None, experiment: str | None = None
) -> Trials:
    """Count the trials on the same data up to and including a run, and those on other tables.

    Args:
        client: of the store.
        run_id: the run.
        digest: of its data.
        card: its scores on the test split, for the portfolios; None only counts.
        experiment: ID of the run's experiment; None reads it from the store.
    """
    runs = _known_runs(client, experiment or client.get_run(run_id).info.experiment_id)
    same = [run for run in runs if run.tags.get(DIGEST_TAG) == digest]
    count = len({run.id for run in same} | {run_id})
    elsewhere = len([run for run in runs if DIGEST_TAG in run.tags]) - len(same)
    if card is None or card.portfolio is None:
        return Trials(count, elsewhere)
    sharpes, columns = (
        [card.figures["portfolio_sharpe"].value] if "portfolio_sharpe" in card.figures else [],
        [card.portfolio.returns],
    )
    own = _how_traded(asdict(card.portfolio))
    for run in [run for run in same if run.id != run_id and run.status == "FINISHED"][:MAX_PORTFOLIOS]:
        key = (str(client.tracking_uri), run.id)
        if key not in _portfolios:
            _portfolios[key] = _read_portfolio(client, run)
        traded, returns = _portfolios[key]
        if traded == own:
            columns.append(returns)
            sharpes += [run.metrics[name] for name in ("final_test/portfolio_sharpe",) if name in run.metrics]
    performance = np.array(columns).T if len(columns) > 1 else None
    return Trials(count, elsewhere, tuple(sharpes), performance)


def _known_runs(client: MlflowClient, experiment: str) -> list[RunInfo]:
    """Find the runs of an experiment, latest first; a later call reads those that are new or were still running.

    MLflow reads every parameter and metric of every run that it finds, which in a sweep of hundreds takes longer than
    the training.
    """
    known = _experiments.setdefault((str(client.tracking_uri), experiment), {})
    latest = max((run.started for run in known.values()), default=0)
    since = min([latest, *(run.started for run in known.values() if run.status == "RUNNING")])
    known |= {run.id: run for run in find_runs(client, experiment, since=since - _CLOCK_TOLERANCE)}
    return sorted(known.values(), key=lambda run: -run.started)


def _how_traded(portfolio: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the dates and rules of a portfolio: returns of two portfolios that differ in them are not compared.

    Raises:
        KeyError: of a summary that does not state them.
    """
    names = ("dates", "kind", "arguments", "execution", "cost_bps", "costs", "borrow")
    return tuple(portfolio[name] for name in names)


def _read_portfolio(client: MlflowClient, run: RunInfo) -> _Portfolio:
    """Read how a run's portfolio traded the test split, and its returns; nothing where that cannot be read."""
    with suppress(MlflowException, OSError, ValueError, KeyError, TypeError), tempfile.TemporaryDirectory() as folder:
        summary = json.loads(Path(client.download_artifacts(run.id, SUMMARY, folder)).read_text())
        portfolio = summary["scores"]["test"]["portfolio"]
        return _how_traded(portfolio), [float(value) for value in portfolio["returns"]]
    return None, []
