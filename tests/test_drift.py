"""Drift: bins, the index and what chance does to it, the counting monitor, and how often it alarms."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from feature_sets import FEATURES, FORMS, PRICES11, WEEKLY21
from monitored import Monitored, monitored
from ste.errors import RunError
from ste.features.column_forms import ColumnForms
from ste.features.normalization import Normalizer
from ste.inference.inputs import windows_of_rows
from ste.inference.reference import ReferenceDistributions
from ste.inference.stability import bin_edges, effective_periods, p_value, psi, window_psi
from ste.inference.watched_columns import watched_description, watched_values
from ste.market.calendar import WEEKS
from ste.monitoring.drift import drift_report
from ste.monitoring.drift_monitor import DriftMonitor
from ste.schema import Column, FeatureSet
from studies.drift import SHIFTS, look, setup

NAMES = ("a", "b", "c")
CLASSES = ("Downtrend", "Neutral", "Uptrend")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Monitored:
    return monitored(tmp_path_factory.mktemp("model") / "model.onnx")


def new_examples(tiny: Monitored, since: str = "2021-01-01") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Raw features, probabilities and dates of the weeks after the test."""
    examples = windows_of_rows(tiny.table[tiny.table["date"] > since], tiny.model.card)
    return examples.features, tiny.model.probabilities(examples.features), examples.date


# ---- what is watched

WATCHED = ColumnForms.from_features(WEEKLY21)


@cache
def prepared(view: str) -> tuple[np.ndarray, np.ndarray]:
    """Raw features, and what a net's own representation makes of their last period before scaling."""
    world = setup(0, years=4, held=52, weeks=4, tickers=2)
    raw = world.table[list(FEATURES)].to_numpy(dtype=np.float32)[:60].copy()
    if view == "sequence":
        raw = np.lib.stride_tricks.sliding_window_view(raw, 5, axis=0).transpose(0, 2, 1).copy()
    out = Normalizer(FORMS, "stationary")._stationary(torch.from_numpy(raw)).numpy()
    return raw, out[:, -1] if view == "sequence" else out


@pytest.mark.parametrize("view", ["sequence", "flat"])
def test_what_is_watched_is_what_a_net_reads(view: str):
    raw, expected = prepared(view)
    found = watched_values(raw, WATCHED)
    same = np.ones(len(FEATURES), dtype=bool)
    if view == "flat":  # of a row a net reads no slow macro figure at all; the figure itself is watched
        slow = [i for i, name in enumerate(FEATURES) if name.startswith("macro_") and name != "macro_vix"]
        same[slow] = False
        np.testing.assert_array_equal(found[:, slow], raw[:, slow])
    np.testing.assert_allclose(found[:, same], expected[:, same], rtol=2e-4, atol=2e-5)


def test_a_price_that_doubles_moves_nothing_that_is_watched():
    raw, _ = prepared("sequence")
    higher = raw.copy()
    prices = [i for i, name in enumerate(FEATURES) if name.startswith("stock_") and name not in _NO_PRICE]
    higher[:, :, prices] *= 2
    np.testing.assert_allclose(watched_values(higher, WATCHED), watched_values(raw, WATCHED), rtol=1e-5, atol=1e-6)


_NO_PRICE = ("stock_volume", "stock_rsi")


def test_other_feature_sets_are_watched_as_they_are_and_each_column_has_its_words():
    prices = ColumnForms.from_features(PRICES11)
    rows = np.random.default_rng(0).normal(size=(3, len(PRICES11.names)))
    np.testing.assert_array_equal(watched_values(rows, prices), rows)
    assert watched_description("price_open", prices, flat=True) == "as it is"
    assert watched_description("stock_high", WATCHED, flat=False) == "log ratio to the close"
    assert watched_description("macro_inflation", WATCHED, flat=False) == "change since the window's first period"
    assert watched_description("macro_inflation", WATCHED, flat=True) == "as it is"


def test_an_impossible_row_is_outside_and_no_crash():
    raw, _ = prepared("flat")
    broken = raw[:4].copy()
    broken[:, FEATURES.index("stock_close")] = 0.0
    reference = reference_of(raw, np.full((60, 3), 1 / 3))
    assert reference.counts(reference.codes(broken, np.full((4, 3), 1 / 3))).sum(axis=1).tolist() == [4] * 25


# ---- bins


def reference_of(
    rows: np.ndarray, probabilities: np.ndarray, weeks: np.ndarray | None = None
) -> ReferenceDistributions:
    """By default all rows are of one week, too few for a window."""
    others = FeatureSet("others", tuple(Column(name) for name in NAMES[: rows.shape[-1]]))
    features = WEEKLY21 if rows.shape[-1] == len(FEATURES) else others
    labels = np.zeros(len(rows), dtype=np.int64)
    weeks = labels if weeks is None else weeks
    return ReferenceDistributions.from_examples(rows, probabilities, features, CLASSES, weeks, weeks, labels)


VALUES = arrays(
    np.float32,
    st.integers(1, 60),
    elements=st.one_of(st.sampled_from([0.0, 1.0, 2.0]), st.floats(-1e6, 1e6, width=32)),
)


@given(VALUES)
def test_every_value_of_the_reference_lies_in_an_inner_bin_and_none_is_lost(values: np.ndarray):
    bounds = bin_edges(values)
    assert all(a < b for a, b in pairwise(bounds))
    assert bounds[0] < values.min()
    assert bounds[-1] > values.max()
    assert len(bounds) - 1 <= 10
    reference = reference_of(values[:, None], np.tile([0.2, 0.3, 0.5], (len(values), 1)))
    counts = reference.counts(reference.codes(values[:, None], np.tile([0.2, 0.3, 0.5], (len(values), 1))))
    column = reference.columns[0]
    assert counts[0, 1 : len(column.counts) + 1].tolist() == column.counts
    assert sum(column.counts) == len(values)
    assert [counts[0, 0], counts[0, len(column.counts) + 1 :].sum()] == [0, 0]


def test_few_values_get_a_bin_each_and_a_common_value_takes_one():
    assert len(bin_edges(np.array([0.0, 0.0, 1.0, 3.0]))) - 1 == 3
    shared = np.concatenate([np.zeros(700), np.random.default_rng(0).uniform(1, 2, 300)])
    counts = np.bincount(np.searchsorted(bin_edges(shared), shared) - 1)
    assert counts[0] == 700
    assert counts[1:].max() < 150


@pytest.mark.parametrize("value", [0.0, 2.0, -3.5, 1e7])
def test_a_constant_column_sees_any_other_value(value: float):
    rows = np.full((40, 1), value, dtype=np.float32)
    reference = reference_of(rows, np.full((40, 3), 1 / 3), np.arange(40))
    same = reference.counts(reference.codes(rows, np.full((40, 3), 1 / 3)))
    other = reference.counts(reference.codes(1.01 * rows + 1, np.full((40, 3), 1 / 3)))
    ones = np.ones(40)
    assert not drift_report(reference, same, ones).alarm
    moved = drift_report(reference, other, ones)
    assert [one.name for one in moved.at_level("changed")] == ["a"]
    assert moved.columns[0].outside == 1.0
    assert moved.columns[0].constant


# ---- the index and chance


def test_the_index_is_the_symmetrised_divergence():
    expected, found = np.array([50, 30, 20]), np.array([10, 10, 20])
    q = (expected + 0.5) / 101.5
    p = (found + 1.5 * q) / 41.5
    assert psi(expected, found) == pytest.approx(sum((a - b) * np.log(a / b) for a, b in zip(p, q, strict=True)))
    large = psi(expected * 10**6, found * 10**6)
    bare = sum((a - b) * np.log(a / b) for a, b in zip(found / 40, expected / 100, strict=True))
    assert large == pytest.approx(bare, rel=1e-4)


@given(arrays(np.int64, 6, elements=st.integers(0, 1000)), arrays(np.int64, 6, elements=st.integers(0, 1000)))
def test_the_index_is_finite_and_never_negative(expected: np.ndarray, found: np.ndarray):
    assert 0.0 <= psi(expected, found) < np.inf


@given(arrays(np.int64, 6, elements=st.integers(0, 1000)), st.integers(1, 1000))
def test_equal_shares_give_nothing_at_any_size(shares: np.ndarray, size: int):
    smoothed = (shares + 0.5) * size
    assert psi(shares, smoothed) == pytest.approx(0.0, abs=1e-12)


def test_independent_rows_alarm_as_often_as_the_level():
    rng = np.random.default_rng(0)
    bins, n, m = 10, 200, 2000
    p = [
        p_value(float(psi(e, f)), [], bins, m, n, 10.0)
        for e, f in zip(
            rng.multinomial(m, np.full(bins, 0.1), 2000), rng.multinomial(n, np.full(bins, 0.1), 2000), strict=True
        )
    ]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.015)
    assert np.mean(np.array(p) <= 0.5) == pytest.approx(0.5, abs=0.04)


def test_rows_of_a_week_that_move_together_do_not_alarm_as_independent_ones_would():
    rng = np.random.default_rng(0)
    alarms = {"weeks": 0, "rows": 0}
    for _ in range(60):
        weeks = np.repeat(np.arange(320), 10)
        values = (rng.normal(size=320)[weeks] + 0.3 * rng.normal(size=3200))[:, None]
        probabilities = rng.dirichlet([5, 5, 5], 3200)
        old, new = weeks < 300, weeks >= 300
        for kind in alarms:
            known = weeks[old] if kind == "weeks" else None
            reference = reference_of(values[old], probabilities[old], known)
            drift = drift_report(
                reference, reference.counts(reference.codes(values[new], probabilities[new])), np.full(20, 10)
            )
            alarms[kind] += any(one.name == "a" for one in drift.at_level("watch", "changed"))
    assert alarms["weeks"] <= 3
    assert alarms["rows"] >= 30


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=30))
def test_periods_are_worth_no_more_than_they_are(rows: list[int]):
    value = effective_periods(np.array(rows))
    filled = sum(count > 0 for count in rows)
    assert value <= filled * (1 + 1e-12)
    assert value >= (1 - 1e-12 if filled else 0.0)


def test_equally_filled_periods_are_worth_their_number():
    assert effective_periods(np.full(26, 7)) == pytest.approx(26)
    assert effective_periods(np.array([1_000_000, 7, 7])) == pytest.approx(1, abs=1e-4)


def test_chance_needs_eight_windows_side_by_side():
    counts = np.random.default_rng(0).multinomial(7, np.full(5, 0.2), 104)
    assert [one.span for one in window_psi(counts)] == [1, 2, 4, 8, 13]
    assert window_psi(counts[:7]) == []


# ---- the reference


@pytest.mark.parametrize("flat", [True, False])
def test_a_reference_comes_back_from_json_as_it_was(flat: bool):
    raw, _ = prepared("flat" if flat else "sequence")
    probabilities = np.random.default_rng(0).dirichlet([1, 1, 1], len(raw))
    reference = reference_of(raw, probabilities, np.arange(len(raw)) // 2)
    again = ReferenceDistributions.from_dict(json.loads(json.dumps(reference.to_dict(), allow_nan=False)))
    assert again == reference
    assert again.windowed is not flat
    np.testing.assert_array_equal(again.codes(raw, probabilities), reference.codes(raw, probabilities))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"format": 1},
        {"columns": [{"name": "a"}]},
        {"columns": None},
        {"periods": [1]},
    ],
)
def test_what_is_no_reference_is_refused_in_words(change: dict[str, object]):
    whole = reference_of(np.ones((9, 1)), np.full((9, 3), 1 / 3)).to_dict()
    with pytest.raises(RunError, match=r"not of format 3.*Export the model again"):
        ReferenceDistributions.from_dict({**whole, **change} if change else {})


# ---- the monitor


def test_a_monitor_counts_each_example_once_and_its_state_is_complete(tiny: Monitored):
    features, probabilities, dates = new_examples(tiny)
    monitor = DriftMonitor(tiny.model.card)
    for i in range(0, len(features), 7):
        monitor.observe(features[i : i + 7], probabilities[i : i + 7], dates[i : i + 7])
    at_once = DriftMonitor(tiny.model.card)
    at_once.observe(features, probabilities, dates)
    assert monitor.report() == at_once.report()
    assert monitor.total == len(features)

    again = DriftMonitor(tiny.model.card)
    assert again.resume(json.loads(json.dumps(monitor.state)))
    assert again.report() == monitor.report()
    again.observe(features[:1], probabilities[:1], dates[:1])
    assert again.total == len(features) + 1


def test_a_state_of_another_model_is_ignored_and_an_invalid_one_is_an_error(tiny: Monitored):
    monitor = DriftMonitor(tiny.model.card)
    other = DriftMonitor(replace(tiny.model.card, run_id="another"))
    other.observe(*new_examples(tiny))
    assert not monitor.resume(other.state)
    assert monitor.total == 0
    for broken in ({}, {**monitor.state, "format": 0}, {**monitor.state, "periods": {"1": [1, 2]}}, []):
        with pytest.raises(RunError, match="Delete the file"):
            monitor.resume(broken)  # type: ignore[arg-type]


def test_threads_lose_no_example(tiny: Monitored):
    features, probabilities, dates = new_examples(tiny)
    monitor = DriftMonitor(tiny.model.card, window=1000)
    with ThreadPoolExecutor(8) as pool:
        for i in range(len(features)):
            pool.submit(monitor.observe, features[i : i + 1], probabilities[i : i + 1], dates[i : i + 1])
    at_once = DriftMonitor(tiny.model.card, window=1000)
    at_once.observe(features, probabilities, dates)
    assert monitor.total == len(features)
    assert monitor.state["periods"] == at_once.state["periods"]


def test_only_the_latest_periods_count_and_a_future_date_removes_none(tiny: Monitored):
    features, probabilities, dates = new_examples(tiny)
    monitor = DriftMonitor(tiny.model.card, window=5)
    monitor.observe(features, probabilities, dates)
    counted_periods = {int(number) for number in monitor.state["periods"]}
    assert counted_periods == set(np.unique(WEEKS.index(pd.DatetimeIndex(dates)))[-5:])
    before = monitor.report().examples
    far = np.full(3, np.datetime64("2900-01-05"))
    monitor.observe(features[:3], probabilities[:3], far)
    assert monitor.report().periods == 5
    assert monitor.report().examples > before - 8  # the oldest week gave way to today's, and no other


def test_a_week_that_is_asked_for_a_thousand_times_is_one_week(tiny: Monitored):
    features, probabilities, dates = new_examples(tiny)
    last = dates == dates.max()
    monitor = DriftMonitor(tiny.model.card)
    for _ in range(1000):
        monitor.observe(features[last], probabilities[last], dates[last])
    report = monitor.report()
    assert report.effective_periods == pytest.approx(1.0)
    assert not report.alarm
    assert any(one.psi > 0.25 and one.level == "within chance" for one in report.columns)


def test_twelve_rows_do_not_alarm(tiny: Monitored):
    features, probabilities, dates = new_examples(tiny)
    for start in range(0, len(features) - 12, 12):
        monitor = DriftMonitor(tiny.model.card)
        monitor.observe(features[start : start + 12], probabilities[start : start + 12], dates[start : start + 12])
        assert not monitor.report().alarm


def test_a_feed_that_stopped_is_named(tiny: Monitored):
    features, _predicted, dates = new_examples(tiny)
    news = [i for i, name in enumerate(FEATURES) if name.startswith("news_")]
    features = features.copy()
    features[:, :, news] = 0.0
    monitor = DriftMonitor(tiny.model.card)
    monitor.observe(features, tiny.model.probabilities(features), dates)
    report = monitor.report()
    assert {one.name for one in report.at_level("changed")} >= {"news_sentiment", "news_count", "news_relevance"}
    assert "news_sentiment" in report.summary


def test_nothing_seen_is_nothing_to_tell(tiny: Monitored):
    report = DriftMonitor(tiny.model.card).report()
    assert (report.examples, report.alarm, report.columns) == (0, False, ())
    assert "No predictions yet" in report.summary


def test_a_card_without_a_reference_cannot_be_watched(tiny: Monitored):
    with pytest.raises(RunError, match="Export the model again"):
        DriftMonitor(replace(tiny.model.card, reference={}))


def test_prometheus_reads_every_figure(tiny: Monitored):
    features, probabilities, dates = new_examples(tiny)
    monitor = DriftMonitor(tiny.model.card)
    monitor.observe(features, probabilities, dates)
    registry = CollectorRegistry()
    registry.register(monitor)
    families = {family.name: family for family in text_string_to_metric_families(generate_latest(registry).decode())}
    report = monitor.report()
    found = {(s.labels["kind"], s.labels["name"]): s.value for s in families["ste_drift_psi"].samples}
    assert found == {(one.kind, one.name): pytest.approx(one.psi) for one in report.columns}
    assert families["ste_monitored_examples"].samples[0].value == len(features)
    shares = {sample.labels["class"]: sample.value for sample in families["ste_predicted_class_ratio"].samples}
    truly = np.bincount(probabilities.argmax(axis=1)[np.isin(dates, np.unique(dates)[-26:])], minlength=3)
    assert list(shares.values()) == pytest.approx((truly / truly.sum()).tolist())
    assert all(family.documentation for family in families.values())


# ---- the study


def test_the_study_uses_the_last_weeks_and_applies_the_shift():
    world = setup(1, years=5, held=52, weeks=13, tickers=3)
    drift = look(world, world.live)
    assert (drift.periods, drift.examples) == (13, 39)
    assert look(world, world.live, SHIFTS["no news"][1]).at_level("changed")
    train, live = world.table[world.train], world.table[world.live].copy()
    moved = SHIFTS["sentiment + 0.5 sd"][1](live.copy(), train)
    expected = (live["news_sentiment"] + 0.5 * train["news_sentiment"].std()).clip(-1, 1)
    pd.testing.assert_series_equal(moved["news_sentiment"], expected)
    wide = SHIFTS["ranges x 2"][1](live.copy(), train)
    np.testing.assert_allclose(
        np.log(wide["stock_high"] / wide["stock_close"]), 2 * np.log(live["stock_high"] / live["stock_close"])
    )


@pytest.mark.slow
def test_a_world_without_drift_alarms_seldom_and_a_shift_is_seen():
    worlds = [setup(seed, years=10, held=104, weeks=26, tickers=7) for seed in range(5001, 5061)]
    assert sum(look(world, world.live).alarm for world in worlds) <= 7
    assert sum(look(world, world.live, SHIFTS["sentiment + 1 sd"][1]).alarm for world in worlds) >= 52


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.integers(1, 40))
def test_rows_in_any_order_give_the_same_counts(seed: int, n: int):
    rng = np.random.default_rng(seed)
    rows, probabilities = rng.normal(size=(n, 2)), rng.dirichlet([1, 1, 1], n)
    reference = reference_of(rng.normal(size=(50, 2)), rng.dirichlet([1, 1, 1], 50))
    order = rng.permutation(n)
    np.testing.assert_array_equal(
        reference.counts(reference.codes(rows, probabilities)),
        reference.counts(reference.codes(rows[order], probabilities[order])),
    )


def test_the_monitor_needs_neither_torch_nor_mlflow_nor_pandas(tmp_path: Path):
    heavy = "('torch', 'mlflow', 'pandas', 'hydra')"
    script = f"import sys, ste.monitoring.drift_monitor; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
