"""A long gap starts a new history: nothing that looks back crosses it, offline and live."""

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_sets import PRICES11, WEEKLY21
from ste.features.feature_rows import feature_rows
from ste.features.volatility import ticker_volatility
from ste.labels.targets import future_returns
from ste.market.bar_adjustment import adjusted_bars
from ste.market.calendar import NEW_YORK, Periods
from ste.market.histories import history_starts, starts_history
from ste.market.read_summary import ReadSummary
from ste.market.sources import Market
from ste.schema import RETURN, ROW_CLOSE, ROW_PERIOD, FeatureSet
from ste.streaming.events import BarEvent
from ste.streaming.feature_stream import FeatureStream

PRICES = ["open", "high", "low", "close"]
CASES = [(WEEKLY21, "weekly"), (WEEKLY21, "daily"), (PRICES11, "daily")]


def bars_of(ticker: str, start: str, count: int, price: float, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    days = NEW_YORK.sessions(pd.Timestamp(start), pd.Timestamp(start) + pd.Timedelta(days=2 * count + 10))[:count]
    close = price * np.exp(np.cumsum(rng.normal(0.0, 0.02, count)))
    spread = 1.0 + rng.uniform(0.001, 0.02, (2, count))
    return pd.DataFrame(
        {
            "ticker": ticker,
            "date": days,
            "open": close,
            "high": close * spread[0],
            "low": close / spread[1],
            "close": close,
            "volume": rng.uniform(1e5, 1e6, count).round(),
        }
    )


def one_symbol_two_companies() -> tuple[pd.DataFrame, pd.DataFrame]:
    return bars_of("XYZ", "2010-01-04", 300, 12.0, 1), bars_of("XYZ", "2014-01-06", 160, 26.0, 2)


def test_the_rule() -> None:
    assert not starts_history(90)
    assert starts_history(91)
    assert not starts_history(93, spacing=31)  # three months between two monthly bars
    assert starts_history(94, spacing=31)


def test_a_history_starts_with_a_ticker_and_after_91_days() -> None:
    dates = pd.to_datetime(["2020-01-02", "2020-04-01", "2020-07-01", "2020-07-02", "2015-01-02"])
    frame = pd.DataFrame({"ticker": ["A", "A", "A", "A", "B"], "date": dates})
    assert history_starts(frame).tolist() == [0, 2, 4]  # 90 days, then 91


@pytest.mark.parametrize(("features", "frequency"), CASES)
def test_features_after_a_gap_are_those_of_the_later_company_alone(features: FeatureSet, frequency: str) -> None:
    before, after = one_symbol_two_companies()
    both = feature_rows(Market(bars=pd.concat([before, after], ignore_index=True)), frequency, features)
    apart = [feature_rows(Market(bars=bars), frequency, features) for bars in (before, after)]
    assert min(map(len, apart)) > 10
    pd.testing.assert_frame_equal(both, pd.concat(apart, ignore_index=True), check_exact=True)


def test_the_first_means_after_a_gap_hold_new_bars_only() -> None:
    before, after = one_symbol_two_companies()
    rows = feature_rows(Market(bars=pd.concat([before, after], ignore_index=True)), "daily", WEEKLY21)
    first = rows[rows["date"] >= after["date"].iloc[0]].iloc[0]
    assert first["date"] == after["date"].iloc[99]  # the hundredth session of the later company
    assert first["stock_sma_50"] == pytest.approx(after["close"].iloc[50:100].mean())
    assert first["stock_sma_20"] == pytest.approx(after["close"].iloc[80:100].mean())


@settings(max_examples=15)
@given(
    seed=st.integers(0, 1000),
    count=st.integers(1, 250),
    gap=st.integers(91, 1500),
    features=st.sampled_from([WEEKLY21, PRICES11]),
)
def test_an_earlier_company_changes_no_later_row(seed: int, count: int, gap: int, features: FeatureSet) -> None:
    after = bars_of("XYZ", "2014-01-06", 130, 26.0, seed)
    end = after["date"].iloc[0] - pd.Timedelta(days=gap)
    days = NEW_YORK.sessions(end - pd.Timedelta(days=500), end)[-count:]
    before = bars_of("XYZ", "2000-01-03", len(days), 5.0, seed + 1).assign(date=days)
    rows = feature_rows(Market(bars=pd.concat([before, after], ignore_index=True)), "daily", features)
    alone = feature_rows(Market(bars=after), "daily", features)
    later = rows[rows["date"] >= after["date"].iloc[0]].reset_index(drop=True)
    assert len(alone) >= 31
    pd.testing.assert_frame_equal(later, alone, check_exact=True)


def test_trailing_volatility_does_not_look_across_a_gap() -> None:
    before, after = one_symbol_two_companies()
    both = feature_rows(Market(bars=pd.concat([before, after], ignore_index=True)), "weekly", WEEKLY21)
    alone = feature_rows(Market(bars=after), "weekly", WEEKLY21)
    found = ticker_volatility(both, WEEKLY21)[0][-len(alone) :]
    np.testing.assert_array_equal(found, ticker_volatility(alone, WEEKLY21)[0])


def test_no_label_reaches_across_a_gap() -> None:
    rows = pd.DataFrame(
        {
            "ticker": "XYZ",
            "date": pd.to_datetime(["2020-01-03", "2020-01-10", "2020-05-01"]),
            ROW_PERIOD: [0, 1, 17],
            ROW_CLOSE: [10.0, 11.0, 44.0],
        }
    )
    assert future_returns(rows, 1)[RETURN].tolist() == pytest.approx([0.1])
    assert future_returns(rows, 16).empty


def test_the_break_is_reported_with_its_length() -> None:
    before, after = one_symbol_two_companies()
    other = bars_of("ABC", "2010-01-04", 300, 50.0, 3)
    summary = ReadSummary()
    adjusted_bars(pd.concat([after, other, before]), summary)
    notes = summary.notes()
    days = (after["date"].iloc[0] - before["date"].iloc[-1]).days
    assert f"bars: 1 ticker starts a new history after a gap (first: XYZ 2014-01-06, {days:,} days)" in notes
    assert not [note for note in notes if note.startswith("warning")]  # 12 to 26 dollars is no split


@pytest.mark.parametrize(("features", "frequency"), CASES)
@pytest.mark.parametrize("cut", [150, 300, 310, 420])
def test_the_stream_starts_anew_too_and_goes_on_from_its_state(features: FeatureSet, frequency: str, cut: int) -> None:
    bars = pd.concat(one_symbol_two_companies(), ignore_index=True)
    days = bars["date"].to_numpy("datetime64[D]").astype(int)
    events = [
        BarEvent("XYZ", int(day), *map(float, values), float(values[3]))
        for day, values in zip(days, bars[[*PRICES, "volume"]].to_numpy(), strict=True)
    ]
    first, second = (FeatureStream(features, Periods(frequency)) for _ in range(2))
    closes = [one for event in events[:cut] for one in first.feed(event)]
    second.restore(orjson.loads(orjson.dumps(first.state())), first.take_records())
    closes += [one for event in events[cut:] for one in second.feed(event)] + second.finish()
    found = np.concatenate([one.values for one in closes])
    expected = feature_rows(Market(bars=bars), frequency, features)
    assert found.tobytes() == expected[list(features.names)].to_numpy().tobytes()
    assert len(found) > 30


@pytest.mark.parametrize("frequency", ["weekly", "daily"])
def test_a_constant_price_has_an_rsi_of_50_offline_and_live(frequency: str) -> None:
    bars = bars_of("FLAT", "2014-01-06", 140, 5.0)
    bars[PRICES] = 5.0
    falling = bars_of("FALL", "2014-01-06", 140, 5.0).assign(close=np.linspace(9.0, 5.0, 140))
    both = pd.concat([falling, bars], ignore_index=True)
    rows = feature_rows(Market(bars=both), frequency, WEEKLY21).groupby("ticker")["stock_rsi"]
    assert rows.agg(["min", "max"]).loc["FLAT"].tolist() == [50.0, 50.0]
    assert rows.max()["FALL"] == pytest.approx(0.0)
    running = FeatureStream(WEEKLY21, Periods(frequency))
    closes = []
    for day, values in zip(bars["date"], bars[[*PRICES, "volume"]].to_numpy(), strict=True):
        number = int(np.datetime64(day, "D").astype(int))
        closes += running.feed(BarEvent("FLAT", number, *map(float, values), 5.0))
    closes += running.finish()
    rsi = np.concatenate([one.values for one in closes])[:, WEEKLY21.names.index("stock_rsi")]
    assert len(rsi) > 5
    assert set(rsi) == {50.0}


def test_a_price_that_moves_once_has_the_rsi_of_that_move() -> None:
    bars = bars_of("FLAT", "2014-01-06", 140, 5.0)
    bars[PRICES] = 5.0
    bars.loc[bars.index >= 120, PRICES] = 6.0
    rsi = feature_rows(Market(bars=bars), "daily", WEEKLY21)["stock_rsi"]
    assert set(rsi.iloc[:21]) == {50.0}
    np.testing.assert_allclose(rsi.iloc[21:], 100.0)
