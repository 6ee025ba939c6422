"""Any exchange's calendar: sessions, weeks and months, the check of bars against it, and the spacing of bars."""

import json
from dataclasses import replace
from pathlib import Path

import exchange_calendars
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_sets import WEEKLY21
from onnx_files import tiny_card
from ste.config import MarketSettings, SyntheticSettings, TableSettings
from ste.data.build.prepare import prepare
from ste.data.panel import Panel
from ste.data.sources.market_files import market_blocks, read_market
from ste.errors import ConfigError, DataError, RunError
from ste.evaluation.predictions import Predictions
from ste.features.feature_rows import feature_rows
from ste.inference.card_market import open_market
from ste.inference.inputs import rows_of_bars
from ste.inference.model_card import ModelCard
from ste.market.bar_adjustment import adjusted_bars
from ste.market.calendar import NEW_YORK, Periods, calendar_of_days, trading_calendar
from ste.market.calendar_check import check_calendar, fitting_calendars
from ste.market.read_summary import ReadSummary
from ste.market.spans import span_days, span_numbers
from ste.schema import ROW_PERIOD, ROW_VOLATILITY
from ste.serving.bars_request import examples_of_bars
from ste.serving.openapi_examples import predict_bars
from ste.streaming.engine import check_streamable
from ste.synthetic.generator import generate_market

EXCHANGES = ("XLON", "XBOM", "XSHG", "XTKS", "24/7")
START, END = "2017-01-02", "2018-12-31"


def days_of(name: str, start: str = START, end: str = END) -> pd.DatetimeIndex:
    """Sessions straight from the library."""
    calendar = exchange_calendars.get_calendar(name, start="2015-01-01", end="2020-12-31")
    return calendar.sessions_in_range(start, end).tz_localize(None)


def bars_on(days: pd.DatetimeIndex, tickers: tuple[str, ...] = ("A", "B"), seed: int = 0) -> pd.DataFrame:
    rng, parts = np.random.default_rng(seed), []
    for ticker in tickers:
        close = 50.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, len(days))))
        columns = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": 1000.0}
        parts.append(pd.DataFrame({"ticker": ticker, "date": days, **columns}))
    return pd.concat(parts, ignore_index=True)


def file_of(bars: pd.DataFrame, folder: Path, name: str = "bars.parquet", **options: str) -> MarketSettings:
    path = folder / name
    bars.to_parquet(path, index=False) if name.endswith("parquet") else bars.to_csv(path, index=False)
    return MarketSettings(source="market", bars=str(path), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", EXCHANGES)
def test_every_session_and_week_of_an_exchange_is_used(tmp_path: Path, name: str) -> None:
    days = days_of(name)
    market = read_market(file_of(bars_on(days), tmp_path, calendar=name))
    assert len(market.bars) == 2 * len(days)
    assert market.summary.set_aside == market.summary.doubts == {}
    ends = pd.Series(days, index=days).groupby(days.to_period("W-SUN")).last()
    ends = ends[(ends >= days[99]) & (ends < pd.Timestamp(END) - pd.Timedelta(days=7))]
    rows = feature_rows(market, "weekly", WEEKLY21)
    own = rows[(rows["ticker"] == "A") & (rows["date"] <= ends.max())]
    assert own["date"].tolist() == ends.tolist()
    assert (np.diff(own[ROW_PERIOD]) == 1).all()  # also across weeks in which the exchange is closed
    months = pd.Series(days, index=days).groupby(days.to_period("M")).last()
    monthly = feature_rows(market, "monthly", WEEKLY21)
    assert monthly.loc[monthly["ticker"] == "B", "date"].tolist() == months[months >= days[99]].tolist()
    assert feature_rows(market, "daily", WEEKLY21)["date"].nunique() == len(days) - 99


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_wrong_calendar_is_refused_and_the_right_one_named(tmp_path: Path, name: str) -> None:
    chosen = file_of(bars_on(days_of(name)), tmp_path)
    with pytest.raises(DataError, match=rf"without a session of XNYS .*data\.calendar={name}\."):
        read_market(chosen)
    with pytest.raises(DataError, match=rf"data\.calendar={name}\."):
        list(market_blocks(chosen, 400))  # before the last block is trained on
    other = "24/7" if name != "24/7" else "XTKS"
    with pytest.raises(DataError, match=rf"data\.calendar={name}\."):
        read_market(replace(chosen, calendar=other))


def test_a_calendar_with_more_sessions_is_refused_though_no_row_is_lost(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no ticker has a bar on .* sessions of 24/7; .*data\.calendar=XNYS"):
        read_market(file_of(bars_on(days_of("XNYS")), tmp_path, calendar="24/7"))


def test_days_of_no_exchange_are_pointed_to_their_own_calendar(tmp_path: Path) -> None:
    days = pd.date_range(START, END)
    days = days[days.day_of_week.isin([1, 2, 3, 5])]
    chosen = file_of(bars_on(days), tmp_path)
    with pytest.raises(DataError, match=r"no exchange has these days\. Train with data\.calendar=bars"):
        read_market(chosen)
    market = read_market(replace(chosen, calendar="bars"))
    assert len(market.bars) == 2 * len(days)
    assert (
        np.diff(feature_rows(market, "weekly", WEEKLY21).loc[lambda rows: rows["ticker"] == "A", ROW_PERIOD]) == 1
    ).all()


def test_a_thin_ticker_is_no_reason_to_refuse_a_calendar(tmp_path: Path) -> None:
    days = days_of("XNYS")
    thin = days[np.random.default_rng(1).random(len(days)) > 0.1]
    assert len(read_market(file_of(bars_on(thin), tmp_path)).bars) == 2 * len(thin)


def test_a_few_rows_off_the_calendar_are_set_aside_and_counted() -> None:
    bars = bars_on(days_of("XNYS", "2018-01-02", "2018-03-14"), ("A",))
    bars.loc[10, "date"] = pd.Timestamp("2018-01-20")  # one of fifty, as in a request
    summary = ReadSummary()
    assert len(adjusted_bars(bars, summary)) == len(bars) - 1
    check_calendar(summary, NEW_YORK, "bars")
    found = summary.set_aside["on days without a session of XNYS"]
    assert (found.rows, found.first) == (1, "A 2018-01-20")


@pytest.mark.parametrize("off", [4, 12])
def test_one_percent_of_the_rows_may_lie_off_the_calendar(off: int) -> None:
    days = days_of("XNYS")
    weekend = pd.date_range(START, END)
    weekend = weekend[weekend.day_of_week == 5][:off]
    bars, summary = bars_on(days.append(weekend).sort_values(), ("A",)), ReadSummary()
    adjusted_bars(bars, summary)
    if off == 4:
        check_calendar(summary, NEW_YORK, "bars")
        assert summary.sessions == len(days)
    else:
        with pytest.raises(DataError, match=rf"^bars: {off} of {len(bars)} rows are on days without a session"):
            check_calendar(summary, NEW_YORK, "bars")


def test_the_days_of_each_exchange_are_recognized() -> None:
    for name in ("XNYS", "XHKG", "XETR"):
        assert fitting_calendars(days_of(name))[0] == (name, 0.0)


@pytest.mark.parametrize(("name", "week"), [("XNYS", 5), ("XLON", 5), ("XSHG", 5), ("XTKS", 5), ("24/7", 7)])
def test_a_year_has_the_sessions_of_its_exchange(name: str, week: int) -> None:
    calendar = trading_calendar(name)
    years = exchange_calendars.get_calendar(name, start="2010-01-01", end="2019-12-31").sessions
    assert (calendar.sessions_per_week, calendar.sessions_per_year) == (week, round(len(years) / 10))
    assert [Periods(each, calendar).per_year for each in ("weekly", "monthly")] == [52, 12]
    assert [Periods(each, calendar).bars for each in ("daily", "weekly", "monthly")] == [
        1,
        week,
        30 if week > 5 else 21,
    ]


def test_predictions_are_annualized_by_their_calendar(tmp_path: Path) -> None:
    frame = pd.DataFrame({"date": days_of("XSHG")[:3]})
    stored = Predictions(frame, ("Downtrend", "Uptrend"), "daily", calendar="XSHG")
    stored.write(tmp_path / "p.parquet")
    read = Predictions.read(tmp_path / "p.parquet")
    assert read.row_periods.per_year == trading_calendar("XSHG").sessions_per_year != 252
    assert (np.diff(read.periods) == 1).all()


def test_names_are_found_by_alias_and_unknown_ones_refused_with_near_names(tmp_path: Path) -> None:
    assert SyntheticSettings(source="world", calendar="NYSE").calendar == "XNYS"
    assert trading_calendar("xlon") == trading_calendar("XLON")
    with pytest.raises(ConfigError, match=r"data\.calendar=XLN: .*Try data\.calendar=XLON"):
        SyntheticSettings(source="world", calendar="XLN")
    with pytest.raises(ConfigError, match=r"data=world has no file of bars"):
        prepare(SyntheticSettings(source="world", calendar="bars"), tmp_path)


def test_a_week_that_starts_on_sunday_stays_together() -> None:
    calendar = trading_calendar("XSAU")
    days = exchange_calendars.get_calendar("XSAU", start="2022-01-01", end="2024-12-31").sessions.tz_localize(None)
    ends = Periods("weekly", calendar).ends(days)
    expected = pd.Series(days, index=days).groupby(days.to_period("W-SAT")).last()
    assert ends.tolist() == expected.tolist()
    assert set(ends.day_of_week) <= {0, 1, 2, 3, 6}


def test_news_of_a_closed_week_is_known_when_trading_resumes() -> None:
    weeks = Periods("weekly", trading_calendar("XSHG"))
    during, before, after = (pd.DatetimeIndex([day]) for day in ("2020-10-03", "2020-09-30", "2020-10-09"))
    assert weeks.known(during) == weeks.index(after) == weeks.index(before) + 1
    assert Periods("monthly", weeks.calendar).known(pd.DatetimeIndex(["2020-10-31"])) == weeks.index(after) * 0 + 610


def test_usual_weekdays_continue_a_calendar_beyond_what_is_known(tmp_path: Path) -> None:
    days = trading_calendar("XTKS").sessions(pd.Timestamp("1995-01-02"), pd.Timestamp("1995-01-13"))
    assert days.tolist() == pd.bdate_range("1995-01-02", "1995-01-13").tolist()
    known = exchange_calendars.get_calendar("XTKS", start="1997-01-01", end="2000-12-31").sessions.tz_localize(None)
    early = pd.bdate_range("1994-01-03", "1996-12-31")
    traded = early[np.random.default_rng(0).random(len(early)) > 0.05].append(known)  # holidays before 1997
    market = read_market(file_of(bars_on(traded), tmp_path, calendar="XTKS"))
    assert len(market.bars) == 2 * len(traded)
    assert any("XTKS is known from 1997-01-01 on" in note for note in market.notes)


@settings(max_examples=30)
@given(st.sets(st.integers(0, 3000), min_size=1, max_size=400))
def test_the_days_of_bars_can_be_stored_in_a_name(offsets: set[int]) -> None:
    days = pd.DatetimeIndex(sorted(pd.Timestamp("2001-05-05") + pd.Timedelta(days=each) for each in offsets))
    calendar = trading_calendar(calendar_of_days(days).name)
    assert calendar.label == "bars"
    assert calendar.sessions(days[0], days[-1]).equals(days.as_unit("ns"))
    assert (
        calendar.session_numbers(days).tolist() == (calendar.session_numbers(days[:1]) + np.arange(len(days))).tolist()
    )


@pytest.mark.parametrize(("last", "complete"), [("2018-12-21", True), ("2018-12-20", False)])
def test_the_newest_week_of_bars_ends_on_their_last_usual_weekday(tmp_path: Path, last: str, complete: bool) -> None:
    market = read_market(
        file_of(bars_on(days_of("XSHG", END.replace("12-31", "01-02"), last)), tmp_path, calendar="bars")
    )
    assert (feature_rows(market, "weekly", WEEKLY21)["date"].max() == pd.Timestamp(last)) is complete


def test_bars_of_their_own_calendar_are_read_from_the_tables_alike(tmp_path: Path) -> None:
    days = days_of("XSHG")
    chosen = file_of(bars_on(days), tmp_path, calendar="bars", frequency="daily")
    prepared = prepare(chosen, tmp_path / "tables")
    panel = Panel.read(prepared, chosen)
    own = panel.store.period[: len(panel.store) // 2]
    assert (np.diff(own) == 1).all()
    assert panel.settings.periods.calendar.sessions(days[0], days[-1]).equals(days.as_unit("ns"))
    parts = replace(chosen, format="parts", folder=str(tmp_path / "parts"))
    mapped = Panel.read(prepare(parts, tmp_path), parts)
    assert mapped.store.period.tolist() == panel.store.period.tolist()
    files = {split: str(path) for split, path in prepared.files.items()}
    ready = TableSettings(source="csv", frequency="daily", calendar="bars", **files)  # type: ignore[arg-type]
    again = Panel.read(prepare(ready, tmp_path), ready)
    assert again.store.period.tolist() == panel.store.period.tolist()
    with pytest.raises(DataError, match=r"built with bars, .* Try data\.calendar=bars"):
        prepare(replace(ready, calendar="XNYS"), tmp_path)
    (prepared.files["train"].parent / next(prepared.files["train"].parent.glob("data_card*"))).unlink()
    with pytest.raises(DataError, match=r"data\.calendar=XSHG"):
        prepare(replace(ready, calendar="XNYS"), tmp_path)


def test_monthly_rows_depend_on_the_past_alone() -> None:
    market = generate_market(
        SyntheticSettings(source="world", frequency="monthly", tickers=2, start="2020-01-01", end="2020-12-31")
    )
    rows = feature_rows(market, "monthly", WEEKLY21).set_index(["ticker", "date"])
    assert rows.index.get_level_values("date").max() == pd.Timestamp("2021-01-29")
    close = pd.Timestamp("2020-06-30")
    assert market.news is not None
    bars, news = market.bars, market.news
    later = bars.assign(close=bars["close"].where(bars["date"] <= close, bars["low"]))
    other = replace(market, bars=later, news=news[news["date"] <= close])
    changed = feature_rows(other, "monthly", WEEKLY21).set_index(["ticker", "date"])
    known = rows.index[rows.index.get_level_values("date") <= close]
    assert len(known) >= 10
    pd.testing.assert_frame_equal(changed.loc[known], rows.loc[known], check_exact=True)


WEEKLY = {
    "Monday": pd.date_range("2014-01-06", "2018-12-24", freq="W-MON"),
    "Friday": pd.date_range("2014-01-10", "2018-12-28", freq="W-FRI"),
}


@pytest.mark.parametrize("weekday", WEEKLY)
def test_weekly_bars_are_used_as_weeks_and_refused_as_days(tmp_path: Path, weekday: str) -> None:
    days = WEEKLY[weekday]
    chosen = file_of(bars_on(days), tmp_path)
    for frequency in ("daily", "monthly"):
        with pytest.raises(DataError, match=r"bars: are weekly \(A: 2014-01-.*data\.frequency=weekly, or give daily"):
            read_market(replace(chosen, frequency=frequency))
    market = read_market(chosen)
    ends = days_of("XNYS", "2015-01-02", END)
    last = pd.Series(ends, index=ends.to_period("W-SUN")).groupby(level=0).last()
    rows = feature_rows(market, "weekly", WEEKLY21)
    own = rows[(rows["ticker"] == "A") & (rows["date"] >= "2016-01-01")]
    assert own["date"].tolist() == [
        day
        for day in last
        if pd.Timestamp("2016-01-01") <= day <= days[-1] + pd.Timedelta(days=6 - days[-1].day_of_week)
    ]
    close = pd.Series(market.bars.loc[market.bars["ticker"] == "A", "close"].to_numpy())
    np.testing.assert_allclose(own["stock_sma_20"], close.rolling(20).mean().to_numpy()[-len(own) :])
    expected = np.log(close).diff().rolling(20).std(ddof=0).to_numpy()[-len(own) :]
    np.testing.assert_allclose(own[ROW_VOLATILITY], expected)  # of weeks, not scaled by the root of five
    assert [note for note in market.notes if f"bars are weekly dated {weekday}: " in note]
    blocks = list(market_blocks(chosen, 1))
    assert {block.spacing for block in blocks} == {"weekly"}


def test_a_weekly_bar_dated_sunday_is_never_known_too_early(tmp_path: Path) -> None:
    market = read_market(file_of(bars_on(pd.date_range("2014-01-05", "2018-12-23", freq="W-SUN")), tmp_path))
    assert market.bars["date"].iloc[0] == pd.Timestamp("2014-01-10")
    assert any("dated Sunday is taken as the week that begins then" in note for note in market.notes)


@pytest.mark.parametrize(
    "days", [pd.date_range("2008-01-01", "2018-11-01", freq="MS"), pd.date_range("2008-01-31", "2018-11-30", freq="ME")]
)
def test_monthly_bars_are_used_as_months(tmp_path: Path, days: pd.DatetimeIndex) -> None:
    chosen = file_of(bars_on(days), tmp_path, frequency="monthly")
    market = read_market(chosen)
    assert market.bars["date"].iloc[[0, -1]].max() == pd.Timestamp("2018-11-30")
    assert len(feature_rows(market, "monthly", WEEKLY21)) == 2 * (len(days) - 99)
    with pytest.raises(DataError, match=r"are monthly .*data\.frequency=monthly"):
        read_market(replace(chosen, frequency="weekly"))
    with pytest.raises(DataError, match=r"are 91 days apart .*Give daily bars"):
        read_market(file_of(bars_on(pd.date_range("2000-01-01", periods=40, freq="91D")), tmp_path, name="q.parquet"))


def test_weekly_bars_of_an_exchange_that_was_open_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"8 of 520 bars are in weeks without a session of XSHG \(first: A 2016-02-12"):
        read_market(file_of(bars_on(WEEKLY["Friday"]), tmp_path, calendar="XSHG"))


def test_a_second_bar_of_a_week_is_set_aside(tmp_path: Path) -> None:
    days = WEEKLY["Monday"].append(pd.DatetimeIndex(["2018-12-26"]))  # the running week under today's date
    market = read_market(file_of(bars_on(days), tmp_path))
    assert any("2 rows in the same week as the ticker's bar before set aside" in note for note in market.notes)
    assert len(market.bars) == 2 * (len(days) - 1)


def test_a_model_follows_its_calendar_and_the_spacing_of_its_bars(tmp_path: Path) -> None:
    days = days_of("XSHG")
    chosen = file_of(bars_on(days), tmp_path, name="bars.csv")
    card = replace(tiny_card(), calendar="XSHG")
    market = open_market(card, {"bars": chosen.bars})
    assert (
        rows_of_bars(market, card)["date"].nunique() == feature_rows(market, "weekly", WEEKLY21)["date"].nunique() > 70
    )
    with pytest.raises(DataError, match=r"XSHG\. The model was trained on the calendar XNYS: give bars of it\.$"):
        open_market(tiny_card(), {"bars": chosen.bars})
    own = replace(card, calendar=calendar_of_days(days[:300]).name)
    assert len(open_market(own, {"bars": chosen.bars}).bars) == 2 * len(days)  # also days after those of training
    with pytest.raises(RunError, match=r"data\.calendar=bars, so the sessions to come are unknown.*XSHG"):
        check_streamable(own)
    weekly = replace(tiny_card(), spacing="weekly")
    with pytest.raises(DataError, match="was trained on weekly bars"):
        open_market(weekly, {"bars": file_of(bars_on(days_of("XNYS")), tmp_path, name="n.csv").bars})
    with pytest.raises(RunError, match="a stream has daily ones"):
        check_streamable(weekly)


@pytest.mark.parametrize("frequency", ["daily", "weekly", "monthly"])
@pytest.mark.parametrize("calendar", ["XNYS", "XSHG", "24/7", "bars"])
def test_the_service_takes_bars_of_any_calendar(calendar: str, frequency: str) -> None:
    stored = calendar_of_days(days_of("XSHG")).name if calendar == "bars" else calendar
    card = replace(tiny_card(), calendar=stored, frequency=frequency)
    body = predict_bars(card)["one ticker"]["value"]
    examples = examples_of_bars(json.dumps(body).encode(), card)
    assert [str(day)[:10] for day in examples.dates] == [body["bars"][-1]["date"]]
    assert len(examples_of_bars(json.dumps(body | {"every": True}).encode(), card).tickers) == 1


def test_cards_without_a_calendar_are_of_new_york() -> None:
    content = json.loads(tiny_card().to_json())
    del content["calendar"], content["spacing"]
    card = ModelCard.from_json(json.dumps(content), "m")
    assert (card.calendar, card.periods.calendar.label, card.spacing) == ("XNYS", "XNYS", "daily")


@given(
    day=st.integers(-20_000, 40_000),
    frequency=st.sampled_from(["daily", "weekly", "monthly"]),
    before=st.integers(0, 6),
)
def test_a_day_lies_in_the_span_of_its_number(day: int, frequency: str, before: int) -> None:
    when = np.datetime64(day, "D")
    number = int(span_numbers(np.array([when]), frequency, before)[0])
    first, last = span_days(number, frequency, before)
    assert first <= when <= last
    assert span_numbers(np.array([first - 1, first, last, last + 1]), frequency, before).tolist() == [
        number - 1, number, number, number + 1,
    ]  # fmt: skip


def test_bars_of_two_spacings_are_refused() -> None:
    summary = ReadSummary()
    summary.spacing = "monthly"
    with pytest.raises(DataError, match="some are weekly, others monthly"):
        adjusted_bars(bars_on(WEEKLY["Monday"]), summary)
