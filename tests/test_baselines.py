"""Baselines against computations of their own, and what of them a checkpoint keeps."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from skops.io.exceptions import UntrustedTypesFoundException

import ste.baselines
from feature_sets import COLUMNS, FEATURES, FORMS, WEEKLY21
from ste.baselines import REFERENCE_BASELINES, GradientBoosting, Logistic, Majority, Persistence, Volatility
from ste.baselines.examples import SplitExamples
from ste.baselines.fitted_baseline import FittedBaseline
from ste.baselines.sklearn_baseline import SklearnBaseline
from ste.config import SyntheticSettings
from ste.data.row_store import RowStore
from ste.data.window_dataset import FlatDataset, SequenceDataset, WindowDataset
from ste.errors import ConfigError, RunError
from ste.experiment.model_setup import load_model
from ste.features.feature_rows import feature_rows
from ste.features.normalization import Normalizer
from ste.features.volatility import trailing_volatility
from ste.labels.targets import future_returns, label
from ste.registry import BASELINES
from ste.schema import CLASSES, DIRECTION, RETURN
from ste.synthetic.generator import generate_market

START = pd.Timestamp("2019-01-04")
UNSCALED = "standard"  # fitted on nothing, it leaves features within its cut as they are


def table(classes: dict[str, list[int | None]], seed: int = 0) -> pd.DataFrame:
    """A table of tickers' classes week by week; None is a week without a row."""
    rng = np.random.default_rng(seed)
    rows = []
    for ticker, labels in classes.items():
        for week, trend in enumerate(labels):
            if trend is not None:
                row = dict(zip(COLUMNS[2:], rng.uniform(0.5, 2.0, len(COLUMNS) - 2), strict=True))
                row |= {"stock_high": rng.uniform(2.0, 2.5), "stock_low": rng.uniform(0.3, 0.5)}
                row |= {"stock_bb_upper": 3.0 + rng.random(), "stock_bb_lower": 0.2, DIRECTION: trend}
                rows.append({"date": START + pd.Timedelta(weeks=week), "ticker": ticker} | row)
    return pd.DataFrame(rows)


def examples(
    frame: pd.DataFrame,
    *,
    classes: int = 3,
    horizon: int = 1,
    length: int = 1,
    rows: np.ndarray | None = None,
    representation: Normalizer | None = None,
) -> SplitExamples:
    store = RowStore.from_frame(frame, WEEKLY21, classes=classes)
    chosen = np.ones(len(frame), dtype=bool) if rows is None else rows
    dataset: WindowDataset = FlatDataset(store, chosen) if length == 1 else SequenceDataset(store, chosen, length)
    return SplitExamples(dataset, representation or Normalizer(FORMS, UNSCALED), classes, horizon)


def learnable(
    classes: int, absent: int | None = None, weeks: int = 60, length: int = 1, seed: int = 0
) -> tuple[SplitExamples, SplitExamples]:
    """Training and later examples whose labels depend on the first three features."""
    rng = np.random.default_rng(seed)
    names = [f"T{i}" for i in range(8)]
    frame = table({name: [0] * weeks for name in names}, seed)
    x = rng.normal(size=(len(frame), len(FEATURES)))
    frame[list(FEATURES)] = x
    frame["stock_high"], frame["stock_low"] = 2.0 + rng.random(len(frame)), 1.0 + 0.5 * rng.random(len(frame))
    frame["stock_close"], frame["stock_bb_upper"], frame["stock_bb_lower"] = 1.5, 2.0 + rng.random(len(frame)), 1.0
    frame["macro_vix"] = 20.0
    noisy = x[:, [5, 11, 13]] @ rng.normal(size=(3, 3)) + rng.gumbel(size=(len(frame), 3))
    if absent is not None:
        noisy[:, absent] = -np.inf
    if classes == 2:
        noisy[:, 1] = -np.inf
    frame[DIRECTION] = noisy.argmax(axis=1)
    frame = frame.sort_values(["ticker", "date"], ignore_index=True)
    early = (frame["date"] < START + pd.Timedelta(weeks=int(weeks * 0.7))).to_numpy()
    train, test = (examples(frame, classes=classes, rows=rows, length=length) for rows in (early, ~early))
    return train, test


# --- logistic regression ---


@pytest.mark.parametrize(("classes", "absent"), [(3, None), (2, None), (3, 0), (3, 1), (3, 2)])
@pytest.mark.parametrize("strength", [1.0, 0.01])
def test_logistic_is_scikit_learns_on_scaled_features(classes: int, absent: int | None, strength: float):
    train, test = learnable(classes, absent)
    ours = Logistic(C=strength)
    ours.fit(train, test, seed=0)
    scaler = StandardScaler().fit(train.table("last").astype(np.float64))
    theirs = LogisticRegression(C=strength, max_iter=3000, tol=1e-8)
    theirs.fit(scaler.transform(train.table("last").astype(np.float64)), train.labels)
    expected = np.zeros((len(test), classes))
    expected[:, theirs.classes_] = theirs.predict_proba(scaler.transform(test.table("last").astype(np.float64)))
    np.testing.assert_allclose(ours.predict_proba(test), expected, atol=2e-3)
    assert (expected.max(axis=0) - expected.min(axis=0))[theirs.classes_].min() > 0.1  # it did learn something
    if absent is not None:
        assert (ours.predict_proba(test)[:, absent] == 0.0).all()


def test_logistic_knows_one_class_only():
    frame = table({"A": [1] * 8, "B": [1] * 8})
    ours = Logistic()
    ours.fit(examples(frame), examples(frame), seed=0)
    assert ours.predict_proba(examples(frame)).tolist() == [[0.0, 1.0, 0.0]] * 16


def test_logistic_reads_the_last_period_of_a_window_alone():
    train, test = learnable(3, length=4)
    single, single_test = learnable(3)
    ours, flat = Logistic(), Logistic()
    ours.fit(train, test, seed=0)
    keep = single.dataset.store.history[single.dataset.ends].numpy() >= 4
    rows = np.zeros(len(single.dataset.store.frame), dtype=bool)
    rows[single.dataset.ends.numpy()[keep]] = True
    windows = replace(single, dataset=FlatDataset(single.dataset.store, rows))
    flat.fit(windows, single_test, seed=0)
    assert len(windows) == len(train)
    np.testing.assert_array_equal(ours.weights, flat.weights)
    np.testing.assert_array_equal(ours.predict_proba(test), flat.predict_proba(single_test))


def test_a_feature_that_never_varies_weighs_nothing():
    train, test = learnable(3)
    frame = train.dataset.store.frame.assign(news_count=7.0)
    rows = train.dataset.store.frame.index.isin(train.dataset.ends.numpy())
    ours = Logistic()
    ours.fit(examples(frame, rows=rows), test, seed=0)
    assert np.isfinite(ours.weights).all()
    assert (ours.weights[FEATURES.index("news_count")] == 0.0).all()


# --- majority and persistence ---


@settings(max_examples=25)
@given(labels=st.lists(st.integers(0, 2), min_size=1, max_size=30))
def test_the_majority_predicts_the_training_frequencies(labels: list[int]):
    train, test = examples(table({"A": labels})), examples(table({"A": [2, 1], "B": [0, 0, 0]}))
    ours = Majority()
    ours.fit(train, test, seed=0)
    frequencies = [labels.count(c) / len(labels) for c in range(3)]
    np.testing.assert_allclose(ours.predict_proba(test), [frequencies] * 5, rtol=1e-15)


def test_persistence_by_hand():
    data = examples(table({"A": [0, 1, 2, 2], "B": [2, 0, 0, 1]}))
    ours = Persistence()
    ours.fit(data, data, seed=0)
    majority = 0  # 0 and 2 are equally frequent: the first
    assert ours.predict_proba(data).argmax(axis=1).tolist() == [majority, 0, 1, 2, majority, 2, 0, 0]
    later = replace(data, horizon=2)
    assert ours.predict_proba(later).argmax(axis=1).tolist() == [majority, majority, 0, 1, majority, majority, 2, 0]


def test_persistence_does_not_reach_over_a_missing_week():
    data = examples(table({"A": [1, 2, None, 0, 1]}))
    ours = Persistence()
    ours.fit(data, data, seed=0)
    assert ours.predict_proba(data).argmax(axis=1).tolist() == [1, 1, 1, 0]


some_weeks = st.lists(st.one_of(st.none(), st.integers(0, 2)), min_size=1, max_size=14)
some_classes = st.dictionaries(
    st.sampled_from("ABC"), some_weeks.filter(lambda weeks: any(week is not None for week in weeks)), min_size=1
)


@settings(max_examples=60)
@given(labels=some_classes, horizon=st.integers(1, 3), classes=st.sampled_from([2, 3]), length=st.integers(1, 3))
def test_persistence_is_the_class_of_the_horizon_before_by_brute_force(
    labels: dict[str, list[int | None]], horizon: int, classes: int, length: int
):
    data = examples(table(labels), classes=classes, horizon=horizon, length=length)
    index = {trend: i for i, trend in enumerate(CLASSES[classes])}
    ours = Persistence()
    ours.fallback = 0
    expected = []
    for ticker in sorted(labels):
        own = labels[ticker]
        for week, now in enumerate(own):
            if now not in index or any(week < back or own[week - back] is None for back in range(length)):
                continue
            path = [week - back for back in range(1, horizon + 1)]
            unbroken = path[-1] >= 0 and all(own[w] is not None for w in path)
            expected.append(index.get(own[path[-1]], 0) if unbroken else 0)
    found = ours.predict_proba(data)
    assert found.argmax(axis=1).tolist() == expected
    assert found.shape == (len(expected), classes)
    assert (found.sum(axis=1) == 1.0).all()
    assert set(np.unique(found)) <= {0.0, 1.0}


# --- volatility ---


def market_frame(seed: int = 0, weeks: int = 40) -> pd.DataFrame:
    frame = table({name: [0, 1, 2, 1] * (weeks // 4) for name in "ABC"}, seed)
    rng = np.random.default_rng(seed)
    close = 50.0 * np.exp(np.cumsum(0.03 * rng.normal(size=len(frame))))
    frame["stock_close"], frame["stock_high"] = close, close * 1.02
    frame["stock_low"] = close * (0.9 + 0.05 * rng.random(len(frame)))
    frame["stock_bb_upper"], frame["stock_bb_lower"] = close * 1.1, close * (0.8 + 0.1 * rng.random(len(frame)))
    return frame.sort_values(["ticker", "date"], ignore_index=True)


def test_trailing_volatility_by_hand():
    frame = market_frame()
    found = np.exp(trailing_volatility(frame, WEEKLY21))
    own = frame[frame["ticker"] == "B"].reset_index(drop=True)
    at = frame.index[frame["ticker"] == "B"][0]
    reach = np.log(own["stock_high"] / own["stock_low"])
    for i in (3, 11, 20, 39):
        close = own["stock_close"].to_numpy()
        change = close[max(1, i - 11) : i + 1] / close[max(0, i - 12) : i] - 1.0
        same_day = frame["date"] == own["date"][i]
        expected = [
            *(reach.iloc[max(0, i + 1 - n) : i + 1].mean() for n in (1, 4, 12)),
            np.std(change, ddof=1),
            np.log(frame["stock_high"] / frame["stock_low"])[same_day].mean(),
            (own["stock_bb_upper"] - own["stock_bb_lower"])[i] / own["stock_close"][i],
            own["macro_vix"][i],
        ]
        np.testing.assert_allclose(found[at + i], expected, rtol=1e-9)


@settings(max_examples=15)
@given(cut=st.integers(1, 39), seed=st.integers(0, 100), remove=st.booleans())
def test_volatility_sees_nothing_but_the_past(cut: int, seed: int, remove: bool):
    frame = market_frame(seed)
    last = START + pd.Timedelta(weeks=cut)
    known = (frame["date"] <= last).to_numpy()
    if remove:
        other = frame[known]
    else:
        other = frame.copy()
        other.loc[~known, [c for c in frame if c not in ("date", "ticker")]] *= 3.0
    after = trailing_volatility(other.reset_index(drop=True), WEEKLY21)
    after = after if remove else after[known]
    np.testing.assert_array_equal(trailing_volatility(frame, WEEKLY21)[known], after)


def test_volatility_knows_no_direction():
    """Prices that move the other way by as much look the same, up to what a percentage is worth."""
    frame = market_frame()
    mirrored = frame.copy()
    steps = np.log(frame["stock_close"]).groupby(frame["ticker"]).diff().fillna(0.0)
    level = (-steps).groupby(frame["ticker"]).cumsum()
    factor = 50.0 * np.exp(level) / frame["stock_close"]
    for name in ("stock_close", "stock_high", "stock_low", "stock_bb_upper", "stock_bb_lower"):
        mirrored[name] = frame[name] * factor
    one, other = np.exp(trailing_volatility(frame, WEEKLY21)), np.exp(trailing_volatility(mirrored, WEEKLY21))
    np.testing.assert_allclose(np.delete(one, 3, axis=1), np.delete(other, 3, axis=1), rtol=1e-9)
    np.testing.assert_allclose(one[:, 3], other[:, 3], rtol=0.1)
    assert not {RETURN, DIRECTION} & set(_read_columns(frame))


def _read_columns(frame: pd.DataFrame) -> list[str]:
    """Columns without which trailing volatility changes or fails."""
    before, needed = trailing_volatility(frame, WEEKLY21), []
    for name in frame.columns:
        changed = frame.copy()
        if name in ("date", "ticker"):
            continue
        changed[name] = changed[name] * 1.5 + 1.0
        if not np.array_equal(trailing_volatility(changed, WEEKLY21), before):
            needed.append(name)
    assert {"stock_high", "stock_low", "stock_close", "macro_vix"} <= set(needed)
    return needed


def test_the_volatility_baseline_reads_volatility_alone():
    train, test = learnable(3)
    ours, same = Volatility(), Volatility()
    ours.fit(train, test, seed=0)
    assert test.table("volatility").shape == (len(test), 7)
    store = train.dataset.store
    blind = replace(store, features=torch.zeros_like(store.features))
    blinded = replace(train, dataset=FlatDataset(blind, np.isin(np.arange(len(store.frame)), train.dataset.ends)))
    same.fit(blinded, test, seed=0)
    np.testing.assert_array_equal(ours.weights, same.weights)
    x, later = train.table("volatility"), test.table("volatility")
    scaler = StandardScaler().fit(x)
    theirs = LogisticRegression(max_iter=3000, tol=1e-8).fit(scaler.transform(x), train.labels)
    np.testing.assert_allclose(ours.predict_proba(test), theirs.predict_proba(scaler.transform(later)), atol=2e-3)


# --- gradient boosting ---


@pytest.mark.parametrize("classes", [2, 3])
def test_gradient_boosting_learns_repeats_and_depends_on_its_seed(classes: int):
    train, test = learnable(classes, length=2)
    kinds = [GradientBoosting(min_leaf=10, trees=40, patience=5) for _ in range(3)]
    for kind, seed in zip(kinds, (3, 3, 4), strict=True):
        kind.fit(train, test, seed)
    first, again, other = (kind.predict_proba(test) for kind in kinds)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == (len(test), classes)
    np.testing.assert_allclose(first.sum(axis=1), 1.0)
    assert (first.argmax(axis=1) == test.labels).mean() > np.bincount(test.labels).max() / len(test) + 0.1


def test_gradient_boosting_keeps_the_number_of_trees_that_validation_likes_best():
    train, test = learnable(3)
    ours = GradientBoosting(min_leaf=5, learning_rate=0.2, trees=60, patience=10)
    ours.fit(train, test, seed=0)
    parameters = {"objective": "multiclass", "num_class": 3, "seed": 0, "deterministic": True, "num_threads": 1}
    parameters |= {"force_row_wise": True, "verbosity": -1, **ours.settings}
    grown = lightgbm.train(parameters, lightgbm.Dataset(train.table("window"), train.labels), num_boost_round=60)
    losses = [log_loss(test.labels, grown.predict(test.table("window"), num_iteration=trees)) for trees in range(1, 61)]
    best = next(i for i in range(60) if losses[i] == min(losses[: i + 11]))  # ten more trees gained nothing
    assert 2 < best + 1 < 50
    assert ours.booster.best_iteration == best + 1
    expected = grown.predict(test.table("window"), num_iteration=best + 1)
    np.testing.assert_allclose(ours.predict_proba(test), expected, rtol=1e-12)
    leaves = [tree["num_leaves"] for tree in grown.dump_model(num_iteration=best + 1)["tree_info"]]
    assert ours.parameter_count == sum(leaves)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"learning_rate": 0}, "learning_rate=0: expected"),
        ({"num_leaves": 1}, "num_leaves=1: expected"),
        ({"min_leaf": 0}, "min_leaf=0: expected"),
        ({"column_fraction": 0}, "column_fraction=0: expected a fraction"),
        ({"row_fraction": 1.2}, "row_fraction=1.2: expected a fraction"),
        ({"trees": 0}, "trees=0: expected"),
        ({"patience": 0}, "patience=0: expected"),
    ],
)
def test_gradient_boosting_refuses_what_cannot_be(arguments: dict[str, float], message: str):
    with pytest.raises(ValueError, match=message):
        GradientBoosting(**arguments)
    with pytest.raises(ConfigError, match=f"model.{message}"):
        BASELINES.build("GradientBoosting", arguments)


# --- all of them ---

ARGUMENTS = {
    "GradientBoosting": {"min_leaf": 10, "trees": 15},
    "Logistic": {"C": 0.5},
    "Volatility": {"C": 2.0},
}


@pytest.mark.parametrize("name", ste.baselines.__all__)
@pytest.mark.parametrize("kind", ["stationary", "standard"])
def test_a_checkpoint_gives_back_the_baseline_to_the_bit(name: str, kind: str, tmp_path: Path):
    world = SyntheticSettings(source="world", tickers=4, start="2019-01-01", end="2020-12-31")
    rows = future_returns(feature_rows(generate_market(world), "weekly", WEEKLY21), 1)
    frame = label(rows, np.full(len(rows), -0.01), np.full(len(rows), 0.01))
    early = (frame["date"] < "2020-06-01").to_numpy()
    representation = Normalizer(FORMS, kind)
    train, test = (examples(frame, rows=chosen, length=3, representation=representation) for chosen in (early, ~early))
    representation.fit(lambda: [train.dataset[torch.arange(len(train))].features])
    arguments = ARGUMENTS.get(name, {})
    baseline = BASELINES.build(name, arguments)
    baseline.fit(train, test, seed=1)
    expected = baseline.predict_proba(test)
    assert np.isfinite(expected).all()
    assert baseline.parameter_count >= 1

    FittedBaseline(name, arguments, baseline, representation).save(tmp_path / "best.ckpt")
    again = load_model(tmp_path / "best.ckpt")
    assert isinstance(again, FittedBaseline)
    assert (again.name, type(again.baseline)) == (name, type(baseline))
    assert again.baseline.parameter_count == baseline.parameter_count
    read = replace(test, representation=again.representation)
    np.testing.assert_array_equal(read.table("window"), test.table("window"))
    np.testing.assert_array_equal(again.baseline.predict_proba(read), expected)
    if name in ("Logistic", "Volatility"):
        assert arguments["C"] == again.baseline.classifier.C
    # Nothing but tensors, numbers and text: it loads without unpickling code.
    assert torch.load(tmp_path / "best.ckpt", weights_only=True)["baseline"] == name


def test_a_checkpoint_that_names_something_else_is_refused(tmp_path: Path):
    representation = Normalizer(FORMS, UNSCALED)
    FittedBaseline("Path", {}, Majority(), representation).save(tmp_path / "best.ckpt")
    with pytest.raises(ConfigError, match=r"model\.baseline=Path: expected one of"):
        load_model(tmp_path / "best.ckpt")


@BASELINES.register
class Discriminant(SklearnBaseline):
    """A user's baseline: a classifier of scikit-learn, and no serializer."""

    def __init__(self, shrinkage: float = 0.1) -> None:
        super().__init__(LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage))


def test_a_scikit_learn_classifier_needs_no_serializer_of_its_own(tmp_path: Path):
    train, test = learnable(3)
    arguments = {"shrinkage": 0.2}
    model = FittedBaseline("Discriminant", arguments, BASELINES.build("Discriminant", arguments), test.representation)
    model.baseline.fit(train, test, seed=0)
    model.save(tmp_path / "best.ckpt")
    again = load_model(tmp_path / "best.ckpt")
    assert isinstance(again, FittedBaseline)
    np.testing.assert_array_equal(again.baseline.predict_proba(test), model.baseline.predict_proba(test))
    assert model.baseline.parameter_count > 0


class Runs:
    """A type that executes something when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("executed",)


def test_a_state_of_untrusted_types_is_not_saved_and_not_loaded(capsys: pytest.CaptureFixture[str]):
    train, test = learnable(3)
    forest = SklearnBaseline(RandomForestClassifier(2))
    forest.fit(train, test, seed=0)
    with pytest.raises(RunError, match=r"its state holds sklearn\.tree\._tree\.Tree"):
        forest.state_dict()
    for untrusted in (forest.pipeline, Runs()):
        content = torch.frombuffer(bytearray(skops.io.dumps(untrusted)), dtype=torch.uint8)
        with pytest.raises(UntrustedTypesFoundException):
            Logistic().load_state_dict({"skops": content, "num_classes": 3})
    assert "executed" not in capsys.readouterr().out


def test_the_reference_baselines_are_the_documented_ones():
    kinds = {name: type(kind()) for name, kind in REFERENCE_BASELINES.items()}
    assert kinds == {"majority": Majority, "persistence": Persistence, "volatility": Volatility, "linear": Logistic}


def test_examples_are_the_windows_oldest_first_and_their_last_period():
    frame = table({"A": [0, 1, 2, 0, 1], "B": [0, 0, 0]})
    data = examples(frame, length=3)
    raw = torch.tensor(RowStore.from_frame(frame, WEEKLY21).frame[list(FEATURES)].to_numpy(dtype=np.float32)).numpy()
    ends = data.dataset.ends.numpy()
    assert ends.tolist() == [2, 3, 4, 7]
    np.testing.assert_array_equal(data.table("window"), [raw[e - 2 : e + 1].reshape(-1) for e in ends])
    np.testing.assert_array_equal(data.table("last"), raw[ends])
    assert data.labels.tolist() == RowStore.from_frame(frame, WEEKLY21).frame[DIRECTION].iloc[ends].tolist()
