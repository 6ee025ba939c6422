"""What a run shows in the MLflow UI: parameters, metrics, tags and note, and the saved views of its experiment."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking import MlflowClient

from ste.config import TrackingSettings
from ste.errors import RunError
from ste.evaluation.scorecard import Estimate, Scorecard
from ste.evaluation.verdict import Verdict
from ste.experiment.artifacts import score_metrics
from ste.experiment.run_page import run_note, run_params, run_tags
from ste.tracking.run_artifacts import read_provenance
from ste.tracking.run_info import RunInfo
from ste.tracking.saved_views import RUNS_VIEW, run_page, runs_page, save_runs_view, save_sweep_view, sweep_page
from ste.tracking.stop_signals import Stopped, signals_held, stop_signals
from ste.tracking.store import create_store, experiment_id, open_store
from ste.tracking.tracked_run import tracked_run

VIEWS = "mlflow.sharedViewState."


def card(**figures: Estimate) -> Scorecard:
    known = {"accuracy": Estimate(0.4753, 0.4376, 0.5144), "log_loss": Estimate(1.03436, 1.0, 1.07)}
    return Scorecard(
        examples=728,
        periods=104,
        unit="week",
        method="bootstrap",
        classes=("Downtrend", "Neutral", "Uptrend"),
        figures=known | figures,
        confusion=[],
        reliability=[],
        baselines={"majority": {"accuracy": Estimate(0.35), "log_loss": Estimate(1.09)}},
    )


@pytest.fixture
def store(tmp_path: Path) -> MlflowClient:
    return create_store(TrackingSettings(), tmp_path)


def test_parameters_are_the_settings_that_influence_the_run():
    config = {
        "model": {"net": "SimpleLSTM", "dropout": 0.0},
        "data": {"folder": None, "labels": {"horizon": 1}},
        "trainer": {"max_epochs": 50, "max_steps": -1, "limit_train_batches": 0.5, "profiler": None},
        "callbacks": {"early_stopping": {"patience": 10}, "progress_bar": {"name": "EpochProgress"}},
        "loggers": {"mlflow": {"name": "RunLogger"}},
        "paths": {"output": "outputs"},
        "tracking": {"experiment": "ste"},
        "resume": None,
        "seed": 0,
    }
    assert run_params(config) == {
        "model.net": "SimpleLSTM",
        "model.dropout": 0.0,
        "data.labels.horizon": 1,
        "trainer.max_epochs": 50,
        "trainer.limit_train_batches": 0.5,
        "callbacks.early_stopping.patience": 10,
        "seed": 0,
    }


def test_metrics_are_those_that_runs_are_compared_by():
    figures = {
        "auroc": Estimate(0.6, 0.5, 0.7),
        "recall": Estimate(0.4, 0.3, 0.5),
        "f1_uptrend": Estimate(0.3, 0.2, 0.4),
        "own_metric": Estimate(2.0, 1.0, 3.0),  # of a user
    }
    scores = {"train": card(**figures), "test": card(**figures)}
    assert score_metrics(scores) == {
        "final_train/examples": 728,
        "final_train/periods": 104,
        "final_train/accuracy": 0.4753,
        "final_train/log_loss": 1.03436,
        "final_test/examples": 728,
        "final_test/periods": 104,
        "final_test/accuracy": 0.4753,
        "final_test/accuracy_low": 0.4376,
        "final_test/accuracy_high": 0.5144,
        "final_test/log_loss": 1.03436,
        "final_test/log_loss_low": 1.0,
        "final_test/log_loss_high": 1.07,
        "final_test/auroc": 0.6,
        "final_test/own_metric": 2.0,
        "final_test/majority_accuracy": 0.35,
    }


def test_the_columns_are_of_the_test_split_or_of_validation():
    verdict = Verdict("better", tags={"verdict": "better", "verdict.trials": "2", "verdict.gain": "0.1"})
    own = {"accuracy": "47.5 %", "interval": "[43.8, 51.4]", "log-loss": "1.0344"}
    expected = {"verdict": "better", "verdict.trials": "2"} | own
    assert run_tags(verdict, {"validation": card(), "test": card()}) == expected
    other = card(accuracy=Estimate(0.5))  # too few rows for an interval
    assert run_tags(verdict, {"validation": other}) == {
        "verdict": "better",
        "verdict.trials": "2",
        "accuracy": "50.0 %",
        "log-loss": "1.0344",
    }


def test_the_note_has_the_verdict_and_the_next_commands():
    verdict = Verdict("not better", headline="A net is not better than guessing.", points=("It scored 40 %.",))
    text = run_note(verdict, "abc")
    assert text.startswith("**A net is not better than guessing.**\n\n- It scored 40 %.\n")
    for command in ("report", "evaluate", "export"):
        assert f"\npython -m ste.{command} run=abc " in text


def test_the_provenance_is_a_file_and_the_tags_of_an_older_run(store: MlflowClient, tmp_path: Path):
    with tracked_run(TrackingSettings(), tmp_path, "new", {}) as run:
        pass
    new = RunInfo.from_mlflow(store.get_run(run.id))
    assert "version.torch" not in new.tags
    assert {"git.commit", "version.ste", "version.torch", "machine.cores"} <= set(read_provenance(store, new))
    old = store.create_run(new.experiment, tags={"version.torch": "2.0", "git.commit": "abc", "model": "x"})
    assert read_provenance(store, RunInfo.from_mlflow(old)) == {"version.torch": "2.0", "git.commit": "abc"}


def test_an_experiment_has_the_view_of_its_runs(store: MlflowClient):
    experiment = experiment_id(store, "ste")
    address = runs_page(experiment)
    assert address == f"#/experiments/{experiment}/runs?viewStateShareKey={RUNS_VIEW}&workflowType=machine_learning"
    saved = store.get_experiment(experiment).tags[VIEWS + RUNS_VIEW]
    state = json.loads(json.loads(saved)["state"])
    columns = ["verdict", "accuracy", "interval", "log-loss", "model", "data"]
    assert state["selectedColumns"] == [f"tags.`{name}`" for name in columns]
    assert (state["orderByKey"], state["orderByAsc"]) == ("attributes.start_time", False)
    store.set_experiment_tag(experiment, VIEWS + RUNS_VIEW, "changed by the user")
    save_runs_view(store, experiment)
    assert store.get_experiment(experiment).tags[VIEWS + RUNS_VIEW] == "changed by the user"


def test_a_sweep_has_a_view_with_its_charts_and_only_the_latest_remain(store: MlflowClient):
    experiment = experiment_id(store, "ste")
    store.set_experiment_tag(experiment, VIEWS + "own", '{"name": "of the user"}')
    for number in range(23):
        keys, metric = ["model", "optimizer.lr"], "final_validation/log_loss"
        save_sweep_view(store, experiment, f"p{number:02}", "a grid", keys, metric, ascending=True)
    tags = store.get_experiment(experiment).tags
    assert {VIEWS + "own", VIEWS + RUNS_VIEW} < set(tags)
    assert sorted(tag for tag in tags if tag.startswith(VIEWS + "p")) == [f"{VIEWS}p{n:02}" for n in range(3, 23)]
    state = json.loads(json.loads(tags[VIEWS + "p22"])["state"])
    assert state["searchFilter"] == "tags.`mlflow.parentRunId` = 'p22'"
    charts = state["compareRunCharts"]
    assert [chart["xaxis"]["key"] for chart in charts[:2]] == ["sweep.model", "sweep.optimizer.lr"]
    assert [chart["type"] for chart in charts[2:]] == ["PARALLEL", "BAR", "LINE", "LINE"]
    assert len({chart["uuid"] for chart in charts}) == len(charts)
    assert sweep_page(experiment, "p22").endswith(
        "viewStateShareKey=p22&workflowType=machine_learning&compareRunsMode=CHART"
    )
    assert run_page(experiment, "abc") == f"#/experiments/{experiment}/runs/abc?workflowType=machine_learning"


def test_a_store_is_created_by_those_that_write_alone(tmp_path: Path):
    with pytest.raises(RunError, match=r"mlflow\.db: there is no store of runs yet\. Try python -m ste\.train"):
        open_store(TrackingSettings(), tmp_path)
    assert not list(tmp_path.iterdir())
    create_store(TrackingSettings(), tmp_path)
    assert open_store(TrackingSettings(), tmp_path).search_experiments()


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Stopped)])
def test_a_signal_is_held_to_the_end_of_a_section(number: signal.Signals, expected: type[BaseException]):
    before = signal.getsignal(number)
    steps = []
    with pytest.raises(expected), stop_signals():
        with signals_held():
            with signals_held():
                os.kill(os.getpid(), number)
                steps.append("in the inner section")
            steps.append("in the outer section")
        steps.append("after it")
    assert steps == ["in the inner section", "in the outer section"]
    assert signal.getsignal(number) == before


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Stopped)])
def test_a_signal_that_arrives_in_a_finalizer_still_stops_the_process(
    number: signal.Signals, expected: type[BaseException], capsys: pytest.CaptureFixture[str]
):
    """Python prints the exceptions of finalizers and of weak references' callbacks, and goes on."""

    class Signals:
        def __del__(self) -> None:
            signal.raise_signal(number)

    hook = sys.unraisablehook
    with pytest.raises(expected), stop_signals():
        item = Signals()
        del item
        time.sleep(60)
    assert sys.unraisablehook is hook
    assert not capsys.readouterr().err


def test_a_call_of_the_store_ends_before_a_signal_stops_its_process(store: MlflowClient, tmp_path: Path, monkeypatch):
    """A transaction that an interrupt leaves open would lock the store for the call that ends the run."""
    log_batch = SqlAlchemyStore.log_batch

    def interrupted(*arguments: object, **named: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        log_batch(*arguments, **named)

    with pytest.raises(KeyboardInterrupt), tracked_run(TrackingSettings(), tmp_path, "r", {}) as run:
        monkeypatch.setattr(SqlAlchemyStore, "log_batch", interrupted)
        run.log_metrics({"a": 1.0})
    ended = store.get_run(run.id)
    assert (ended.info.status, ended.data.metrics) == ("KILLED", {"a": 1.0})


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop_signals():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
