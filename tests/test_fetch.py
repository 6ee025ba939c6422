"""`ste.fetch` against a server of the test that answers like Yahoo and FRED."""

import sys
from collections.abc import Iterator
from pathlib import Path

import fredapi
import numpy as np
import pandas as pd
import pytest
import requests
import yfinance
from yfinance.data import YfData

from data_services import LoopbackAdapter, Services, Stock, serving
from ste.config import FetchSettings, MarketSettings
from ste.data.sources.market_files import read_market
from ste.errors import ConfigError
from ste.fetching.fetch_report import FetchedItem, FetchReport
from ste.fetching.fred import first_releases, lagged_releases
from ste.market.calendar import NEW_YORK

FAST = ("pause=0", "backoff=0")
BARS, ACTIONS = Path("data_output/yahoo/bars.csv"), Path("data_output/yahoo/actions.csv")
MACRO = Path("data_output/fred/macro.csv")


def stock(seed: int, start: str = "2024-01-02", end: str = "2024-12-31", **events: dict[str, float]) -> Stock:
    days = NEW_YORK.sessions(pd.Timestamp(start), pd.Timestamp(end))
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, len(days))))
    for day, ratio in events.get("splits", {}).items():
        close[days >= day] /= ratio
    return Stock(days, close, rng.integers(1_000, 9_000, len(days)), **events)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep yfinance's cache of time zones out of the home folder; it can be moved once a process."""
    yfinance.set_tz_cache_location(str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def services(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """The server, with three stocks; every request of yfinance and fredapi goes to it."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    known = {
        "AAPL": stock(1, dividends={"2024-03-15": 0.5}, splits={"2024-08-01": 4.0}),
        "MSFT": stock(2, dividends={"2024-05-15": 0.75, "2024-07-16": 0.75}),
        "NEW": stock(3, start="2024-06-26"),
    }
    with serving(Services(stocks=known)) as server:
        session = requests.Session()
        session.trust_env = False
        session.mount("https://", LoopbackAdapter(server))
        YfData.cache_get.cache_clear()
        YfData(session=session)
        monkeypatch.setattr(fredapi.Fred, "root_url", f"{server.url}/fred")
        monkeypatch.setenv("FRED_API_KEY", "good")
        yield server


def bars_of(ticker: str, path: Path = BARS) -> pd.DataFrame:
    frame = pd.read_csv(path, parse_dates=["date"], keep_default_na=False)
    return frame[frame["ticker"] == ticker].drop(columns="ticker").set_index("date")


def assert_as_given(services: Services, ticker: str) -> None:
    given = services.stocks[ticker].answer(services.today)
    found = bars_of(ticker)
    assert list(found.index) == list(given.index)
    for name, own in {"open": "open", "high": "high", "low": "low", "close": "close", "adj": "adj_close"}.items():
        assert np.allclose(found[own], given[name], rtol=1e-8), name
    assert np.array_equal(found["volume"], given["volume"])


# --- Yahoo ---


def test_two_tickers_are_written_as_the_service_gives_them(services: Services, call):
    code, out, errors = call("fetch", "source=yahoo", "tickers=[AAPL,MSFT]", *FAST)
    assert code == 0, errors
    header = BARS.read_text().splitlines()[0]
    assert header == "ticker,date,open,high,low,close,adj_close,volume"
    assert_as_given(services, "AAPL")
    assert_as_given(services, "MSFT")
    assert ACTIONS.read_text().splitlines() == [
        "ticker,date,dividend,split",
        "AAPL,2024-03-15,0.5,0",
        "MSFT,2024-05-15,0.75,0",
    ]
    assert all(len(line) <= 80 for line in out.splitlines())
    (line,) = [line for line in out.splitlines() if line.startswith("AAPL")]
    assert line.split() == ["AAPL", "124", "2024-01-02", "2024-06-28", "0", "0", "new"]
    assert "python -m ste.train data=market data.bars=data_output/yahoo/bars.csv" in out


def test_a_second_call_asks_for_the_last_days_only_and_adds_the_new_ones(services: Services, call):
    call("fetch", "tickers=[AAPL,MSFT]", *FAST)
    services.asked.clear()
    services.today = "2024-07-10"
    code, out, _ = call("fetch", "tickers=[AAPL,MSFT]", *FAST)
    assert code == 0
    assert services.asked == [("AAPL", "2024-06-21"), ("MSFT", "2024-06-21")]  # the sixth last stored session
    assert [line.split()[-2:] for line in out.splitlines()[1:3]] == [["+7", "rows"]] * 2
    assert_as_given(services, "AAPL")
    assert_as_given(services, "MSFT")


def test_a_call_without_new_days_changes_no_byte(services: Services, call):
    call("fetch", "tickers=[AAPL,MSFT]", *FAST)
    before = BARS.read_bytes(), ACTIONS.read_bytes()
    code, out, _ = call("fetch", "tickers=[AAPL,MSFT]", *FAST)
    assert code == 0
    assert "+0 rows" in out
    assert (BARS.read_bytes(), ACTIONS.read_bytes()) == before


@pytest.mark.parametrize(("ticker", "day", "action"), [("AAPL", "2024-08-02", "split"), ("MSFT", "2024-07-17", "div")])
def test_a_new_split_or_dividend_fetches_the_ticker_as_a_whole(
    services: Services, call, ticker: str, day: str, action: str
):
    call("fetch", "tickers=[AAPL,MSFT]", *FAST)
    old = bars_of(ticker)
    services.asked.clear()
    services.today = day
    code, out, _ = call("fetch", "tickers=[AAPL,MSFT]", *FAST)
    assert code == 0
    asked = [start for name, start in services.asked if name == ticker]
    assert asked[0] == "2024-06-21"
    assert len(asked) == 2
    assert asked[1] < "1970"
    assert f"{ticker}: a split or dividend changed its history, which was fetched again" in out
    assert_as_given(services, "AAPL")
    assert_as_given(services, "MSFT")
    new = bars_of(ticker)
    ratio = (new["close"] / old["close"]).dropna()
    assert np.allclose(ratio, 0.25 if action == "split" else 1.0)
    assert (new["adj_close"].reindex(old.index) < old["adj_close"]).all()


def test_many_calls_give_the_bytes_of_a_single_one(services: Services, call):
    """Through a split and three dividends, with a session that is open at some of the calls."""
    days = services.stocks["AAPL"].days
    visits = np.sort(np.random.default_rng(0).choice(np.arange(20, len(days)), 5, replace=False))
    for number, at in enumerate(visits):
        services.today, services.session_open = f"{days[at]:%Y-%m-%d}", number % 2 == 0
        assert call("fetch", "tickers=[AAPL,MSFT]", *FAST)[0] == 0
    assert call("fetch", "tickers=[AAPL,MSFT]", "folder=single", *FAST)[0] == 0
    for own in (BARS, ACTIONS):
        assert own.read_bytes() == (Path("single") / own.name).read_bytes()


def test_the_last_stored_session_is_replaced(services: Services, call):
    call("fetch", "tickers=AAPL", *FAST)
    known = services.stocks["AAPL"]
    at = known.days.get_loc(pd.Timestamp(services.today))
    known.close[at] *= 1.01  # the first call came before the final price
    call("fetch", "tickers=AAPL", *FAST)
    assert_as_given(services, "AAPL")


def test_a_session_that_has_not_ended_is_left_out(services: Services, call):
    services.session_open = True
    assert call("fetch", "tickers=AAPL", *FAST)[0] == 0
    assert f"{bars_of('AAPL').index.max():%Y-%m-%d}" == "2024-06-27"


def test_a_ticker_with_few_sessions_is_fetched_as_a_whole(services: Services, call):
    call("fetch", "tickers=NEW", *FAST)
    services.today = "2024-07-02"
    call("fetch", "tickers=NEW", *FAST)
    assert_as_given(services, "NEW")


def test_refused_requests_are_repeated(services: Services, call):
    services.refuse = 4  # yfinance itself asks twice
    code, out, errors = call("fetch", "tickers=[AAPL,MSFT]", *FAST)
    assert code == 0, errors
    assert services.refuse == 0
    assert "failed" not in out
    assert_as_given(services, "AAPL")
    assert_as_given(services, "MSFT")


def test_a_service_that_goes_on_refusing_is_given_up(services: Services, call):
    call("fetch", "tickers=AAPL", *FAST)
    before = BARS.read_bytes()
    services.refuse = 1_000
    code, out, errors = call("fetch", "tickers=[AAPL,MSFT,NEW]", "retries=2", *FAST)
    assert code == 2
    assert "failed: AAPL: the service answers that there were too many requests" in out
    assert "failed: NEW: not asked for" in out
    assert "nothing was fetched" in errors
    assert "Traceback" not in errors
    assert 1_000 - services.refuse <= 3 * 2  # three attempts at one ticker
    assert BARS.read_bytes() == before


def test_an_unknown_ticker_is_listed_and_the_others_are_fetched(services: Services, call):
    code, out, _ = call("fetch", "tickers=[AAPL,NOSUCH,MSFT]", *FAST)
    assert code == 0
    (line,) = [line for line in out.splitlines() if line.startswith("failed")]
    assert line == "failed: NOSUCH: Yahoo has no such ticker, or no longer has it"
    assert_as_given(services, "AAPL")
    assert_as_given(services, "MSFT")
    code, out, errors = call("fetch", "tickers=[NOSUCH1,NOSUCH2,NOSUCH3]", "folder=none", *FAST)
    assert out.count("no such ticker") == 3
    assert code == 2
    assert "nothing was fetched" in errors
    assert not Path("none").exists()


def test_an_interrupted_call_keeps_what_was_fetched_and_goes_on(services: Services, call):
    services.interrupt = "MSFT"
    code, _, errors = call("fetch", "tickers=[AAPL,MSFT,NEW]", *FAST)
    assert code == 130
    assert "goes on from there" in errors
    assert_as_given(services, "AAPL")
    assert set(pd.read_csv(BARS)["ticker"]) == {"AAPL"}
    services.interrupt, services.today = "", "2024-07-01"
    services.asked.clear()
    assert call("fetch", "tickers=[AAPL,MSFT,NEW]", *FAST)[0] == 0
    assert services.asked[0] == ("AAPL", "2024-06-21")
    assert len(services.asked) == 3
    for ticker in services.stocks:
        assert_as_given(services, ticker)


def test_tickers_come_from_a_file_and_other_tickers_stay(services: Services, call):
    call("fetch", "tickers=MSFT", *FAST)
    Path("names.txt").write_text("AAPL  # Apple\n\nNEW\nAAPL\n")
    assert call("fetch", "tickers=names.txt", *FAST)[0] == 0
    assert list(pd.read_csv(BARS)["ticker"].unique()) == ["AAPL", "MSFT", "NEW"]
    Path("names.txt").write_text("AAPL, MSFT\n")
    code, _, errors = call("fetch", "tickers=names.txt", *FAST)
    assert code == 2
    assert "names.txt, line 1" in errors
    assert call("fetch", "tickers=missing.txt", *FAST)[0] == 2
    assert call("fetch", *FAST)[0] == 2


@pytest.mark.parametrize("ticker", ["NULL", "TRUE", "BRK-B", "^GSPC", "EURUSD=X", "600519.SS"])
def test_a_ticker_is_a_name_whatever_it_looks_like(services: Services, call, ticker: str):
    services.stocks[ticker] = stock(5)
    code, _, errors = call("fetch", f"tickers={ticker}", *FAST)
    assert code == 0, errors
    assert list(pd.read_csv(BARS, dtype=str, keep_default_na=False)["ticker"].unique()) == [ticker]
    services.asked.clear()
    call("fetch", f"tickers={ticker}", *FAST)
    assert services.asked == [(ticker, "2024-06-21")]


def test_a_ticker_has_one_spelling(services: Services, call):
    assert call("fetch", "tickers=[aapl,AAPL]", *FAST)[0] == 0
    assert list(pd.read_csv(BARS)["ticker"].unique()) == ["AAPL"]


@pytest.mark.parametrize("source", ["yahoo", "fred"])
def test_a_file_of_the_users_own_is_not_replaced(services: Services, call, source: str):
    own = Path("mine") / ("bars.csv" if source == "yahoo" else "macro.csv")
    own.parent.mkdir()
    own.write_text("mine\n1\n")
    code, _, errors = call("fetch", f"source={source}", "tickers=AAPL", "folder=mine", *FAST)
    assert code == 2
    assert str(own) in errors
    assert own.read_text() == "mine\n1\n"
    assert services.asked == []


def test_gaps_and_splits_are_counted(services: Services, call):
    services.today = "2024-12-31"
    known = services.stocks["AAPL"]
    kept = ~known.days.isin(pd.to_datetime(["2024-02-01", "2024-02-02", "2024-09-03"]))
    services.stocks["AAPL"] = Stock(known.days[kept], known.close[kept], known.volume[kept], {}, known.splits)
    _, out, _ = call("fetch", "tickers=AAPL", *FAST)
    assert out.splitlines()[1].split()[4:6] == ["3", "1"]


def test_gaps_are_counted_by_the_chosen_calendar(services: Services, call):
    services.today = "2024-12-31"
    _, out, _ = call("fetch", "tickers=AAPL", "calendar=24/7", *FAST)
    days = services.stocks["AAPL"].days
    assert out.splitlines()[1].split()[4] == str((days[-1] - days[0]).days + 1 - len(days))
    code, _, errors = call("fetch", "tickers=AAPL", "calendar=XNIS", *FAST)
    assert code == 2
    assert "calendar=XNIS: expected a calendar of exchange_calendars" in errors
    assert "data.calendar" not in errors


def test_what_was_fetched_is_a_market_and_trains(services: Services, call):
    services.today = "2024-12-31"
    call("fetch", "tickers=[AAPL,MSFT]", *FAST)
    market = read_market(MarketSettings(source="market", bars=str(BARS)))
    given = services.stocks["AAPL"].answer(services.today)["adj"]
    own = market.bars[market.bars["ticker"] == "AAPL"].set_index("date")["close"]
    assert np.allclose(own, given)
    assert own.pct_change().abs().max() < 0.1  # neither the split nor a dividend is a return
    code, out, errors = call("train", "data=market", f"data.bars={BARS}", "model=logistic", "scoring.resamples=100")
    assert code == 0, errors
    assert "Logistic" in out


# --- FRED ---


def monthly(start: str, count: int, first: float, growth: float) -> dict[str, list[tuple[str, float | None]]]:
    """Months that are released 40 days later, and revised by 1 % a month after that."""
    out: dict[str, list[tuple[str, float | None]]] = {}
    for number, month in enumerate(pd.date_range(start, periods=count, freq="MS")):
        released = month + pd.Timedelta(days=40)
        value = round(first * (1 + growth) ** number, 6)
        revised = f"{released + pd.Timedelta(days=30):%Y-%m-%d}", round(value * 1.01, 6)
        out[f"{month:%Y-%m-%d}"] = [(f"{released:%Y-%m-%d}", value), revised]
    return out


@pytest.fixture
def fred(services: Services) -> Services:
    days = pd.date_range("2024-01-05", "2024-01-16")
    services.releases = {
        "UNRATE": monthly("2023-01-01", 14, 4.0, 0.01),
        "CPIAUCSL": monthly("2022-01-01", 26, 300.0, 0.002),
        "GDPC1": {
            "2023-07-01": [("2023-10-26", 22_000.0)],
            "2023-10-01": [("2024-01-25", 22_100.0), ("2024-02-28", 22_150.0)],
            "2024-01-01": [("2024-04-25", 22_260.75), ("2024-07-25", 22_250.0)],
            "2024-04-01": [("2024-07-25", 22_400.0)],
        },
        "VIXCLS": {"2024-01-05": [("2024-01-06", 13.35)], "2024-01-08": [("2024-01-09", None)]},
        "DFF": {f"{day:%Y-%m-%d}": [("2024-02-01", 5.0 + number / 100)] for number, day in enumerate(days)},
    }
    services.releases["VIXCLS"]["2024-01-09"] = [("2024-01-10", 12.76)]
    return services


def test_five_macro_series_are_written_with_their_first_releases(fred: Services, call):
    code, out, errors = call("fetch", "source=fred", *FAST)
    assert code == 0, errors
    assert all(len(line) <= 80 for line in out.splitlines())
    frame = pd.read_csv(MACRO)
    assert list(frame.columns) == ["series", "release_date", "value"]
    rows = {name: list(zip(own["release_date"], own["value"], strict=True)) for name, own in frame.groupby("series")}
    assert rows["gdp_growth"] == [
        ("2024-01-25", pytest.approx(100 * ((22_100 / 22_000) ** 4 - 1))),
        ("2024-04-25", pytest.approx(100 * ((22_260.75 / 22_150) ** 4 - 1))),  # to the figure known on that day
        ("2024-07-25", pytest.approx(100 * ((22_400 / 22_250) ** 4 - 1))),
    ]
    assert rows["unemployment"][:2] == [("2023-02-10", 4.0), ("2023-03-13", pytest.approx(4.04))]
    assert len(rows["unemployment"]) == 14
    assert len(rows["inflation"]) == 14  # the first year has nothing to compare with
    known = 300 * 1.002**0 * 1.01  # January 2022, as revised before February 2023
    assert rows["inflation"][0] == ("2023-02-10", pytest.approx(100 * (300 * 1.002**12 / known - 1), abs=1e-4))
    assert rows["vix"] == [("2024-01-05", 13.35), ("2024-01-09", 12.76)]
    # Friday to Sunday are known on Monday, and Sunday's is the newest. Monday the 15th is a holiday: Friday the 12th
    # to Monday are known on Tuesday.
    assert rows["interest_rate"][:2] == [("2024-01-08", pytest.approx(5.02)), ("2024-01-09", pytest.approx(5.03))]
    assert rows["interest_rate"][-2:] == [("2024-01-16", pytest.approx(5.10)), ("2024-01-17", pytest.approx(5.11))]
    assert "12 observations left out" in out


def test_macro_of_fred_and_bars_of_yahoo_make_a_table(fred: Services, call):
    fred.today = "2024-12-31"
    call("fetch", "tickers=[AAPL,MSFT]", *FAST)
    call("fetch", "source=fred", *FAST)
    market = read_market(MarketSettings(source="market", bars=str(BARS), macro=str(MACRO)))
    assert market.macro is not None
    assert not any("no macro series" in note for note in market.notes)
    code, _, errors = call("generate", "data=market", f"data.bars={BARS}", f"data.macro={MACRO}", "data.folder=table")
    assert code == 0, errors
    (train,) = Path("table").glob("training_data_*.csv")
    row = pd.read_csv(train).set_index("date")
    assert np.allclose(row.loc["2024-07-19", "macro_gdp_growth"], 100 * ((22_260.75 / 22_150) ** 4 - 1))
    assert np.allclose(row.loc["2024-07-26", "macro_gdp_growth"], 100 * ((22_400 / 22_250) ** 4 - 1))


def test_series_can_be_chosen_and_the_others_stay(fred: Services, call):
    call("fetch", "source=fred", *FAST)
    before = pd.read_csv(MACRO)
    fred.releases["OTHER"] = {"2024-01-02": [("2024-01-03", 3.0)]}
    fred.asked.clear()
    only = [f"series.{name}=null" for name in ("gdp_growth", "inflation", "interest_rate", "vix")]
    assert call("fetch", "source=fred", *only, "series.unemployment=OTHER", *FAST)[0] == 0
    assert [name for name, _ in fred.asked] == ["OTHER"]
    after = pd.read_csv(MACRO)
    (row,) = after[after["series"] == "unemployment"].itertuples()
    assert (row.release_date, row.value) == ("2024-01-03", 3.0)
    others = [frame[frame["series"] != "unemployment"].reset_index(drop=True) for frame in (before, after)]
    pd.testing.assert_frame_equal(*others)


def test_fred_refuses_then_answers_and_a_missing_series_is_listed(fred: Services, call):
    fred.refuse = 2
    del fred.releases["DFF"]
    code, out, _ = call("fetch", "source=fred", *FAST)
    assert code == 0
    assert "failed: interest_rate: DFF: Bad Request. The series does not exist." in out
    assert set(pd.read_csv(MACRO)["series"]) == {"gdp_growth", "inflation", "unemployment", "vix"}


def test_a_missing_or_unknown_key_is_told(fred: Services, call, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FRED_API_KEY", "wrong")
    code, out, errors = call("fetch", "source=fred", *FAST)
    assert code == 2
    assert "api_key is not registered" in " ".join(out.split())
    monkeypatch.delenv("FRED_API_KEY")
    code, _, errors = call("fetch", "source=fred", *FAST)
    assert code == 2
    assert "FRED_API_KEY is not set" in errors
    assert "fred.stlouisfed.org/docs/api/api_key.html" in errors
    assert not MACRO.exists()


def releases(*rows: tuple[str, str, float]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["date", "realtime_start", "value"])
    return frame.assign(date=pd.to_datetime(frame["date"]), realtime_start=pd.to_datetime(frame["realtime_start"]))


def test_observations_older_than_the_records_have_no_release_date():
    rows, unknown = first_releases(
        releases(
            ("1999-11-01", "2000-02-04", 1.0),
            ("1999-12-01", "2000-02-04", 2.0),
            ("2000-01-01", "2000-02-04", 3.0),  # released on the first day of the records
            ("2000-02-01", "2000-03-03", 4.0),
            ("2000-01-01", "2000-03-03", 3.5),
        ),
        "level",
    )
    assert rows["value"].tolist() == [3.0, 4.0]
    assert rows["release_date"].dt.strftime("%Y-%m-%d").tolist() == ["2000-02-04", "2000-03-03"]
    assert unknown == 2


def test_a_release_never_depends_on_later_ones():
    history = releases(
        *(
            (f"{month:%Y-%m-%d}", f"{month + pd.Timedelta(days=40 + 30 * late):%Y-%m-%d}", 100.0 + number + late)
            for number, month in enumerate(pd.date_range("2000-01-01", periods=30, freq="MS"))
            for late in range(4)
        )
    )
    whole, _ = first_releases(history, "yearly")
    assert len(whole) == 18
    for cut in ("2001-06-01", "2002-01-15"):
        known, _ = first_releases(history[history["realtime_start"] <= cut], "yearly")
        pd.testing.assert_frame_equal(
            known.reset_index(drop=True), whole[whole["release_date"] <= cut].reset_index(drop=True)
        )
        assert len(known) > 3


def test_a_yearly_change_of_a_series_that_is_not_revised():
    observed = pd.Series([100.0, 110.0], index=pd.to_datetime(["2022-03-01", "2023-03-01"]))
    rows = lagged_releases(observed, 2, "yearly")
    assert rows["value"].tolist() == [pytest.approx(10.0)]
    assert rows["release_date"].tolist() == [pd.Timestamp("2023-03-03")]


# --- settings ---


@pytest.mark.parametrize(("source", "package"), [("yahoo", "yfinance"), ("fred", "fredapi")])
def test_without_the_extra_the_line_to_type_is_told(folder: Path, call, monkeypatch, source: str, package: str):
    monkeypatch.setitem(sys.modules, package, None)
    code, _, errors = call("fetch", f"source={source}", "tickers=AAPL")
    assert code == 2
    assert f"the package {package} is not installed" in errors
    assert 'pip install "ste[fetch]"' in errors


def test_an_unknown_service_is_told(folder: Path, call):
    code, _, errors = call("fetch", "source=yaho", "tickers=AAPL")
    assert code == 2
    assert "expected one of fred, yahoo. Try source=yahoo." in errors


@pytest.mark.parametrize("text", ["VIXCLS:growth", "VIX CLS", "VIXCLS:level:soon", ""])
def test_a_series_is_an_id_a_transform_and_a_lag(text: str):
    with pytest.raises(ConfigError, match=r"series\.vix=.*expected ID, ID:TRANSFORM or ID:TRANSFORM:LAG"):
        FetchSettings("fred", series={"vix": text})
    with pytest.raises(ConfigError, match="series=oil: expected one of"):
        FetchSettings("fred", series={"oil": "DCOILWTICO"})


def test_the_report_fits_80_columns_whatever_it_holds():
    day = pd.Timestamp("1962-01-02")
    item = FetchedItem("A-VERY-LONG-TICKER.SS", 16_000, day, day, "+12,345 rows", 1_234, 12)
    noted = FetchedItem("B", 1, day, day, "new", notes=("left out " * 20,))
    lines = FetchReport({}, [item, noted], {"C": "no " * 60}).lines()
    assert len(lines) > 5
    assert max(map(len, lines)) <= 80
