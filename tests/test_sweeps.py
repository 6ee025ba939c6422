"""Sweeps: their trials, results and files, and resuming a stopped search."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import optuna
import pytest
from hydra import initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.types import RunMode
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.tracking import MlflowClient
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from hydra_plugins.ste_sweepers._job_composer import JobComposer
from hydra_plugins.ste_sweepers._job_overrides import extra_overrides, sample_jobs
from hydra_plugins.ste_sweepers._typed_overrides import grid_values, search_values, split_overrides
from hydra_plugins.ste_sweepers.fork_launcher import ForkLauncher
from runs import compose_values
from ste.config import SweepSettings, TrackingSettings, TrainSettings
from ste.config.config_files import conf_dir
from ste.config.load import compose_command, load_settings
from ste.config.typed_values import quoted
from ste.errors import ConfigError, Pruned, RunError
from ste.reporting.formatting import SHORT_ID
from ste.tracking.run_info import RunInfo, find_runs
from ste.tracking.run_lookup import find_run
from ste.tracking.store import open_store
from ste.tracking.sweep_runs import find_trial_runs, track_failure, trial_params, trial_tags
from ste.tracking.tracked_run import tracked_run
from ste.training.module import TrendModule
from ste.tuning.optuna_figures import build_study, write_figures
from ste.tuning.pruning import Pruning
from ste.tuning.search_space import Choices, NumberRange, distributions, text_of, value_of
from ste.tuning.study import GridSearch, OptunaSearch, open_study
from ste.tuning.sweep import SweepPlan, overrides, run_sweep
from ste.tuning.trial_result import (
    FAILED,
    FINISHED,
    LOST,
    PRUNED,
    SweepTrial,
    TrialResult,
    TrialRow,
    best,
    exit_code,
    ranked,
)
from ste.tuning.workers import Workers, workers_of

SEARCHES = sorted(path.stem for path in (conf_dir() / "sweep").glob("*.yaml") if path.stem != "none")
FAST = ["data=seed", "trainer.threads=1", "scoring.resamples=100"]
PARSER = OverridesParser.create()


# What is typed


@pytest.mark.parametrize(
    "typed",
    [
        ["a=1,2", "b=3,4"],
        ["a=range(1,4)", "b=x", "c=choice(u,v)"],
        ["a=1", "a=2,3"],
        ["a='x,y',z", "b=[1,2],[3]"],
        ["+a.b=1,2", "~c", "d={k:1}"],
        ["a=1"],
        ["a=range(0.0,0.5,0.1)"],
    ],
)
def test_a_grid_tries_what_hydras_own_sweeper_tries(typed: list[str]):
    parsed = PARSER.parse_overrides(typed)
    ((*theirs,),) = BasicSweeper.split_arguments(parsed, None)
    fixed, swept = split_overrides(parsed, grid_values)
    grid = GridSearch(swept)
    ours = [[f"{k}={v}" for k, v in (fixed | trial.values).items()] for trial in grid.ask(10**6)]
    assert sorted(map(sorted, ours)) == sorted(map(sorted, theirs))
    assert grid.total == len(theirs)
    assert grid.ask(1) == []


def test_a_grid_is_given_out_in_batches_of_any_width():
    swept = {"a": Choices(("1", "2", "3")), "b": Choices(("x", "y"))}
    whole = GridSearch(swept).ask(100)
    grid, parts = GridSearch(swept), []
    while batch := grid.ask(4):
        parts += batch
    assert parts == whole
    assert [trial.number for trial in whole] == list(range(6))
    assert whole[1].values == {"a": "1", "b": "y"}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("a=interval(0.1,1)", NumberRange(0.1, 1.0)),
        ("a=tag(log,interval(1e-4,1e-1))", NumberRange(1e-4, 1e-1, log=True)),
        ("a=int(interval(1,9))", NumberRange(1, 9, integer=True)),
        ("a=range(1,10,2)", NumberRange(1, 9, integer=True, step=2)),
        ("a=range(0.0,0.5,0.1)", NumberRange(0.0, 0.4, step=0.1)),
        ("a=range(9,1,-2)", Choices(("9", "7", "5", "3"))),
        ("a=3,5,10", Choices(("3", "5", "10"))),
        ("a=null,8", Choices(("null", "8"))),
    ],
)
def test_a_search_draws_from_numbers_or_values(typed: str, expected: Choices | NumberRange):
    assert search_values(PARSER.parse_override(typed)) == expected


def test_spaces_are_optunas_distributions():
    space = {
        "a": Choices(("3", "0.5", "adam", "null")),
        "b": NumberRange(1, 9, integer=True, step=2),
        "c": NumberRange(1e-4, 1, log=True),
    }
    assert distributions(space) == {
        "a": CategoricalDistribution([3, 0.5, "adam", "null"]),
        "b": IntDistribution(1, 9, step=2),
        "c": FloatDistribution(1e-4, 1, log=True),
    }
    with pytest.raises(ConfigError, match=r"c: .*Try c=interval\(0.1,1\)"):
        distributions({"c": NumberRange(0.0, 1.0, log=True)})


@given(st.one_of(st.integers(-(10**9), 10**9), st.floats(1e-6, 1e6), st.sampled_from(["adam", "null", "[1,2]"])))
def test_a_value_is_typed_so_that_it_is_read_back(value: Any):
    read = value_of(text_of(value))
    assert type(read) is type(value)
    assert read == (pytest.approx(value, rel=1e-5, abs=1e-12) if isinstance(value, float) else value)


@settings(max_examples=15)
@given(st.text(st.sampled_from("a\\'\" ,=:/é[{"), min_size=1, max_size=8))
def test_quoted_texts_are_read_back_by_hydra(text: str):
    assert PARSER.parse_override(f"a={quoted(text)}").value() == text


JOBS = [
    ["model=lstm", "data=seed", "optimizer.lr=0.001", "sweep.trial=0", "sweep.keys=[optimizer.lr]"],
    ["model=lstm", "data=seed", "optimizer.lr=0.1", "optimizer=sgd", "trainer.max_epochs=3"],
    ["model=dual_tower", "data=seed", "optimizer=sgd", "data.sequence_length=5", "+data.new=1", "seed=2"],
    ["experiment=seed_lstm", "model.hidden_size=8", "sweep.study='a, b'", "hydra.job.name=x"],
    ["data=world", "data.tickers=3", "seed=7", "data.seed=9", "data=world"],
    ["model=lstm"],
    ["seed=1"],
]


def test_jobs_are_composed_as_hydra_composes_them():
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        loader = GlobalHydra.instance().config_loader()
        master = loader.load_configuration("train", [], RunMode.MULTIRUN)
        composer = JobComposer(loader, master)
        for job in JOBS:
            own = loader.load_sweep_config(master, job)
            own.hydra.job.override_dirname = ""  # the one difference
            for _ in range(2):  # again, from what was composed before
                mine = composer.compose(job)
                assert OmegaConf.to_container(mine, resolve=False) == OmegaConf.to_container(own, resolve=False), job
                mine.optimizer.lr = 99.0  # the caller's own: the next is not touched
            assert list(mine.hydra.overrides.task) == [text for text in job if not text.startswith("hydra.")]


@pytest.mark.parametrize("job", [["optimizer.lrr=1"], ["model=lstn", "seed=1"], ["+optimizer.lr=3"]])
def test_a_job_that_does_not_fit_is_refused_as_by_hydra(job: list[str]):
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        loader = GlobalHydra.instance().config_loader()
        master = loader.load_configuration("train", [], RunMode.MULTIRUN)
        faults = []
        for composed in (JobComposer(loader, master).compose, lambda job: loader.load_sweep_config(master, job)):
            with pytest.raises(HydraException) as fault:
                composed(job)
            faults.append(str(fault.value))
        assert faults[0] == faults[1]


def test_samples_hold_each_value_once_at_least():
    swept = {"a": Choices(("1", "2", "3")), "b": Choices(("x", "y")), "c": NumberRange(1, 5, integer=True)}
    found = sample_jobs(swept)
    assert len(found) == 3
    assert {sample["a"] for sample in found} == {"1", "2", "3"}
    assert {sample["b"] for sample in found} == {"x", "y"}
    assert {sample["c"] for sample in found} == {"1", "5"}
    assert sample_jobs({}) == [{}]


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_chooses_its_model_its_sweeper_and_values_that_can_be_used(name: str):
    config = compose_command("train", [f"sweep={name}"], with_hydra=True)
    assert config.hydra.runtime.choices["model"] == name
    assert config.hydra.sweeper._target_.endswith("OptunaSweeper")
    assert f"python -m ste.train -m sweep={name}" in (conf_dir() / "sweep" / f"{name}.yaml").read_text()
    swept = {key: search_values(PARSER.parse_override(f"{key}={text}")) for key, text in config.sweep.space.items()}
    assert {"optimizer", "optimizer.lr"} <= set(swept)
    distributions(swept)
    for values in sample_jobs(swept):
        made = load_settings(TrainSettings, compose_values(f"sweep={name}", *(f"{k}={v}" for k, v in values.items())))
        assert made.optimizer.name == values["optimizer"]


def test_the_default_sweeper_is_the_grid():
    config = compose_command("train", [], with_hydra=True)
    assert config.hydra.sweeper._target_.endswith("GridSweeper")


# Where it runs

JOBLIB = {"_target_": "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"}
RAY = {"_target_": "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher"}
SUBMITIT = "hydra_plugins.hydra_submitit_launcher.submitit_launcher."


@pytest.mark.parametrize(
    ("launcher", "wanted", "expected"),
    [
        ({"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"}, None, Workers(1)),
        (JOBLIB | {"n_jobs": -1}, None, Workers(8, 1, ahead=True)),
        (JOBLIB | {"n_jobs": -3}, None, Workers(6, 1, ahead=True)),
        (JOBLIB | {"n_jobs": 2}, None, Workers(2, 4, ahead=True)),
        (JOBLIB | {"n_jobs": 20}, None, Workers(20, 1, ahead=True)),
        (JOBLIB | {"n_jobs": 1}, None, Workers(1, ahead=True)),
        (RAY, None, Workers(8, ahead=True)),
        (RAY, 30, Workers(30, ahead=True)),
        ({"_target_": SUBMITIT + "LocalLauncher"}, 2, Workers(2, 4)),
        ({"_target_": SUBMITIT + "SlurmLauncher"}, None, Workers(8, ahead=True)),
        ({"_target_": SUBMITIT + "SlurmLauncher"}, 16, Workers(16, ahead=True)),
    ],
)
def test_each_trial_has_its_share_of_the_cores(launcher: dict[str, Any], wanted: int | None, expected: Workers):
    assert workers_of(launcher, wanted, available=8) == expected


def test_what_nobody_typed_is_filled_in_and_what_was_typed_stays():
    default = load_settings(TrainSettings, compose_values())
    lengths = {"data.sequence_length": Choices(("3", "10", "5"))}
    assert extra_overrides({}, lengths, default, Workers(4, 2)) == {
        "trainer.threads": "2",
        "data.history": "10",
    }
    typed = {"trainer.threads": "1", "trainer.enable_progress_bar": "true", "data.history": "null"}
    assert extra_overrides(typed, lengths, default, Workers(4, 2)) == {}
    assert extra_overrides({}, {}, default, Workers(1)) == {}


# Results, with a fake launcher


def plan(folder: Path, **changes: Any) -> SweepPlan:
    chosen = SweepSettings(trials=6, startup=2, storage=f"sqlite:///{folder / 'studies.db'}", study="s")
    values: dict[str, Any] = {
        "kind": "grid",
        "name": "sweep <a>",
        "command": "python -m ste.train -m",
        "fixed": {"data": "seed"},
        "swept": {"a": "1,2", "b": "x,y"},
        "settings": chosen,
        "tracking": TrackingSettings(),
        "output": folder / "outputs",
        "folder": folder / "sweep",
        "monitor": "log_loss",
        "mode": "min",
        "width": 4,
    }
    return SweepPlan(**(values | changes))


def outcome(value: float, run_id: str | None = None) -> TrialResult:
    return TrialResult(
        FINISHED, value, run_id, {"accuracy": (0.5, 0.4, 0.6), "mcc": (0.1, None, None)}, "test", "d/12", 1.0
    )


class Pretend:
    """Jobs that track a run without training: its value is that of `a`, and `b=y` with `a=2` fails."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs: list[list[str]] = []

    def __call__(self, batch: list[tuple[SweepTrial, list[str]]]) -> list[tuple[SweepTrial, TrialResult]]:
        return [(trial, self.job(trial, typed)) for trial, typed in batch]

    def job(self, trial: SweepTrial, typed: list[str]) -> TrialResult:
        self.jobs.append(typed)
        given = dict(text.split("=", 1) for text in typed)
        sweep = SweepSettings(trial=trial.number, parent=given.get("sweep.parent"), values=trial.values)
        fault = ConfigError("a=2: cannot be") if trial.values == {"a": "2", "b": "y"} else None
        if sweep.parent is None:
            return TrialResult(FAILED, error=str(fault), mistake=True) if fault else outcome(float(trial.values["a"]))
        if fault:
            track_failure(fault, sweep, TrackingSettings(), self.folder / "outputs", "fails")
            return TrialResult(FAILED, error=str(fault), mistake=True)
        params, tags = trial_params(sweep), trial_tags(sweep)
        with tracked_run(TrackingSettings(), self.folder / "outputs", trial.name, params, tags=tags) as run:
            run.set_tags({"data.digest": "d"})
            run.log_metrics({"monitored": float(trial.values["a"]), "final_validation/log_loss": 1.0})
        return outcome(float(trial.values["a"]), run.id)


GRID = {"a": Choices(("2", "1")), "b": Choices(("x", "y"))}


@pytest.fixture
def swept(folder: Path) -> tuple[Path, list[TrialRow], int, MlflowClient, Pretend]:
    pretend = Pretend(folder)
    rows = run_sweep(plan(folder), GridSearch(GRID), pretend)
    return folder, rows, exit_code(rows), open_store(TrackingSettings(), folder / "outputs"), pretend


def parent_of(client: MlflowClient) -> RunInfo:
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    (parent,) = [run for run in runs if "sweep" in run.data.tags]
    return RunInfo.from_mlflow(parent)


def test_a_sweep_is_one_run_with_its_trials_below(swept: Any):
    folder, rows, code, client, pretend = swept
    parent = parent_of(client)
    assert (parent.status, parent.name) == ("FINISHED", "sweep <a>")
    children = find_trial_runs(client, parent.id)
    assert {n: run.status for n, run in children.items()} == {0: "FINISHED", 1: "FAILED", 2: "FINISHED", 3: "FINISHED"}
    assert children[2].tags["mlflow.parentRunId"] == parent.id
    assert client.get_run(children[2].id).data.params == {"sweep.a": "1", "sweep.b": "x"}
    assert [row.result.run_id for row in rows] == [children[n].id for n in range(4)]  # the failed one's too
    assert code == 2
    assert all(f"sweep.parent={parent.id}" in job and "data=seed" in job for job in pretend.jobs)
    text = Path(client.download_artifacts(children[1].id, "traceback.txt", str(folder))).read_text()
    assert "ConfigError: a=2: cannot be" in text


def test_the_parent_holds_the_table_the_best_trial_and_the_figures(swept: Any):
    folder, rows, _, client, _ = swept
    parent = parent_of(client)
    files = {"sweep.csv", "sweep.json", "figures.html", "provenance.json"}
    assert {path.path for path in client.list_artifacts(parent.id)} == files
    assert f"viewStateShareKey={parent.id}" in parent.tags["mlflow.note.content"]
    assert f"mlflow.sharedViewState.{parent.id}" in client.get_experiment(parent.experiment).tags
    assert parent.tags["best.run_id"] == rows[2].result.run_id
    assert parent.tags["best.checkpoint"] == f"runs:/{rows[2].result.run_id}/checkpoints/best.ckpt"
    assert parent.metrics == {"best/log_loss": 1.0, "trials/finished": 3, "trials/failed": 1, "trials/pruned": 0}
    assert [m.value for m in client.get_metric_history(parent.id, "best/log_loss")] == [2.0, 2.0, 1.0, 1.0]
    assert f"runs/{rows[2].result.run_id}" in parent.tags["mlflow.note.content"]
    with (folder / "sweep" / "sweep.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [line["trial"] for line in table] == ["2", "3", "0", "1"]  # best first, what has no value last
    assert [line["validation_log_loss"] for line in table] == ["1.0", "1.0", "2.0", ""]
    assert (table[0]["a"], table[0]["accuracy_low"], table[0]["mcc_low"]) == ("1", "0.4", "")
    assert table[3]["error"] == "a=2: cannot be"
    assert json.loads((folder / "sweep" / "sweep.json").read_text())[0]["run_id"] == rows[2].result.run_id
    page = (folder / "sweep" / "figures.html").read_text()
    assert "sweep &lt;a&gt;" in page
    assert page.count("Plotly.newPlot(") == 3  # coordinates, importances, history
    assert "<script src=" not in page


def test_nothing_takes_a_sweep_or_a_pruned_trial_for_a_trained_run(swept: Any):
    folder, rows, _, client, _ = swept
    parent = parent_of(client)
    with pytest.raises(Pruned), tracked_run(TrackingSettings(), folder / "outputs", "hopeless", {}) as run:
        raise Pruned(3)
    pruned = client.get_run(run.id)
    assert (pruned.info.status, pruned.data.tags["pruned"]) == ("KILLED", "true")
    assert parent.id not in {found.id for found in find_runs(client, [parent.experiment])}
    latest = find_run(client, "latest").id
    assert latest == rows[3].result.run_id
    with pytest.raises(RunError, match=f"that is a sweep, which has no model. Try run={rows[2].result.run_id}"):
        find_run(client, parent.id)


def test_without_tracking_the_table_is_all_there_is(folder: Path):
    rows = run_sweep(plan(folder, tracking=TrackingSettings(enabled=False)), GridSearch(GRID), Pretend(folder))
    assert [row.result.status for row in rows] == [FINISHED, FAILED, FINISHED, FINISHED]
    assert exit_code(rows) == 2
    assert (folder / "sweep" / "sweep.csv").is_file()
    assert not (folder / "outputs").exists()


# What came of it


def rows_of(*values: float | None) -> list[TrialRow]:
    ends = [TrialResult(FAILED) if value is None else outcome(value) for value in values]
    return [TrialRow(SweepTrial(i, {"a": str(i)}), end) for i, end in enumerate(ends)]


@given(st.lists(st.one_of(st.none(), st.sampled_from([0.1, 0.2, 0.3])), max_size=8), st.sampled_from(["min", "max"]))
def test_the_best_trial_is_the_earliest_of_the_best_values(values: list[float | None], mode: str):
    rows = rows_of(*values)
    finite = [value for value in values if value is not None]
    top = best(rows, mode)
    if not finite:
        assert top is None
    else:
        assert top is not None
        assert top.trial.number == values.index(min(finite) if mode == "min" else max(finite))
        assert ranked(rows, mode)[0] == top
    assert sorted(row.trial.number for row in ranked(rows, mode)) == list(range(len(rows)))


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ([], 0),
        ([outcome(1.0), TrialResult(PRUNED)], 0),
        ([outcome(1.0), TrialResult(FAILED, mistake=True)], 2),
        ([TrialResult(FAILED, mistake=True), TrialResult(FAILED)], 1),
        ([TrialResult(LOST)], 1),
    ],
)
def test_the_exit_code_distinguishes_errors_of_the_user(ends: list[TrialResult], code: int):
    assert exit_code([TrialRow(SweepTrial(i, {}), end) for i, end in enumerate(ends)]) == code


@given(st.floats(-2, 2), st.booleans())
def test_outcomes_travel_as_json(value: float, mistake: bool):
    sent = replace(outcome(value), mistake=mistake)
    assert TrialResult.from_dict(json.loads(json.dumps(asdict(sent)))) == sent


def test_names_are_short_and_readable():
    trial = SweepTrial(
        0, {"optimizer": "sgd", "optimizer.lr": "0.00123456", "model.hidden_size": "64", "data.bars": "a/b.csv"}
    )
    assert trial.name == "optimizer=sgd lr=0.00123 hidden_size=64 bars=b.csv"


def test_figures_need_two_trials_that_differ(tmp_path: Path):
    assert write_figures(rows_of(1.0), "log_loss", "min", "t", tmp_path) is None
    assert write_figures(rows_of(None, None), "log_loss", "min", "t", tmp_path) is None
    same = [TrialRow(SweepTrial(i, {"a": "1"}), outcome(float(i))) for i in range(3)]
    assert write_figures(same, "log_loss", "min", "t", tmp_path) is None
    assert write_figures(rows_of(1.0, 1.0), "log_loss", "min", "t", tmp_path) is not None  # equal: no importances


def test_a_grid_becomes_a_study_with_its_values():
    study = build_study(rows_of(0.3, None, 0.1), "min")
    assert study.best_params == {"a": 2}
    assert [trial.value for trial in study.trials] == [0.3, 0.1]


def test_rates_that_were_drawn_are_numbers_on_a_logarithmic_scale():
    tried = ["1e-4", "2e-3", "3e-2"]
    rows = [
        TrialRow(SweepTrial(i, {"lr": lr, "size": str(16 * (i % 2))}), outcome(float(i))) for i, lr in enumerate(tried)
    ]
    search_values = build_study(rows, "min").trials[0].distributions
    assert (search_values["lr"].low, search_values["lr"].high, search_values["lr"].log) == (1e-4, 3e-2, True)
    assert (search_values["size"].low, search_values["size"].high, search_values["size"].log) == (0, 16, False)


def test_the_course_of_a_sweep_has_its_own_numbers_of_trials(tmp_path: Path):
    page = write_figures(rows_of(None, 3.0, None, 1.0), "log_loss", "min", "t", tmp_path)
    assert page is not None
    course = page.read_text().rpartition("Plotly.newPlot")[2].replace(" ", "")
    assert '"x":[1,3]' in course


# Searches

SPACE = {"a": Choices(("1", "2", "3")), "lr": NumberRange(1e-4, 1e-1, log=True)}


def search(folder: Path, **changes: Any) -> OptunaSearch:
    return OptunaSearch(replace(plan(folder).settings, **changes), SPACE, "min", "command")


def values_of(trials: list[SweepTrial]) -> list[dict[str, str]]:
    return [trial.values for trial in trials]


def test_a_search_that_goes_on_draws_what_it_would_have_drawn(tmp_path: Path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()

    def go(folder: Path, *, reopened: bool) -> list[dict[str, str]]:
        source, made = search(folder), []
        while batch := source.ask(1):
            made += batch
            source.tell(batch[0], outcome(abs(float(batch[0].values["lr"]) - 0.01)))
            if reopened:
                source = search(folder)
        return values_of(made)

    assert go(tmp_path / "one", reopened=False) == go(tmp_path / "two", reopened=True)


def test_a_search_ends_with_the_trials_asked_for_and_a_larger_number_goes_on(tmp_path: Path):
    source = search(tmp_path)
    ends = [outcome(1.0), TrialResult(PRUNED), TrialResult(FAILED, error="x"), outcome(0.5)]
    while batch := source.ask(4):
        for trial, end in zip(batch, ends, strict=False):
            source.tell(trial, end)
    assert [row.result.status for row in search(tmp_path).earlier()] == [
        FINISHED,
        PRUNED,
        FAILED,
        FINISHED,
        *ends_of(2),
    ]
    assert search(tmp_path).ask(4) == []
    assert len(search(tmp_path, trials=8).ask(4)) == 2


def ends_of(count: int) -> list[str]:
    return [FINISHED, PRUNED][:count]


def test_trials_of_a_dead_process_are_settled_and_counted_once(tmp_path: Path):
    dead = search(tmp_path)
    asked = dead.ask(3)
    dead.tell(asked[0], outcome(1.0))
    dead.tell(asked[1], outcome(0.25, "r"))
    source = search(tmp_path)
    assert source.recover() == [asked[2].number]
    assert [row.result.value for row in source.earlier()] == [1.0, 0.25]
    again = source.ask(1)
    assert values_of(again) == values_of(asked[2:])  # the same values, under a number of its own
    assert again[0].number == 3
    source.tell(again[0], outcome(0.75))
    assert source.recover() == []
    while batch := source.ask(2):
        for trial in batch:
            source.tell(trial, outcome(2.0))
    assert len(source.earlier()) == source.total == 6
    assert source.study.best_value == 0.25


def test_a_search_is_resumed_below_its_run_and_a_missing_run_is_replaced(folder: Path):
    source = OptunaSearch(plan(folder).settings, GRID, "min", "command")
    whole = plan(folder, kind="search")

    def stopped(batch: list[tuple[SweepTrial, list[str]]]) -> list[TrialResult]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_sweep(whole, source, stopped)
    client = open_store(TrackingSettings(), folder / "outputs")
    parent = parent_of(client)
    assert parent.status == "KILLED"
    rows = run_sweep(whole, OptunaSearch(whole.settings, GRID, "min", "command"), Pretend(folder))
    assert len(rows) == 6
    assert parent_of(client).id == parent.id
    assert parent_of(client).status == "FINISHED"
    assert exit_code(rows) in (0, 2)
    elsewhere = replace(whole, tracking=TrackingSettings(uri="sqlite:///other.db"))
    rows = run_sweep(
        elsewhere, OptunaSearch(replace(whole.settings, trials=7), GRID, "min", "command"), Pretend(folder)
    )
    assert len(rows) == 7
    assert parent_of(open_store(elsewhere.tracking, folder)).id != parent.id


def test_a_study_of_another_command_is_refused(tmp_path: Path):
    search(tmp_path)
    with pytest.raises(ConfigError, match=r"sweep.study=s: that search was started with command, which is not other"):
        OptunaSearch(plan(tmp_path).settings, SPACE, "min", "other")


def test_a_missing_storage_is_reported_without_its_password(tmp_path: Path):
    url = "postgresql://me:secret@127.0.0.1:1/none"
    with pytest.raises(RunError, match=r"sweep.storage=127.0.0.1:1/none") as caught:
        search(tmp_path, storage=url)
    assert "secret" not in str(caught.value)


def module_with(history: list[float]) -> TrendModule:
    module = TrendModule.__new__(TrendModule)
    object.__setattr__(module, "history", [{"val/log_loss": value} for value in history])
    return module


class At:
    """A trainer at the beginning of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.current_epoch = epoch


def stops_after(curve: list[float], of: SweepSettings) -> int | None:
    callback = Pruning(of, "val/log_loss")
    for epoch in range(len(curve)):
        try:
            callback.on_train_epoch_start(At(epoch), module_with(curve[:epoch]))  # type: ignore[arg-type]
        except Pruned as stop:
            return stop.epoch
    callback.on_train_end(At(len(curve)), module_with(curve))  # type: ignore[arg-type]
    return None


def test_a_trial_is_stopped_where_its_best_is_worse_than_the_others_median(tmp_path: Path):
    """Against the definition: median over the others of the value at that epoch, after startup and warmup."""
    chosen = replace(plan(tmp_path).settings, trials=30, startup=3, warmup=2)
    source = OptunaSearch(chosen, SPACE, "min", "command")
    rng = np.random.default_rng(0)
    done: list[list[float]] = []
    stopped = 0
    for _ in range(14):
        (trial,) = source.ask(1)
        curve = list(rng.uniform(0, 1) + 0.3 * rng.random(6))
        expected = None
        for epoch in range(2, 5):  # after the last epoch nobody asks
            if len(done) >= 3 and min(curve[: epoch + 1]) > np.median([other[epoch] for other in done]):
                expected = epoch
                break
        found = stops_after(curve, replace(chosen, trial=trial.number))
        assert found == expected
        stopped += found is not None
        source.tell(trial, outcome(min(curve)) if found is None else TrialResult(PRUNED))
        if found is None:
            done.append(curve)
    assert stopped > 2
    study = open_study(chosen, "min")
    states = [trial.state for trial in study.trials]
    assert states.count(optuna.trial.TrialState.PRUNED) == stopped


def test_overrides_of_a_trial_hold_what_was_typed_and_what_the_sweep_adds(folder: Path):
    whole = plan(folder, kind="search", extra={"trainer.threads": "1"})
    typed = overrides(whole, SweepTrial(4, {"a": "1", "b": "x"}), None)
    assert typed[:4] == ["data=seed", "a=1", "b=x", "trainer.threads=1"]
    read = {o.key_or_group: o.value() for o in PARSER.parse_overrides(typed)}
    assert read["sweep.trial"] == 4
    assert read["sweep.keys"] == ["a", "b"]
    assert read["sweep.storage"] == whole.settings.storage
    assert "sweep.parent" not in read


# The command


def train(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ste.train", "-m", *FAST, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("sweep")
    done = train(folder, "sweep=dual_tower", "sweep.trials=4", "model.hidden_size=8", "optimizer.lr=0.01,nan,0.02",
                 "sweep.startup=0", "sweep.sampler=random", "trainer.max_epochs=3", "sweep.seed=1")  # fmt: skip
    return folder, done


@pytest.mark.slow
def test_a_real_search_goes_from_the_command_line_to_the_store(real: Any):
    folder, done = real
    client = open_store(TrackingSettings(), folder / "outputs")
    parent = parent_of(client)
    children = find_trial_runs(client, parent.id)
    assert sorted(children) == [0, 1, 2, 3], done.stderr
    table = json.loads((next(folder.rglob("sweep.json"))).read_text())
    failed = {line["trial"] for line in table if line["optimizer.lr"] == "nan"}
    assert {n for n, run in children.items() if run.status == "FAILED"} == failed
    assert done.returncode == (2 if failed else 0)
    finished = [run for run in children.values() if run.status == "FINISHED"]
    assert finished
    for run in finished:
        params = client.get_run(run.id).data.params
        assert params["model.hidden_size"] == "8"
        assert "sweep.model.hidden_size" not in params  # one value on the command line: not searched
        assert params["sweep.optimizer"] == params["optimizer.name"]
        assert float(params["sweep.optimizer.lr"]) in (0.01, 0.02)
        assert "optimizer=" in run.name
        assert "sweep" not in run.name
        assert run.metrics["monitored"] == pytest.approx(run.metrics["final_validation/log_loss"], abs=1e-5)
    top = min(finished, key=lambda run: run.metrics["monitored"])
    assert parent.tags["best.run_id"] == top.id
    assert f"python -m ste.report run={top.id[:SHORT_ID]}" in done.stdout
    assert Path(client.download_artifacts(top.id, "checkpoints/best.ckpt", str(folder))).is_file()


class Forked(ForkLauncher):
    """Jobs that give their number back, or end their process."""

    def _run(self, number: int, overrides: list[str]) -> JobReturn:
        if overrides == ["die"]:
            os._exit(9)
        done = JobReturn(status=JobStatus.COMPLETED)
        done.return_value = number
        return done


@pytest.mark.parametrize(("deaths", "lost"), [([], 0), ([3], 1), ([0, 4], 5)])
def test_a_job_that_ends_its_process_is_lost_alone(deaths: list[int], lost: int):
    """Two processes and eight jobs; with both dead, the waiting jobs are lost too."""
    launcher = Forked()
    launcher.start(2)
    try:
        jobs = [["die"] if i in deaths else ["live"] for i in range(8)]
        done = dict(launcher.results(jobs, 10))
    finally:
        launcher.stop()
    assert sorted(done) == list(range(8))
    failed = [i for i in done if isinstance(done[i].return_value, TrialResult)]
    assert {done[i].return_value.status for i in failed} <= {LOST}
    assert set(deaths) <= set(failed)
    assert len(failed) == lost
    assert all(done[i].return_value == 10 + i for i in done if i not in failed)
    assert not launcher._processes


# Slow: processes


def statuses(folder: Path) -> tuple[RunInfo, dict[int, RunInfo]]:
    client = open_store(TrackingSettings(), folder / "outputs")
    parent = parent_of(client)
    return parent, find_trial_runs(client, parent.id)


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher",
    [
        ["hydra/launcher=fork", "hydra.launcher.n_jobs=2"],
        [
            "hydra/launcher=ray",
            "+hydra.launcher.ray.init.num_cpus=2",
            "+hydra.launcher.ray.init.include_dashboard=false",
        ],
        ["hydra/launcher=submitit_local", "sweep.workers=2"],
    ],
    ids=["fork", "ray", "submitit"],  # joblib: the next test
)
def test_trials_run_in_processes_and_none_is_lost(tmp_path: Path, launcher: list[str]):
    needed = {"ray": "ray", "submitit_local": "submitit"}
    pytest.importorskip(needed.get(launcher[0].split("=")[1], "hydra"))
    done = train(tmp_path, *launcher, "model=dual_tower", "trainer.max_epochs=2", "model.hidden_size=0,4,8,16")
    assert done.returncode == 2, done.stdout + done.stderr
    parent, children = statuses(tmp_path)
    assert {n: run.status for n, run in children.items()} == {0: "FAILED", 1: "FINISHED", 2: "FINISHED", 3: "FINISHED"}
    assert parent.metrics["trials/finished"] == 3
    assert parent.tags["best.run_id"] in {run.id for run in children.values()}
    assert "model.hidden_size=0: expected" in done.stdout


@pytest.mark.slow
def test_a_search_over_processes_counts_every_trial_once(tmp_path: Path):
    done = train(tmp_path, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "sweep=dual_tower", "sweep.trials=4",
                 "trainer.max_epochs=3", "sweep.startup=2", "sweep.warmup=1")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    _, children = statuses(tmp_path)
    assert sorted(children) == list(range(4))
    assert {run.status for run in children.values()} <= {"FINISHED", "KILLED"}
    assert all("pruned" in run.tags for run in children.values() if run.status == "KILLED")


@pytest.mark.slow
def test_a_search_that_was_killed_goes_on_and_ends_with_the_trials_asked_for(tmp_path: Path):
    arguments = [
        "sweep=dual_tower",
        "sweep.trials=4",
        "trainer.max_epochs=120",
        "callbacks.early_stopping=null",
        "sweep.pruner=none",
    ]
    command = [sys.executable, "-m", "ste.train", "-m", *FAST, *arguments]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(1200):  # until the third trial trains
            time.sleep(0.1)
            if (tmp_path / "outputs" / "mlflow.db").exists():
                try:
                    _, children = statuses(tmp_path)
                except ValueError:  # no parent yet
                    continue
                if 2 in children and "curves/train_loss" in children[2].metrics:
                    break
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    before, children = statuses(tmp_path)
    assert children[2].status == "RUNNING"
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    after, children = statuses(tmp_path)
    assert after.id == before.id
    assert after.status == "FINISHED"
    assert children[2].status == "KILLED"
    assert [run.status for n, run in sorted(children.items()) if n != 2] == ["FINISHED"] * 4
    assert after.metrics["trials/finished"] == 4
    table = json.loads(max(tmp_path.rglob("sweep.json")).read_text())
    assert len({line["run_id"] for line in table}) == len(table) == 4
    assert table[0]["run_id"] == after.tags["best.run_id"]


@pytest.mark.slow
def test_ctrl_c_at_any_moment_leaves_no_run_running(tmp_path: Path):
    command = [
        sys.executable,
        "-m",
        "ste.train",
        "-m",
        *FAST,
        "model=dual_tower",
        "seed=range(1,30)",
        "trainer.max_epochs=20",
    ]
    random = Random(0)
    for _ in range(2):
        process = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        while lines[-1] and not re.match(r"\d+ of 29  trial", lines[-1]):
            lines.append(process.stdout.readline())  # until a trial has ended, and others train
        time.sleep(random.uniform(0.0, 2.0))
        os.killpg(process.pid, signal.SIGINT)
        lines += process.communicate(timeout=120)
        text = "".join(line for line in lines if line)
        assert process.returncode == 130, text
        assert "Traceback" not in text
        runs = open_store(TrackingSettings(), tmp_path / "outputs").search_runs(["1"])
        assert {run.info.status for run in runs} <= {"FINISHED", "KILLED"}
