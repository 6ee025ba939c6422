"""What groups of columns are worth: by permutation, by training without them, and in the words of the verdict."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score, log_loss

from conftest import SMALL_WORLD
from feature_sets import WEEKLY21
from runs import compose_values
from ste.config import TrainSettings
from ste.config.feature_sets import load_feature_set, own_groups
from ste.config.load import load_settings
from ste.data.datamodule import TrendDataModule
from ste.errors import ConfigError
from ste.evaluation.explain.group_value import GroupValue, ScoreChange, with_columns
from ste.evaluation.explain.paired_difference import PeriodResampling
from ste.evaluation.explain.permutation_importance import MAX_PASSES, MAX_ROWS, MIN_ROWS, max_rows
from ste.evaluation.scorecard import Estimate
from ste.evaluation.verdict import Verdict
from ste.experiment.artifacts import SUMMARY, read_group_values
from ste.experiment.column_value import column_values
from ste.experiment.prediction import predict_split
from ste.experiment.run import split_settings, train
from ste.experiment.run_parts import RunParts
from ste.experiment.train_result import TrainResult
from ste.reporting.html import report_tables
from ste.reporting.importance_text import print_group_values
from ste.training.fit import Fitted

# --- intervals ---


def test_the_interval_of_a_mean_is_that_of_its_periods():
    rng = np.random.default_rng(0)
    periods = np.repeat(np.arange(60), 7)
    values = np.repeat(rng.normal(0.3, 1.0, 60), 7) + rng.normal(0, 0.1, 420)
    [found] = PeriodResampling(periods).means(values[None])
    by_period = values.reshape(60, 7).mean(axis=1)
    low, high = stats.t.interval(0.95, 59, by_period.mean(), stats.sem(by_period))
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(low, abs=0.1 * (high - low))
    assert found.high == pytest.approx(high, abs=0.1 * (high - low))
    alone = stats.t.interval(0.95, 419, values.mean(), stats.sem(values))
    assert found.high - found.low > 2 * (alone[1] - alone[0])  # the examples of a period are not independent


@given(st.lists(st.integers(0, 9), min_size=3, max_size=60), st.integers(0, 5), st.integers(1, 3))
def test_equal_predictions_differ_by_nothing_in_any_order_of_the_rows(periods: list[int], seed: int, horizon: int):
    rng = np.random.default_rng(seed)
    own = np.array(periods)
    resampling = PeriodResampling(own, horizon, 100)
    assert resampling.means(np.zeros((1, len(own)))) == [Estimate(0.0, 0.0, 0.0)]
    values, order = rng.normal(size=len(own)).round(3), rng.permutation(len(own))
    [found] = resampling.means(values[None])
    [again] = PeriodResampling(own[order], horizon, 100).means(values[order][None])
    assert again.value == pytest.approx(found.value, abs=1e-12)
    assert (again.low, again.high) == pytest.approx((found.low, found.high), abs=1e-9)


def test_many_columns_are_measured_on_fewer_rows():
    assert max_rows(5) == MAX_ROWS
    assert max_rows(158) * 158 * 5 <= MAX_PASSES
    assert max_rows(10_000) == MIN_ROWS


# --- whose columns ---

MINE = """columns:
  - {name: noise, expr: 'Abs($close * 1000 - 7 * Abs($close * 143))', group: mine}
  - {name: range_20, expr: 'Mean($high / $low, 20)', group: mine}
  - {name: gap, expr: $open / Ref($close, 1)}
"""


def mine_file(folder: Path) -> str:
    path = folder / "mine.yaml"
    path.write_text(MINE.replace("{name: gap, expr: $open / Ref($close, 1)}", "{name: gap, expr: '$open / $close'}"))
    return str(path)


@pytest.mark.parametrize("name", ["weekly21", "volatility", "alpha158", "prices11"])
def test_no_column_of_a_shipped_set_is_the_users(name: str):
    assert own_groups(load_feature_set(name)) == {}


def test_the_users_columns_are_known_in_a_joined_set(tmp_path: Path):
    joined = load_feature_set(["weekly21", mine_file(tmp_path)])
    assert own_groups(joined) == {"mine": ("noise", "range_20"), "stock": ("gap",)}
    changed = replace(WEEKLY21, columns=(replace(WEEKLY21.columns[0], expr="PLast($open)"), *WEEKLY21.columns[1:]))
    assert own_groups(changed) == {"stock": (WEEKLY21.names[0],)}


# --- a run ---


WORLD = [*SMALL_WORLD, "data.tickers=16", "data.signal=0.9", "tracking.enabled=false", "model=logistic"]


def settings_of(folder: Path, *overrides: str) -> tuple[TrainSettings, dict]:
    values = compose_values(*WORLD, f"paths.data={folder / 'data'}", *overrides)
    return load_settings(TrainSettings, values), values


def fit(folder: Path, *overrides: str) -> tuple[RunParts, TrendDataModule, Fitted]:
    parts = split_settings(settings_of(folder, *overrides)[0])
    data = parts.data.holdout()
    return parts, data, parts.fitter.fit(parts.builder.build(data), data, folder / "checkpoints")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("columns")


@pytest.fixture(scope="module")
def valued(folder: Path) -> TrainResult:
    chosen = f"features=[weekly21,{mine_file(folder)}]"
    result = train(*settings_of(folder, chosen, "scoring.without_groups=true"), folder / "run", "test")
    assert result is not None
    return result


def test_retraining_is_the_difference_to_a_run_without_the_columns(valued: TrainResult, folder: Path):
    [mine] = [one for one in valued.groups if one.name == "mine"]
    path = folder / "rest.yaml"
    path.write_text("columns:\n  - {name: gap, expr: '$open / $close'}\n")
    _, data, fitted = fit(folder, f"features=[weekly21,{path}]")
    for split in ("validation", "test"):
        labels, probs = data.scored[split].labels.numpy(), predict_split(fitted.model, data, split)
        rise = log_loss(labels, probs, labels=[0, 1, 2]) - valued.scores[split].metrics["log_loss"]
        drop = valued.scores[split].metrics["accuracy"] - accuracy_score(labels, probs.argmax(axis=1))
        for found, expected in ((mine.retrained[split].log_loss, rise), (mine.retrained[split].accuracy, drop)):
            assert found.value == pytest.approx(expected, abs=1e-6)
            assert found.low <= found.value <= found.high


def test_every_group_is_valued_the_users_first(valued: TrainResult):
    names = ["mine", "stock", "stock of the package", "news", "macro", "policy"]
    assert [one.name for one in valued.groups] == names
    assert [one.own for one in valued.groups] == [True, True, False, False, False, False]
    by_name = {one.name: one for one in valued.groups}
    assert by_name["news"].permuted.log_loss.low > 0  # drives the return of a synthetic market
    assert by_name["news"].retrained["test"].log_loss.low > 0
    assert all(one.periods == valued.scores["test"].periods for one in valued.groups)


def test_the_verdict_says_that_the_users_columns_add_nothing(valued: TrainResult):
    [mine] = [point for point in valued.verdict.points if "columns of mine" in point]
    assert "add nothing measurable (log-loss on test, permuted " in mine
    assert "retrained without them " in mine
    assert not any("news" in point for point in valued.verdict.points)


def test_the_values_are_in_the_summary(valued: TrainResult):
    assert read_group_values(valued.folder / SUMMARY) == valued.groups


def test_the_printed_table_fits_eighty_columns(valued: TrainResult, capsys: pytest.CaptureFixture[str]):
    print_group_values(valued.groups)
    shown = capsys.readouterr().out
    assert "trained without them, test" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())
    rows = report_tables.group_values(valued.groups)
    assert rows[0].name == "mine (yours)"
    assert {len(row.cells) for row in rows} == {6}
    assert all(cell.interval for row in rows for cell in row.cells)


def test_a_default_run_of_a_shipped_set_measures_nothing(folder: Path):
    parts, _, fitted = fit(folder)
    assert column_values(parts, [fitted]) == []


def test_columns_are_permuted_by_default_and_trained_without_on_demand(folder: Path):
    parts, _, fitted = fit(folder, f"features=[weekly21,{mine_file(folder)}]")
    values = column_values(parts, [fitted])
    assert [one.name for one in values] == ["mine", "stock"]
    assert all(one.permuted is not None and not one.retrained for one in values)


@pytest.mark.slow
def test_folds_are_valued_together(folder: Path):
    chosen = [f"features=[weekly21,{mine_file(folder)}]", "scoring.without_groups=true", "model=mlp"]
    folds = ["validation=walk_forward", "validation.folds=2"]
    result = train(*settings_of(folder, *chosen, *folds), folder / "folds", "test")
    assert result is not None
    tested = result.predictions.slice_split("test")
    for one in result.groups:
        assert set(one.retrained) == {"validation", "test"}
        assert one.periods == len(set(tested.periods))


def test_a_net_trains_again_and_columns_that_need_others_stay(folder: Path):
    path = folder / "relative.yaml"
    path.write_text(
        "columns:\n  - {name: last, expr: PLast($close), unit: price, positive: true, group: levels}\n"
        "  - {name: mean_20, expr: 'Mean($close, 20)', unit: price, positive: true, group: means}\n"
    )
    chosen = ["model=mlp", "trainer.max_epochs=1", f"features={path}", "scoring.without_groups=true"]
    parts, _, fitted = fit(folder / "net", *chosen)
    levels, means = column_values(parts, [fitted])
    assert "mean_20 is normalized by its close" in levels.why_not
    assert not levels.retrained
    assert set(means.retrained) == {"validation", "test"}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.format=parts"], "data.format=parquet"),
        (["augment=synthetic", "model=mlp"], "augment=none"),
        (["trainer.devices=2"], "trainer=cpu"),
    ],
)
def test_what_cannot_be_trained_again_is_refused(overrides: list[str], message: str):
    with pytest.raises(ConfigError, match=message):
        load_settings(TrainSettings, compose_values("scoring.without_groups=true", *overrides))


# --- words ---


def loss(value: float, half: float) -> ScoreChange:
    return ScoreChange(Estimate(value, value - half, value + half), Estimate(0.0, -0.01, 0.01))


def value(permuted: ScoreChange | None, retrained: ScoreChange | None = None, columns: int = 3) -> GroupValue:
    return GroupValue("mine", columns, True, "test", 50, permuted, {"test": retrained} if retrained else {})


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (value(loss(0.001, 0.002)), "The 3 columns of mine add nothing measurable (log-loss on test, permuted +0.0010"),
        (value(loss(0.001, 0.002), columns=1), "The column of mine adds nothing measurable"),
        (value(loss(0.01, 0.002)), "The 3 columns of mine help: without, the predictions are worse"),
        (value(loss(-0.01, 0.002)), "The 3 columns of mine make the predictions worse"),
        (value(loss(0.01, 0.002), loss(0.0, 0.01)), "are used, and add nothing measurable that the other columns"),
        (value(loss(0.0, 0.01), loss(0.02, 0.01)), "retrained without them +0.0200 [0.0100, 0.0300]"),
    ],
)
def test_a_sentence_says_what_columns_add(one: GroupValue, expected: str):
    assert expected in one.sentence
    assert GroupValue.from_dict(one.to_dict()) == one


def test_a_verdict_keeps_its_word_and_says_nothing_of_the_packages_columns():
    verdict = Verdict("better", headline="It is.", points=("One.",))
    mine = value(loss(0.0, 0.01))
    assert with_columns(verdict, [mine]) == replace(verdict, points=("One.", mine.sentence))
    assert with_columns(verdict, [replace(mine, own=False), value(None)]) == verdict
    few = Verdict("inconclusive")
    assert with_columns(few, [mine]) == few


def test_many_groups_are_summed_up_in_a_sentence():
    sizes = {"a": 0.001, "b": -0.02, "c": 0.03, "d": 0.01, "e": 0.004}
    values = [replace(value(loss(size, 0.002)), name=name) for name, size in sizes.items()]
    (*described, others) = with_columns(Verdict("better"), values).points
    assert described == [values["abcde".index(name)].sentence for name in "cbd"]
    assert others == "Groups of measurable use among the other 2: 1."
