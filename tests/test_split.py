"""Training, validation and test weeks: in date order, purged, and no setting that lets a label reach across."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from feature_sets import WEEKLY21
from ste.config import DataSettings, LabelSettings, MarketSettings, SplitSettings, SyntheticSettings, TableSettings
from ste.data.build.labelled_rows import build_table
from ste.data.build.prepare import prepare
from ste.data.splits import assign_splits, usable_rows
from ste.data.storage.tables import read_table
from ste.errors import ConfigError, DataError
from ste.market.calendar import WEEKS

FRIDAY = pd.Timestamp("2015-01-02")
SEED_PRESET = Path(__file__).parents[1] / "conf" / "data" / "seed.yaml"


def fridays(weeks: list[int], rows: int = 1) -> pd.Series:
    """`rows` rows on the Friday of each week, in date order."""
    return pd.Series(FRIDAY + pd.to_timedelta(7 * np.repeat(sorted(weeks), rows), unit="D"))


def check_purge(dates: pd.Series, split: np.ndarray, keep: np.ndarray, horizon: int, embargo: int) -> None:
    """The law: a row that counts has its label, and its embargo, before the first week of the next split."""
    weeks = WEEKS.index(dates)
    for code in (0, 1):
        later = weeks[split > code]
        counting = weeks[(split == code) & keep]
        assert len(counting) > 0
        if len(later):
            assert counting.max() + horizon + embargo < later.min()
            held_back = weeks[(split == code) & ~keep]
            assert (held_back + max(horizon, 1) + embargo >= later.min()).all()  # and no more than needed


weeks_of_a_table = st.sets(st.integers(0, 400), min_size=12, max_size=150).map(sorted)
horizons = st.integers(1, 12)
embargoes = st.integers(0, 8)


@settings(max_examples=100)
@given(
    weeks=weeks_of_a_table,
    rows=st.integers(1, 4),
    horizon=horizons,
    embargo=embargoes,
    validation=st.floats(0.05, 0.6),
    test=st.one_of(st.just(0.0), st.floats(0.05, 0.35)),
)
def test_no_label_reaches_the_next_split_when_cut_by_fractions(
    weeks: list[int], rows: int, horizon: int, embargo: int, validation: float, test: float
) -> None:
    dates = fridays(weeks, rows)
    chosen = SplitSettings(validation=validation, test=test, embargo=embargo)
    counts = np.floor(len(weeks) * np.array([1 - validation - test, validation, test]))
    assume((counts[: 2 if test == 0 else 3] >= 1).all())
    split = assign_splits(dates, chosen)
    keep = usable_rows(dates, split, chosen.purged_periods(horizon))
    wanted = [0, 1] if test == 0 else [0, 1, 2]
    assert sorted(set(split)) == wanted
    assert (np.diff(split) >= 0).all()  # in date order
    for week in set(WEEKS.index(dates)):
        assert len(set(split[WEEKS.index(dates) == week])) == 1  # a week lies in one split
    assert keep[split == wanted[-1]].all()
    assume(all(keep[split == code].any() for code in wanted))
    check_purge(dates, split, keep, horizon, embargo)


@settings(max_examples=100)
@given(
    days=st.sets(st.integers(0, 1500), min_size=30, max_size=200).map(sorted),
    horizon=horizons,
    embargo=embargoes,
    first=st.integers(200, 700),
    second=st.one_of(st.none(), st.integers(30, 600)),
)
def test_no_label_reaches_the_next_split_when_cut_by_dates(
    days: list[int], horizon: int, embargo: int, first: int, second: int | None
) -> None:
    """Rows on any day and cuts on any day: in the middle of a week too."""
    dates = pd.Series(FRIDAY + pd.to_timedelta(np.array(days), unit="D"))
    starts = [FRIDAY + pd.Timedelta(days=first)]
    if second is not None:
        starts.append(starts[0] + pd.Timedelta(days=second))
    chosen = SplitSettings(
        validation_start=f"{starts[0]:%Y-%m-%d}",
        test_start=f"{starts[1]:%Y-%m-%d}" if len(starts) > 1 else None,
        embargo=embargo,
    )
    expected = sum((dates >= start).to_numpy().astype(int) for start in starts)
    assume(set(expected) == set(range(len(starts) + 1)))
    split = assign_splits(dates, chosen)
    np.testing.assert_array_equal(split, expected)
    keep = usable_rows(dates, split, chosen.purged_periods(horizon))
    assume(all(keep[split == code].any() for code in (0, 1)))
    check_purge(dates, split, keep, horizon, embargo)


@settings(max_examples=200)
@given(horizon=horizons, embargo=embargoes, purge=st.one_of(st.none(), st.integers(0, 30)), by=st.just("date"))
def test_no_setting_lowers_the_gap_below_the_horizon(horizon: int, embargo: int, purge: int | None, by: str) -> None:
    chosen = SplitSettings(by=by, purge=purge, embargo=embargo)
    assert chosen.purged_periods(horizon) == max(purge or 0, horizon) + embargo >= horizon + embargo
    labels = LabelSettings(horizon=horizon)
    if purge is None or purge >= horizon:
        assert DataSettings(source="world", labels=labels, split=chosen).split.purged_periods(horizon) >= horizon
    else:
        with pytest.raises(ConfigError, match=f"data.split.purge={purge}: expected at least data.labels.horizon"):
            DataSettings(source="world", labels=labels, split=chosen)


def test_a_cut_by_hand() -> None:
    dates = fridays(list(range(10)), rows=2)
    chosen = SplitSettings(validation=0.3, test=0.2, embargo=1)
    split = assign_splits(dates, chosen)
    assert split.tolist() == [0] * 10 + [1] * 6 + [2] * 4
    assert split.dtype == np.int8
    keep = usable_rows(dates, split, chosen.purged_periods(horizon=1))
    # Two weeks of each split before the next are held back.
    assert keep.tolist() == [True] * 6 + [False] * 4 + [True] * 2 + [False] * 4 + [True] * 4
    assert usable_rows(dates, split, purge=0).all()


def test_the_purge_counts_calendar_weeks_and_not_rows() -> None:
    dates = fridays([0, 1, 2, 3, 10, 11])
    split = np.array([0, 0, 0, 0, 1, 1], dtype=np.int8)
    assert usable_rows(dates, split, purge=1).all()
    assert usable_rows(dates, split, purge=7).tolist() == [True] * 3 + [False] + [True] * 2


def test_the_purge_looks_at_whatever_split_comes_next() -> None:
    dates = fridays([0, 1, 2, 3, 4])
    for codes in ([0, 0, 0, 1, 2], [0, 0, 0, 2, 2]):
        keep = usable_rows(dates, np.array(codes, dtype=np.int8), purge=2)
        assert keep.tolist() == [True, False, False, codes[3] == 2, True]


@pytest.mark.parametrize(
    ("chosen", "name"),
    [
        (SplitSettings(validation=0.05, test=0.05), "validation"),
        (SplitSettings(validation_start="2014-01-01"), "train"),
        (SplitSettings(validation_start="2030-01-01"), "validation"),
        (SplitSettings(validation_start="2015-01-15", test_start="2030-01-01"), "test"),
    ],
)
def test_a_split_without_rows_is_told(chosen: SplitSettings, name: str) -> None:
    with pytest.raises(DataError, match=f"no rows for {name} among 5 from 2015-01-02 to 2015-01-30"):
        assign_splits(fridays(list(range(5))), chosen)


def test_a_purge_that_leaves_no_training_row_is_told() -> None:
    chosen = SyntheticSettings(
        source="world",
        tickers=1,
        start="2020-01-01",
        end="2020-06-30",
        labels=LabelSettings(horizon=4),
        split=SplitSettings(validation_start="2020-01-20", test_start="2020-04-01"),
    )
    with pytest.raises(DataError, match="no training row is left after the purge"):
        build_table(chosen)


@pytest.mark.parametrize("source", ["world", "market", "csv"])
def test_rows_may_not_be_cut_through_a_week_outside_the_seed_preset(source: str) -> None:
    kinds: dict[str, tuple[type[DataSettings], dict[str, Any]]] = {
        "world": (SyntheticSettings, {}),
        "market": (MarketSettings, {"bars": "bars.csv"}),
        "csv": (TableSettings, {"train": "a.csv", "validation": "b.csv"}),
    }
    kind, arguments = kinds[source]
    with pytest.raises(ConfigError, match=r"data\.split\.by=row: expected date"):
        kind(source=source, split=SplitSettings(by="row"), **arguments)
    assert kind(source=source, split=SplitSettings(by="date"), **arguments).split.purged_periods(1) == 1


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"by": "week"}, "data.split.by=week"),
        ({"validation": 0.0}, "data.split.validation=0.0"),
        ({"validation": 0.6, "test": 0.4}, "data.split.test=0.4"),
        ({"test": -0.1}, "data.split.test=-0.1"),
        ({"embargo": -1}, "data.split.embargo=-1"),
        ({"validation_start": "1 Jan 2020"}, "data.split.validation_start=1 Jan 2020"),
        ({"validation_start": "20200101"}, "data.split.validation_start=20200101"),
        ({"validation_start": "2020-01-01", "validation": 0.3}, "data.split.validation=0.3"),
        ({"test_start": "2020-01-01"}, "data.split.validation_start=null"),
        ({"validation_start": "2020-01-01", "test_start": "2020-01-01"}, "data.split.test_start=2020-01-01"),
    ],
)
def test_settings_that_cannot_be_cut_are_refused(arguments: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SplitSettings(**arguments)
    assert str(caught.value).startswith(key)


def seed_settings() -> SyntheticSettings:
    """The preset as it lies in conf/, without Hydra."""
    values = yaml.safe_load(SEED_PRESET.read_text())
    split = SplitSettings(**values.pop("split"))
    known = {key: value for key, value in values.items() if key not in ("defaults", "folder")}
    known |= {key: str(known[key]) for key in ("start", "end")}
    return SyntheticSettings(**known, split=split)


def test_the_seed_preset_gives_the_documents_23_and_12_rows(tmp_path: Path) -> None:
    prepared = prepare(seed_settings(), tmp_path)
    frames = {split: read_table(path, WEEKLY21) for split, path in prepared.files.items()}
    assert {split: len(frame) for split, frame in frames.items()} == {"train": 23, "validation": 12}
    days = [f"2024-11-{day:02d}" for day in (1, 8, 15, 22, 29)]
    dates = pd.concat([frame["date"] for frame in frames.values()])
    assert dates.dt.strftime("%Y-%m-%d").tolist() == [day for day in days for _ in range(7)]
    # Its cut goes through a week and holds nothing back, which its card admits.
    assert frames["train"]["date"].max() == frames["validation"]["date"].min()
    assert "without purge" in prepared.card["protocol"]
    assert prepared.card["purge"] == 0


@pytest.mark.parametrize("horizon", [1, 3])
def test_the_purged_rows_of_a_table_are_counted_in_its_card(tmp_path: Path, horizon: int) -> None:
    chosen = SyntheticSettings(
        source="world",
        tickers=3,
        start="2020-01-01",
        end="2020-12-31",
        labels=LabelSettings(horizon=horizon),
        split=SplitSettings(embargo=1),
    )
    card = prepare(chosen, tmp_path).card
    assert card["purge"] == horizon + 1
    purged = {split: entry["purged"] for split, entry in card["files"].items()}
    assert purged == {"train": 3 * (horizon + 1), "validation": 3 * (horizon + 1), "test": 0}


@settings(max_examples=200)
@given(rows=st.integers(6, 300), validation=st.floats(0.05, 0.6), test=st.one_of(st.just(0.0), st.floats(0.05, 0.35)))
def test_fractions_of_rows_partition_them(rows: int, validation: float, test: float) -> None:
    """The seed document's own cut: by rows, anywhere."""
    assume(min(rows * validation, rows * (1 - validation - test)) >= 2)
    assume(test == 0 or rows * test >= 2)
    split = assign_splits(fridays(list(range(rows))), SplitSettings(by="row", validation=validation, test=test))
    counts = np.bincount(split, minlength=3)
    assert (np.diff(split) >= 0).all()
    shares = np.array([1 - validation - test, validation, test])
    assert (np.abs(counts - rows * shares) <= 1.0 + 1e-6).all()
