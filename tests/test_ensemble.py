"""Ensembles: combined as by hand, fitted on validation alone, tracked completely and repeated."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hydra.core.hydra_config import HydraConfig
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.tracking import MlflowClient
from omegaconf import OmegaConf
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from runs import compose_values
from ste.compare import compare_task
from ste.config import EnsembleSettings, TrackingSettings, TrainSettings
from ste.config.load import compose_command, load_settings
from ste.ensemble import ensemble_task
from ste.ensembles.pooling import Combined, Stacking, add_baselines, combine
from ste.ensembles.same_rows import check_same_rows
from ste.ensembles.selection import SWEEP_TAG, find_members
from ste.errors import ConfigError, DataError, RunError
from ste.evaluate import evaluate_task
from ste.evaluation.cross_fit import BLOCKS
from ste.evaluation.predictions import Predictions
from ste.evaluation.scorecard import without_baselines
from ste.evaluation.scoring import score
from ste.experiment.artifacts import PREDICTIONS
from ste.experiment.run import train
from ste.experiment.train_result import TrainResult
from ste.report import report_task
from ste.tracking.run_info import DIGEST_TAG, ENSEMBLE_TAG, FOLD_TAG
from ste.tracking.run_lookup import download, find_run
from ste.tracking.run_writer import TrackedRun
from ste.tracking.store import create_store
from ste.tracking.tracked_run import tracked_run
from ste.train import _resumed_values

THREE, TWO = ("Downtrend", "Neutral", "Uptrend"), ("Downtrend", "Uptrend")
TICKERS = 4


def names(classes: tuple[str, ...], prefix: str = "") -> list[str]:
    return [f"{prefix}p_{name.lower()}" for name in classes]


def member(
    seed: int, skill: float = 1.0, classes: tuple[str, ...] = THREE, weeks: int = 40, folds: int = 1, horizon: int = 1
) -> Predictions:
    """A forecaster of `weeks` validation and as many test weeks of each fold; labels and majority are everybody's."""
    truth, own, parts = np.random.default_rng(0), np.random.default_rng(100 + seed), []
    for fold in range(folds):
        for k, split in enumerate(("validation", "test")):
            n = weeks * TICKERS
            label = truth.integers(len(classes), size=n)
            logits = own.normal(size=(n, len(classes))) + skill * np.eye(len(classes))[label]
            part = pd.DataFrame(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), columns=names(classes))
            week = np.repeat(np.arange(weeks) + weeks * (2 * fold + k), TICKERS)
            part.insert(0, "date", np.datetime64("2020-01-03", "s") + np.timedelta64(7, "D") * week)
            part.insert(1, "ticker", np.tile([f"T{i}" for i in range(TICKERS)], weeks))
            part[names(classes, "majority.")] = np.linspace(1, 2, len(classes)) / np.linspace(1, 2, len(classes)).sum()
            rows = {"split": split, "fold": fold, "path": 0, "label": label, "return": truth.normal(size=n)}
            parts.append(part.assign(**rows))
    return Predictions.from_frames(parts, classes, "weekly", horizon, f"M{seed}")


def split_of(predictions: Predictions, split: str, fold: int = 0) -> np.ndarray:
    frame = predictions.frame
    return ((frame["split"] == split) & (frame["fold"] == fold)).to_numpy()


def weights_of(combined: Combined) -> list[Any]:
    return [one.to_dict() for one in combined.by_fold.values()]


# --- the combination itself ---


def test_the_average_is_the_mean_and_the_baselines_are_the_first_members():
    one, two = member(1), member(2)
    combined = combine([one, two], "average")
    np.testing.assert_allclose(combined.predictions.probs, (one.probs + two.probs) / 2, rtol=1e-15)
    assert combined.predictions.frame.drop(columns=names(THREE)).equals(one.frame.drop(columns=names(THREE)))
    assert combined.weights.tolist() == [0.5, 0.5]
    assert combined.fitted_loss is None
    assert combined.predictions.model == "Ensemble"


def test_validation_weights_are_the_gains_on_majoritys_log_loss():
    members = [member(1, 1.5), member(2, 1.0), member(3, -1.0)]
    combined = combine(members, "validation")
    rows, test = split_of(members[0], "validation"), split_of(members[0], "test")
    labels = members[0].labels[rows]
    losses = np.array([log_loss(labels, one.probs[rows], labels=range(3)) for one in members])
    gains = np.maximum(log_loss(labels, members[0].baseline("majority")[rows], labels=range(3)) - losses, 0)
    assert gains[0] > gains[1] > gains[2] == 0
    np.testing.assert_allclose(combined.weights, gains / gains.sum(), rtol=1e-12)
    expected = np.average([one.probs[test] for one in members], axis=0, weights=gains)
    np.testing.assert_allclose(combined.predictions.probs[test], expected, rtol=1e-12)


def test_members_that_gain_nothing_weigh_the_same():
    assert combine([member(1, -1.0), member(2, -2.0)], "validation").weights.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("classes", [TWO, THREE])
@pytest.mark.parametrize("strength", [0.1, 3.0])
def test_stacking_is_scikit_learns_regression_on_log_probabilities(classes: tuple[str, ...], strength: float):
    members = [member(1, classes=classes), member(2, 0.5, classes=classes)]
    combined = combine(members, "stacked", strength)
    rows, test = split_of(members[0], "validation"), split_of(members[0], "test")
    x = np.log(np.hstack([one.probs for one in members]))
    fit = LogisticRegression(C=strength, tol=1e-10, max_iter=5000).fit(x[rows], members[0].labels[rows])
    np.testing.assert_allclose(combined.predictions.probs[test], fit.predict_proba(x[test]), atol=1e-5)
    assert combined.fitted_loss == pytest.approx(log_loss(members[0].labels[rows], fit.predict_proba(x[rows])))
    held_out = log_loss(members[0].labels[rows], combined.predictions.probs[rows])
    assert held_out > combined.fitted_loss  # cross-fitted: in-sample is too optimistic


@given(exponents=st.lists(st.floats(-2, 2), min_size=1, max_size=4), classes=st.sampled_from([2, 3]))
def test_a_logarithmic_pool_has_its_exponents_for_weights(exponents: list[float], classes: int):
    coefficients = np.stack([a * np.eye(classes) for a in exponents], axis=1)
    shifted = coefficients + np.random.default_rng(0).normal(size=(1, len(exponents), classes))
    for fitted in (coefficients, shifted):  # a constant for every class changes no probability
        np.testing.assert_allclose(Stacking(fitted, np.zeros(classes)).weights, exponents, atol=1e-12)
    probs = np.random.default_rng(1).dirichlet(np.ones(classes), (len(exponents), 5))
    product = np.prod(probs ** np.array(exponents)[:, None, None], axis=0)
    pool = Stacking(shifted, np.zeros(classes))(probs)
    np.testing.assert_allclose(pool, product / product.sum(axis=1, keepdims=True), rtol=1e-6)


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1), method=st.sampled_from(["average", "validation", "stacked"]))
def test_what_came_in_the_test_changes_no_weight_and_no_probability(seed: int, method: str):
    members = [member(1), member(2)]
    before = combine(members, method)
    test, rng = split_of(members[0], "test"), np.random.default_rng(seed)
    permuted = [replace(one, frame=one.frame.copy()) for one in members]
    for one in permuted:
        one.frame.loc[test, ["label", "return"]] = rng.permutation(one.frame.loc[test, ["label", "return"]].to_numpy())
        one.frame["label"] = one.frame["label"].astype(np.int64)
    after = combine(permuted, method)
    assert weights_of(after) == weights_of(before)
    np.testing.assert_array_equal(after.predictions.probs, before.predictions.probs)


@pytest.mark.parametrize("method", ["validation", "stacked"])
@pytest.mark.parametrize("horizon", [1, 3])
def test_a_block_of_validation_weeks_is_predicted_without_its_labels_and_its_neighbours(method: str, horizon: int):
    members = [member(1, weeks=40, horizon=horizon), member(2, weeks=40, horizon=horizon)]
    rows = split_of(members[0], "validation")
    weeks = members[0].periods - members[0].periods[rows].min()
    size = 40 // BLOCKS
    first = combine(members, method).predictions.probs
    for reach, changes in ((horizon, False), (horizon + 1, True)):
        touched = rows & (weeks >= size - reach) & (weeks < 2 * size + reach)
        turned = [replace(one, frame=one.frame.copy()) for one in members]
        for one in turned:
            one.frame.loc[touched, "label"] = 2 - one.frame.loc[touched, "label"]
        block = rows & (weeks >= size) & (weeks < 2 * size)
        same = np.array_equal(combine(turned, method).predictions.probs[block], first[block])
        assert same != changes


@pytest.mark.parametrize("method", ["validation", "stacked"])
def test_a_fold_learns_from_its_own_validation_rows_alone(method: str):
    """A later fold's validation rows are an earlier fold's test rows."""
    members = [member(1, folds=2), member(2, folds=2)]
    whole = combine(members, method)
    for fold in (0, 1):
        alone = combine([replace(one, frame=one.frame[one.frame["fold"] == fold]) for one in members], method)
        assert weights_of(whole)[fold] == weights_of(alone)[0]
        own = members[0].frame["fold"].to_numpy() == fold
        np.testing.assert_array_equal(whole.predictions.probs[own], alone.predictions.probs)
    assert weights_of(whole)[0] != weights_of(whole)[1]


def test_too_little_to_learn_from_is_refused_and_no_hindrance_to_the_mean():
    few = [member(1, weeks=9), member(2, weeks=9)]
    with pytest.raises(DataError, match=r"which are of 9 weeks. Expected 10 or more. Try method=average"):
        combine(few, "validation")
    combine(few, "average")
    missing = [replace(one, frame=one.frame.assign(label=0)) for one in (member(1), member(2))]
    with pytest.raises(DataError, match="no validation row that it is fitted on is Neutral"):
        combine(missing, "stacked")


def test_members_as_baselines_change_none_of_its_own_figures():
    one, two = member(1), member(2, 0.5)
    ensemble = combine([one, two], "average").predictions.slice_split("test")
    own = score(ensemble, resamples=100)
    compared = score(
        add_baselines(ensemble, {"M 1": one.slice_split("test"), "M 2": two.slice_split("test")}), resamples=100
    )
    assert list(compared.baselines) == ["M 1", "M 2", "majority"]
    assert without_baselines(compared, ["M 1", "M 2"]) == own
    theirs = score(one.slice_split("test"), resamples=100)
    assert compared.baselines["M 1"].items() <= theirs.figures.items()
    assert {"accuracy", "log_loss", "mcc", "auroc"} <= set(compared.baselines["M 1"])
    gain = theirs.figures["log_loss"].value - own.figures["log_loss"].value
    assert compared.gains["M 1"]["log_loss"].value == pytest.approx(gain)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: member(2).slice_split("test"), "run b: it has no validation predictions"),
        (
            lambda: member(2).slice_split("validation"),
            r"run b: its test rows are none, run a's are 160 from 2020-10-09",
        ),
        (lambda: member(2, weeks=30), r"run b: its validation rows are 120 from .* Try data.history=N"),
        (lambda: member(2, classes=TWO), "run b: its classes is"),
        (lambda: member(2, horizon=2), "run b: its horizon is 2, run a's is 1"),
        (lambda: replace(member(2), frequency="daily"), "run b: its frequency is daily, run a's is weekly"),
        (lambda: replace(member(2), frame=member(2).frame.assign(label=0)), "run b: its validation labels differ"),
        (lambda: replace(member(2), frame=member(2).frame.assign(path=1)), "run b: its validation rows are"),
    ],
)
def test_members_with_other_rows_are_refused(other, message: str):
    check_same_rows({"a": member(1), "b": member(2)})
    with pytest.raises(DataError, match=message):
        check_same_rows({"a": member(1), "b": other()})


# --- which runs ---


@pytest.fixture
def client(folder: Path) -> MlflowClient:
    return create_store(TrackingSettings(), Path("outputs"))


def past(loss: float | None, test: float = 1.0, digest: str = "d", rows: int = 10, **arguments: Any) -> str:
    """A finished run."""
    with tracked_run(TrackingSettings(), Path("outputs"), "past", {}, **arguments) as run:
        run.set_tags({DIGEST_TAG: digest})
        if loss is not None:
            run.log_metrics({"final_validation/log_loss": loss, "final_test/log_loss": test})
            run.log_metrics({"final_validation/examples": rows})
    return run.id


def ids(client: MlflowClient, wanted: str | list[str]) -> list[str]:
    return [run.id for run in find_members(client, wanted)]


def test_the_best_are_chosen_by_validation_among_whole_runs_on_the_latest_data(client: MlflowClient):
    past(0.1, digest="other")
    past(0.1, rows=9)
    good, fair, poor = past(0.8, test=3.0), past(0.9, test=2.0), past(1.0, test=0.5)
    past(0.1, tags={ENSEMBLE_TAG: f"{good},{fair}"})
    sweep = past(0.1, tags={SWEEP_TAG: "grid"})
    fold = past(0.1, tags={FOLD_TAG: 0}, parent=TrackedRun(client, client.get_run(good)))
    failed = past(0.1)
    client.set_terminated(failed, "FAILED")
    assert ids(client, "best:2") == [good, fair]
    assert ids(client, "best:3") == [good, fair, poor]
    assert ids(client, [poor, good]) == [poor, good]
    with pytest.raises(RunError, match=r"runs=best:4: 3 finished training runs of experiment ste .* Try runs=best:3"):
        find_members(client, "best:4")
    for other, message in (
        (failed, f"run {failed}: it is FAILED. Expected members that are FINISHED"),
        (sweep, f"run {sweep}: it is a sweep. Try runs=children:{sweep}"),
        (fold, f"that is fold 0 of run {good}"),
        (good, f"run {good}: it is named twice"),
        (past(0.1, tags={ENSEMBLE_TAG: "x,y"}), "it is an ensemble. Name its members: x,y"),
        (past(0.5, digest="other"), f"its data has digest other, run {good}'s d"),
        ("nothing", "runs=nothing: no such run"),
    ):
        with pytest.raises(RunError, match=message):
            find_members(client, [good, other])
    with tracked_run(TrackingSettings(experiment="elsewhere"), Path("outputs"), "past", {}) as run:
        run.set_tags({DIGEST_TAG: "d"})
    with pytest.raises(RunError, match=r"it is of experiment elsewhere, run .* of ste"):
        find_members(client, [good, run.id])


def test_the_children_of_a_sweep_are_those_that_finished(client: MlflowClient):
    parent = past(None, tags={SWEEP_TAG: "grid"})
    sweep = TrackedRun(client, client.get_run(parent))
    one = past(0.9, parent=sweep)
    with pytest.raises(RunError, match="that run has 1 finished training runs below it"):
        find_members(client, f"children:{parent}")
    two = past(0.8, parent=sweep)
    client.set_terminated(past(0.7, parent=sweep), "FAILED")
    past(0.6)
    assert ids(client, f"children:{parent}") == [two, one]


@pytest.mark.parametrize("runs", ["best", "best:1", "best:0", "best:x", "8c1f", "latest", ["8c1f"], [], None, 3])
def test_what_names_no_two_runs_is_a_mistake(runs: Any):
    config = {"runs": runs, "tracking": {}, "paths": {}}
    with pytest.raises(ConfigError, match=r"runs=.*: expected best:N .* Try runs=best:5"):
        load_settings(EnsembleSettings, config)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "vote"}, "method=vote: expected one of average, validation, stacked"),
        ({"C": 0}, "C=0: expected a finite number above 0. Try C=0.1"),
        ({"C": "strong"}, "C=strong: expected a finite number above 0"),
        (
            {"tracking": {"enabled": False}},
            "tracking.enabled=false: expected true: the members of an ensemble are tracked",
        ),
    ],
)
def test_a_wrong_setting_is_one_message(change: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        load_settings(EnsembleSettings, {"runs": "best:2", "tracking": {}, "paths": {}, **change})


# --- from runs to a run, and back ---

WORLD = [
    *("data.tickers=4", "data.start=2018-01-01", "data.end=2021-12-31", "data.batch_size=64"),
    *("data.split.validation_start=2020-06-01", "data.split.test_start=2021-06-01"),
    *("trainer.max_epochs=1", "trainer.threads=1", "trainer.enable_progress_bar=false", "scoring.resamples=100"),
]
LSTM = ["model=lstm", "model.hidden_size=8", "model.num_layers=1"]


class Place:
    """A folder with a store, and commands typed in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = [f"paths.data={folder / 'data'}", f"paths.output={folder / 'outputs'}"]
        self.client = create_store(TrackingSettings(), folder / "outputs")

    def fit(self, out: str, *overrides: str) -> TrainResult:
        values = compose_values(*WORLD, *self.paths, *overrides)
        result = train(load_settings(TrainSettings, values), values, self.folder / out, out, f"typed {out}")
        assert result is not None
        return result

    def do(self, task: Any, name: str, *overrides: str) -> None:
        output = f"hydra.runtime.output_dir={self.folder / name}"
        config = compose_command(name, [*self.paths, output, *overrides], with_hydra=True)
        HydraConfig.instance().set_config(config)
        task(OmegaConf.masked_copy(config, [key for key in config if key != "hydra"]))

    def ensemble(self, *overrides: str) -> str:
        self.do(ensemble_task, "ensemble", *overrides)
        return find_run(self.client, "latest").id


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("ensembles"))


@pytest.fixture(scope="module")
def trained(place: Place) -> list[TrainResult]:
    return [place.fit("lstm", *LSTM), place.fit("logistic", "model=logistic")]


def artifacts(client: MlflowClient, run_id: str, path: str | None = None) -> set[str]:
    out: set[str] = set()
    for entry in client.list_artifacts(run_id, path):
        out |= artifacts(client, run_id, entry.path) if entry.is_dir else {entry.path}
    return out


def test_an_ensemble_is_a_run_that_stands_alone(place: Place, trained: list[TrainResult], tmp_path: Path, capsys):
    members = [str(result.run_id) for result in trained]
    made = place.ensemble(f"runs=[{','.join(members)}]", "method=stacked", "C=0.5")
    out = capsys.readouterr().out
    assert "Logistic regression on the members' log-probabilities, exponents: SimpleLSTM" in " ".join(out.split())
    run = place.client.get_run(made)
    tags, metrics = run.data.tags, run.data.metrics
    assert run.info.status == "FINISHED"
    assert (tags[ENSEMBLE_TAG], tags["model"], tags["mlflow.source.name"]) == (
        ",".join(members),
        "Ensemble",
        "ste.ensemble",
    )
    assert (tags["trials"], tags["verdict.trials"], tags[DIGEST_TAG]) == ("3", "3", trained[0].data_digest)
    assert run.inputs.dataset_inputs[0].dataset.name.startswith("training_data")
    copied = {f"members/{name}/{file}" for name in members for file in ("config.yaml", "best.ckpt")}
    files = {
        "config.yaml",
        "data_card.json",
        "summary.json",
        "provenance.json",
        "positions.csv",
        PREDICTIONS,
        "members.json",
    }
    confusion = {f"confusion/{split}.{kind}" for split in ("validation", "test") for kind in ("png", "csv")}
    assert artifacts(place.client, made) == copied | files | confusion

    found = find_run(place.client, made)
    predictions = Predictions.read(download(place.client, found, PREDICTIONS, tmp_path))
    predicted = [result.predictions.slice_split("validation", "test") for result in trained]
    np.testing.assert_array_equal(predictions.probs, combine(predicted, "stacked", 0.5).predictions.probs)
    card = score(predictions.slice_split("test"), resamples=100)
    assert metrics["final_test/log_loss"] == card.figures["log_loss"].value
    assert "final_train/log_loss" not in metrics
    assert set(card.baselines) == set(trained[0].scores["test"].baselines)  # the verdict's baselines: no member is one
    content = json.loads(download(place.client, found, "members.json", tmp_path).read_text())
    assert np.shape(content["combinations"]["0"]["coefficients"]) == (3, 2, 3)
    assert [entry["command"] for entry in content["members"]] == ["typed lstm", "typed logistic"]
    losses = [result.scores["validation"].metrics["log_loss"] for result in trained]
    assert content["best_member"].split()[1] == members[int(np.argmin(losses))][:6]
    for entry, result in zip(content["members"], trained, strict=True):
        assert entry["run_id"] == result.run_id
        for split, figures in entry["figures"].items():
            for name in ("log_loss", "accuracy"):
                assert figures[name]["value"] == result.scores[split].metrics[name]

    for one in members:  # all it needs is its own
        place.client.delete_run(one)
    try:
        place.do(evaluate_task, "evaluate", f"run={made}")
        assert "the same figures as tracked, to the last digit" in capsys.readouterr().out
        place.do(report_task, "report", f"run={made}", f"file={tmp_path / 'page.html'}")
    finally:
        for one in members:
            place.client.restore_run(one)
    page = (tmp_path / "page.html").read_text()
    assert "<summary>Members</summary>" in page
    assert all(one in page for one in members)
    assert "typed lstm\ntyped logistic\npython -m ste.ensemble" in page
    assert "for one model on its own normalized features" in page
    place.do(compare_task, "compare")
    assert "Ensemble" in capsys.readouterr().out


def test_another_combination_is_seen_when_the_ensemble_is_evaluated(place: Place, trained: list[TrainResult]):
    made = place.ensemble("runs=best:2")
    config = {"runs": [str(result.run_id) for result in trained], "method": "validation", "C": 0.1}
    place.client.log_dict(made, config, "config.yaml")  # another method than it was tracked with
    with pytest.raises(RunError, match=r"(?s)differ from what was tracked:\n  validation accuracy: .* more"):
        place.do(evaluate_task, "evaluate", f"run={made}")


def test_an_ensemble_that_was_stopped_is_combined_again(place: Place, trained: list[TrainResult]):
    with pytest.raises(KeyboardInterrupt):
        tags = {ENSEMBLE_TAG: "a,b", "command": "python -m ste.ensemble 'runs=[a,b]'"}
        with tracked_run(TrackingSettings(), place.folder / "outputs", "stopped", {}, tags=tags) as run:
            raise KeyboardInterrupt
    again = r"this ensemble is KILLED. Combine it again: python -m ste.ensemble 'runs=\[a,b\]'"
    with pytest.raises(RunError, match=again):
        place.do(evaluate_task, "evaluate", f"run={run.id}")
    values = compose_values(*place.paths)
    HydraConfig.instance().set_config(compose_command("train", [], with_hydra=True))
    with pytest.raises(RunError, match=r"that run is an ensemble. Combine it again: python -m ste.ensemble"):
        _resumed_values(load_settings(TrainSettings, values), run.id)


@pytest.mark.slow
def test_members_in_folds_are_pooled_and_weighed_fold_by_fold(place: Place, trained: list[TrainResult], capsys):
    walk = ["validation=walk_forward", "validation.folds=2", "validation.fraction=0.3"]
    folded = [place.fit(f"walk-{name}", f"model={name}", *walk) for name in ("logistic", "volatility")]
    names = ",".join(str(result.run_id) for result in folded)
    made = place.ensemble(f"runs=[{names}]", "method=validation")
    assert place.client.get_run(made).data.tags["validation"] == "walk_forward"
    for result in folded:
        copied = {f"members/{result.run_id}/{file}" for file in ("config.yaml", "fold-0.ckpt", "fold-1.ckpt")}
        assert copied <= artifacts(place.client, made)
    content = json.loads((place.folder / "ensemble" / "members.json").read_text())
    assert set(content["combinations"]) == {"0", "1"}
    capsys.readouterr()
    place.do(evaluate_task, "evaluate", f"run={made}")
    assert "the same figures as tracked, to the last digit" in capsys.readouterr().out
    with pytest.raises(DataError, match=rf"run {folded[0].run_id}: its validation rows are .* in 2 folds, run"):
        place.ensemble(f"runs=[{trained[0].run_id},{folded[0].run_id}]")
