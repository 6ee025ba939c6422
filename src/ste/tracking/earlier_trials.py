"""Count the trials on the data of a run, in whatever experiment."""

import json
import tempfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ste.evaluation.scorecard import Scorecard
from ste.evaluation.significance import Trials
from ste.tracking.run_info import DIGEST_TAG, TRIAL_KEY_TAG, RunInfo, find_runs

SUMMARY = "summary.json"
MAX_PORTFOLIOS = 200
"""Latest trials whose portfolios are read."""

_CLOCK_TOLERANCE = 1000
"""Milliseconds by which the clocks of two machines may differ."""

_Portfolio = tuple[tuple[Any, ...] | None, list[float]]
"""How a portfolio was traded, and its returns."""

_stores: dict[str, dict[str, RunInfo]] = {}
_portfolios: dict[tuple[str, str], _Portfolio] = {}
# Caches by store: runs that ended do not change.


def find_trials(
    client: MlflowClient, run_id: str, digest: str, card: Scorecard | None, recorded: Collection[str] = ()
) -> Trials:
    """Count the trials on the same data up to and including a run, and those of its experiment on other tables.

    A trial is a model with its data, training and seed: the same again, a fold and a replica are no further ones.

    Args:
        client: of the store.
        run_id: the run.
        digest: of its data.
        card: its scores on the test split, for the portfolios; None only counts.
        recorded: keys of trials on the data that may be in no store (`trial_log`).
    """
    own = client.get_run(run_id)
    runs = _known_runs(client)
    same = [run for run in runs if run.tags.get(DIGEST_TAG) == digest]
    keys = {run.tags.get(TRIAL_KEY_TAG, run.id) for run in same} | {own.data.tags.get(TRIAL_KEY_TAG, run_id)}
    count = len(keys.union(recorded))
    elsewhere = sum(
        run.tags.get(DIGEST_TAG, digest) != digest for run in runs if run.experiment == own.info.experiment_id
    )
    if card is None or card.portfolio is None:
        return Trials(count, elsewhere)
    sharpes, columns = (
        [card.figures["portfolio_sharpe"].value] if "portfolio_sharpe" in card.figures else [],
        [card.portfolio.returns],
    )
    traded_alike = _how_traded(asdict(card.portfolio))
    for run in [run for run in same if run.id != run_id and run.status == "FINISHED"][:MAX_PORTFOLIOS]:
        key = (str(client.tracking_uri), run.id)
        if key not in _portfolios:
            _portfolios[key] = _read_portfolio(client, run)
        traded, returns = _portfolios[key]
        if traded == traded_alike:
            columns.append(returns)
            sharpes += [run.metrics[name] for name in ("final_test/portfolio_sharpe",) if name in run.metrics]
    performance = np.array(columns).T if len(columns) > 1 else None
    return Trials(count, elsewhere, tuple(sharpes), performance)


def _known_runs(client: MlflowClient) -> list[RunInfo]:
    """Find the runs of a store, latest first; a later call reads those that are new or were still running.

    MLflow reads every parameter and metric of every run that it finds, which in a sweep of hundreds takes longer than
    the training.
    """
    known = _stores.setdefault(str(client.tracking_uri), {})
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    latest = max((run.started for run in known.values()), default=0)
    since = min([latest, *(run.started for run in known.values() if run.status == "RUNNING")])
    known |= {run.id: run for run in find_runs(client, experiments, since=since - _CLOCK_TOLERANCE)}
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
