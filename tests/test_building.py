"""Tables in parts hold the rows and values of single files, however they are cut into blocks; whole or built again."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feature_sets import WEEKLY21
from ste.config import DataSettings, LabelSettings, MarketSettings, SplitSettings, SyntheticSettings
from ste.config.feature_sets import load_feature_set
from ste.data.bar_files import bar_files
from ste.data.build import sharded_tables as building_parts
from ste.data.build.data_card import PreparedData
from ste.data.build.prepare import prepare
from ste.data.build.table_folder import STAGING
from ste.data.sources.daily_sources import source_blocks
from ste.data.sources.market_files import market_blocks as blocks_of_files
from ste.data.sources.market_files import read_market
from ste.data.storage.parquet_shards import part_files
from ste.data.storage.tables import read_table
from ste.data.table_checks import check_built_table
from ste.errors import ConfigError, DataError
from ste.market.sources import Market
from ste.schema import HISTORY_ONLY, LABEL_END
from ste.synthetic import generator as drawing
from ste.synthetic.generator import generate_market

WORLD = SyntheticSettings(source="world", tickers=5, start="2019-01-01", end="2021-12-31", format="parts")
WIDE = ("alpha158", "alpha360")
DATES = SplitSettings(validation_start="2020-11-01", test_start="2021-05-01")
EVERY = 10**9  # bars in a block


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A market whose tickers begin on different days, with what read_bars drops and adjusts."""
    folder = tmp_path_factory.mktemp("market")
    market = generate_market(replace(WORLD, tickers=6))
    bars = market.bars.assign(adj_close=market.bars["close"] * np.where(market.bars["ticker"] == "AAPL", 0.5, 1.0))
    begins = bars["ticker"].map(dict(zip(sorted(bars["ticker"].unique()), range(0, 240, 40), strict=True)))
    bars = bars[bars.groupby("ticker").cumcount() >= begins]
    bars = bars[~((bars["ticker"] == "META") & bars["date"].between("2020-03-01", "2020-03-20"))]
    bars.loc[bars.index[7], "open"] = np.nan
    bars.loc[bars.index[900:], "close"] *= 1.0
    bars = pd.concat([bars, bars.iloc[[40]].assign(date=pd.Timestamp("2020-07-04"))], ignore_index=True)
    bars = bars.sort_values(["ticker", "date"], kind="stable")
    told = {"news": market.news, "macro": market.macro, "policy": market.policy}
    paths = {kind: str(folder / f"{kind}.csv") for kind in told}
    for kind, frame in told.items():
        assert frame is not None
        frame.sample(frac=1.0, random_state=1).to_csv(paths[kind], index=False)
    bars.to_parquet(folder / "in_order.parquet", index=False, row_group_size=500)
    shuffled = bars.sample(frac=1.0, random_state=2)
    shuffled.to_parquet(folder / "any_order.parquet", index=False)
    shuffled.assign(date=shuffled["date"].dt.date).to_parquet(folder / "days.parquet", index=False)
    shuffled.to_csv(folder / "bars.csv", index=False)
    shuffled.assign(date=shuffled["date"].dt.strftime("%Y/%m/%d")).to_csv(folder / "slashes.csv", index=False)
    return paths | {path.name: str(path) for path in folder.iterdir() if path.stem not in told}


def market_settings(files: dict[str, str], bars: str = "in_order.parquet", **changes: object) -> MarketSettings:
    told = {kind: files[kind] for kind in ("news", "macro", "policy")}
    return MarketSettings(source="market", bars=files[bars], format="parts", **{**told, **changes})  # type: ignore[arg-type]


def content(prepared: PreparedData) -> dict[str, pd.DataFrame]:
    """Each split's rows and the truth's, by ticker and date."""
    paths = prepared.files | ({"truth": prepared.truth} if prepared.truth else {})
    frames = {name: pd.read_parquet(path) for name, path in paths.items()}
    for frame in frames.values():
        if HISTORY_ONLY in frame:  # not in every part
            frame[HISTORY_ONLY] = frame[HISTORY_ONLY].fillna(0).astype(np.int8)
    return {
        name: frame.sort_values(["ticker", "date"])
        .reset_index(drop=True)
        .astype({day: "datetime64[ns]" for day in ("date", LABEL_END) if day in frame})
        for name, frame in frames.items()
    }


def figures(card: dict) -> dict:
    return {
        split: {key: value for key, value in entry.items() if key not in ("file", "sha256", "parts")}
        for split, entry in card["files"].items()
    }


def check_same(settings: DataSettings, folder: Path) -> PreparedData:
    single, parts = prepare(replace(settings, format="parquet"), folder), prepare(settings, folder)
    expected, found = content(single), content(parts)
    assert expected.keys() == found.keys()
    for name, frame in expected.items():
        pd.testing.assert_frame_equal(found[name], frame, check_exact=True)
    assert figures(parts.card) == figures(single.card)
    assert parts.card["notes"] == single.card["notes"]
    return parts


# --- the same rows and values ---


LABELS = [
    LabelSettings(),
    LabelSettings(method="volatility", threshold=0.5, horizon=2),
    LabelSettings(method="terciles"),
    LabelSettings(method="triple_barrier", horizon=3, arguments={"upper": 1.0}),
    LabelSettings(method="cross_sectional", classes=4),
    LabelSettings(method="excess", classes=5, arguments={"benchmark": "MSFT"}),
]


@pytest.mark.parametrize(
    ("labels", "split", "frequency"),
    [
        *((labels, split, "weekly") for labels, split in product(LABELS, (DATES, SplitSettings()))),
        (LABELS[0], DATES, "daily"),
        (LABELS[2], SplitSettings(test=0.0, embargo=3), "daily"),
    ],
)
def test_a_world_in_parts_is_the_world_in_files(
    tmp_path: Path, labels: LabelSettings, split: SplitSettings, frequency: str
) -> None:
    parts = check_same(replace(WORLD, labels=labels, split=split, frequency=frequency), tmp_path)
    assert (parts.truth is not None) == (
        frequency == "weekly" and labels.horizon == 1 and labels.method in ("fixed", "volatility", "terciles")
    )
    for folder in parts.files.values():
        assert all(pd.read_parquet(file)["date"].dt.year.eq(int(file.stem)).all() for file in part_files(folder))


@pytest.mark.parametrize(
    ("bars", "changes"),
    [
        *((name, {}) for name in ("any_order.parquet", "days.parquet", "bars.csv", "slashes.csv")),
        ("in_order.parquet", {"frequency": "daily", "labels": LABELS[2]}),
        ("in_order.parquet", {"labels": LABELS[3]}),  # blocks of a few tickers: labels compare them all
        ("in_order.parquet", {"labels": replace(LABELS[4], classes=5)}),
        ("in_order.parquet", {"split": DATES, "labels": LABELS[1], "start": "2020-01-01", "end": "2021-10-31"}),
        ("in_order.parquet", {"tickers": ["META", "AAPL"], "frequency": "daily", "news": None}),
        ("bars.csv", {"features": "prices11", "frequency": "daily", "representation": "standard"}),
    ],
)
def test_a_market_in_parts_is_the_market_in_files(
    tmp_path: Path, files: dict[str, str], bars: str, changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building_parts, "block_rows", lambda settings: 900)
    parts = check_same(market_settings(files, bars, **changes), tmp_path)
    assert len(parts.card["notes"]) >= 3


@pytest.mark.parametrize("labels", [LABELS[1], LABELS[2]])
def test_no_value_depends_on_the_size_of_a_block(
    tmp_path: Path, files: dict[str, str], labels: LabelSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = (replace(WORLD, labels=labels), market_settings(files, labels=labels, frequency="daily"))
    days = len(generate_market(WORLD).bars) // 5
    for source in sources:
        found = []
        for number, rows in enumerate((1, 3 * days, EVERY)):
            monkeypatch.setattr(building_parts, "block_rows", lambda settings, rows=rows: rows)
            found.append(content(prepare(source, tmp_path / str(number))))
        for other in found[1:]:
            for name, frame in found[0].items():
                pd.testing.assert_frame_equal(other[name], frame, check_exact=True)


def test_blocks_of_a_source_are_whole_tickers_in_order(files: dict[str, str]) -> None:
    days = len(generate_market(WORLD).bars) // 5
    for settings, rows in ((WORLD, 2 * days), (market_settings(files), 1500)):
        blocks = list(source_blocks(settings, rows))
        names = [list(dict.fromkeys(block.bars["ticker"])) for block in blocks]
        flat = [name for own in names for name in own]
        assert len(blocks) >= 3
        assert flat == sorted(set(flat))
        assert all(len(block.bars) <= rows for block in blocks)
        assert all(set(block.news["ticker"].dropna()) <= set(own) for block, own in zip(blocks, names, strict=True))


def test_bars_in_order_are_never_read_whole(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def whole(*given: object) -> None:
        raise AssertionError("read whole")

    monkeypatch.setattr(bar_files.BarFiles, "_read", whole)
    assert sum(1 for _ in blocks_of_files(market_settings(files), 1)) == 6
    with pytest.raises(AssertionError, match="read whole"):
        list(blocks_of_files(market_settings(files, "any_order.parquet"), 1))


# --- what is wrong with bars is told in the same words ---


def faulty() -> Iterator[tuple[str, object, str]]:
    yield "high", -1.0, "a price above 0"
    yield "close", np.inf, "a price above 0"
    yield "volume", -5.0, "a number of 0 or more"
    yield "low", 1e6, "high at or above low"
    yield "date", pd.NaT, "date"


def told_alike(settings: MarketSettings) -> str:
    """What is said of files, the same by whoever reads them whole and block by block."""
    with pytest.raises(DataError) as whole:
        read_market(settings)
    with pytest.raises(DataError) as blockwise:
        list(blocks_of_files(settings, 700))
    assert str(blockwise.value) == str(whole.value)
    return str(whole.value)


@pytest.mark.parametrize(("column", "value", "expected"), list(faulty()))
@pytest.mark.parametrize("source", ["in_order.parquet", "any_order.parquet", "bars.csv"])
def test_a_fault_is_told_as_by_whoever_reads_the_file_whole(
    tmp_path: Path, files: dict[str, str], source: str, column: str, value: object, expected: str
) -> None:
    bars = pd.read_parquet(files["in_order.parquet" if source == "bars.csv" else source])
    bars.loc[[1200, 1201], column] = value  # of one block
    path = tmp_path / source
    bars.to_parquet(path, index=False) if path.suffix == ".parquet" else bars.to_csv(path, index=False)
    settings = replace(market_settings(files), bars=str(path))
    assert expected in told_alike(settings)


def weekends(count: int) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(
        [day for day in pd.date_range("2020-07-04", periods=4 * count) if day.day_of_week > 4][:count]
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda bars: pd.concat([bars, bars.iloc[[1200]]]).sort_values(["ticker", "date"]),
        lambda bars: bars.assign(date=weekends(len(bars))),
        lambda bars: bars.assign(open=np.nan),
        lambda bars: bars.drop(columns="open"),
        lambda bars: bars.assign(ticker=np.where(bars["ticker"] == "META", "", bars["ticker"])),
        lambda bars: bars.iloc[:0],
    ],
    ids=["twice", "no session", "no price", "no column", "no name", "no row"],
)
def test_what_the_whole_file_lacks_is_told_alike(tmp_path: Path, files: dict[str, str], change) -> None:
    path = tmp_path / "bars.parquet"
    change(pd.read_parquet(files["in_order.parquet"]).iloc[:3000]).to_parquet(path, index=False)
    settings = replace(market_settings(files), bars=str(path))
    told_alike(settings)


def test_a_ticker_that_is_not_there_is_told_before_anything_is_read(files: dict[str, str]) -> None:
    with pytest.raises(DataError, match=r"no bars of NOPE\. It has 6 tickers"):
        next(blocks_of_files(market_settings(files, tickers=["AAPL", "NOPE"]), 1))


def test_a_number_that_no_table_may_hold_is_told_with_its_row(tmp_path: Path) -> None:
    rows = content(prepare(replace(WORLD, split=DATES), tmp_path))["train"]
    check_built_table(rows, WEEKLY21)
    for column, value, expected in (("stock_rsi", 101.0, "from 0 to 100"), ("stock_close", 0.0, "above 0")):
        with pytest.raises(DataError, match=rf"column {column} of {rows['ticker'][9]} on .*{expected} \(1 such"):
            check_built_table(rows.assign(**{column: rows[column].where(rows.index != 9, value)}), WEEKLY21)
    with pytest.raises(DataError, match=r"stock_macd of .* found nan; expected a finite number \(2 such"):
        check_built_table(rows.assign(stock_macd=rows["stock_macd"].where(rows.index > 1)), WEEKLY21)
    with pytest.raises(DataError, match="stock_high at or above stock_low"):
        check_built_table(rows.assign(stock_high=rows["stock_low"] * 0.9), WEEKLY21)


# --- whole, or built again ---


@pytest.fixture
def built(tmp_path: Path) -> PreparedData:
    return prepare(replace(WORLD, split=DATES, folder=str(tmp_path / "own")), tmp_path)


def again(prepared: PreparedData) -> PreparedData:
    folder = prepared.files["train"].parent
    return prepare(replace(WORLD, split=DATES, folder=str(folder)), folder.parent)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_table_is_used_again(built: PreparedData) -> None:
    folder = built.files["train"].parent
    assert not built.reused
    assert again(built).reused
    assert not (folder / STAGING).exists()


def test_the_same_settings_give_the_same_bytes(built: PreparedData, tmp_path: Path) -> None:
    other = prepare(replace(WORLD, split=DATES, folder=str(tmp_path / "other")), tmp_path)
    assert snapshot(tmp_path / "own") == snapshot(tmp_path / "other")
    assert other.digest == built.digest
    entry = built.card["files"]["train"]
    assert entry["parts"].keys() == {"2019.parquet", "2020.parquet"}
    assert built.files["train"].name == entry["file"]


def test_a_part_that_was_changed_is_named(built: PreparedData) -> None:
    part = part_files(built.files["train"])[1]
    part.write_bytes(part.read_bytes() + b" ")
    with pytest.raises(DataError, match=rf"{part.name}: was changed since it was built"):
        again(built)


def test_a_part_that_is_missing_is_built_again_with_the_others_unless_a_strangers_file_is_there(
    built: PreparedData,
) -> None:
    folder = built.files["train"].parent
    before = snapshot(folder)
    part_files(built.files["train"])[1].unlink()
    assert not again(built).reused
    assert snapshot(folder) == before
    part_files(built.files["train"])[1].unlink()
    (built.files["train"] / "diary.txt").write_text("mine")
    with pytest.raises(DataError, match="is there already and was not built by these settings, or was changed since"):
        again(built)
    assert (built.files["train"] / "diary.txt").read_text() == "mine"


def test_a_build_that_was_killed_is_built_again(built: PreparedData) -> None:
    folder = built.files["train"].parent
    before = snapshot(folder)
    shutil.rmtree(folder)
    (folder / STAGING / "train").mkdir(parents=True)
    (folder / STAGING / "train" / "2018.parquet").write_bytes(b"half a part")
    assert not again(built).reused
    assert snapshot(folder) == before


def test_what_is_not_ours_is_not_touched(tmp_path: Path) -> None:
    stranger = tmp_path / "own" / "training_data_20190101-20211231"
    stranger.mkdir(parents=True)
    (stranger / "diary.txt").write_text("mine")
    with pytest.raises(DataError, match="was not built by these settings"):
        prepare(replace(WORLD, split=DATES, folder=str(tmp_path / "own")), tmp_path)
    assert (stranger / "diary.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "split",
    [
        SplitSettings(validation_start="2020-11-01", test_start="2022-05-01"),
        SplitSettings(validation_start="2019-01-03", embargo=2),
    ],
)
def test_a_split_without_rows_is_refused_and_leaves_nothing(tmp_path: Path, split: SplitSettings) -> None:
    with pytest.raises(DataError, match=r"data\.split") as whole:
        prepare(replace(WORLD, split=split, format="parquet"), tmp_path)
    with pytest.raises(DataError) as blockwise:
        prepare(replace(WORLD, split=split, folder=str(tmp_path / "own")), tmp_path)
    assert str(blockwise.value).split("among")[0] == str(whole.value).split("among")[0]
    left = {path.name for path in (tmp_path / "own").iterdir()}
    assert left == {".lock"}


def test_bars_too_short_for_any_row_are_told(tmp_path: Path, files: dict[str, str]) -> None:
    short = tmp_path / "bars.parquet"
    pd.read_parquet(files["in_order.parquet"]).groupby("ticker").head(60).to_parquet(short, index=False)
    with pytest.raises(DataError, match="no ticker has the 100 sessions"):
        prepare(replace(market_settings(files), bars=str(short)), tmp_path)


def test_a_cut_through_rows_cannot_be_in_parts() -> None:
    seed = {"source": "seed", "start": "2024-11-01", "end": "2024-11-30", "split": SplitSettings(by="row")}
    SyntheticSettings(**seed, format="parquet")
    with pytest.raises(ConfigError, match=r"data\.format=parts.*by=row"):
        SyntheticSettings(**seed, format="parts")


# --- worlds in blocks ---


def test_a_block_of_a_world_does_not_depend_on_the_blocks_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "BLOCK", 2)
    few, many = (
        list(drawing.generate_market_blocks(replace(WORLD, tickers=list(names)))) for names in ("ABCD", "ABCDEFG")
    )
    assert [len(blocks) for blocks in (few, many)] == [2, 4]
    for one, other in zip(few, many, strict=False):
        for part in ("bars", "news", "macro", "policy"):
            pd.testing.assert_frame_equal(getattr(one, part), getattr(other, part), check_exact=True)
    closes = [block.bars["close"].to_numpy() for block in many[:3]]
    assert not np.isin(closes[0], closes[1]).any()
    assert not np.isin(closes[1], closes[2]).any()


def test_a_world_of_one_block_is_the_first_of_a_larger_one(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = generate_market(replace(WORLD, tickers=list("ABC")))
    monkeypatch.setattr(drawing, "BLOCK", 3)
    joined = generate_market(replace(WORLD, tickers=list("ABCDE")))
    for part in ("bars", "news"):
        frame = getattr(joined, part)
        own = frame[frame["ticker"] <= "C"].reset_index(drop=True)
        pd.testing.assert_frame_equal(own, getattr(alone, part), check_exact=True)
    pd.testing.assert_frame_equal(joined.macro, alone.macro, check_exact=True)


def test_tickers_of_different_blocks_share_the_markets_shock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "BLOCK", 2)
    market: Market = generate_market(replace(WORLD, tickers=6, start="2005-01-01", signal=0.0))
    closes = market.bars.pivot(index="date", columns="ticker", values="close").to_numpy()
    moves = np.diff(np.log(closes[::5]), axis=0)
    correlation = np.corrcoef(moves.T)[np.triu_indices(6, 1)]
    assert correlation.min() > 0.04  # the square of the least correlation with the market is 0.09
    assert correlation.max() < 0.55


def test_a_world_of_many_blocks_is_built_in_parts_as_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "BLOCK", 2)
    check_same(replace(WORLD, labels=LABELS[2]), tmp_path)


def test_a_block_of_a_wide_table_has_fewer_bars() -> None:
    """So that what a build holds in memory does not grow with the number of columns."""
    many = replace(WORLD, frequency="daily", tickers=20_000, start="2005-01-01")
    rows = {name: building_parts.block_rows(replace(many, features=name)) for name in ("weekly21", *WIDE)}
    values = {name: rows[name] * len(load_feature_set(name).names) for name in rows}
    assert max(values.values()) <= 2 * values["weekly21"]
    assert 1 << 15 < rows["alpha360"] < rows["alpha158"] < rows["weekly21"]
    few = replace(WORLD, tickers=5)
    assert building_parts.block_rows(replace(few, features="alpha360")) == building_parts.block_rows(few)


@pytest.mark.filterwarnings("error::pandas.errors.PerformanceWarning")
@pytest.mark.parametrize("form", ["parts", "parquet"])
def test_a_wide_table_keeps_its_features_in_few_blocks(form: str, tmp_path: Path) -> None:
    """Pandas warns about a table of more than a hundred separate columns, which cost time and memory."""
    own = replace(WORLD, tickers=2, frequency="daily", format=form, features="alpha158", split=DATES)
    prepared = prepare(own, tmp_path)
    if form == "parquet":
        table = read_table(prepared.files["train"], own.feature_set, own.periods)
        table["split"] = 0
        assert table.shape[1] > 158
