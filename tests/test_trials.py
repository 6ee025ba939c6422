"""Trials: what was tried before on the same data, and what their portfolios did."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.tracking import MlflowClient

from ste.config import TrackingSettings
from ste.evaluation.portfolio.portfolio_record import Portfolio
from ste.evaluation.scorecard import Estimate, Scorecard
from ste.experiment.run import train
from ste.experiment.trial_log import TrialFiles, TrialLog, TrialMemory, trial_key
from ste.tracking.earlier_trials import find_trials
from ste.tracking.run_info import DIGEST_TAG, FOLD_TAG, TRIAL_KEY_TAG, find_children, find_runs
from ste.tracking.run_writer import TrackedRun
from ste.tracking.store import create_store
from ste.tracking.tracked_run import tracked_run

DATES = ["2024-01-05", "2024-01-12", "2024-01-19"]


def card(returns: list[float], dates: list[str] = DATES, sharpe: float | None = 1.5) -> Scorecard:
    figures = {"accuracy": Estimate(0.4)} | ({} if sharpe is None else {"portfolio_sharpe": Estimate(sharpe)})
    book = Portfolio(dates, returns, returns, returns, "long_short", 5.0)
    return Scorecard(9, 3, "week", "bootstrap", ("Downtrend", "Uptrend"), figures, [[4, 1], [2, 2]], [], portfolio=book)


@pytest.fixture
def client(folder: Path) -> MlflowClient:
    return create_store(TrackingSettings(), Path("outputs"))


def past(scores: Scorecard | None, digest: str = "d", sharpe: float = 0.5, **kept: Any) -> str:
    """A finished run of the past; `kept` goes to `tracked_run`."""
    with tracked_run(TrackingSettings(), Path("outputs"), "past", {}, **kept) as run:
        run.set_tags({DIGEST_TAG: digest})
        if scores is not None:
            Path("summary.json").write_text(json.dumps({"scores": {"test": scores.to_dict()}}))
            run.log_file(Path("summary.json"))
            run.log_metrics({"final_test/portfolio_sharpe": sharpe})
    return run.id


def test_trials_are_the_runs_on_the_same_data_with_their_portfolios(client: MlflowClient):
    past(card([0.1, 0.2, 0.3]), sharpe=0.5)
    past(card([0.4, 0.5, 0.6]), sharpe=-0.25)
    past(card([9.0, 9.0, 9.0]), digest="other data", sharpe=99.0)
    past(card([7.0, 7.0], DATES[:2]), sharpe=0.75)  # traded on other dates: a trial, but not to be compared
    past(None)
    own = past(card([0.0, 0.0, 0.1]), sharpe=1.5)
    trials = find_trials(client, own, "d", card([0.0, 0.0, 0.1]))
    assert trials.count == 5
    assert trials.elsewhere == 1
    assert sorted(trials.sharpes) == [-0.25, 0.5, 1.5]
    assert trials.sharpes[0] == 1.5  # the run's own, first and once
    assert trials.performance is not None
    assert trials.performance.shape == (3, 3)
    assert trials.performance[:, 0].tolist() == [0.0, 0.0, 0.1]
    assert sorted(trials.performance[:, 1:].T.tolist()) == [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]


def test_a_run_counts_itself_before_it_has_its_data_tag(client: MlflowClient):
    past(None)
    with tracked_run(TrackingSettings(), Path("outputs"), "now", {}) as run:
        assert find_trials(client, run.id, "d", None).count == 2
        run.set_tags({DIGEST_TAG: "d"})
        assert find_trials(client, run.id, "d", None).count == 2


def test_folds_are_no_trials_and_are_found_through_their_run(client: MlflowClient):
    with tracked_run(TrackingSettings(), Path("outputs"), "parent", {}) as parent:
        parent.set_tags({DIGEST_TAG: "d"})
        children = {}
        for number in (1, 0, 2):
            # Even where a fold carries the data's digest.
            children[number] = past(card([0.1, 0.1, 0.1]), parent=parent, tags={FOLD_TAG: number})
    past(None, parent=TrackedRun(client, client.get_run(parent.id)))  # something else below the same run
    assert {number: run.id for number, run in find_children(client, parent.id).items()} == children
    assert parent.id in {run.id for run in find_runs(client, ["1"])}
    assert not set(children.values()) & {run.id for run in find_runs(client, ["1"])}
    trials = find_trials(client, parent.id, "d", card([0.0, 0.0, 0.1]))
    assert trials.sharpes == (1.5,)
    assert trials.performance is None
    tags = client.get_run(children[1]).data.tags
    assert (tags["mlflow.parentRunId"], tags[FOLD_TAG]) == (parent.id, "1")


def test_unfinished_runs_count_and_their_portfolios_do_not(client: MlflowClient):
    failed = past(card([0.1, 0.2, 0.3]))
    client.set_terminated(failed, "FAILED")
    own = past(None)
    trials = find_trials(client, own, "d", card([0.0, 0.0, 0.1]))
    assert trials.count == 2
    assert trials.sharpes == (1.5,)
    assert trials.performance is None


def test_without_a_portfolio_trials_are_counted_alone(client: MlflowClient):
    past(card([0.1, 0.2, 0.3]))
    own = past(None)
    for scores in (None, replace(card([0.0]), portfolio=None)):
        trials = find_trials(client, own, "d", scores)
        assert (trials.count, trials.sharpes, trials.performance) == (2, (), None)


def test_a_portfolio_that_never_traded_has_no_ratio(client: MlflowClient):
    past(card([0.1, 0.2, 0.3]), sharpe=0.5)
    own = past(None)
    trials = find_trials(client, own, "d", card([0.0, 0.0, 0.0], sharpe=None))
    assert trials.sharpes == (0.5,)
    assert trials.performance is not None


@pytest.mark.parametrize("content", ["{", "{}", '{"scores": {"test": {"portfolio": null}}}', '{"scores": null}', "[]"])
def test_a_summary_that_cannot_be_read_is_passed_over(client: MlflowClient, content: str):
    broken = past(card([0.1, 0.2, 0.3]))
    Path("summary.json").write_text(content)
    client.log_artifact(broken, "summary.json")
    good = card([0.4, 0.5, 0.6])
    past(good)
    own = past(None)
    trials = find_trials(client, own, "d", card([0.0, 0.0, 0.1]))
    assert trials.count == 3
    assert trials.performance is not None
    np.testing.assert_array_equal(trials.performance, np.array([[0.0, 0.0, 0.1], [0.4, 0.5, 0.6]]).T)


def test_a_run_that_ended_since_the_last_look_is_read_again(client: MlflowClient):
    own = past(None)
    with tracked_run(TrackingSettings(), Path("outputs"), "slow", {}) as slow:
        assert find_trials(client, own, "d", card([0.0, 0.0, 0.1])).count == 1  # its data is not known yet
        slow.set_tags({DIGEST_TAG: "d"})
        Path("summary.json").write_text(json.dumps({"scores": {"test": card([0.1, 0.2, 0.3]).to_dict()}}))
        slow.log_file(Path("summary.json"))
        assert find_trials(client, own, "d", card([0.0, 0.0, 0.1])).performance is None
    trials = find_trials(client, own, "d", card([0.0, 0.0, 0.1]))
    assert trials.count == 2
    assert trials.performance is not None
    np.testing.assert_array_equal(trials.performance[:, 1], [0.1, 0.2, 0.3])


def test_trials_of_every_experiment_count_and_the_same_trial_once(client: MlflowClient):
    def tagged(experiment: str, key: str) -> str:
        with tracked_run(TrackingSettings(experiment=experiment), Path("outputs"), "r", {}) as run:
            run.set_tags({DIGEST_TAG: "d", TRIAL_KEY_TAG: key})
        return run.id

    tagged("first", "a")
    tagged("first", "b")
    tagged("second", "a")  # the same again
    own = tagged("third", "c")
    assert find_trials(client, own, "d", None).count == 3
    assert find_trials(client, own, "d", None, {"a", "untracked"}).count == 4
    assert find_trials(client, own, "d", None).elsewhere == 0


def test_a_trial_is_what_is_fitted():
    config = {"model": {"name": "lstm"}, "seed": 0, "tracking": {"experiment": "a"}, "scoring": {"resamples": 10}}
    key = trial_key(config)
    assert trial_key({**config, "tracking": {"enabled": False}, "scoring": {}, "paths": {"output": "x"}}) == key
    assert trial_key({**config, "seed": 1}) != key
    assert trial_key({**config, "model": {"name": "gru"}}) != key


@pytest.mark.parametrize("kept", [TrialFiles, lambda _: TrialMemory()])
def test_logged_trials_are_those_of_the_data(tmp_path: Path, kept: Callable[[Path], TrialLog]):
    log = kept(tmp_path)
    assert log.keys("d") == frozenset()
    for key in ("a", "b", "a"):
        log.add("d", key)
    log.add("e", "c")
    assert (log.keys("d"), log.keys("e")) == ({"a", "b"}, {"c"})


def test_an_untracked_training_counts(small: Callable[..., Any], folder: Path):
    counts = []
    for seed, *others in (("0", "tracking=off"), ("1", "tracking=off"), ("1",), ("2", "tracking.experiment=new")):
        settings, values = small("model=logistic", f"seed={seed}", *others)
        result = train(settings, values, folder / f"run{len(counts)}", "r")
        assert result is not None
        counts.append(result.trials)
    assert counts == [1, 2, 2, 3]
