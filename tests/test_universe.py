"""Which rows of a real market are examples: members, traded rows, and the last labels of tickers that end."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_sets import WEEKLY21
from onnx_files import tiny_card
from ste.config import LabelSettings, MarketSettings, SplitSettings, TableSettings, ValidationSettings
from ste.config.read_options import ReadOptions
from ste.data.build.prepare import prepare
from ste.data.cross_validation import folds
from ste.data.datamodule import TrendDataModule
from ste.data.history_only import history_only_rows, with_history_only
from ste.data.panel import HISTORY, Panel
from ste.data.sources.universe import Universe, read_delistings, read_universe
from ste.data.storage.parquet_shards import PartsWriter, read_parts_blocks
from ste.data.storage.tables import read_table
from ste.errors import DataError
from ste.evaluation.portfolio.rules import TradingRules
from ste.evaluation.portfolio.trading import TradedRows, trade
from ste.labels.delisting import close_ends, history_ends
from ste.market.calendar import NEW_YORK, WEEKS, Periods
from ste.market.untraded import untraded_bars
from ste.monitoring.outcomes import outcomes_of_table
from ste.schema import DIRECTION, HISTORY_ONLY, MOVEMENT, RETURN, table_columns

DAYS = NEW_YORK.sessions(pd.Timestamp("2020-06-01"), pd.Timestamp("2021-06-30"))
PRICES = ["open", "high", "low", "close"]
NAMES = ["AAA", "BBB", "CCC", "DDD"]


def bars_of(ticker: str, seed: int, last: str | None = None) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = 50.0 * np.exp(np.cumsum(rng.normal(0.0, 0.02, len(DAYS))))
    bars = pd.DataFrame(
        {
            "ticker": ticker,
            "date": DAYS,
            "open": close * 0.999,
            "high": close * 1.01,
            "low": close * 0.99,
            "close": close,
            "volume": rng.integers(1000, 9000, len(DAYS)).astype(float),
        }
    )
    return bars if last is None else bars[bars["date"] <= last]


def market_of(**last: str) -> pd.DataFrame:
    return pd.concat([bars_of(name, seed, last.get(name)) for seed, name in enumerate(NAMES)], ignore_index=True)


def settings_of(folder: Path, bars: pd.DataFrame, **changes: Any) -> MarketSettings:
    """Weekly rows from October 2020 to June 2021; data frames among the changes become files."""
    folder.mkdir(exist_ok=True)
    bars.to_parquet(folder / "bars.parquet", index=False)
    for name, value in changes.items():
        if isinstance(value, pd.DataFrame):
            value.to_csv(folder / f"{name}.csv", index=False)
            changes[name] = str(folder / f"{name}.csv")
    split = SplitSettings(validation_start="2021-03-01", test_start="2021-05-01")
    values: dict[str, Any] = {"split": split, "sequence_length": 2} | changes
    return MarketSettings(source="market", bars=str(folder / "bars.parquet"), **values)


def table_of(settings: MarketSettings, root: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """All rows of the built tables, and the data card."""
    prepared = prepare(settings, root)
    if settings.format == "parts":
        blocks = [block.astype({"ticker": str}) for block in read_parts_blocks(prepared.files)]
        frame = pd.concat(blocks, ignore_index=True).drop(columns="split")
    else:
        frame = pd.concat([read_table(path, WEEKLY21) for path in prepared.files.values()], ignore_index=True)
    frame = frame.sort_values(["ticker", "date"], ignore_index=True)
    return with_history_only(frame, history_only_rows(frame)), prepared.card


def notes_about(card: dict[str, Any], word: str) -> list[str]:
    return [note for note in card["notes"] if note.startswith(word)]


# --- the column ---


def test_the_column_is_there_only_where_a_row_needs_it() -> None:
    frame = pd.DataFrame({"x": [1, 2, 3]})
    assert list(with_history_only(frame, np.zeros(3, dtype=bool))) == ["x"]
    marked = with_history_only(frame, np.array([False, True, False]))
    assert marked[HISTORY_ONLY].tolist() == [0, 1, 0]
    assert list(with_history_only(marked, np.zeros(3, dtype=bool))) == ["x"]
    assert history_only_rows(pd.concat([frame, marked])).tolist() == [False] * 4 + [True, False]


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=4), min_size=1, max_size=5))
def test_parts_keep_the_marks_whatever_block_has_the_first_one(tmp_path_factory: Any, marks: list[list[bool]]) -> None:
    folder = tmp_path_factory.mktemp("parts") / "train"
    frames = []
    with PartsWriter(folder) as writer:
        for number, own in enumerate(marks):
            dates = pd.to_datetime([f"{2020 + row % 2}-01-{1 + row:02d}" for row in range(len(own))])
            frame = pd.DataFrame({"date": dates, "ticker": f"T{number}", "x": np.arange(len(own)) + number / 8})
            frames.append(with_history_only(frame.sort_values("date"), np.array(own)))
            writer.append(frames[-1])
        parts = writer.close()
    assert {path.name for path in folder.iterdir()} == set(parts)
    read = pd.concat(list(read_parts_blocks({"train": folder})), ignore_index=True)
    expected = pd.concat(frames, ignore_index=True)
    assert read["x"].tolist() == expected["x"].tolist()
    assert history_only_rows(read).tolist() == history_only_rows(expected).tolist()


# --- members of a universe ---


def spans(*rows: tuple[str, str, str | None]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["ticker", "from", "to"])


@pytest.mark.parametrize("how", ["csv", "parquet", "parts"])
@pytest.mark.parametrize("model", ["labels", "terciles"])
def test_rows_outside_the_universe_are_read_by_windows_and_are_no_examples(
    tmp_path: Path, how: str, model: str
) -> None:
    members = spans(("AAA", "2020-01-01", None), ("BBB", "2020-12-01", "2021-04-15"), ("ZZZ", "2020-01-01", None))
    labels = LabelSettings(method="terciles") if model == "terciles" else LabelSettings()
    changes: dict[str, Any] = {"universe": members, "format": how, "labels": labels}
    settings = settings_of(tmp_path / "with", market_of(), **changes)
    plain = settings_of(tmp_path / "without", market_of())
    frame, card = table_of(settings, tmp_path / "data")
    everything, _ = table_of(plain, tmp_path / "data")
    columns = [name for name in table_columns(WEEKLY21) if name != DIRECTION or model == "labels"]
    pd.testing.assert_frame_equal(frame[columns], everything[columns], check_dtype=False, rtol=1e-9)
    date, ticker = frame["date"], frame["ticker"]
    inside = (ticker == "AAA") | ((ticker == "BBB") & (date >= "2020-12-01") & (date <= "2021-04-15"))
    assert (history_only_rows(frame) == ~inside).all()
    assert notes_about(card, "universe") == [
        "universe: 2 of 3 tickers have bars (first without: ZZZ); 2 tickers with bars not in it (first: CCC)"
    ]
    first = frame[~inside].iloc[0]
    assert notes_about(card, "data:") == [
        f"data: {(~inside).sum()} rows outside data.universe: history only, not trained on or scored "
        f"(first: {first['ticker']} {first['date']:%Y-%m-%d})"
    ]
    # The examples are the members' rows that have a window of two weeks; the first BBB window reads a row outside.
    prepared = prepare(settings, tmp_path / "data")
    data = TrendDataModule(Panel.read(prepared, settings), "sequence")
    examples = {(t, d) for own in data.datasets.values() for t, d in zip(own.tickers, own.dates, strict=True)}
    assert {t for t, _ in examples} == {"AAA", "BBB"}
    bbb = pd.Series(sorted(d for t, d in examples if t == "BBB"))
    assert (bbb.iloc[0], bbb.iloc[-1]) == (pd.Timestamp("2020-12-04"), pd.Timestamp("2021-04-09"))
    for split, entry in card["files"].items():
        assert entry["rows"] - entry["purged"] - entry["history_only"] >= len(data.datasets[split])
        own = data.panel.store.columns.split == list(card["files"]).index(split)
        assert entry["history_only"] + entry["purged"] == (own & (data.panel.row_split == HISTORY)).sum()
    if model == "terciles":
        returns = data.datasets["train"].returns
        below = frame[(frame[DIRECTION] == 0) & (frame["date"] < "2021-03-01")][RETURN].max()
        training = inside & (date < "2021-02-26")  # one week is purged
        assert below < np.quantile(frame[training][RETURN], 1 / 3) < frame[frame[DIRECTION] == 1][RETURN].min()
        assert len(returns)


def test_folds_leave_history_out(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, market_of(), universe=spans(("AAA", "2020-01-01", None)))
    panel = Panel.read(prepare(settings, tmp_path / "data"), settings)
    cuts = folds(panel, ValidationSettings(method="walk_forward", folds=2))
    outside = panel.store.columns.history_only
    assert outside.any()
    for cut in cuts:
        assert (cut.row_split[outside] == HISTORY).all()
        assert set(np.unique(cut.row_split[~outside])) >= {0, 1, 2}


def test_a_universe_without_a_ticker_of_the_bars_is_refused(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, market_of(), universe=spans(("aapl", "2020-01-01", None)))
    with pytest.raises(DataError, match=r"none of its 1 tickers has bars \(aapl, .*The bars are of AAA, BBB"):
        prepare(settings, tmp_path / "data")


def test_without_a_member_in_training_the_message_says_so(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, market_of(), universe=spans(("AAA", "2021-04-01", None)))
    for how in ("csv", "parts"):
        settings.format = how
        with pytest.raises(DataError, match="training rows are history only"):
            prepare(settings, tmp_path / "data")


def test_spans_that_overlap_or_touch_are_joined(tmp_path: Path) -> None:
    rows = spans(
        ("B", "2020-01-01", "2020-06-30"),
        ("B", "2020-03-01", "2020-04-30"),
        ("B", "2020-07-01", "2020-07-31"),
        ("B", "2020-08-02", ""),
        ("A", "2019-05-01", "2019-05-01"),
    )
    rows.to_csv(tmp_path / "m.csv", index=False)
    found = read_universe(str(tmp_path / "m.csv"), ReadOptions()).spans
    assert found["ticker"].tolist() == ["A", "B", "B"]
    assert found["from"].dt.strftime("%Y-%m-%d").tolist() == ["2019-05-01", "2020-01-01", "2020-08-02"]
    assert found["to"].dt.strftime("%Y-%m-%d").tolist() == ["2019-05-01", "2020-07-31", "2199-12-31"]


@given(
    st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 60), st.integers(0, 20)), min_size=1, max_size=8),
    st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 90)), min_size=1, max_size=20),
)
def test_membership_is_the_union_of_the_spans(
    tmp_path_factory: Any, own: list[tuple[str, int, int]], asked: list[tuple[str, int]]
) -> None:
    own = list({(name, begin): (name, begin, length) for name, begin, length in own}.values())
    origin = pd.Timestamp("2020-01-01")
    path = tmp_path_factory.mktemp("members") / "m.parquet"
    pd.DataFrame(
        {
            "ticker": [name for name, _, _ in own],
            "from": [origin + pd.Timedelta(days=begin) for _, begin, _ in own],
            "to": [origin + pd.Timedelta(days=begin + length) if length else pd.NaT for _, begin, length in own],
        }
    ).astype({"to": "datetime64[ns]"}).to_parquet(path, index=False)
    rows = pd.DataFrame(
        {"ticker": [name for name, _ in asked], "date": [origin + pd.Timedelta(days=day) for _, day in asked]}
    )
    expected = [
        any(name == n and begin <= day <= (begin + length if length else 10**6) for n, begin, length in own)
        for name, day in asked
    ]
    universe = read_universe(str(path), ReadOptions())
    assert isinstance(universe, Universe)
    assert universe.members(rows).tolist() == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ticker,from\nA,2020-01-01\n", "missing column to"),
        ("ticker,from,to\nA,2020-01-01,2019-01-01\n", "column to, line 2.*a day not before that of from"),
        ("ticker,from,to\nA,01/02/2020,\n", "column from: dates such as 01/02/2020 have no number above 12"),
        ("ticker,from,to\nA,2020-01-01,soon\n", "column to, line 2: found soon"),
        ("ticker,from,to\nA,2020-01-01,\nA,2020-01-01,2021-01-01\n", "column from, line 3.*one span per ticker"),
        ("ticker,from,to\n,2020-01-01,\n", "column ticker, line 2.*a name"),
    ],
)
def test_a_fault_in_the_universe_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(DataError, match=f"(?s){message}"):
        read_universe(str(tmp_path / "m.csv"), ReadOptions())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ticker,date\nA,2020-01-01\n", "missing column return"),
        (
            "ticker,date,return\nA,2020-01-01,-1.5\n",
            "column return, line 2: found -1.5; expected a number of -1 or more",
        ),
        ("ticker,date,return\nA,2020-01-01,\n", "column return, line 2"),
        ("ticker,date,return\nA,1.2.2020,0\n", "column date: dates such as 1.2.2020"),
        ("ticker,date,return\nA,2020-01-01,0\nA,2020-01-01,0.1\n", "column date, line 3.*one row per ticker and day"),
    ],
)
def test_a_fault_in_the_delistings_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "d.csv").write_text(text)
    with pytest.raises(DataError, match=f"(?s){message}"):
        read_delistings(str(tmp_path / "d.csv"), ReadOptions())


def test_a_universe_without_its_columns_is_refused(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, market_of(), universe=pd.DataFrame({"name": ["A"], "from": [1], "to": [2]}))
    with pytest.raises(DataError, match=r"universe.csv: missing column ticker"):
        prepare(settings, tmp_path / "data")


# --- rows without trades ---


def quiet_market() -> pd.DataFrame:
    """AAA does not trade from 4 to 20 January and from 1 to 5 March 2021, and misses two days of another week."""
    bars = market_of()
    aaa = bars["ticker"] == "AAA"
    first = aaa & bars["date"].between("2021-01-04", "2021-01-20")
    last = bars.loc[aaa & (bars["date"] < "2021-01-04"), "close"].iloc[-1]
    bars.loc[first, PRICES] = last  # the constant price alone shows it: the source fills the volume
    for begin, end in (("2021-03-01", "2021-03-05"), ("2021-04-05", "2021-04-06")):
        bars.loc[aaa & bars["date"].between(begin, end), "volume"] = 0.0
    return bars


@pytest.mark.parametrize("how", ["csv", "parts"])
def test_weeks_without_a_trade_are_history_only(tmp_path: Path, how: str) -> None:
    settings = settings_of(tmp_path, quiet_market(), format=how)
    frame, card = table_of(settings, tmp_path / "data")
    rows = frame[history_only_rows(frame)]
    # The week of 18 January has trades again from Thursday on, that of 5 April from Wednesday on.
    assert [*zip(rows["ticker"], rows["date"].dt.strftime("%m-%d"), strict=True)] == [
        ("AAA", "01-08"),
        ("AAA", "01-15"),
        ("AAA", "03-05"),
    ]
    assert notes_about(card, "data:") == [
        "data: 3 rows without trades: history only, not trained on or scored (first: AAA 2021-01-08)"
    ]
    days = len(NEW_YORK.sessions(pd.Timestamp("2021-01-04"), pd.Timestamp("2021-01-20"))) + 5 + 2
    assert f"bars: {days} rows without trades (first: AAA 2021-01-04)" in card["notes"]
    assert [card["files"][split].get("history_only") for split in ("train", "validation", "test")] == [2, 1, None]


def test_weeks_without_a_trade_are_scored_on_demand(tmp_path: Path) -> None:
    frame, card = table_of(settings_of(tmp_path, quiet_market(), score_untraded=True), tmp_path / "data")
    assert HISTORY_ONLY not in frame
    assert not notes_about(card, "data:")


def test_days_without_a_trade_are_history_only_in_daily_tables(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, quiet_market(), frequency="daily")
    prepared = prepare(settings, tmp_path / "data")
    frames = [read_table(path, WEEKLY21, Periods("daily")) for path in prepared.files.values()]
    rows = pd.concat([frame[history_only_rows(frame)] for frame in frames])
    assert set(rows["ticker"]) == {"AAA"}
    assert len(rows) == len(NEW_YORK.sessions(pd.Timestamp("2021-01-04"), pd.Timestamp("2021-01-20"))) + 5 + 2


def test_where_no_bar_has_a_volume_the_volume_says_nothing() -> None:
    bars = bars_of("INDEX", 0).assign(volume=0.0)
    assert not untraded_bars(bars, np.array([0])).any()
    bars.loc[5:6, PRICES] = bars["close"].iloc[4]
    assert np.flatnonzero(untraded_bars(bars, np.array([0]))).tolist() == [5, 6]


def test_tables_without_such_rows_have_no_column(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, market_of())
    prepared = prepare(settings, tmp_path / "data")
    for path in prepared.files.values():
        assert tuple(pd.read_csv(path, nrows=0)) == table_columns(WEEKLY21)
    assert not any("history_only" in entry for entry in prepared.card["files"].values())


# --- tables of the user's own ---


@pytest.mark.parametrize("how", ["csv", "parts"])
def test_a_users_table_may_have_the_column(tmp_path: Path, how: str) -> None:
    settings = settings_of(tmp_path, quiet_market(), format=how)
    prepared = prepare(settings, tmp_path / "data")
    files = {split: str(path) for split, path in prepared.files.items()}
    own = TableSettings(source="csv", sequence_length=2, **files)
    panel = Panel.read(prepare(own, tmp_path / "again"), own)
    same = Panel.read(prepared, settings)
    assert panel.row_split.tolist() == same.row_split.tolist()
    assert panel.store.columns.history_only.sum() == 3
    assert panel.prepared.card["files"]["train"]["history_only"] == 2
    if how == "csv":  # the first part, of 2020, has no such row
        assert list(panel.first_rows("train", 3)) == [*table_columns(WEEKLY21), HISTORY_ONLY]


def test_another_mark_than_0_or_1_is_refused(tmp_path: Path) -> None:
    prepared = prepare(settings_of(tmp_path, quiet_market()), tmp_path / "data")
    frame = pd.read_csv(prepared.files["train"])
    frame[HISTORY_ONLY] = frame[HISTORY_ONLY].astype(float)
    frame.loc[4, HISTORY_ONLY] = 0.5
    frame.to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(DataError, match=r"column history_only, line 6: found 0.5; expected 1"):
        read_table(tmp_path / "bad.csv", WEEKLY21)


def test_the_monitor_scores_no_such_row(tmp_path: Path) -> None:
    prepared = prepare(settings_of(tmp_path, quiet_market()), tmp_path / "data")
    table = read_table(prepared.files["train"], WEEKLY21)
    found = outcomes_of_table(table, tiny_card(), "table")
    assert len(found) == len(table) - 2
    assert not (found["ticker"].eq("AAA") & found["date"].isin(pd.to_datetime(["2021-01-08", "2021-01-15"]))).any()


# --- delistings ---


def gone(**changes: Any) -> dict[str, Any]:
    return {"delisted": pd.DataFrame([("DDD", "2021-04-16", -0.4)], columns=["ticker", "date", "return"])} | changes


def last_rows(frame: pd.DataFrame, ticker: str = "DDD") -> pd.DataFrame:
    return frame[frame["ticker"] == ticker].tail(3).reset_index(drop=True)


@pytest.mark.parametrize("how", ["csv", "parts"])
@pytest.mark.parametrize("horizon", [1, 3])
def test_a_delisting_closes_the_last_weekly_labels(tmp_path: Path, horizon: int, how: str) -> None:
    labels = LabelSettings(horizon=horizon)
    bars = market_of(DDD="2021-04-14")  # the last bar is Wednesday's
    frame, card = table_of(settings_of(tmp_path / "a", bars, **gone(labels=labels, format=how)), tmp_path / "data")
    without, plain = table_of(settings_of(tmp_path / "b", bars, labels=labels, format=how), tmp_path / "data")
    closes = bars[bars["ticker"] == "DDD"].set_index("date")["close"]
    own = last_rows(frame)
    assert own["date"].dt.strftime("%m-%d").tolist() == ["03-26", "04-01", "04-09"]
    value = closes.iloc[-1] * 0.6
    for i in range(3):
        close = closes[own["date"][i]]
        target = i + horizon  # the week of 9 April has the position 2; that of the end, 3
        later = value if target >= 3 else closes[own["date"][target]]
        assert own[RETURN][i] == pytest.approx(later / close - 1.0)
        assert own[MOVEMENT][i] == pytest.approx(later - close)
    assert len(frame) == len(without) + horizon
    assert notes_about(card, "delisted") == ["delisted: 1 of 1 entries close a ticker's last labels"]
    assert not notes_about(card, "data:")
    last = "last week" if horizon == 1 else "last 3 weeks"
    assert notes_about(plain, "data:") == [
        f"data: 1 ticker ends before 2021-06-30 without a delisting: no label for the {last} (first: DDD 2021-04-14)"
    ]


@pytest.mark.parametrize("horizon", [1, 3])
def test_a_delisting_closes_the_last_daily_labels(tmp_path: Path, horizon: int) -> None:
    bars = market_of(DDD="2021-04-14")
    settings = settings_of(tmp_path, bars, **gone(frequency="daily", labels=LabelSettings(horizon=horizon)))
    settings.delisted = str(tmp_path / "delisted.csv")
    Path(settings.delisted).write_text("ticker,date,return\nDDD,2021-04-15,-0.4\n")
    frame = pd.concat(
        [read_table(path, WEEKLY21, Periods("daily")) for path in prepare(settings, tmp_path / "data").files.values()]
    )
    own = frame[frame["ticker"] == "DDD"].tail(horizon + 1)
    closes = bars[bars["ticker"] == "DDD"]["close"].to_numpy()
    assert own["date"].iloc[-1] == pd.Timestamp("2021-04-14")
    later = np.append(closes[-1], np.full(horizon, closes[-1] * 0.6))
    np.testing.assert_allclose(own[RETURN], later / closes[-horizon - 1 :] - 1.0, rtol=1e-6)


def test_an_outcome_that_is_known_after_a_label_has_ended_does_not_enter_it(tmp_path: Path) -> None:
    bars = market_of(DDD="2021-04-09")  # a Friday
    labels = LabelSettings(horizon=2)
    known = pd.DataFrame([("DDD", "2021-04-20", -0.4)], columns=["ticker", "date", "return"])
    frame, _ = table_of(settings_of(tmp_path / "a", bars, delisted=known, labels=labels), tmp_path / "data")
    # The label of 1 April ends on 16 April, before the outcome is known; that of 9 April ends on 23 April.
    assert last_rows(frame)["date"].dt.strftime("%m-%d").tolist() == ["03-19", "03-26", "04-09"]
    late = pd.DataFrame([("DDD", "2021-05-03", -0.4)], columns=["ticker", "date", "return"])
    frame, card = table_of(settings_of(tmp_path / "b", bars, delisted=late, labels=labels), tmp_path / "data")
    assert last_rows(frame)["date"].max() == pd.Timestamp("2021-03-26")
    assert notes_about(card, "delisted")[0].startswith("delisted: 0 of 1 entries close")
    assert notes_about(card, "delisted")[0].endswith("(first: DDD 2021-05-03)")


@pytest.mark.parametrize("how", ["csv", "parts"])
def test_an_assumed_return_closes_tickers_without_an_entry(tmp_path: Path, how: str) -> None:
    bars = market_of(DDD="2021-04-14", BBB="2021-05-28", CCC="2021-06-29")  # CCC ends within the last week
    settings = settings_of(tmp_path, bars, **gone(delisting_return=-0.3, format=how))
    frame, card = table_of(settings, tmp_path / "data")
    for name, assumed in (("DDD", -0.4), ("BBB", -0.3)):
        own = bars[bars["ticker"] == name].set_index("date")["close"]
        row = last_rows(frame, name).iloc[-1]
        assert row[RETURN] == pytest.approx(own.iloc[-1] * (1.0 + assumed) / own[row["date"]] - 1.0)
    assert last_rows(frame, "CCC")["date"].max() == last_rows(frame, "AAA")["date"].max()
    assert notes_about(card, "data:") == [
        "data: 1 ticker ends before 2021-06-30 without a delisting: labels there with an assumed -30% "
        "(first: BBB 2021-05-28)"
    ]


def test_a_delisting_belongs_to_the_company_that_ended(tmp_path: Path) -> None:
    early = bars_of("DDD", 9)
    early = early.assign(date=NEW_YORK.sessions(pd.Timestamp("2015-01-02"), pd.Timestamp("2019-01-01"))[: len(early)])
    end = early["date"].iloc[-1]
    entry = pd.DataFrame([("DDD", end + pd.Timedelta(days=1), -1.0)], columns=["ticker", "date", "return"])
    bars = pd.concat([market_of(), early], ignore_index=True)
    frame, card = table_of(settings_of(tmp_path, bars, delisted=entry), tmp_path / "data")
    own = frame[frame["ticker"] == "DDD"]
    lost = own[own[RETURN] == -1.0]
    assert len(lost) == 1
    assert end - lost["date"].iloc[0] < pd.Timedelta(days=7)
    assert "1 of 1 entries" in notes_about(card, "delisted")[0]


def test_a_delisting_of_the_later_company_closes_nothing_of_the_earlier_one() -> None:
    weeks = pd.to_datetime(["2020-01-03", "2020-01-10", "2020-05-01", "2020-05-08"])
    bars = pd.DataFrame({"ticker": "XYZ", "date": weeks, "close": [10.0, 20.0, 40.0, 50.0]})
    ends = history_ends(bars, WEEKS)
    assert ends["close"].tolist() == [20.0, 50.0]
    entry = pd.DataFrame({"ticker": ["XYZ"], "date": pd.to_datetime(["2020-05-11"]), "return": [-0.5]})
    assert close_ends(ends, entry, WEEKS, 20).tolist() == [True]
    np.testing.assert_array_equal(ends["value"], [np.nan, 25.0])


def test_the_portfolio_takes_the_delisting_return(tmp_path: Path) -> None:
    bars = market_of(DDD="2021-05-14")
    entry = pd.DataFrame([("DDD", "2021-05-17", -1.0)], columns=["ticker", "date", "return"])
    settings = settings_of(tmp_path, bars, delisted=entry)
    prepared = prepare(settings, tmp_path / "data")
    data = TrendDataModule(Panel.read(prepared, settings), "flat").datasets["test"]
    order = np.lexsort((data.tickers, data.dates))
    dates, period = np.unique(data.dates[order], return_inverse=True)
    ticker = pd.factorize(data.tickers[order], sort=True)[0]
    up = (data.tickers[order] == "DDD")[:, None]  # all in the ticker that is lost, cash afterwards
    probs = np.where(up, [0.0, 0.0, 1.0], [1.0, 0.0, 0.0])
    rows = TradedRows(probs, data.returns[order], np.zeros(len(order)), period, ticker)
    traded = trade(rows, np.arange(len(dates)), TradingRules("long_only").construction())
    assert traded is not None
    week = list(dates).index(np.datetime64("2021-05-14"))
    assert traded.returns[week] == -1.0
    assert traded.returns[week - 1] == pytest.approx(
        float(bars[(bars["ticker"] == "DDD")].set_index("date")["close"].loc["2021-05-14"])
        / float(bars[(bars["ticker"] == "DDD")].set_index("date")["close"].loc["2021-05-07"])
        - 1.0
    )
    assert traded.equity[-1] == 0.0
    # From the next open: DDD cannot be sold after its last bar, so that the week before ends at the delisting's value,
    # and nothing can be entered after it.
    keys = pd.DataFrame({"date": data.dates[order], "ticker": data.tickers[order]})
    trading = Panel.read(prepared, settings).trading(keys)
    assert trading is not None
    rows = TradedRows(probs, trading["return_next_open"].to_numpy(), np.zeros(len(order)), period, ticker)
    traded = trade(rows, np.arange(len(dates)), TradingRules("long_only").construction())
    assert traded is not None
    assert traded.returns[week - 1] == -1.0
    last = (keys["ticker"] == "DDD") & (keys["date"] == pd.Timestamp("2021-05-14"))
    assert np.isnan(trading["return_next_open"][last]).tolist() == [True]
    assert trading["return_same_close"][last].tolist() == [-1.0]


def test_the_purge_is_the_same_with_delistings(tmp_path: Path) -> None:
    bars = market_of(DDD="2021-02-24")  # within the last week of training
    entry = pd.DataFrame([("DDD", "2021-03-01", -0.5)], columns=["ticker", "date", "return"])
    settings = settings_of(tmp_path, bars, delisted=entry)
    prepared = prepare(settings, tmp_path / "data")
    panel = Panel.read(prepared, settings)
    store = panel.store
    own = store.columns.tickers[store.columns.ticker] == "DDD"
    trained = store.period[own & (panel.row_split == 0)].max()
    validated = store.period[panel.row_split == 1].min()
    assert trained + 1 < validated  # the label of a training row ends before validation
    assert json.loads(json.dumps(prepared.card))["purge"] == 1
