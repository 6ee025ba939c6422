"""The laws of the data against future information, each by a direct computation on small random tables.

A mutation of the code under test (purge off by one, a window across tickers, macro joined by another date, the horizon
ignored, a scaler fitted on validation) breaks a test here.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_sets import COLUMNS, FEATURES, FORMS, WEEKLY21
from ste.config import SplitSettings, ValidationSettings
from ste.data.cross_validation import folds
from ste.data.datamodule import TrendDataModule
from ste.data.panel import HISTORY, Panel
from ste.data.row_store import RowStore
from ste.data.splits import usable_periods
from ste.data.window_dataset import FlatDataset, SequenceDataset
from ste.data.windows import count_consecutive, gather_windows
from ste.features.macro import latest_release, macro_level
from ste.features.normalization import Normalizer
from ste.labels.targets import future_returns
from ste.market.sources import MACRO_NEUTRAL
from ste.schema import DIRECTION, RETURN, ROW_CLOSE, ROW_PERIOD

FIRST_MONDAY = np.datetime64("2020-01-06")
WEEKS = st.dictionaries(
    st.sampled_from(["A", "B", "C"]), st.sets(st.integers(0, 12), min_size=1, max_size=10), min_size=1
)


def table(weeks: dict[str, set[int]]) -> pd.DataFrame:
    """A weekly table whose feature columns hold the row's ticker and week, so that a window shows what it holds."""
    pairs = [(name, week) for name in sorted(weeks) for week in sorted(weeks[name])]
    frame = pd.DataFrame(0.5, index=range(len(pairs)), columns=list(COLUMNS))
    frame["ticker"] = [name for name, _ in pairs]
    frame["date"] = [pd.Timestamp(FIRST_MONDAY + 7 * week + 4) for _, week in pairs]
    frame[FEATURES[0]] = [float(ord(name)) for name, _ in pairs]
    frame[FEATURES[1]] = [float(week) for _, week in pairs]
    frame[DIRECTION] = 1
    frame["split"] = 0
    return frame


@settings(max_examples=60)
@given(weeks=WEEKS, length=st.integers(1, 5), history=st.integers(1, 5))
def test_a_window_holds_consecutive_periods_of_one_ticker_and_every_such_window_is_used(weeks, length, history):
    frame = table(weeks)
    store = RowStore.from_frame(frame.sample(frac=1.0, random_state=0), WEEKLY21)
    rows = np.ones(len(store), dtype=bool)
    dataset = SequenceDataset(store, rows, length, history) if length > 1 else FlatDataset(store, rows, history)
    features = dataset[torch.arange(len(dataset))].features.reshape(len(dataset), length, len(FEATURES))
    found = {(chr(int(window[-1, 0])), int(window[-1, 1])) for window in features}
    for window in features:
        assert (window[:, 0] == window[0, 0]).all()
        assert (window[:, 1].diff() == 1).all()
    needed = max(length, history)
    expected = {
        (name, week) for name in weeks for week in weeks[name] if {week - lag for lag in range(needed)} <= weeks[name]
    }
    assert found == expected


@settings(max_examples=60)
@given(weeks=WEEKS, length=st.integers(1, 5))
def test_the_windows_of_arrays_are_those_of_datasets(weeks, length):
    frame = table(weeks)
    history = count_consecutive(frame["ticker"].to_numpy(), frame[FEATURES[1]].to_numpy().astype(int))
    ends = np.flatnonzero(history >= length)
    windows = gather_windows(frame[[FEATURES[0], FEATURES[1]]].to_numpy(), ends, length)
    assert (windows[:, :, 0] == windows[:, :1, 0]).all()
    assert (np.diff(windows[:, :, 1], axis=1) == 1).all()


def test_a_ticker_that_starts_where_the_one_before_ends_starts_a_new_window():
    ticker, period = np.array(["A", "A", "B", "B"]), np.array([1, 2, 3, 4])
    assert count_consecutive(ticker, period).tolist() == [1, 2, 1, 2]


@settings(max_examples=80)
@given(
    sizes=st.tuples(st.integers(1, 8), st.integers(1, 5), st.integers(1, 5)),
    horizon=st.integers(1, 4),
    purge=st.one_of(st.none(), st.integers(0, 6)),
    embargo=st.integers(0, 3),
)
def test_the_label_of_a_usable_row_ends_before_the_next_split(sizes, horizon, purge, embargo):
    period = np.arange(sum(sizes))
    split = np.repeat([0, 1, 2], sizes)
    purged = SplitSettings(validation=0.2, test=0.2, purge=purge, embargo=embargo).purged_periods(horizon)
    assert purged == max(purge or 0, horizon) + embargo
    usable = usable_periods(period, split, purged)
    for code in (0, 1):
        start = period[split > code].min()
        own = split == code
        assert usable[own].tolist() == [last + purged < start for last in period[own]]
        assert (period[own & usable] + horizon < start).all()
    assert usable[split == 2].all()


@settings(max_examples=60)
@given(
    releases=st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 30), st.integers(-9, 9)), min_size=1, max_size=8,
        unique_by=lambda one: one[0],
    ),
    rows=st.lists(st.integers(0, 80), min_size=1, max_size=8),
)  # fmt: skip
def test_a_macro_value_is_used_from_its_release_date_on(releases, rows):
    origin = pd.Timestamp("2020-01-01")
    macro = pd.DataFrame(
        [
            ("inflation", origin + pd.Timedelta(days=day), float(value), origin + pd.Timedelta(days=day - lag))
            for day, lag, value in releases
        ],
        columns=["series", "release_date", "value", "reference_date"],
    )
    dates = pd.Series([origin + pd.Timedelta(days=day) for day in rows])
    expected = []
    for day in rows:
        known = [(released, float(value)) for released, _, value in releases if released <= day]
        expected.append(max(known)[1] if known else MACRO_NEUTRAL["inflation"])
    assert latest_release(macro, "inflation", dates.to_numpy()).tolist() == expected
    assert macro_level(macro, "inflation", pd.Series(dates)).tolist() == expected


@settings(max_examples=60)
@given(weeks=WEEKS, horizon=st.integers(1, 5))
def test_a_return_reaches_over_the_horizon_exactly(weeks, horizon):
    frame = table(weeks)[["date", "ticker"]]
    frame[ROW_PERIOD] = [week for name in sorted(weeks) for week in sorted(weeks[name])]
    frame[ROW_CLOSE] = [float(10 + ord(name) + week**2) for name in sorted(weeks) for week in sorted(weeks[name])]
    found = future_returns(frame, horizon)
    expected = {
        (name, week): (10 + ord(name) + (week + horizon) ** 2) / (10 + ord(name) + week**2) - 1
        for name in weeks
        for week in weeks[name]
        if week + horizon in weeks[name]
    }
    assert dict(zip(zip(found["ticker"], found[ROW_PERIOD], strict=True), found[RETURN], strict=True)) == (
        pytest.approx(expected)
    )


def panel(row_split: list[int], horizon: int = 1) -> Panel:
    """A panel of one ticker; the first feature is 0 in training rows and 1000 elsewhere."""
    frame = table({"A": set(range(len(row_split)))})
    split = np.array(row_split, dtype=np.int8)
    frame[FEATURES[0]] = np.where(split == 0, np.arange(len(split)) % 2, 1000.0)
    frame["split"] = np.maximum(split, 0)
    chosen = SimpleNamespace(
        sequence_length=1, history=1, frequency="weekly", batch_size=4, features="weekly21",
        labels=SimpleNamespace(horizon=horizon, classes=3, method="fixed"),
        split=SplitSettings(),
    )  # fmt: skip
    return Panel(SimpleNamespace(files={}), chosen, RowStore.from_frame(frame, WEEKLY21), split)


def test_scalers_see_training_rows_alone():
    data = TrendDataModule(panel([0] * 6 + [HISTORY] + [1] * 4 + [HISTORY] + [2] * 4), "flat")
    representation = Normalizer(FORMS, "standard")
    representation.fit(data.training_chunks)
    assert representation.mean[0].item() == pytest.approx(0.5)
    assert representation.scale[0].item() == pytest.approx(0.5)
    assert data.class_counts().tolist() == [0, 6, 0]


@pytest.mark.parametrize("method", ["walk_forward", "combinatorial"])
@pytest.mark.parametrize("horizon", [1, 3])
def test_the_labels_of_a_folds_training_rows_end_before_its_validation_and_test(method: str, horizon: int):
    cuts = folds(panel([0] * 60, horizon), ValidationSettings(method=method, folds=4, test_folds=2, embargo=1))
    assert len(cuts) >= 4
    for cut in cuts:
        of = {code: np.flatnonzero(cut.row_split == code) for code in (0, 1, 2)}
        for later in (1, 2):
            for period in of[0]:
                assert not set(range(period + 1, period + horizon + 1)) & set(of[later])
