"""What a served model reads: the same windows as in training, the same rows as in a table."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_sets import PRICES11, WEEKLY21
from onnx_files import tiny_card
from ste.config import SyntheticSettings
from ste.data.build.labelled_rows import build_table
from ste.data.row_store import RowStore
from ste.data.window_dataset import FlatDataset, SequenceDataset
from ste.errors import DataError
from ste.features.feature_rows import feature_rows
from ste.inference.inputs import rows_of_bars, windows_of_rows
from ste.market.calendar import Periods, TradingCalendar
from ste.schema import DIRECTION, RETURN, Column, FeatureSet
from ste.synthetic.generator import generate_market

SESSIONS = TradingCalendar().sessions(pd.Timestamp("2024-01-02"), pd.Timestamp("2024-03-28"))


@st.composite
def tables(draw_: st.DrawFn) -> tuple[pd.DataFrame, str]:
    """Rows of a few tickers on some of 60 periods in any order, some periods twice; and their frequency."""
    frequency = draw_(st.sampled_from(["weekly", "daily"]))
    keys = draw_(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 12)), min_size=1, max_size=60))
    keys = keys if draw_(st.booleans()) else sorted(set(keys))
    period = np.array([k for _, k in keys])
    dates = pd.Timestamp("2024-01-05") + pd.to_timedelta(7 * period, unit="D")
    if frequency == "daily":
        dates = SESSIONS[period]
    names = WEEKLY21.names
    rng = np.random.default_rng(len(keys))
    frame = pd.DataFrame(rng.normal(size=(len(keys), len(names))), columns=list(names))
    frame.insert(0, "ticker", [name for name, _ in keys])
    frame.insert(0, "date", dates)
    return frame.assign(**{RETURN: 0.0, DIRECTION: 0}), frequency


@settings(max_examples=80)
@given(table=tables(), length=st.integers(1, 5), view=st.sampled_from(["sequence", "flat"]))
def test_the_examples_are_those_of_training(table: tuple[pd.DataFrame, str], length: int, view: str):
    frame, frequency = table
    found = windows_of_rows(frame, tiny_card(view, length, frequency=frequency))
    store = RowStore.from_frame(frame.assign(row=np.arange(len(frame))), WEEKLY21, Periods(frequency))
    every = np.ones(len(frame), dtype=bool)
    dataset = SequenceDataset(store, every, length) if view == "sequence" else FlatDataset(store, every)
    rows = dataset.frame["row"].to_numpy()
    order = np.argsort(rows)
    assert found.rows.tolist() == rows[order].tolist()
    assert found.features.dtype == np.float32
    np.testing.assert_array_equal(found.features, dataset[np.arange(len(dataset))].features.numpy()[order])
    assert found.ticker.tolist() == frame["ticker"].iloc[found.rows].tolist()
    assert found.date.tolist() == frame["date"].to_numpy()[found.rows].tolist()


def test_a_table_without_rows_has_no_examples():
    frame = pd.DataFrame({"date": pd.to_datetime([]), "ticker": [], **dict.fromkeys(tiny_card().features, 0.0)})
    found = windows_of_rows(frame, tiny_card(sequence_length=4))
    assert len(found) == 0
    assert found.features.shape == (0, 4, 21)


def test_a_missing_column_is_named():
    frame = pd.DataFrame({"date": pd.to_datetime(["2024-01-05"]), "ticker": ["A"]})
    with pytest.raises(
        DataError, match=r"missing columns stock_open, .* Tiny reads weekly rows of the feature set weekly21"
    ):
        windows_of_rows(frame, tiny_card())


@pytest.mark.parametrize(("feature_set", "frequency"), [(WEEKLY21, "weekly"), (WEEKLY21, "daily"), (PRICES11, "daily")])
def test_rows_of_bars_are_a_tables_and_those_that_wait_for_their_label(feature_set: FeatureSet, frequency: str):
    world = SyntheticSettings(
        source="world",
        tickers=2,
        start="2023-01-02",
        end="2023-09-29",
        frequency=frequency,
        features=feature_set.name,
    )
    market, card = generate_market(world), tiny_card(features=feature_set, frequency=frequency)
    rows = rows_of_bars(market, card)
    assert list(rows) == ["date", "ticker", *card.features]
    known = build_table(world)[0][list(rows)]
    both = known.merge(rows, on=["date", "ticker"], suffixes=("", "_again"))
    assert len(both) == len(known) > 0
    for name in card.features:
        np.testing.assert_array_equal(both[name], both[f"{name}_again"])
    assert rows["date"].max() == feature_rows(market, frequency, feature_set)["date"].max() > known["date"].max()
    newest = rows_of_bars(market, card, last=3)
    assert newest.equals(rows.groupby("ticker").tail(3).reset_index(drop=True))
    assert len(newest) == 6


def test_an_unfinished_week_has_no_row():
    world = SyntheticSettings(source="world", tickers=1, start="2023-01-02", end="2023-09-29")
    market = generate_market(world)
    last = market.bars["date"].max()
    card = tiny_card()
    bars = market.bars[market.bars["date"] < last - pd.Timedelta(days=1)]
    cut = type(market)(bars=bars, news=market.news, macro=market.macro, policy=market.policy)
    whole = rows_of_bars(market, card)
    assert rows_of_bars(cut, card)["date"].max() == whole["date"].max() - pd.Timedelta(days=7)


def test_features_that_bars_do_not_give_are_reported():
    market = generate_market(SyntheticSettings(source="world", tickers=1, start="2023-01-02", end="2023-09-29"))
    with pytest.raises(DataError, match="reads features that are not computed from bars"):
        rows_of_bars(market, tiny_card(features=FeatureSet("own", (Column("mood"),))))


def test_sessions_before_the_fixed_day_are_counted_from_it_too():
    days = TradingCalendar().sessions(pd.Timestamp("1988-12-20"), pd.Timestamp("1990-01-10"))
    whole = TradingCalendar().session_numbers(days)
    assert (np.diff(whole) == 1).all()
    assert TradingCalendar().session_numbers(days[:10]).tolist() == whole[:10].tolist()
    assert whole[days == pd.Timestamp("1990-01-02")].tolist() == [0]


@pytest.mark.parametrize(
    "module",
    [
        "ste.inference.inputs",
        "ste.inference.batch.prediction_loop",
        "ste.inference.batch.frame_reader",
        "ste.inference.registry.lookup",
    ],
)
def test_what_serving_imports_knows_no_torch(module: str):
    script = f"import sys, {module}\nprint([name for name in ('torch', 'mlflow', 'lightning') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
