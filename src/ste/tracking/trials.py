"""What was tried before on the same data in the same experiment."""

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ste.evaluation.scorecard import Scorecard
from ste.evaluation.verdict import Trials
from ste.tracking.found import FoundRun, find_runs

SUMMARY = "summary.json"
MOST = 200
"""Latest trials whose portfolios are read back."""


def find_trials(client: MlflowClient, run_id: str, digest: str, card: Scorecard | None) -> Trials:
    """Trials before a run and the run itself.

    Args:
        client: of the store.
        run_id: the run.
        digest: of its data.
        card: its scores on the test split, for the portfolios; None counts only.
    """
    runs = find_runs(client, client.get_run(run_id).info.experiment_id, digest)
    count = len({run.id for run in runs} | {run_id})
    if card is None or card.book is None:
        return Trials(count)
    others = [run for run in runs if run.id != run_id and run.status == "FINISHED"]
    name = "final_test/book_sharpe"
    sharpes = [run.metrics[name] for run in others if name in run.metrics]
    dates, columns = card.book.dates, [card.book.returns]
    for run in others[:MOST]:
        returns = _book_returns(client, run, dates)
        if returns is not None:
            columns.append(returns)
    performance = np.array(columns).T if len(columns) > 1 else None
    own = card.figures.get("book_sharpe")
    return Trials(count, (*sharpes, *([own.value] if own else [])), performance)


def _book_returns(client: MlflowClient, run: FoundRun, dates: list[str]) -> list[float] | None:
    """A run's portfolio returns on the test split; None where it traded on other dates or is gone."""
    with suppress(MlflowException, OSError, ValueError, KeyError, TypeError):
        summary = json.loads(Path(client.download_artifacts(run.id, SUMMARY)).read_text())
        book = summary["scores"]["test"]["book"]
        if book["dates"] == dates:
            return [float(value) for value in book["returns"]]
    return None
