"""Label methods against independent computations, and the law of their ends: none reaches the next split."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_sets import WEEKLY21
from ste.config import DataSettings, LabelSettings, SplitSettings, SyntheticSettings, TableSettings
from ste.config.load import build_settings
from ste.data.build.labelled_rows import build_table
from ste.data.build.prepare import prepare
from ste.data.history_only import history_only_rows
from ste.data.panel import HISTORY, Panel
from ste.data.splits import end_reach, usable_periods
from ste.data.storage.tables import read_table
from ste.data.table_labels import TableLabels
from ste.errors import ConfigError, DataError
from ste.labels.label_check import check_label, random_bars, weekly_rows
from ste.labels.label_method import NO_TREND, AllRows, LabelRows, Labels, label_method
from ste.labels.targets import fit_to_rows, labelled_returns, with_trends
from ste.market.calendar import WEEKS
from ste.registry import LABELS
from ste.schema import DIRECTION, LABEL_END, MOVEMENT, RETURN, ROW_PERIOD, ROW_VOLATILITY

BARRIERS = {"upper": 1.2, "lower": -0.8}


def labels_of(method: str, **values: object) -> LabelSettings:
    return build_settings(LabelSettings, {"method": method, **values})


def labelled(settings: LabelSettings, bars: pd.DataFrame, ends: pd.DataFrame | None = None) -> pd.DataFrame:
    """Rows of bars with their trends; `without` where they have none."""
    method = label_method(settings)
    rows = labelled_returns(weekly_rows(bars), method, bars, WEEKS, ends)
    rows, without = with_trends(rows, method, fit_to_rows(method, rows))
    return rows.assign(without=without)


# --- triple barrier ---


def barrier_of(own: pd.DataFrame, row: SimpleNamespace, horizon: int) -> tuple[int, float, int] | None:
    """Trend, return and week of the first barrier that one row's closes touch, bar by bar."""
    high, low = (row.period_close * (1 + multiple * row.volatility) for multiple in BARRIERS.values())
    later = own[own["date"] > row.date]
    for _, bar in later[later["week"] <= row.period + horizon].iterrows():
        if bar["close"] >= high or bar["close"] <= low:
            return (
                (2 if bar["close"] >= high else 0),
                bar["close"] / row.period_close - 1,
                max(bar["week"], row.period + 1),
            )
    last = later[later["week"] == row.period + horizon]
    friday = WEEKS.last_sessions(last["date"][-1:]) if len(last) else []
    if not len(last) or last["date"].iloc[-1] != friday[0]:
        return None
    return 1, last["close"].iloc[-1] / row.period_close - 1, row.period + horizon


@pytest.mark.parametrize("horizon", [1, 3, 8])
def test_the_first_barrier_that_a_close_touches_decides(horizon: int) -> None:
    bars = random_bars(seed=horizon, tickers=3, sessions=180)
    bars = bars.drop(index=bars.index[[60, 61, 62, 63, 64, 65, 250]]).reset_index(drop=True)  # a week is missing
    weeks = bars.assign(week=WEEKS.index(bars["date"]))
    found = labelled(labels_of("triple_barrier", horizon=horizon, **BARRIERS), bars)
    known = {(row.ticker, row.period): row for row in found.itertuples()}
    ends = dict(zip(known, WEEKS.index(found[LABEL_END]), strict=True))
    counts = {0: 0, 1: 0, 2: 0}
    for row in weekly_rows(bars).itertuples():
        expected = barrier_of(weeks[weeks["ticker"] == row.ticker], row, horizon)
        key = row.ticker, row.period
        assert (key in known) == (expected is not None)
        if expected is not None:
            trend, change, week = expected
            assert (getattr(known[key], DIRECTION), ends[key]) == (trend, week)
            assert getattr(known[key], RETURN) == pytest.approx(change, abs=1e-12)
            assert getattr(known[key], MOVEMENT) == pytest.approx(change * row.period_close)
            counts[trend] += 1
    assert min(counts[0], counts[2]) > 3
    assert counts[1] > 3 or horizon == 8


def test_a_delisting_closes_the_vertical_barrier_and_may_lie_beyond_the_others() -> None:
    bars = random_bars(0, tickers=1, sessions=60)
    rows = weekly_rows(bars)
    last, close = bars["date"].iloc[-1], bars["close"].iloc[-1]
    period = int(WEEKS.index(np.array([last], dtype="datetime64[D]"))[0])
    ends = pd.DataFrame(
        {"ticker": ["T0"], "date": [last], "period": [period], "close": [close], "value": [0.0], "known": [period]}
    )
    wide = labels_of("triple_barrier", horizon=4, upper=50.0)
    assert labelled(wide, bars)[ROW_PERIOD].max() == rows[ROW_PERIOD].max() - 4
    closed = labelled(wide, bars, ends).set_index(ROW_PERIOD)
    final = rows[ROW_PERIOD].max()
    assert closed.index.max() == final  # the last row too
    assert closed.loc[final, RETURN] == -1.0
    assert closed.loc[final, DIRECTION] == (0 if 50 * rows[ROW_VOLATILITY].iloc[-1] <= 1 else 1)
    near = labelled(labels_of("triple_barrier", horizon=4, upper=8.0), bars, ends).set_index(ROW_PERIOD)
    assert near.loc[final, [RETURN, DIRECTION]].tolist() == [-1.0, 0]


# --- comparisons across tickers ---


@settings(max_examples=40, deadline=None)
@given(
    returns=st.lists(st.lists(st.integers(-4, 4), min_size=1, max_size=9), min_size=1, max_size=5),
    classes=st.sampled_from([2, 3, 4, 5]),
)
def test_a_cross_section_is_cut_at_the_quantiles_of_each_date(returns: list[list[int]], classes: int) -> None:
    period = np.repeat(np.arange(len(returns)), [len(each) for each in returns])
    values = np.concatenate(returns).astype(float) / 100
    every = np.ones(len(values), dtype=bool)
    method = label_method(labels_of("cross_sectional", classes=classes))
    order = np.random.default_rng(0).permutation(len(values))
    fitted = method.fit(AllRows(every, period[order], values[order], every, every))
    _, trends = method.trends(values, period, values, fitted)
    count = 3 if classes < 4 else 5
    for week, own in enumerate(returns):
        found = trends[period == week].tolist()
        if len(own) < count:
            assert found == [NO_TREND] * len(own)
            continue
        cuts = [np.percentile(np.array(own) / 100, 100 * part / count) for part in range(1, count)]
        half = count // 2
        for value, trend in zip(own, found, strict=True):
            below = sum(value / 100 < cut for cut in cuts[:half])
            above = sum(value / 100 > cut for cut in cuts[half:])
            assert trend == half - below + above
        assert len({(value, trend) for value, trend in zip(own, found, strict=True)}) == len(set(own))  # ties


def test_rows_of_dates_with_few_tickers_are_history_only_and_counted() -> None:
    chosen = SyntheticSettings(
        source="world", tickers=2, start="2020-01-01", end="2020-12-31", labels=LabelSettings(method="cross_sectional")
    )
    with pytest.raises(DataError, match=r"cross_sectional: 106 rows are on dates with too few tickers.*=terciles"):
        build_table(chosen)
    bars = random_bars(0, tickers=4, sessions=120)
    bars = bars[(bars["ticker"] < "T2") | (bars["date"] >= "2018-04-02")].reset_index(drop=True)
    rows = labelled(labels_of("cross_sectional"), bars)
    few = rows.groupby("date")["ticker"].transform("size") < 3
    assert 0 < few.sum() < len(rows)
    np.testing.assert_array_equal(rows["without"], few)


@pytest.mark.parametrize("benchmark", [None, "T2"])
def test_an_excess_is_over_the_mean_of_the_tickers_or_over_the_benchmark(benchmark: str | None) -> None:
    bars = random_bars(3, tickers=4, sessions=150)
    plain = labelled(labels_of("fixed", horizon=2), bars)
    rows = labelled(labels_of("excess", horizon=2, threshold=0.02, benchmark=benchmark), bars)
    wide = plain.pivot(index="date", columns="ticker", values=RETURN)
    market = wide.mean(axis=1) if benchmark is None else wide[benchmark]
    expected = wide.sub(market, axis=0).stack()[pd.MultiIndex.from_frame(rows[["date", "ticker"]])].to_numpy()
    np.testing.assert_allclose(rows[RETURN], expected, atol=1e-12)
    np.testing.assert_array_equal(rows[DIRECTION], np.where(expected > 0.02, 2, np.where(expected < -0.02, 0, 1)))
    np.testing.assert_array_equal(rows["without"], rows["ticker"] == benchmark)
    with pytest.raises(DataError, match=r"data.labels.benchmark=SPY: no row is of that ticker. The rows are of T0, T1"):
        labelled(labels_of("excess", benchmark="SPY"), bars)


# --- ends and the purge ---


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 8), st.integers(1, 5), st.integers(1, 5)),
    horizon=st.integers(1, 5),
    purge=st.one_of(st.none(), st.integers(0, 7)),
    embargo=st.integers(0, 3),
    data=st.data(),
)
def test_a_row_is_usable_where_its_own_label_ends_before_the_next_split(sizes, horizon, purge, embargo, data) -> None:
    period = np.arange(sum(sizes))
    split = np.repeat([0, 1, 2], sizes).astype(np.int8)
    ahead = np.array(data.draw(st.lists(st.integers(1, horizon), min_size=len(period), max_size=len(period))))
    chosen = SplitSettings(validation=0.2, test=0.2, purge=purge, embargo=embargo)
    reach = end_reach(period + ahead, period, chosen)
    usable = usable_periods(period, split, chosen.purged_periods(horizon), reach)
    for row in range(len(period)):
        later = period[split > split[row]]
        ends = row + max(ahead[row], purge or 0) + embargo
        assert usable[row] == (not len(later) or ends < later.min())


@pytest.mark.parametrize("format_", ["csv", "parquet", "parts"])
@pytest.mark.parametrize(("horizon", "embargo"), [(3, 0), (8, 2)])
def test_no_label_of_a_table_reaches_the_next_split(tmp_path: Path, format_: str, horizon: int, embargo: int) -> None:
    chosen = SyntheticSettings(
        source="world",
        tickers=4,
        start="2019-01-01",
        end="2021-12-31",
        format=format_,
        labels=labels_of("triple_barrier", horizon=horizon, **BARRIERS),
        split=SplitSettings(validation_start="2020-07-01", test_start="2021-04-01", embargo=embargo),
    )
    prepared = prepare(chosen, tmp_path)
    panel = Panel.read(prepared, chosen)
    store, split = panel.store, panel.row_split
    assert store.label_end is not None
    assert ((store.label_end > store.period) & (store.label_end <= store.period + horizon)).all()
    for code in (0, 1):
        start = store.period[store.columns.split > code].min()
        own = store.columns.split == code
        assert (store.label_end[split == code] + embargo < start).all()
        np.testing.assert_array_equal(split[own] == HISTORY, store.label_end[own] + embargo >= start)
        late = own & (store.period + horizon + embargo >= start)
        assert (split[late] == code).any()  # what a purge by the horizon would have lost
    counts = [entry["purged"] for entry in prepared.card["files"].values()]
    assert counts == [int(((store.columns.split == code) & (split == HISTORY)).sum()) for code in range(3)]
    if format_ != "parts":  # the same table as the user's own files
        files = {name: str(path) for name, path in prepared.files.items()}
        ready = TableSettings(source="csv", labels=chosen.labels, split=SplitSettings(embargo=embargo), **files)
        again = Panel.read(prepare(ready, tmp_path), ready)
        np.testing.assert_array_equal(again.row_split, split)
        short = TableLabels.of(labels_of("triple_barrier", horizon=1))
        with pytest.raises(DataError, match=rf"label_end.*data.labels.horizon=1.*try data.labels.horizon={horizon}"):
            read_table(files["train"], WEEKLY21, labels=short)


def test_the_same_settings_give_the_same_bytes(tmp_path: Path) -> None:
    chosen = SyntheticSettings(
        source="world", tickers=3, start="2020-01-01", end="2021-12-31", labels=labels_of("triple_barrier", horizon=4)
    )
    first, second = (prepare(chosen, tmp_path / name) for name in "ab")
    assert first.digest == second.digest
    header = first.files["train"].read_text().split("\n")[0].split(",")
    assert header[-1] == LABEL_END
    assert (pd.read_csv(first.files["train"], parse_dates=[LABEL_END])[LABEL_END].dt.day_of_week >= 3).all()


# --- the user's own labels ---


@pytest.fixture
def own_function(monkeypatch: pytest.MonkeyPatch):
    """Register functions for one test."""
    known = dict(LABELS.items())

    def register(function):
        monkeypatch.setitem(known, function.__name__, function)
        return function

    monkeypatch.setattr(LABELS, "_components", known)
    return register


def next_open(rows: LabelRows, least: float = 0.001, end: int = 1) -> Labels:
    """Whether the next session opens above or below the close."""
    bars, at = rows.bars, np.minimum(rows.bar + 1, len(rows.bars.close) - 1)
    known = (bars.history[at] == bars.history[rows.bar]) & (at > rows.bar)
    gap = np.where(known, bars.open[at] / rows.close - 1.0, np.nan)
    classes = 1 + (gap > least).astype(np.int64) - (gap < -least)
    classes[rows.period % 10 == 0] = NO_TREND
    return Labels(classes, gap, np.where(known, end, 0))


def late(rows: LabelRows) -> Labels:
    """Read a close two weeks ahead and say that it is one."""
    at = np.minimum(rows.bar + 10, len(rows.bars.close) - 1)
    one = rows.bars.history[at] == rows.bars.history[rows.bar]
    change = np.where(one, rows.bars.close[at] / rows.close - 1, np.nan)
    return Labels(1 + np.sign(np.nan_to_num(change)).astype(np.int64), change, np.ones(len(rows), dtype=np.int64))


def relative(rows: LabelRows) -> Labels:
    """Compare the tickers of a date, and not say so."""
    change = rows.ahead / rows.close - 1
    over = change - pd.Series(change).groupby(rows.period).transform("mean").to_numpy()
    classes = 1 + np.sign(np.nan_to_num(over)).astype(np.int64)
    return Labels(classes, change, np.full(len(rows), rows.horizon))


def test_a_function_is_a_label_with_parameters_and_its_own_end(own_function) -> None:
    own_function(next_open)
    bars = random_bars(1, tickers=2, sessions=100)
    rows = labelled(labels_of("next_open", least=0.002), bars)
    days = bars.assign(gap=bars.groupby("ticker")["open"].shift(-1) / bars["close"] - 1)
    gap = days.set_index(["date", "ticker"])["gap"].loc[list(zip(rows["date"], rows["ticker"], strict=True))].to_numpy()
    np.testing.assert_allclose(rows[RETURN], gap)
    tenth = rows[ROW_PERIOD] % 10 == 0
    assert tenth.any()
    np.testing.assert_array_equal(rows["without"], tenth)
    expected = np.where(tenth, 1, np.where(gap > 0.002, 2, np.where(gap < -0.002, 0, 1)))
    np.testing.assert_array_equal(rows[DIRECTION], expected)
    np.testing.assert_array_equal(WEEKS.index(rows[LABEL_END]), rows[ROW_PERIOD] + 1)
    with pytest.raises(DataError, match=r"data.labels.horizon=2: \d+ labels end later, up to 3 weeks.*horizon=3"):
        labelled(labels_of("next_open", horizon=2, end=3), bars)
    for wrong, message in (({"leats": 1}, "Did you mean data.labels.least"), ({"least": "x"}, "a finite number")):
        with pytest.raises(ConfigError, match=message):
            labels_of("next_open", **wrong)


def test_a_table_of_an_own_function_marks_rows_without_a_class(own_function, tmp_path: Path) -> None:
    own_function(next_open)
    chosen = SyntheticSettings(
        source="world", tickers=3, start="2020-01-01", end="2020-12-31", labels=labels_of("next_open")
    )
    prepared = prepare(chosen, tmp_path)
    panel = Panel.read(prepared, chosen)
    count = int((panel.store.period % 10 == 0).sum())
    assert count > 6
    assert f"labels: {count} rows without a class: history only (first: AAPL 2020-" in "".join(prepared.card["notes"])
    np.testing.assert_array_equal(panel.store.columns.history_only, panel.store.period % 10 == 0)
    assert (panel.row_split[panel.store.columns.history_only] == HISTORY).all()
    assert history_only_rows(read_table(prepared.files["train"], WEEKLY21)).any()


@pytest.mark.parametrize(
    ("method", "values"),
    [
        *((name, {}) for name in ("fixed", "terciles", "cross_sectional", "excess", "triple_barrier")),
        ("volatility", {"threshold": 0.5}),
        ("excess", {"benchmark": "T1"}),
    ],
)
def test_every_method_keeps_to_the_end_that_it_states(method: str, values: dict) -> None:
    assert check_label(method, values, seed=4) == []
    assert {*LABELS} - {"column"} == {"fixed", "volatility", "terciles", "cross_sectional", "excess", "triple_barrier"}


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (next_open, None),
        (late, "a label does not change where the bars after its end are removed: the label of T"),
        (relative, "the labels of a ticker do not depend on other tickers: those of T0 do"),
        (lambda rows: Labels(np.full(len(rows), 7), rows.ahead, np.ones(len(rows), dtype=int)), "classes 7 to 7"),
        (lambda rows: Labels(np.zeros(3, dtype=int), rows.ahead, np.ones(len(rows), dtype=int)), r"of shape \(3,\)"),
        (lambda rows: Labels(np.ones(len(rows), dtype=int), rows.close, np.full(len(rows), 9)), "labels end later"),
    ],
)  # fmt: skip
def test_the_check_names_what_is_wrong_with_a_label(own_function, function, found: str | None) -> None:
    function.__name__ = function.__name__.strip("<>")
    own_function(function)
    faults = check_label(function.__name__)
    if found is None:
        assert faults == []
    else:
        with pytest.raises(AssertionError, match=found):
            raise AssertionError(str(faults[0]))


@pytest.mark.parametrize("classes", [2, 3, 4, 5])
def test_a_column_of_a_ready_table_is_the_label(tmp_path: Path, classes: int) -> None:
    world = SyntheticSettings(source="world", tickers=3, start="2019-01-01", end="2021-12-31")
    files = {}
    for split, path in prepare(world, tmp_path).files.items():
        frame = read_table(path, WEEKLY21)
        own = np.random.default_rng(len(frame)).integers(0, classes, len(frame))
        frame = frame.drop(columns=[DIRECTION, MOVEMENT, RETURN]).assign(mine=own, later=np.arange(len(frame)) / 1e4)
        files[split] = str(tmp_path / f"{split}.csv")
        frame.to_csv(files[split], index=False, date_format="%Y-%m-%d")
    chosen = TableSettings(
        source="csv", labels=labels_of("column", column="mine", return_column="later", classes=classes), **files
    )
    panel = Panel.read(prepare(chosen, tmp_path), chosen)
    expected = pd.concat([pd.read_csv(path) for path in files.values()]).sort_values(["ticker", "date"])
    np.testing.assert_array_equal(panel.store.label, expected["mine"])
    np.testing.assert_allclose(panel.store.columns.returns, expected["later"])
    frame = pd.read_csv(files["train"]).assign(mine=classes)
    frame.to_csv(files["train"], index=False)
    with pytest.raises(DataError, match=rf"column mine, line 2.*found {classes}, .*; expected one of the classes 0 \("):
        prepare(chosen, tmp_path)
    frame.drop(columns="mine").to_csv(files["train"], index=False)
    with pytest.raises(DataError, match="missing column mine"):
        prepare(chosen, tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"method": "triple_barrier", "uper": 1.0},
            r"data.labels.uper: no such setting.*mean data.labels.upper",
        ),
        ({"method": "triple_barrier", "upper": 0.0}, r"data.labels.upper=0.0: expected a multiple of the volatility"),
        ({"method": "triple_barrier", "lower": 1.0}, r"data.labels.lower=1.0: expected a negative multiple"),
        ({"method": "triple_barrier", "classes": 5}, r"data.labels.classes=5: expected one of 2, 3"),
        ({"method": "fixed", "upper": 1.0}, r"data.labels.upper: no such setting of data.labels.method=fixed"),
        ({"method": "fixed", "classes": 5, "threshold": 0.0}, r"data.labels.threshold=0.0: expected above 0"),
        ({"method": "terciles", "threshold": 0.3}, r"data.labels.threshold=0.3: expected 0.01 with .*terciles"),
        ({"method": "column"}, r"data.labels.column=: expected a column of the table"),
        ({"method": "excess", "benchmark": 7}, r"data.labels.benchmark=7: expected text, or null"),
        ({"method": "tercile"}, r"data.labels.method=tercile: expected one of .*Try data.labels.method=terciles"),
        ({"weights": "young"}, r"data.labels.weights=young: expected one of none, age, uniqueness, both"),
    ],
)
def test_a_setting_that_a_method_does_not_take_is_named(values: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_settings(LabelSettings, values)


def test_a_column_is_asked_for_where_there_are_bars(tmp_path: Path) -> None:
    chosen: DataSettings = SyntheticSettings(source="world", tickers=2, labels=labels_of("column", column="mine"))
    with pytest.raises(DataError, match=r"data.labels.column=mine: .*Try data=csv"):
        prepare(chosen, tmp_path)
