"""Files of a real market: adjusted, checked, and told of in one message where they are wrong."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feature_sets import FEATURES, WEEKLY21
from ste.config import MarketSettings, SyntheticSettings
from ste.config.input_checks import check_data_files
from ste.config.read_options import ReadOptions
from ste.data.build.labelled_rows import build_table
from ste.data.build.prepare import prepare
from ste.data.sources.market_files import bar_blocks, read_market
from ste.data.sources.side_files import read_side_file
from ste.data.storage.tables import read_table
from ste.errors import DataError
from ste.features.feature_rows import feature_rows
from ste.market.read_summary import ReadSummary
from ste.market.sources import MACRO_NEUTRAL, RAW_CLOSE, Market
from ste.schema import KEYS, MARKET_COLUMNS
from ste.synthetic.generator import generate_market

REAL = Path(__file__).parents[2] / "shared" / "market"
PRICES = ["open", "high", "low", "close"]
AS_THEY_ARE = "bars: no adjusted close: prices and volume of 2 tickers taken as they are"


@pytest.fixture(scope="module")
def market() -> Market:
    """Two tickers, about eleven months of sessions."""
    return generate_market(SyntheticSettings(source="world", tickers=2, start="2024-01-01", end="2024-04-30"))


def save(frame: pd.DataFrame, path: Path) -> str:
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)
    return str(path)


def settings_of(folder: Path, suffix: str = ".csv", **frames: pd.DataFrame) -> MarketSettings:
    """Settings that name a file of each frame."""
    files = {kind: save(frame, folder / f"{kind}{suffix}") for kind, frame in frames.items()}
    return MarketSettings(source="market", **files)


def bars_of(path: object, summary: ReadSummary | None = None, tickers: list[str] | None = None) -> pd.DataFrame:
    settings = MarketSettings(source="market", bars=str(path), tickers=tickers)
    blocks = [block.astype({"ticker": "str"}) for block in bar_blocks(settings, 1 << 62, summary or ReadSummary())]
    return pd.concat(blocks, ignore_index=True)


def sources(market: Market) -> dict[str, pd.DataFrame]:
    frames = {kind: getattr(market, kind) for kind in MARKET_COLUMNS}
    assert all(isinstance(frame, pd.DataFrame) and len(frame) > 0 for frame in frames.values())
    return frames


def with_cell(frame: pd.DataFrame, row: int, column: str, value: object) -> pd.DataFrame:
    out = frame.reset_index(drop=True).astype({column: object})
    out.loc[row, column] = value
    return out


# --- what is read ---


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_files_of_a_market_give_the_features_of_that_market(tmp_path: Path, market: Market, suffix: str) -> None:
    read = read_market(settings_of(tmp_path, suffix, **sources(market)))
    expected = feature_rows(market, "weekly", WEEKLY21)
    assert len(expected) > 0
    assert [note for note in read.notes[1:] if note.split(": ")[0] not in ("news", "macro", "policy")] == [AS_THEY_ARE]
    pd.testing.assert_frame_equal(feature_rows(read, "weekly", WEEKLY21), expected, check_exact=True)


def test_rows_may_come_in_any_order_and_with_further_columns(tmp_path: Path, market: Market) -> None:
    frames = {
        kind: frame.sample(frac=1.0, random_state=0).assign(remark="x") for kind, frame in sources(market).items()
    }
    read = read_market(settings_of(tmp_path, **frames))
    # The sum of a week's news is rounded in the order of the file.
    pd.testing.assert_frame_equal(
        feature_rows(read, "weekly", WEEKLY21), feature_rows(market, "weekly", WEEKLY21), rtol=1e-12, atol=1e-12
    )


def test_an_unadjusted_split_with_adj_close_gives_the_features_of_adjusted_bars(tmp_path: Path, market: Market) -> None:
    bars = market.bars
    day = pd.Timestamp("2024-02-14")
    before = ((bars["ticker"] == "AAPL") & (bars["date"] < day)).to_numpy()
    assert 0 < before.sum() < (bars["ticker"] == "AAPL").sum()
    factor = np.where(before, 4.0, 1.0)  # four new shares for an old one
    raw = bars.assign(
        adj_close=bars["close"], volume=bars["volume"] / factor, **{name: bars[name] * factor for name in PRICES}
    )
    read = read_market(settings_of(tmp_path, bars=raw))
    pd.testing.assert_frame_equal(
        feature_rows(read, "weekly", WEEKLY21),
        feature_rows(Market(bars=bars), "weekly", WEEKLY21),
        rtol=1e-9,
        atol=1e-9,
        check_exact=False,
    )
    assert "1 split (first: AAPL 2024-02-14, 4:1); volume multiplied by the later splits in 1 ticker" in read.notes[1]
    assert not [note for note in read.notes if note.startswith("warning")]


def test_another_scale_of_the_prices_changes_no_volume(tmp_path: Path, market: Market) -> None:
    raw = market.bars.assign(adj_close=market.bars["close"] * 0.5)
    read = bars_of(save(raw, tmp_path / "bars.csv"))
    np.testing.assert_allclose(read["close"], raw["close"] * 0.5)
    assert read[RAW_CLOSE].equals(market.bars["close"])  # as traded
    assert read["volume"].equals(raw["volume"])


def test_bars_that_are_adjusted_already_are_left_as_they_are(tmp_path: Path, market: Market) -> None:
    summary = ReadSummary()
    read = bars_of(save(market.bars.assign(adj_close=market.bars["close"]), tmp_path / "bars.csv"), summary)
    pd.testing.assert_frame_equal(read.drop(columns=RAW_CLOSE), market.bars, check_exact=True)
    assert read[RAW_CLOSE].equals(read["close"])
    (note,) = summary.notes()[1:]
    assert "the close is fully adjusted in 2; volume taken as it is" in note


def test_an_unexplained_jump_is_noted_with_a_warning(tmp_path: Path, market: Market) -> None:
    day = market.bars["date"].iloc[120]
    before = (market.bars["ticker"] == "MSFT") & (market.bars["date"] < day)
    raw = market.bars.assign(**{name: market.bars[name] * np.where(before, 2.0, 1.0) for name in PRICES})
    warnings = [note for note in read_market(settings_of(tmp_path, bars=raw)).notes if note.startswith("warning")]
    assert len(warnings) == 1
    assert f"(first: MSFT {day:%Y-%m-%d})" in warnings[0]


def test_no_jump_is_seen_where_one_ticker_ends_and_the_next_begins(tmp_path: Path, market: Market) -> None:
    dear = market.bars["ticker"] == "MSFT"
    bars = market.bars.assign(**{name: market.bars[name] * np.where(dear, 50.0, 1.0) for name in PRICES})
    summary = ReadSummary()
    bars_of(save(bars, tmp_path / "bars.csv"), summary)
    assert summary.notes()[1:] == [AS_THEY_ARE]


def test_rows_without_prices_are_dropped_with_a_note(tmp_path: Path, market: Market) -> None:
    bars = market.bars.astype(dict.fromkeys([*PRICES, "volume"], object))
    bars.loc[[3, 10], [*PRICES, "volume"]] = ""
    bars.loc[17, "volume"] = ""
    summary = ReadSummary()
    read = bars_of(save(bars, tmp_path / "bars.csv"), summary)
    assert {why: found.rows for why, found in summary.set_aside.items()} == {"without a price or volume": 3}
    pd.testing.assert_frame_equal(read, market.bars.drop([3, 10, 17]).reset_index(drop=True), check_exact=True)


def test_rows_on_days_without_a_session_are_dropped_with_a_note(tmp_path: Path, market: Market) -> None:
    saturday = market.bars.iloc[[0]].assign(date=pd.Timestamp("2024-01-06"))
    summary = ReadSummary()
    read = bars_of(save(pd.concat([market.bars, saturday]), tmp_path / "bars.csv"), summary)
    pd.testing.assert_frame_equal(read, market.bars, check_exact=True)
    ((why, found),) = summary.set_aside.items()
    assert "days without a session" in why
    assert (found.rows, "2024-01-06" in found.first) == (1, True)


def test_what_is_not_given_is_noted(tmp_path: Path, market: Market) -> None:
    macro = market.macro
    assert macro is not None
    read = read_market(settings_of(tmp_path, bars=market.bars, macro=macro[macro["series"] != "gdp_growth"]))
    assert read.summary.assumptions == [
        "no news file: sentiment, count and relevance are 0",
        "no policy file: event count and impact are 0",
        f"no macro series: gdp_growth {MACRO_NEUTRAL['gdp_growth']:g} throughout",
    ]


def test_tickers_can_be_chosen_and_a_missing_one_is_told(tmp_path: Path, market: Market) -> None:
    settings = settings_of(tmp_path, bars=market.bars)
    settings.tickers = ["MSFT"]
    assert set(read_market(settings).bars["ticker"]) == {"MSFT"}
    settings.tickers = ["MSFT", "IBM"]
    with pytest.raises(DataError, match=r"no bars of IBM.*2 tickers: AAPL, MSFT"):
        read_market(settings)


@pytest.mark.parametrize("ticker", ["NA", "TRUE", "nan"])
def test_a_ticker_is_a_name_whatever_it_looks_like(tmp_path: Path, market: Market, ticker: str) -> None:
    assert market.news is not None
    renamed = {"AAPL": ticker, "MSFT": "ZZ"}
    settings = settings_of(
        tmp_path, bars=market.bars.replace({"ticker": renamed}), news=market.news.replace({"ticker": renamed})
    )
    rows = feature_rows(read_market(settings), "weekly", WEEKLY21)
    assert set(rows["ticker"]) == {ticker, "ZZ"}
    assert (rows.loc[rows["ticker"] == ticker, "news_count"] > 0).any()


# --- what is refused ---


def message_of(settings: MarketSettings, kind: str) -> str:
    with pytest.raises(DataError) as caught:
        read_market(settings)
    text = str(caught.value)
    assert text.startswith(str(getattr(settings, kind)))
    assert "xpected" in text
    return text


@pytest.mark.parametrize(
    ("kind", "column", "value", "expected"),
    [
        ("bars", "low", -1.0, "a price above 0"),
        ("bars", "close", 0.0, "a price above 0"),
        ("bars", "open", "inf", "a price above 0"),
        ("bars", "volume", -5.0, "a number of 0 or more"),
        ("bars", "high", "n.a.", "a price above 0"),
        ("bars", "ticker", "", "a name"),
        ("bars", "date", "soon", "a day such as 2024-11-29"),
        ("news", "sentiment", 1.5, "a number from -1 to 1"),
        ("news", "sentiment", -1.01, "a number from -1 to 1"),
        ("news", "relevance", 1.2, "a number from 0 to 1"),
        ("news", "count", -1, "a number of 0 or more"),
        ("macro", "series", "cpi", "one of gdp_growth, inflation, unemployment, interest_rate, vix"),
        ("macro", "value", "inf", "a finite number"),
        ("macro", "release_date", "2024-02-31", "a day such as 2024-11-29"),
        ("policy", "impact", "many", "a number of 0 or more"),
        ("policy", "impact", -2.0, "a number of 0 or more"),
    ],
)
def test_a_bad_value_is_told_by_file_column_and_line(
    tmp_path: Path, market: Market, kind: str, column: str, value: object, expected: str
) -> None:
    frames = sources(market)
    frames[kind] = with_cell(frames[kind], 2, column, value)
    text = message_of(settings_of(tmp_path, **frames), kind)
    assert "1 fault in the table" in text
    found = str(value).removesuffix(".0") or "an empty cell"
    assert f"column {column}, line 4: found {found}; expected {expected}." in text


def test_the_line_is_the_files_own_after_empty_rows_were_dropped(tmp_path: Path, market: Market) -> None:
    bars = with_cell(with_cell(market.bars, 2, "close", ""), 7, "low", -1.0)
    assert "column low, line 9: found -1" in message_of(settings_of(tmp_path, bars=bars), "bars")


@pytest.mark.parametrize("kind", ["bars", "news"])
def test_a_duplicate_ticker_and_date_is_one_fault(tmp_path: Path, market: Market, kind: str) -> None:
    frames = sources(market)
    twice = frames[kind].iloc[[4]]
    frames[kind] = pd.concat([frames[kind], twice])
    text = message_of(settings_of(tmp_path, **frames), kind)
    assert "1 fault in the table" in text
    day = f"{twice['date'].iloc[0]:%Y-%m-%d}"
    assert f"column date, line {len(frames[kind]) + 1}: found {day}; expected one row per ticker and day" in text


@pytest.mark.parametrize("kind", MARKET_COLUMNS)
def test_a_missing_column_is_named(tmp_path: Path, market: Market, kind: str) -> None:
    frames = sources(market)
    missing = MARKET_COLUMNS[kind][-1]
    frames[kind] = frames[kind].drop(columns=missing)
    text = message_of(settings_of(tmp_path, **frames), kind)
    assert f"no column for {missing}" in text or f"missing column {missing}" in text


def test_bars_of_another_exchange_are_told(tmp_path: Path, market: Market) -> None:
    saturdays = market.bars.iloc[:3].assign(date=pd.to_datetime(["2024-01-06", "2024-01-13", "2024-01-20"]))
    with pytest.raises(DataError, match="no bar is left"):
        read_market(settings_of(tmp_path, bars=saturdays))


def test_bars_without_a_single_whole_row_are_told(tmp_path: Path, market: Market) -> None:
    bars = market.bars.assign(low=np.nan)
    assert "no bar is left" in message_of(settings_of(tmp_path, bars=bars), "bars")


def test_bars_too_short_for_a_row_are_told(tmp_path: Path, market: Market) -> None:
    settings = settings_of(tmp_path, bars=market.bars.groupby("ticker").head(60))
    with pytest.raises(DataError, match="100 sessions"):
        build_table(settings)


def test_a_missing_file_is_told_without_reading_and_by_prepare(tmp_path: Path) -> None:
    settings = MarketSettings(source="market", bars=str(tmp_path / "bars.csv"))
    with pytest.raises(DataError, match="no such file"):
        check_data_files(settings)
    with pytest.raises(DataError, match="no such file"):
        prepare(settings, tmp_path / "out")


# --- from files to tables ---


def test_tables_of_market_files_keep_the_contract(tmp_path: Path, market: Market) -> None:
    settings = settings_of(tmp_path, ".csv.gz", **sources(market))
    prepared = prepare(settings, tmp_path / "out")
    rows = sum(len(read_table(path, WEEKLY21)) for path in prepared.files.values())
    assert rows == len(build_table(settings)[0]) > 0
    assert prepared.truth is None
    assert prepare(settings, tmp_path / "out").reused


def test_other_bars_under_the_same_name_are_other_tables(tmp_path: Path, market: Market) -> None:
    first = prepare(settings_of(tmp_path, bars=market.bars), tmp_path / "out")
    changed = market.bars.assign(volume=market.bars["volume"] + 1)
    second = prepare(settings_of(tmp_path, bars=changed), tmp_path / "out")
    assert not second.reused
    assert first.digest != second.digest
    assert set(first.files.values()).isdisjoint(second.files.values())


def test_start_and_end_bound_the_rows_and_not_the_look_back(tmp_path: Path, market: Market) -> None:
    settings = settings_of(tmp_path, bars=market.bars)
    whole, *_ = build_table(settings)
    settings.start, settings.end = "2024-02-01", "2024-03-31"
    part, *_ = build_table(settings)
    assert len(part) > 0
    inside = whole[whole["date"].between("2024-02-01", "2024-03-31")].reset_index(drop=True)
    pd.testing.assert_frame_equal(part[[*KEYS, *FEATURES]], inside[[*KEYS, *FEATURES]], check_exact=True)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"needs the market files in {REAL}")
def test_the_real_market_files_give_a_table() -> None:
    settings = MarketSettings(
        source="market",
        bars=str(REAL / "bars.csv.gz"),
        news=str(REAL / "news.csv.gz"),
        macro=str(REAL / "macro.csv.gz"),
        policy=str(REAL / "policy.csv"),
    )
    table, split, truth, market = build_table(settings)
    assert truth is None
    assert table["ticker"].nunique() > 80
    assert np.bincount(split).min() > 1000
    assert np.isfinite(table[list(FEATURES)].to_numpy()).all()
    assert market.summary.set_aside["without a price or volume"].rows == 3
    assert [note for note in market.notes if note.startswith("warning")] == [
        "warning: 1 row with a high or low far from open and close (first: CODI 2015-08-24)",
        "warning: 1 row moving beyond +60 % or -38 % in a day, as an unadjusted split would (first: AGFS 2016-11-09)",
    ]


def test_two_figures_of_a_series_on_one_day_are_refused_with_both_lines(tmp_path: Path):
    """The later line would win, so that the order of the rows changed the features."""
    path = tmp_path / "macro.csv"
    rows = ("unemployment,2017-02-01,4.0", "vix,2017-02-01,12", "unemployment,2017-02-01,9.0")
    path.write_text("\n".join(("series,release_date,value", *rows)))
    with pytest.raises(DataError, match=r"column value, line 2, 4: found 4, 9; expected one figure of a series a day"):
        read_side_file(str(path), "macro", ReadOptions())
    path.write_text(path.read_text().replace("9.0", "4.0"))  # the same figure, as of a weekend
    assert len(read_side_file(str(path), "macro", ReadOptions())) == 3


@pytest.mark.parametrize("days", [("01/02/2017", "01/03/2017"), ("1.2.2017", "1.3.2017"), ("02-01-2017", "03-01-2017")])
def test_a_day_that_may_be_a_month_is_refused(tmp_path: Path, days: tuple[str, str]):
    path = tmp_path / "macro.csv"
    path.write_text("series,release_date,value\n" + "".join(f"unemployment,{day},4.0\n" for day in days))
    with pytest.raises(DataError, match=r"column release_date: .* a day may be a month.*data.date_format=%d/%m/%Y"):
        read_side_file(str(path), "macro", ReadOptions())


def test_a_macro_figure_outside_its_range_is_refused(tmp_path: Path):
    path = tmp_path / "macro.csv"
    path.write_text("series,release_date,value\ngdp_growth,2020-01-02,-9\nunemployment,2020-01-02,300\n")
    with pytest.raises(DataError, match=r"line 3: found 300; expected unemployment to be a number from 0 to 100"):
        read_side_file(str(path), "macro", ReadOptions())


def test_a_high_below_the_low_is_refused(tmp_path: Path):
    path = tmp_path / "bars.csv"
    path.write_text("ticker,date,open,high,low,close,volume\nA,2020-01-02,5,6,4,5,1\nA,2020-01-03,5,4,4.5,5,1\n")
    with pytest.raises(DataError, match=r"column high, line 3: found 4; expected high at or above low"):
        bars_of(path)


def test_notes_speak_of_the_tickers_that_are_kept(tmp_path: Path):
    path = tmp_path / "bars.csv"
    rows = ["ticker,date,open,high,low,close,volume"]
    rows += [
        f"{t},2020-01-0{d},{c},{c},{c},{c},1" for t, jump in (("A", 1), ("B", 9)) for d, c in ((2, 5), (3, 5 * jump))
    ]
    path.write_text("\n".join(rows) + "\n")
    summary = ReadSummary()
    assert set(bars_of(path, summary, ["A"])["ticker"]) == {"A"}
    assert not summary.doubts
    bars_of(path, summary)
    (found,) = summary.doubts.values()
    assert "B 2020-01-03" in found.first
