"""Cuts of a panel into folds: what is trained on, validated on and tested on never touch."""

import re
from math import ceil, comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_sets import COLUMNS, WEEKLY21
from ste.config import LabelSettings, SplitSettings, SyntheticSettings, TableSettings, ValidationSettings
from ste.data.build.data_card import PreparedData
from ste.data.cross_validation import Fold, folds
from ste.data.panel import HISTORY, Panel
from ste.data.row_store import RowStore
from ste.errors import ConfigError, DataError
from ste.schema import DIRECTION, RETURN

START = pd.Timestamp("2001-01-05")
TRAIN, VALIDATION, TEST = range(3)


def panel_of(weeks: dict[str, list[int]], *, horizon: int = 1, purge: int | None = None, seed: int = 0) -> Panel:
    """Tickers with rows in the given weeks."""
    keys = [(ticker, week) for ticker in sorted(weeks) for week in sorted(weeks[ticker])]
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(1.0, index=range(len(keys)), columns=list(COLUMNS[2:]))
    frame[RETURN], frame[DIRECTION] = rng.normal(0.0, 0.03, len(keys)), rng.integers(0, 3, len(keys))
    frame["ticker"] = [ticker for ticker, _ in keys]
    frame["date"] = START + pd.to_timedelta([7 * week for _, week in keys], unit="D")
    chosen = SyntheticSettings(
        source="world",
        start="2001-01-01",
        end="2020-01-01",
        labels=LabelSettings(horizon=horizon),
        split=SplitSettings(purge=purge),
    )
    store = RowStore.from_frame(frame, WEEKLY21)
    return Panel(PreparedData({}, None, {}), chosen, store, np.zeros(len(keys), dtype=np.int8))


def weeks_of(panel: Panel, rows: np.ndarray) -> np.ndarray:
    return np.unique(panel.store.period[rows])


def all_weeks(panel: Panel) -> np.ndarray:
    return np.unique(panel.store.period)


def touches(label_rows: np.ndarray, horizon: int, other: np.ndarray) -> bool:
    """Whether a label's weeks, the row's own close to the horizon's, meet those of another set of rows or labels."""
    reach = {week + ahead for week in other.tolist() for ahead in range(horizon + 1)}
    return any(week + ahead in reach for week in label_rows.tolist() for ahead in range(horizon + 1))


@st.composite
def some_panels(draw: st.DrawFn, shortest: int = 60) -> Panel:
    """One to three tickers that begin, end and miss weeks as they like."""
    horizon = draw(st.integers(1, 4))
    purge = draw(st.one_of(st.none(), st.integers(horizon, 6)))
    length = draw(st.integers(shortest, 130))
    missing = draw(st.sets(st.integers(1, length - 2), max_size=12))
    whole = [week for week in range(length) if week not in missing]
    weeks = {"A": whole}
    for name in draw(st.sets(st.sampled_from("BC"))):
        first = draw(st.integers(0, length // 2))
        weeks[name] = [week for week in whole if week >= first and week % draw(st.integers(2, 9))]
    return panel_of(weeks, horizon=horizon, purge=purge)


def gap_of(panel: Panel) -> int:
    return max(panel.settings.split.purge or 0, panel.settings.labels.horizon)


def check_one(panel: Panel, cut: Fold, fraction: float) -> None:
    """What holds of every fold, whatever made it."""
    train, validation, test = (weeks_of(panel, cut.row_split == code) for code in (TRAIN, VALIDATION, TEST))
    horizon, gap = panel.settings.labels.horizon, gap_of(panel)
    assert len(train)
    assert len(validation)
    assert len(test)
    assert train.max() + gap < validation.min()
    assert not touches(train, horizon - 1, validation)
    for trained_on in (train, validation):
        distance = np.abs(trained_on[:, None] - test[None, :]).min()
        assert distance > gap  # on either side
    # A week has one role: no ticker is trained on in a week in which another is tested.
    roles = pd.Series(cut.row_split).groupby(panel.store.period).nunique()
    assert (roles == 1).all()
    known = len(train) + len(validation)
    assert len(validation) >= ceil(known * fraction)  # before the purge, which takes from training alone


# --- walk-forward ---


@settings(max_examples=60)
@given(
    panel=some_panels(),
    count=st.integers(2, 8),
    embargo=st.integers(0, 4),
    fraction=st.floats(0.05, 0.5),
    window=st.sampled_from(["expanding", "rolling"]),
)
def test_walk_forward_tests_each_week_once_after_what_it_learnt(
    panel: Panel, count: int, embargo: int, fraction: float, window: str
):
    chosen = ValidationSettings("walk_forward", count, window=window, embargo=embargo, fraction=fraction)
    known = all_weeks(panel)
    before_first = int(len(known) * 0.4) - gap_of(panel) - embargo
    if before_first - ceil(before_first * fraction) <= gap_of(panel):
        with pytest.raises(DataError, match="fold 0 would have no training period"):
            folds(panel, chosen)
        return
    cuts = folds(panel, chosen)
    assert [cut.number for cut in cuts] == list(range(count))
    tested = [weeks_of(panel, cut.row_split == TEST) for cut in cuts]
    sizes = [len(block) for block in tested]
    assert max(sizes) - min(sizes) <= 1
    np.testing.assert_array_equal(np.concatenate(tested), known[int(len(known) * 0.4) :])  # once each, in order
    for cut, test in zip(cuts, tested, strict=True):
        check_one(panel, cut, fraction)
        trained_on = weeks_of(panel, np.isin(cut.row_split, (TRAIN, VALIDATION)))
        assert trained_on.max() + gap_of(panel) + embargo < test.min()
        # No week more is left out than the gap asks for.
        at = np.searchsorted(known, [trained_on.max(), test.min()])
        assert at[1] - at[0] - 1 == gap_of(panel) + embargo
        assert (cut.path == 0).all()
        assert (cut.row_split[panel.store.period > test.max()] == HISTORY).all()
        if window == "expanding":
            assert trained_on.min() == known[0]


@pytest.mark.parametrize("train_periods", [None, 25])
def test_a_rolling_window_keeps_its_length(train_periods: int | None):
    panel = panel_of({"A": list(range(120)), "B": list(range(30, 120))})
    chosen = ValidationSettings("walk_forward", 5, window="rolling", train_periods=train_periods, fraction=0.2)
    for cut in folds(panel, chosen):
        trained_on = weeks_of(panel, cut.row_split != TEST)
        used = weeks_of(panel, np.isin(cut.row_split, (TRAIN, VALIDATION)))
        test = weeks_of(panel, cut.row_split == TEST)
        assert used.max() == test.min() - 2
        length = used.max() - used.min() + 1
        # By default as many weeks as there are before the first test, 40 % of 120.
        assert length == (train_periods or 48) or trained_on.min() == used.min() == all_weeks(panel)[0]
        if cut.number:
            assert length == (train_periods or 48)


def test_walk_forward_by_hand():
    panel = panel_of({"A": list(range(20))}, horizon=2)
    first, second = folds(panel, ValidationSettings("walk_forward", 2, fraction=0.25, embargo=1))
    # 40 % of 20 weeks come before the first test; two blocks of 6; 2 weeks of purge and 1 of embargo before each.
    expected = [TRAIN] * 1 + [HISTORY] * 2 + [VALIDATION] * 2 + [HISTORY] * 3 + [TEST] * 6 + [HISTORY] * 6
    assert first.row_split.tolist() == expected
    expected = [TRAIN] * 6 + [HISTORY] * 2 + [VALIDATION] * 3 + [HISTORY] * 3 + [TEST] * 6
    assert second.row_split.tolist() == expected


def test_the_first_test_can_be_named():
    panel = panel_of({"A": list(range(100))})
    start = START + pd.Timedelta(weeks=70)
    cuts = folds(panel, ValidationSettings("walk_forward", 4, test_start=f"{start:%Y-%m-%d}"))
    tested = weeks_of(panel, np.any([cut.row_split == TEST for cut in cuts], axis=0))
    dates = panel.store.frame["date"][np.isin(panel.store.period, tested)]
    assert dates.min() - start < pd.Timedelta(weeks=1)
    assert dates.min() >= start
    assert len(tested) == 30  # also what does not divide into folds


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        (ValidationSettings("walk_forward", 30), "the tables have 40 weeks, and 24 of them are to be tested in 30"),
        (ValidationSettings("walk_forward", 2, test_start="2001-01-01"), "40 of them are to be tested in 2 folds"),
        (ValidationSettings("walk_forward", 2, test_start="2031-01-01"), "0 of them are to be tested in 2 folds"),
        (ValidationSettings("walk_forward", 2, embargo=39), "are to be tested in 2 folds"),
        (ValidationSettings("walk_forward", 2, window="rolling", train_periods=2), "fold 0 would have no training"),
    ],
)
def test_too_few_weeks_are_told(chosen: ValidationSettings, found: str):
    panel = panel_of({"A": list(range(40))})
    with pytest.raises(DataError, match=rf"^validation: .*{found}.* Try a smaller validation\.folds"):
        folds(panel, chosen)


# --- combinatorial ---


@settings(max_examples=40)
@given(
    panel=some_panels(shortest=90),
    count=st.integers(3, 7),
    tests=st.integers(2, 3),
    embargo=st.integers(0, 4),
    fraction=st.floats(0.05, 0.3),
)
def test_combinatorial_folds_are_purged_on_both_sides_and_test_each_week_once_a_path(
    panel: Panel, count: int, tests: int, embargo: int, fraction: float
):
    tests = min(tests, count - 1)
    chosen = ValidationSettings("combinatorial", count, test_folds=tests, embargo=embargo, fraction=fraction)
    if len(all_weeks(panel)) // count <= gap_of(panel) + embargo + 1:
        with pytest.raises(DataError, match="is too short for a purge"):
            folds(panel, chosen)
        return
    # Weeks that are trained on at least: of each block that is not tested, what purges and embargo leave.
    least = (count - tests) * max(0, len(all_weeks(panel)) // count - 2 * gap_of(panel) - embargo)
    refusal, cuts = "", []
    try:
        cuts = folds(panel, chosen)
    except DataError as error:
        refusal = str(error)
    if refusal:
        assert re.search("fold [0-9]+ would have no (training|validation) period", refusal)
        assert least - ceil(least * fraction) <= gap_of(panel)
        return
    assert len(cuts) == comb(count, tests)
    known = all_weeks(panel)
    paths: dict[int, list[int]] = {}
    for cut in cuts:
        check_one(panel, cut, fraction)
        test = cut.row_split == TEST
        assert (cut.path[~test] == 0).all()
        for path in np.unique(cut.path[test]):
            paths.setdefault(int(path), []).extend(weeks_of(panel, test & (cut.path == path)))
        # The embargo follows each tested block.
        tested = weeks_of(panel, test)
        trained_on = weeks_of(panel, np.isin(cut.row_split, (TRAIN, VALIDATION)))
        after = [trained_on[trained_on > week].min() for week in tested if (trained_on > week).any()]
        before = [tested[tested < week].max() for week in after]
        assert all(late - early > gap_of(panel) + embargo for early, late in zip(before, after, strict=True))
    assert sorted(paths) == list(range(comb(count - 1, tests - 1)))
    for path, weeks in paths.items():
        assert sorted(weeks) == known.tolist(), path


def test_a_combination_by_hand():
    panel = panel_of({"A": list(range(24))})
    cuts = folds(panel, ValidationSettings("combinatorial", 4, test_folds=2, embargo=1, fraction=0.25))
    assert len(cuts) == 6
    first = [TEST] * 12 + [HISTORY] * 2 + [TRAIN] * 6 + [HISTORY] * 1 + [VALIDATION] * 3
    assert cuts[0].row_split.tolist() == first
    # Blocks 0 and 3 tested: purge on both sides of what is left, the embargo after block 0 alone.
    (outer,) = [cut for cut in cuts if cut.row_split[0] == TEST and cut.row_split[-1] == TEST]
    inner = [HISTORY] * 2 + [TRAIN] * 5 + [HISTORY] * 1 + [VALIDATION] * 3 + [HISTORY] * 1
    assert outer.row_split.tolist() == [TEST] * 6 + inner + [TEST] * 6


def test_too_few_weeks_for_combinations_are_told():
    told = r"the tables have 30 weeks, and a fold of 5 is too short for a purge of 3 and an embargo of 1\. Try a"
    with pytest.raises(DataError, match=told):
        folds(panel_of({"A": list(range(30))}, horizon=3), ValidationSettings("combinatorial", 6, embargo=1))
    with pytest.raises(DataError, match=r"the tables have 33 weeks, and fold \d+ would have no training period"):
        folds(
            panel_of({"A": list(range(33))}, horizon=4), ValidationSettings("combinatorial", 3, fraction=0.5, embargo=4)
        )


def test_more_folds_than_weeks_are_told():
    with pytest.raises(DataError, match="the tables have 5 weeks"):
        folds(panel_of({"A": list(range(5))}), ValidationSettings("combinatorial", 8, test_folds=2))


def test_too_many_combinations_are_told():
    with pytest.raises(ConfigError, match=r"test_folds=20: 137,846,528,820 combinations of 40 folds .*test_folds=2"):
        folds(panel_of({"A": list(range(400))}), ValidationSettings("combinatorial", 40, test_folds=20))


# --- labels that training rows decide ---


def balanced(panel: Panel, kind: type = SyntheticSettings) -> Panel:
    labels = LabelSettings(method="balanced")
    if kind is TableSettings:
        chosen = TableSettings(source="csv", train="a.csv", validation="b.csv", labels=labels)
    else:
        chosen = SyntheticSettings(source="world", start="2001-01-01", end="2020-01-01", labels=labels)
    return Panel(panel.prepared, chosen, panel.store, panel.row_split)


def test_balanced_thresholds_of_a_fold_come_from_its_own_training_rows():
    panel = balanced(panel_of({"A": list(range(80)), "B": list(range(80))}))
    edges = []
    for cut in folds(panel, ValidationSettings("walk_forward", 3)):
        own = panel.with_row_split(cut.row_split)
        returns = panel.store.frame[RETURN].to_numpy()
        low, high = np.quantile(returns[cut.row_split == TRAIN], [1 / 3, 2 / 3])
        expected = np.where(returns < low, 0, np.where(returns > high, 2, 1))
        assert own.store.label.tolist() == expected.tolist()
        counts = np.bincount(own.store.label[cut.row_split == TRAIN], minlength=3)
        assert counts.max() - counts.min() <= 1
        assert own.relabelled
        assert own.truth is None
        edges.append((low, high))
        # Other returns after training change no threshold.
        moved = panel.store.frame.copy()
        moved.loc[cut.row_split != TRAIN, RETURN] *= 5.0
        other = Panel(
            panel.prepared, panel.settings, RowStore.from_frame(moved, WEEKLY21), panel.row_split
        ).with_row_split(cut.row_split)
        assert other.store.label[cut.row_split == TRAIN].tolist() == expected[cut.row_split == TRAIN].tolist()
    assert len(set(edges)) == 3


def test_labels_that_do_not_depend_on_training_rows_stay():
    panel = panel_of({"A": list(range(60))})
    cut = folds(panel, ValidationSettings("walk_forward", 2))[0]
    own = panel.with_row_split(cut.row_split)
    assert own.store is panel.store
    assert not own.relabelled
    assert (own.row_split == cut.row_split).all()
    ready = balanced(panel, TableSettings).with_row_split(cut.row_split)  # a ready table's labels are its own
    assert ready.store.label.tolist() == panel.store.label.tolist()
    assert not ready.relabelled
