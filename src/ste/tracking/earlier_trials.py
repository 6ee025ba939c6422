"""What was tried before in the same experiment."""

import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ste.evaluation.scorecard import Portfolio, Scorecard
from ste.evaluation.significance import Trials
from ste.tracking.run_info import DIGEST_TAG, FoundRun, find_runs

SUMMARY = "summary.json"
MOST = 200
"""Latest trials whose portfolios are read back."""

_OVERLAP = 1000
"""Milliseconds by which the clocks of two machines may differ."""

_RECENT = 10_000
"""Milliseconds before the latest in which a run that was going began, to be asked for again with the new ones."""

_experiments: dict[tuple[str, str], dict[str, FoundRun]] = {}
_books: dict[tuple[str, str], dict[str, Any] | None] = {}
# Both by store: what this process has read of runs that have ended, which change no more.


def find_trials(
    client: MlflowClient, run_id: str, digest: str, card: Scorecard | None, experiment: str | None = None
) -> Trials:
    """Trials on the same data before and with a run, and how many there were on other tables.

    Args:
        client: of the store.
        run_id: the run.
        digest: of its data.
        card: its scores on the test split, for the portfolios; None counts only.
        experiment: id of the run's, where it is known.
    """
    runs = _seen(client, experiment or client.get_run(run_id).info.experiment_id)
    same = [run for run in runs if run.tags.get(DIGEST_TAG) == digest]
    count = len({run.id for run in same} | {run_id})
    elsewhere = len([run for run in runs if DIGEST_TAG in run.tags]) - len(same)
    if card is None or card.portfolio is None:
        return Trials(count, elsewhere)
    sharpes, columns = (
        [card.figures["portfolio_sharpe"].value] if "portfolio_sharpe" in card.figures else [],
        [card.portfolio.returns],
    )
    for run in [run for run in same if run.id != run_id and run.status == "FINISHED"][:MOST]:
        returns = _book_returns(client, run, card.portfolio)
        if returns is not None:
            columns.append(returns)
            sharpes += [run.metrics[name] for name in ("final_test/portfolio_sharpe",) if name in run.metrics]
    performance = np.array(columns).T if len(columns) > 1 else None
    return Trials(count, elsewhere, tuple(sharpes), performance)


def _seen(client: MlflowClient, experiment: str) -> list[FoundRun]:
    """Runs of an experiment, latest first; asks for what is new since this process last looked.

    MLflow reads every parameter and figure of every run it finds: in a sweep of hundreds that would come to cost
    more than the training.
    """
    known = _experiments.setdefault((str(client.tracking_uri), experiment), {})
    since = max((run.started for run in known.values()), default=0) - _OVERLAP
    going = [run for run in known.values() if run.status != "FINISHED"]
    since = min(
        [since, *(run.started for run in going if run.started > since - _RECENT)]
    )  # one question for all of them
    for run in [run for run in going if run.started < since]:
        with suppress(MlflowException):
            known[run.id] = FoundRun.of(client.get_run(run.id))
    known |= {run.id: run for run in find_runs(client, experiment, since=since)}
    return sorted(known.values(), key=lambda run: -run.started)


def _book_returns(client: MlflowClient, run: FoundRun, own: Portfolio) -> list[float] | None:
    """A run's portfolio returns on the test split; None where it traded otherwise or is gone."""
    key = (str(client.tracking_uri), run.id)
    if key not in _books:
        _books[key] = _read_book(client, run)
    book = _books[key]
    with suppress(KeyError, TypeError, ValueError):
        if book and (book["dates"], book["kind"], book["cost_bps"]) == (own.dates, own.kind, own.cost_bps):
            return [float(value) for value in book["returns"]]
    return None


def _read_book(client: MlflowClient, run: FoundRun) -> dict[str, Any] | None:
    with suppress(MlflowException, OSError, ValueError, KeyError, TypeError), tempfile.TemporaryDirectory() as folder:
        summary = json.loads(Path(client.download_artifacts(run.id, SUMMARY, folder)).read_text())
        book = summary["scores"]["test"]["portfolio"]
        return book if isinstance(book, dict) else None
    return None
