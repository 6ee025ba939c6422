"""Runs in folds: a parent and its children, evaluated again, stopped and resumed; and baselines as models."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from runs import build_model, compose_values
from ste.config import TrackingSettings, TrainSettings
from ste.config.load import compose_command, load_settings
from ste.errors import ConfigError, RunError
from ste.evaluate import evaluate_task
from ste.evaluation.predictions import Predictions
from ste.experiment.artifacts import CHECKPOINT, PREDICTIONS, differences, score_metrics
from ste.experiment.model_setup import Fitter, load_model
from ste.experiment.prediction import predict_split
from ste.experiment.run import split_settings, train
from ste.experiment.run_page import run_note, run_tags
from ste.experiment.train_result import TrainResult
from ste.experiment.trial_log import TrialFiles
from ste.report import report_task
from ste.tracking.earlier_trials import find_trials
from ste.tracking.run_info import DIGEST_TAG, FOLD_TAG, TRIAL_KEY_TAG, RunInfo, find_children, find_runs
from ste.tracking.run_lookup import download, find_run, read_config
from ste.tracking.store import create_store
from ste.training import fit as fit_module

WORLD = ["data.tickers=4", "data.start=2018-01-01", "data.end=2020-06-30", "data.batch_size=64"]
WORLD += ["data.split.validation_start=2019-07-01", "data.split.test_start=2020-01-01", "data.sequence_length=3"]
FAST = ["trainer.max_epochs=2", "trainer.threads=1", "trainer.enable_progress_bar=false", "scoring.resamples=100"]
LSTM = ["model=lstm", "model.hidden_size=8", "model.num_layers=1", "model.dropout=0.2"]
WALK = ["validation=walk_forward", "validation.folds=3", "validation.embargo=1"]
COMBINE = ["validation=combinatorial", "validation.folds=4", "validation.embargo=2"]

Fit = Callable[..., TrainResult]


class Place:
    """A folder with a store, and runs in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = [f"paths.data={folder / 'data'}", f"paths.output={folder / 'outputs'}"]
        self.client: MlflowClient = create_store(TrackingSettings(), folder / "outputs")

    def fit(self, *overrides: str, out: str) -> TrainResult:
        values = compose_values(*WORLD, *FAST, *self.paths, *overrides)
        result = train(load_settings(TrainSettings, values), values, self.folder / out, out)
        assert result is not None
        return result

    def resume(self, run_id: str) -> TrainResult:
        values = {**read_config(self.client, find_run(self.client, run_id, "ste")), "resume": run_id}
        result = train(load_settings(TrainSettings, values), values, self.folder / "resumed", "resumed")
        assert result is not None
        assert result.run_id == run_id
        return result

    def evaluate(self, run: str, *overrides: str) -> None:
        evaluate_task(compose_command("evaluate", [f"run={run}", *self.paths, *overrides]))

    def report(self, run: str) -> None:
        report_task(compose_command("report", [f"run={run}", "importance=false", *self.paths]))

    def children(self, result: TrainResult) -> dict[int, RunInfo]:
        return find_children(self.client, str(result.run_id))

    def predictions(self, run: RunInfo) -> Predictions:
        folder = self.folder / "downloads" / run.id
        folder.mkdir(parents=True, exist_ok=True)
        return Predictions.read(download(self.client, run, PREDICTIONS, folder))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("folds"))


@pytest.fixture(scope="module")
def walked(place: Place) -> TrainResult:
    return place.fit(*LSTM, *WALK, out="walked")


@pytest.fixture(scope="module")
def combined(place: Place) -> TrainResult:
    return place.fit("model=logistic", *COMBINE, out="combined")


@pytest.fixture(params=["walked", "combined"])
def folded(request: pytest.FixtureRequest) -> TrainResult:
    return request.getfixturevalue(request.param)


def artifacts(client: MlflowClient, run_id: str, path: str | None = None) -> set[str]:
    out: set[str] = set()
    for entry in client.list_artifacts(run_id, path):
        out |= artifacts(client, run_id, entry.path) if entry.is_dir else {entry.path}
    return out


def same_rows(one: pd.DataFrame, other: pd.DataFrame) -> None:
    key = ["date", "ticker", "fold", "path"]
    pd.testing.assert_frame_equal(
        one.sort_values(key, ignore_index=True), other.sort_values(key, ignore_index=True), check_exact=True
    )


# --- what is tracked ---


def test_a_parent_and_its_children_are_tracked_whole(place: Place, folded: TrainResult):
    parent = place.client.get_run(folded.run_id)
    assert parent.info.status == "FINISHED"
    expected = {"config.yaml", "data_card.json", "summary.json", "provenance.json", "positions.csv", PREDICTIONS}
    confusion = {f"confusion/{split}.{kind}" for split in ("validation", "test") for kind in ("png", "csv")}
    assert artifacts(place.client, folded.run_id) == expected | confusion
    assert parent.data.tags["validation"] == folded.validation == parent.data.params["validation.method"]

    children = place.children(folded)
    assert sorted(children) == list(range(3 if folded.validation == "walk_forward" else 6))
    for number, child in children.items():
        assert child.status == "FINISHED"
        assert child.tags["mlflow.parentRunId"] == folded.run_id
        assert artifacts(place.client, child.id) == {PREDICTIONS, CHECKPOINT, "provenance.json"}
        params = place.client.get_run(child.id).data.params
        assert (params["fold"], params["folds"]) == (str(number), str(len(children)))
        rows = place.predictions(child).slice_split("test").frame
        assert params["test"] == f"{rows['date'].min():%Y-%m-%d} to {rows['date'].max():%Y-%m-%d}, {len(rows)} rows"
        assert child.metrics["final_test/accuracy"] == (
            (rows[["p_downtrend", "p_neutral", "p_uptrend"]].to_numpy().argmax(axis=1) == rows["label"]).mean()
        )
    assert not (place.folder / "outputs/checkpoints" / str(folded.run_id)).exists()
    assert not list((place.folder / "outputs/.running").glob("*.lock"))


def test_the_pooled_predictions_are_the_childrens_test_rows(place: Place, folded: TrainResult):
    parts = [place.predictions(child).slice_split("test").frame for child in place.children(folded).values()]
    tracked = place.predictions(find_run(place.client, folded.run_id, "ste"))
    same_rows(tracked.slice_split("test").frame, pd.concat(parts, ignore_index=True))
    pd.testing.assert_frame_equal(tracked.frame, folded.predictions.frame, check_exact=True)
    keys = tracked.slice_split("test").frame[["date", "ticker", "path"]]
    assert not keys.duplicated().any()
    paths = keys.groupby("path").size()
    assert paths.nunique() == 1
    assert len(paths) == (1 if folded.validation == "walk_forward" else 3)
    assert folded.scores["test"].examples == paths[0]


def test_each_childs_checkpoint_gives_its_predictions(place: Place, folded: TrainResult, tmp_path: Path):
    settings = load_settings(TrainSettings, read_config(place.client, find_run(place.client, folded.run_id, "ste")))
    run_data = split_settings(settings).data
    for cut in run_data.folds:
        child = place.children(folded)[cut.number]
        (tmp_path / str(cut.number)).mkdir()
        model = load_model(download(place.client, child, CHECKPOINT, tmp_path / str(cut.number)))
        data = run_data.fold(cut)
        probabilities = predict_split(model, data, "test")
        rows = data.datasets["test"].frame[["date", "ticker"]].reset_index(drop=True)
        rows[["p_downtrend", "p_neutral", "p_uptrend"]] = probabilities.astype(np.float64)
        found = place.predictions(child).slice_split("test").frame
        columns = list(rows)
        expected = rows.sort_values(["date", "ticker"], ignore_index=True)
        pd.testing.assert_frame_equal(found[columns], expected, check_exact=True)
        # It was fitted on this fold's training rows alone: its scaler is theirs.
        train_rows = data.datasets["train"]
        assert train_rows.frame["date"].nunique() < run_data.panel.store.frame["date"].nunique()
        fresh = build_model(settings, data)
        np.testing.assert_array_equal(model.representation.mean, fresh.representation.mean)


def test_verdict_and_figures_are_in_the_store_and_in_the_summary(place: Place, folded: TrainResult):
    run = place.client.get_run(folded.run_id)
    assert run_tags(folded.verdict, folded.scores).items() <= run.data.tags.items()
    assert folded.verdict.tags["verdict"] == folded.verdict.word
    assert run.data.tags["mlflow.note.content"] == run_note(folded.verdict, str(folded.run_id))
    assert score_metrics(folded.scores).items() <= run.data.metrics.items()
    summary = json.loads((folded.folder / "summary.json").read_text())
    for split, card in folded.scores.items():
        assert summary["metrics"][split] == card.metrics
    assert summary["verdict"]["tags"] == folded.verdict.tags
    assert summary["validation"] == folded.validation
    assert set(summary["scores"]) == {"validation", "test"}


def test_a_row_that_validates_several_folds_is_one_example(walked: TrainResult):
    card = walked.scores["validation"]
    frame = walked.predictions.slice_split("validation").frame
    assert card.examples == len(frame.drop_duplicates(["date", "ticker"]))
    assert (frame["path"] == frame["fold"]).all()


# --- evaluated again ---


def test_evaluation_repeats_a_run_in_folds_to_the_last_digit(place: Place, folded: TrainResult, capsys):
    place.evaluate(folded.run_id)
    assert "the same figures as tracked, to the last digit" in capsys.readouterr().out


def test_evaluation_reports_what_differs(place: Place, walked: TrainResult, tmp_path: Path):
    name, value = "final_test/accuracy", walked.scores["test"].metrics["accuracy"]
    tracked_file = download(place.client, find_run(place.client, walked.run_id, "ste"), PREDICTIONS, tmp_path)
    other = Predictions.read(tracked_file)
    other.frame.loc[0, "linear.p_neutral"] += 1e-15
    (tmp_path / "other").mkdir()
    other.write(tmp_path / "other" / PREDICTIONS)
    place.client.log_artifact(walked.run_id, str(tmp_path / "other" / PREDICTIONS))
    place.client.log_metric(walked.run_id, name, 0.75, step=100)
    message = f"differ from what was tracked:\n  test accuracy: tracked 0.75, now {value}\n"
    with pytest.raises(RunError, match=message) as error:
        place.evaluate(walked.run_id, "split=test")
    assert str(error.value).splitlines()[-1] == "  predictions.parquet: other probabilities than now"
    place.client.log_artifact(walked.run_id, str(tracked_file))
    place.client.log_metric(walked.run_id, name, value, step=101)
    with pytest.raises(RunError, match=r"split=train: run .* has only validation, test"):
        place.evaluate(walked.run_id, "split=train")


def test_differences_are_reported_figure_by_figure():
    tracked = {"final_test/accuracy": 0.5, "final_test/f1": 0.25, "final_validation/mcc": 0.0, "final_test/more": 1.0}
    assert differences({"final_test/accuracy": 0.5, "final_validation/mcc": 0.0}, tracked) == []
    now = {"final_test/accuracy": 0.5 + 2**-53, "final_test/f1": 0.25, "final_validation/auroc": 0.6}
    assert differences(now, tracked) == [
        f"test accuracy: tracked 0.5, now {0.5 + 2**-53}",
        "validation auroc: tracked None, now 0.6",
    ]


# --- stopped and resumed ---


def stop_at(patch: pytest.MonkeyPatch, number: int, fault: BaseException) -> None:
    """Raise within the fit of the fold of this number, in its second epoch."""
    build, started = fit_module.build_trainer, iter(range(100))

    class Stop(pl.Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
            if trainer.current_epoch == 1:
                raise fault

    def trainer(*arguments):
        built = build(*arguments)
        if next(started) == number:
            built.callbacks.append(Stop())
        return built

    patch.setattr(fit_module, "build_trainer", trainer)


def fitted_folds(patch: pytest.MonkeyPatch) -> list[Path]:
    """Folders of the fits from now on."""
    seen: list[Path] = []
    original = Fitter.fit

    def watched(self, model, data, folder, *arguments, **options):
        seen.append(folder)
        return original(self, model, data, folder, *arguments, **options)

    patch.setattr(Fitter, "fit", watched)
    return seen


@pytest.fixture
def handlers() -> Iterator[None]:
    """Lightning ignores further interrupts after the first."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


def assert_same_end(place: Place, whole: TrainResult, other: TrainResult) -> None:
    pd.testing.assert_frame_equal(other.predictions.frame, whole.predictions.frame, check_exact=True)
    assert other.scores == whole.scores
    for number, child in place.children(whole).items():
        again = place.children(other)[number]
        assert again.status == "FINISHED"
        figures = {name: value for name, value in child.metrics.items() if name != "fit_seconds"}
        assert {name: value for name, value in again.metrics.items() if name != "fit_seconds"} == figures
    a, b = walked_state(whole), walked_state(other)
    assert all(np.array_equal(a[name], b[name]) for name in a)


def walked_state(result: TrainResult) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in result.module.state_dict().items()}


def test_a_stopped_walk_forward_ends_where_it_would_have_ended(
    place: Place, walked: TrainResult, monkeypatch: pytest.MonkeyPatch, handlers: None, capsys
):
    before = {run.info.run_id for run in place.client.search_runs(["1"])}
    with monkeypatch.context() as patch:
        stop_at(patch, 2, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            place.fit(*LSTM, *WALK, out="stopped")
    new = [run for run in place.client.search_runs(["1"]) if run.info.run_id not in before]
    (parent,) = [run for run in new if FOLD_TAG not in run.data.tags]
    assert parent.info.status == "KILLED"
    status = {run.data.tags[FOLD_TAG]: run.info.status for run in new if FOLD_TAG in run.data.tags}
    assert status == {"0": "FINISHED", "1": "FINISHED", "2": "KILLED"}
    hints = [line for line in capsys.readouterr().err.splitlines() if "resume=" in line]
    assert hints == [f"python -m ste.train resume={parent.info.run_id} resumes this run"]  # of the parent alone

    with monkeypatch.context() as patch:
        fits = fitted_folds(patch)
        other = place.resume(parent.info.run_id)
    assert [path.name for path in fits] == ["fold-2"]
    assert {run.id for run in place.children(other).values()} == {
        run.info.run_id for run in new if FOLD_TAG in run.data.tags
    }
    assert_same_end(place, walked, other)


def test_folds_that_are_still_owed_are_made_where_their_run_is(
    place: Place, walked: TrainResult, monkeypatch: pytest.MonkeyPatch, handlers: None
):
    """The command that resumes names another experiment than the run's, as a plain resume=ID does."""
    with monkeypatch.context() as patch:
        stop_at(patch, 1, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            place.fit(*LSTM, *WALK, "tracking.experiment=elsewhere", out="elsewhere")
    run = find_run_of(place, "elsewhere")
    for call in (place.evaluate, place.report):
        with pytest.raises(RunError, match=rf"KILLED.*resume={run.id}"):
            call(run.id)
    values = {**read_config(place.client, run), "resume": run.id}
    values["tracking"]["experiment"] = "ste"
    other = train(load_settings(TrainSettings, values), values, place.folder / "resumed_elsewhere", "resumed")
    assert other is not None
    children = place.children(other)
    assert {number: child.name for number, child in children.items()} == {k: f"{run.name} fold {k}" for k in range(3)}
    assert_same_end(place, walked, other)
    place.evaluate(run.id)
    with pytest.raises(RunError, match=rf"that is fold 1 of run {run.id}. Try run={run.id}"):
        place.evaluate(place.children(other)[1].id)


def find_run_of(place: Place, experiment: str) -> RunInfo:
    """The one run, folds apart, of an experiment."""
    found = place.client.get_experiment_by_name(experiment)
    (run,) = find_runs(place.client, [found.experiment_id])
    return run


def test_the_portfolio_of_a_split_in_folds_is_not_thinned_by_other_folds_weeks(walked: TrainResult):
    book = walked.scores["validation"].portfolio
    frame = walked.predictions.slice_split("validation").frame
    assert book is not None
    assert len(book.dates) == frame["date"].nunique()
    assert all(turnover > 0 for turnover in book.turnover)
    assert walked.scores["test"].portfolio is not None
    assert len(walked.scores["test"].portfolio.dates) == walked.scores["test"].periods


@pytest.mark.slow
def test_a_walk_forward_that_was_killed_outright_goes_on(place: Place, walked: TrainResult, tmp_path: Path):
    """SIGKILL, as the out-of-memory killer sends it: nothing is printed, and the next run finds the pieces."""
    overrides = [*WORLD, *FAST, *LSTM, *WALK, f"paths.data={place.folder / 'data'}", f"paths.output={tmp_path / 'o'}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ste.train", *overrides],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    client = create_store(TrackingSettings(), tmp_path / "o")
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        runs = client.search_runs(["1"])
        if any(run.data.tags.get(FOLD_TAG) == "0" and run.info.status == "FINISHED" for run in runs):
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL  # it was still at work
    (parent,) = [run for run in client.search_runs(["1"]) if FOLD_TAG not in run.data.tags]
    assert parent.info.status == "RUNNING"
    done = subprocess.run(
        [sys.executable, "-m", "ste.train", f"resume={parent.info.run_id}", *overrides[-2:]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run = find_run(client, parent.info.run_id, "ste")
    assert {child.status for child in find_children(client, run.id).values()} == {"FINISHED"}
    again = Predictions.read(download(client, run, PREDICTIONS, tmp_path))
    pd.testing.assert_frame_equal(again.frame, walked.predictions.frame, check_exact=True)


def test_folds_are_trained_in_one_process(place: Place):
    with pytest.raises(ConfigError, match=r"trainer\.devices=2: folds are trained in one process.*validation=holdout"):
        place.fit(*LSTM, *WALK, "trainer=ddp", out="two")


def test_a_mistake_in_the_model_is_reported_before_anything_is_tracked(place: Place):
    before = len(place.client.search_runs(["0", "1"]))
    with pytest.raises(ConfigError, match=r"model\.C=0: expected a number above 0"):
        place.fit("model=logistic", "model.C=0", *WALK, out="wrong")
    with pytest.raises(ConfigError, match=r"model\.hidden_size=0: expected"):
        place.fit("model=lstm", "model.hidden_size=0", *WALK, out="wrong")
    assert len(place.client.search_runs(["0", "1"])) == before


# --- baselines as models ---

SAME = {"logistic": "linear", "volatility": "volatility", "majority": "majority", "persistence": "persistence"}


@pytest.mark.parametrize("model", [*SAME, "gbm"])
def test_a_baseline_is_trained_tracked_and_evaluated_like_a_net(place: Place, model: str, capsys):
    extra = ["model.min_leaf=10", "model.trees=20"] if model == "gbm" else []
    result = place.fit(f"model={model}", *extra, "tracking.experiment=baselines", out=model)
    run = place.client.get_run(result.run_id)
    assert run.info.status == "FINISHED"
    assert {CHECKPOINT, PREDICTIONS, "summary.json"} <= artifacts(place.client, result.run_id)
    assert set(result.scores) == {"train", "validation", "test"}
    if model in SAME:
        own = result.predictions
        np.testing.assert_array_equal(own.probs, own.baseline(SAME[model]))
        for card in result.scores.values():
            theirs = card.baselines[SAME[model]]
            shared = [name for name in card.figures if name in theirs]
            assert "accuracy" in shared
            assert ("log_loss" in shared) == (model != "persistence")
            assert {name: card.figures[name] for name in shared} == {name: theirs[name] for name in shared}
            assert card.gains[SAME[model]]["accuracy"].value == 0.0
            assert card.identical == (SAME[model],)
        assert result.verdict.word != "better"
        assert result.verdict.tags["verdict.trials"] == str(result.trials)
    if model in ("gbm", "persistence"):  # trees as text, and a number; arrays are in folds above
        place.evaluate(result.run_id, "tracking.experiment=baselines")
        assert "the same figures as tracked" in capsys.readouterr().out


def test_baselines_are_scored_on_the_same_rows_as_the_model(place: Place, walked: TrainResult):
    """The linear baseline of a net has the figures of the logistic regression that is trained as a model."""
    other = place.fit("model=logistic", *WALK, out="logistic-walk")
    columns = ["date", "ticker", "split", "fold", "label"]
    pd.testing.assert_frame_equal(other.predictions.frame[columns], walked.predictions.frame[columns])
    np.testing.assert_array_equal(other.predictions.probs, walked.predictions.baseline("linear"))
    for name, figure in walked.scores["test"].baselines["linear"].items():
        assert other.scores["test"].metrics[name] == figure.value, name


# --- trials ---


def test_trials_are_counted_without_folds(place: Place, walked: TrainResult, combined: TrainResult):
    digest = walked.data_digest
    experiments = [one.experiment_id for one in place.client.search_experiments()]
    everything = place.client.search_runs(experiments, max_results=1000)
    parents = [run for run in everything if FOLD_TAG not in run.data.tags and run.data.tags.get(DIGEST_TAG) == digest]
    tried = {run.data.tags.get(TRIAL_KEY_TAG, run.info.run_id) for run in parents}
    assert len(everything) > len(parents) >= len(tried) >= 2
    trials = find_trials(place.client, walked.run_id, digest, walked.scores["test"])
    assert trials.count == len(tried)
    before = len(tried | TrialFiles(place.folder / "outputs").keys(digest))
    again = place.fit("model=majority", *WALK, out="one-more")
    assert again.trials == before + 1
    assert place.client.get_run(again.run_id).data.tags["trials"] == str(before + 1)
    assert find_run(place.client, "latest", "ste").id == again.run_id  # no fold
