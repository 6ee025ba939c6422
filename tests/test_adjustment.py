"""How bars are adjusted is found out per ticker, and prices that no market makes are doubted."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ste.config import MarketSettings
from ste.data.sources.market_files import market_blocks
from ste.market.adjustment import AdjustmentCounts, adjusted_volume, split_text
from ste.market.bar_adjustment import adjusted_bars, adjusted_block
from ste.market.calendar import NEW_YORK
from ste.market.histories import history_starts
from ste.market.read_summary import ReadSummary
from ste.market.sources import RAW_CLOSE
from ste.streaming.events import EventError
from streams import replay_of

DAYS = NEW_YORK.sessions(pd.Timestamp("2021-01-04"), pd.Timestamp("2021-12-31"))
PRICES = ["open", "high", "low", "close"]


def steady(ticker: str = "AAA", count: int = 120, volume: float = 1000.0, seed: int = 0) -> pd.DataFrame:
    """Bars as they would be without splits and dividends; volumes within 5 %."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, count)))
    opened = np.append(100.0, close[:-1])
    return pd.DataFrame(
        {
            "ticker": ticker,
            "date": DAYS[:count],
            "open": opened,
            "high": np.maximum(opened, close) * 1.004,
            "low": np.minimum(opened, close) * 0.996,
            "close": close,
            "volume": np.round(volume * rng.uniform(0.95, 1.05, count)),
        }
    )


def as_traded(
    bars: pd.DataFrame, splits: dict[int, float], dividends: dict[int, float] | None = None, volume: str = "raw"
) -> pd.DataFrame:
    """The bars as a source writes them: raw prices with `adj_close`; before a split prices are higher.

    Args:
        bars: on the adjusted scale.
        splits: row of the first bar after the split to its factor.
        dividends: row of the first bar without the dividend to its fraction of the price.
        volume: `raw`, or `adjusted` for splits.
    """
    shares, scale = np.ones(len(bars)), np.ones(len(bars))
    for row, factor in splits.items():
        shares[:row] *= factor
    for row, fraction in (dividends or {}).items():
        scale[:row] /= 1.0 - fraction
    prices = {name: bars[name] * shares * scale for name in PRICES}
    traded = bars["volume"] / shares if volume == "raw" else bars["volume"]
    return bars.assign(adj_close=bars["close"], volume=traded, **prices)


def read(bars: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    summary = ReadSummary()
    return adjusted_bars(bars, summary), summary.notes()


@pytest.mark.parametrize("volume", ["raw", "adjusted"])
def test_a_split_of_seven_for_one_by_hand(volume: str) -> None:
    days = DAYS[:50]
    before = np.arange(50) < 25
    shown = np.where(before, 700.0 / 7.0, 700.0) if volume == "raw" else np.full(50, 700.0)
    bars = pd.DataFrame(
        {
            "ticker": "AAPL",
            "date": days,
            "open": np.where(before, 693.0, 99.0),
            "high": np.where(before, 707.0, 101.0),
            "low": np.where(before, 686.0, 98.0),
            "close": np.where(before, 700.0, 100.0),
            "volume": shown,
            "adj_close": 100.0,
        }
    )
    found, notes = read(bars)
    for name, value in {"open": 99.0, "high": 101.0, "low": 98.0, "close": 100.0}.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-12)
    np.testing.assert_allclose(found["volume"], 700.0, rtol=1e-12)
    assert found[RAW_CLOSE].tolist() == [700.0] * 25 + [100.0] * 25
    what = "multiplied by the later splits in" if volume == "raw" else "adjusted already in"
    assert notes[0] == (
        "bars: prices of 1 ticker x adj_close / close; the close is raw in 1; 1 split (first: AAPL "
        f"{days[25]:%Y-%m-%d}, 7:1); volume {what} 1 ticker (first: AAPL)"
    )


@pytest.mark.parametrize("volume", ["raw", "adjusted"])
@pytest.mark.parametrize("splits", [{60: 2.0}, {40: 4.0, 80: 3.0}, {60: 0.1}, {30: 1.5, 60: 1.5, 90: 1.5}])
def test_splits_and_dividends_give_the_bars_without_them(splits: dict[int, float], volume: str) -> None:
    bars = steady()
    raw = as_traded(bars, splits, {20: 0.01, 70: 0.02}, volume)
    found, notes = read(raw)
    pd.testing.assert_frame_equal(found[bars.columns.tolist()], bars, rtol=1e-9)
    assert not [note for note in notes if note.startswith("warning")]


def test_a_dividend_changes_no_volume() -> None:
    bars = steady()
    found, notes = read(as_traded(bars, {}, {30: 0.05, 90: 0.03}))
    assert found["volume"].equals(bars["volume"])
    np.testing.assert_allclose(found["close"], bars["close"], rtol=1e-12)
    assert notes == [
        "bars: prices of 1 ticker x adj_close / close; the close is adjusted for splits in 1; volume taken as it is"
    ]


def test_a_close_that_is_adjusted_for_splits_already_keeps_its_volume() -> None:
    bars = steady()
    jump = np.where(np.arange(len(bars)) < 60, 500.0, 2000.0)  # volume of a source that adjusts prices only
    found, notes = read(as_traded(bars.assign(volume=jump), {}, {60: 0.03}))
    assert found["volume"].tolist() == jump.tolist()
    assert "adjusted for splits in 1" in notes[0]


def test_a_volume_that_shows_nothing_is_taken_as_adjusted_and_said() -> None:
    bars = steady()
    raw = as_traded(bars, {60: 4.0}, volume="adjusted")
    # Halfway between both: twice as many shares after a split of four for one.
    halfway = raw.assign(volume=np.where(np.arange(120) < 60, 1000.0, 2000.0))
    found, notes = read(halfway)
    assert found["volume"].equals(halfway["volume"])
    assert "volume without evidence at the splits, taken as adjusted, in 1 ticker (first: AAA)" in notes[0]


def test_a_file_of_every_kind_is_told_in_one_line_however_it_is_read(tmp_path: Path) -> None:
    parts = [
        as_traded(steady("A", seed=1), {60: 7.0}, volume="raw"),
        as_traded(steady("B", seed=2), {60: 7.0}, volume="adjusted"),
        as_traded(steady("C", seed=3), {}, {50: 0.02}),
        as_traded(steady("D", seed=4), {}),
    ]
    path = tmp_path / "bars.parquet"
    pd.concat(parts, ignore_index=True).to_parquet(path, index=False)
    settings = MarketSettings(source="market", bars=str(path))
    whole, blocks = ([*market_blocks(settings, size)] for size in (10_000, 1))
    assert (len(whole), len(blocks)) == (1, 4)
    assert whole[0].notes == blocks[-1].notes
    assert whole[0].notes[1] == (
        "bars: prices of 4 tickers x adj_close / close; the close is raw in 2, adjusted for splits in 1, fully "
        f"adjusted in 1; 2 splits (first: A {DAYS[60]:%Y-%m-%d}, 7:1); volume multiplied by the later splits in 1 "
        "ticker (first: A); volume adjusted already in 1 ticker (first: B)"
    )
    joined = pd.concat([block.bars.astype({"ticker": str}) for block in blocks], ignore_index=True)
    pd.testing.assert_frame_equal(joined, whole[0].bars.astype({"ticker": str}), check_exact=True)
    for name, seed in {"A": 1, "B": 2, "C": 3, "D": 4}.items():
        own = joined[joined["ticker"] == name]
        np.testing.assert_allclose(own["volume"], steady(seed=seed)["volume"], rtol=1e-12)


def test_rounded_prices_change_no_factor() -> None:
    bars = steady()
    raw = as_traded(bars, {60: 7.0})
    rounded = raw.assign(adj_close=raw["adj_close"].round(2), close=raw["close"].round(2))
    counts = AdjustmentCounts()
    volume = adjusted_volume(rounded, history_starts(rounded), counts)
    np.testing.assert_allclose(volume, bars["volume"], rtol=1e-12)
    assert counts.first_split.endswith("7:1")


def test_no_split_is_looked_for_between_two_tickers() -> None:
    pair = [steady("A"), steady("B").assign(adj_close=lambda frame: frame["close"] * 0.1)]
    bars = pd.concat([pair[0].assign(adj_close=pair[0]["close"]), pair[1]], ignore_index=True)
    assert "split" not in read(bars)[1][0]


def test_bars_without_an_adjusted_close_are_taken_as_they_are_and_said() -> None:
    bars = steady()
    found, notes = read(bars)
    pd.testing.assert_frame_equal(found, bars, check_exact=True)
    assert notes == ["bars: no adjusted close: prices and volume of 1 ticker taken as they are"]


@given(st.integers(1, 20), st.integers(1, 20))
def test_a_factor_is_written_as_people_write_it(new: int, old: int) -> None:
    left, right = split_text(new / old).split(":")
    assert int(left) / int(right) == pytest.approx(new / old)
    assert int(right) <= old


def test_a_replayed_file_has_the_volume_of_the_tables(tmp_path: Path) -> None:
    bars = pd.concat([steady("A", seed=1), steady("B", seed=2)], ignore_index=True)
    raw = pd.concat(
        [as_traded(bars[bars["ticker"] == name], {60: 7.0}, {30: 0.02}, "raw") for name in "AB"], ignore_index=True
    )
    raw.loc[5, "volume"] = np.nan  # refused as an event, set aside of a table
    shuffled = raw.sample(frac=1.0, random_state=0)
    shuffled.to_csv(tmp_path / "bars.csv", index=False)
    replay = replay_of({"bars": str(tmp_path / "bars.csv")})
    replay.open(None)
    records = replay.read(0.0)
    events = [record.content for record in records if isinstance(record.content, dict)]
    found = pd.DataFrame(events).sort_values(["ticker", "date"])["volume"].to_numpy()
    np.testing.assert_allclose(found, np.delete(bars["volume"].to_numpy(), 5), rtol=1e-9)
    (refused,) = [record for record in records if isinstance(record.content, EventError)]
    assert refused.where == f"{tmp_path / 'bars.csv'}, line {shuffled.index.get_loc(5) + 2}"
    assert str(refused.content) == "volume: found nothing; expected a number"


# --- doubts: kept, counted and named ---


def warnings_of(bars: pd.DataFrame) -> list[str]:
    summary = ReadSummary()
    assert len(adjusted_block(bars, summary)) == len(bars)
    return [note for note in summary.notes() if note.startswith("warning")]


def unadjusted_split(bars: pd.DataFrame) -> pd.DataFrame:
    return as_traded(bars, {60: 2.0}).drop(columns="adj_close")


def three_for_two(bars: pd.DataFrame) -> pd.DataFrame:
    return as_traded(bars, {60: 1.5}).drop(columns="adj_close")


def one_for_ten(bars: pd.DataFrame) -> pd.DataFrame:
    return as_traded(bars, {60: 0.1}).drop(columns="adj_close")


def crash(bars: pd.DataFrame) -> pd.DataFrame:
    fallen = np.where(np.arange(len(bars)) < 60, 1.0, 0.45)
    return bars.assign(**{name: bars[name] * fallen for name in PRICES})


def pence(bars: pd.DataFrame) -> pd.DataFrame:
    run = np.where((np.arange(len(bars)) >= 60) & (np.arange(len(bars)) < 67), 100.0, 1.0)
    return bars.assign(**{name: bars[name] * run for name in PRICES})


def pounds(bars: pd.DataFrame) -> pd.DataFrame:
    run = np.where(np.arange(len(bars)) >= 110, 0.01, 1.0)
    return bars.assign(**{name: bars[name] * run for name in PRICES})


def far_high(bars: pd.DataFrame) -> pd.DataFrame:
    return bars.assign(high=bars["high"].where(bars.index != 60, bars["high"] * 2.0))


def far_low(bars: pd.DataFrame) -> pd.DataFrame:
    return bars.assign(low=bars["low"].where(bars.index != 60, bars["low"] * 0.3))


def outside(bars: pd.DataFrame) -> pd.DataFrame:
    return bars.assign(close=bars["close"].where(bars.index != 60, bars["high"] * 1.01))


def stale(bars: pd.DataFrame) -> pd.DataFrame:
    rows = bars.index.to_numpy().copy()
    rows[61:67] = 60
    return bars.assign(**{name: bars[name].to_numpy()[rows] for name in PRICES})


@pytest.mark.parametrize(
    ("spoil", "row", "expected"),
    [
        (
            unadjusted_split,
            60,
            "1 row moving as at an unadjusted split, volume the other way (first: AAA {}, as of 2:1)",
        ),
        (
            three_for_two,
            60,
            "1 row moving as at an unadjusted split, volume the other way (first: AAA {}, as of 3:2)",
        ),
        (
            one_for_ten,
            60,
            "1 row moving as at an unadjusted split, volume the other way (first: AAA {}, as of 1:10)",
        ),
        (crash, 60, "1 row moving beyond +60 % or -38 % in a day, as an unadjusted split would (first: AAA {})"),
        (pence, 60, "7 rows in pence: 100 or 1/100 times others (first: AAA {})"),
        (pounds, 110, "10 rows in pence: 100 or 1/100 times others (first: AAA {})"),
        (far_high, 60, "1 row with a high or low far from open and close (first: AAA {})"),
        (far_low, 60, "1 row with a high or low far from open and close (first: AAA {})"),
        (outside, 60, "1 row with an open or close outside low to high (first: AAA {})"),
        (stale, 61, "6 rows that repeat the four prices before 5 times or more (first: AAA {})"),
    ],
)
def test_a_doubt_is_counted_once_with_its_first_row(
    spoil: Callable[[pd.DataFrame], pd.DataFrame], row: int, expected: str
) -> None:
    assert warnings_of(steady()) == []
    spoiled = pd.concat([steady("ZZZ", seed=5), spoil(steady())], ignore_index=True)
    assert warnings_of(spoiled) == ["warning: " + expected.format(f"{DAYS[row]:%Y-%m-%d}")]


def test_prices_in_pence_that_the_adjusted_close_corrects_are_no_doubt() -> None:
    bars = steady().assign(adj_close=lambda frame: frame["close"])
    run = (np.arange(120) >= 60) & (np.arange(120) < 67)
    spoiled = bars.assign(**{name: bars[name] * np.where(run, 100.0, 1.0) for name in PRICES})
    found, notes = read(spoiled)
    np.testing.assert_allclose(found["close"], bars["close"], rtol=1e-12)
    assert found["volume"].equals(bars["volume"])
    assert not [note for note in notes if note.startswith("warning")]
