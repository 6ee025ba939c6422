"""The user's own columns on the command line, with a model, in a request and as events."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from file_shapes import known_bars, long
from onnx_files import tiny_card
from ste.config import LiveSettings, MarketSettings, PredictSettings, SyntheticSettings
from ste.config.input_checks import check_data_files
from ste.config.load import compose_command, load_settings, to_dict
from ste.config.typed_values import as_typed
from ste.errors import ConfigError, DataError
from ste.inference.card_market import open_market
from ste.serving import openapi_examples as examples
from ste.serving.bars_request import examples_of_bars
from ste.serving.problems import Fault, Problem
from ste.streaming.events import EventError
from ste.streaming.extra_events import parse_extra
from ste.synthetic.generator import generate_market

CARD = tiny_card(sequence_length=3)

# --- settings ---


@pytest.mark.parametrize(
    ("command", "typed", "group", "files", "lags"),
    [
        (
            "train",
            ["data=market", "data.bars=b.csv", "data.extra.mine=my file.csv"],
            "data",
            {"mine": "my file.csv"},
            {},
        ),
        ("train", ["data.extra.a=a.csv", "data.extra_lag.a=2"], "data", {"a": "a.csv"}, {"a": 2}),
        ("train", ["data=sample", "data.extra={a: x=1.csv, b: b.csv}"], "data", {"a": "x=1.csv", "b": "b.csv"}, {}),
        ("inspect", ["data.extra.mine=~/own.csv"], "data", {"mine": f"{Path.home()}/own.csv"}, {}),
        ("predict", ["extra.mine=own.csv", "extra_lag={mine: 1}"], None, {"mine": "own.csv"}, {"mine": 1}),
        ("serve", ["extra.mine=own.csv"], None, {"mine": "own.csv"}, {}),
        ("monitor", ["extra.mine=own.csv"], None, {"mine": "own.csv"}, {}),
        ("live", ["replay.extra.mine=own.csv", "replay.extra_lag.mine=0"], "replay", {"mine": "own.csv"}, {"mine": 0}),
    ],
)
def test_files_are_typed_one_by_one_or_as_a_mapping(
    command: str, typed: list[str], group: str | None, files: dict[str, str], lags: dict[str, int]
):
    config = to_dict(compose_command(command, [as_typed(one) for one in typed]))
    values = config if group is None else config[group]
    assert (values["extra"], values["extra_lag"]) == (files, lags)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extra": {"close": "a.csv"}}, "are no field of a bar, each with its file"),
        ({"extra": {"my-own": "a.csv"}}, r"data\.extra={'my-own': 'a\.csv'}: expected names of letters, digits and _"),
        ({"extra": {"mine": ""}}, r"Try data\.extra={mine: file\.csv}"),
        ({"extra_lag": {"mine": 1}}, r"expected names of data\.extra \(no file is given\)\. Try data\.extra_lag={}"),
        ({"extra": {"a": "a.csv"}, "extra_lag": {"a": -1}}, "expected whole calendar days from 0 to 3650"),
        (
            {"extra": {"a": "a.csv"}, "extra_lag": {"a": 1, "b": 2}},
            r"expected names of data\.extra \(a\)\. Try data\.extra_lag={a: 1}",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_one_message(changes: dict[str, Any], message: str):
    for build in (lambda **given: MarketSettings(source="market", bars="b.csv", **given), _world):
        with pytest.raises(ConfigError, match=message):
            build(**changes)


def _world(**changes: Any) -> SyntheticSettings:
    return SyntheticSettings(source="world", tickers=2, start="2024-01-01", end="2024-04-30", **changes)


def test_a_missing_file_is_found_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("bars.csv").write_text("x")
    real = MarketSettings(source="market", bars="bars.csv", extra={"mine": "own.csv"})
    for settings in (real, _world(extra={"mine": "own.csv"})):
        with pytest.raises(DataError, match=r"data\.extra\.mine=own\.csv: no such file"):
            check_data_files(settings)
    files = ["model=m.onnx", "bars=bars.csv", "output=out.csv", "++extra.mine=own.csv"]
    with pytest.raises(DataError, match=r"^extra\.mine=own\.csv: no such file"):
        load_settings(PredictSettings, compose_command("predict", files))
    replayed = ["source=replay", "replay.bars=bars.csv", "++replay.extra.mine=own.csv"]
    with pytest.raises(DataError, match=r"replay\.extra\.mine=own\.csv: no such file"):
        load_settings(LiveSettings, compose_command("live", replayed))


def test_own_columns_need_bars():
    config = compose_command("predict", ["input=t.csv", "output=o.csv", "++extra.mine=own.csv"])
    with pytest.raises(ConfigError, match=r"bars=null: expected a file of daily bars as well as extra. Try bars=bars"):
        load_settings(PredictSettings, config)


def test_inspect_shows_what_was_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call):
    monkeypatch.chdir(tmp_path)
    long(known_bars()).to_csv("bars.csv", index=False)
    Path("own.csv").write_text("ticker,date,x,sector\nAAPL,2024-01-02,1,Tech\nXYZ,2024-01-02,1,Tech\n")
    code, out, _ = call("inspect", "data.bars=bars.csv", "data.extra.mine=own.csv", "data.extra_lag.mine=1")
    assert code == 0
    text = " ".join(out.split())
    assert "extra.mine: x; known from 2024-01-03 on, by date + 1 day" in text
    assert "extra.mine: columns not read: sector (text)" in text
    assert "extra.mine: 1 of 2 rows of tickers with bars; no bars of XYZ" in text
    code, _, err = call("inspect", "data.bars=bars.csv", "data.extra.mine=own.csv")
    assert code == 2
    assert "Try data.extra_lag.mine=0 if" in " ".join(err.split())


# --- with a model ---


def test_a_command_with_a_model_reads_the_same_columns(tmp_path: Path):
    market = generate_market(_world())
    market.bars.to_csv(tmp_path / "bars.csv", index=False)
    (tmp_path / "own.csv").write_text("ticker,date,x\nAAPL,2024-01-02,1\nAAPL,2024-01-03,2\n")
    given = {"bars": str(tmp_path / "bars.csv"), "extra": {"mine": str(tmp_path / "own.csv")}}
    read = open_market(CARD, {**given, "extra_lag": {"mine": 1}}).extra["mine"]
    days = np.array(["2024-01-02", "2024-01-03", "2024-01-04"], "datetime64[D]")
    np.testing.assert_array_equal(read.as_of("x", pd.Series(["AAPL"] * 3), days), [np.nan, 1, 2])
    with pytest.raises(DataError, match=r"Try extra_lag\.mine=0 if"):
        open_market(CARD, given)


# --- in a request ---


def request(**extra: list[dict[str, Any]]) -> bytes:
    bars = examples.predict_bars(CARD).popitem()[1]["value"]["bars"]
    return json.dumps({"bars": bars, "extra": extra}).encode()


def test_a_request_may_carry_own_columns():
    ticker = json.loads(request())["bars"][0]["ticker"]
    rows = [
        {"ticker": ticker, "date": "2024-11-26", "known_at": "2024-11-26T16:30:00-05:00", "x": 0.5, "y": None},
        {"ticker": "ZZZ", "date": "2024-11-26", "known_at": "2024-11-27", "x": 0.5},
    ]
    plain, own = examples_of_bars(request(), CARD), examples_of_bars(request(mine=rows), CARD)
    np.testing.assert_array_equal(own.features, plain.features)
    assert [note for note in own.notes if note not in plain.notes] == [
        "extra.mine: x, y; known from 2024-11-27 on, by known_at",
        f"extra.mine: 1 row with a time of day known from the next day on (first: {ticker} 2024-11-26 16:30)",
        "extra.mine: 1 of 2 rows of tickers with bars; no bars of ZZZ",
    ]


ROW = {"ticker": "A", "date": "2024-11-26", "known_at": "2024-11-27", "x": 1.0}
FAULTS = {
    "no known_at": (
        [ROW, {k: ROW[k] for k in ("ticker", "date", "x")}],
        (1, "known_at"),
        "found nothing, expected a day",
    ),
    "neither": ([{"x": 1.0}], (0, "known_at"), "expected the day from which the row is known, or its time"),
    "early": ([{**ROW, "known_at": "2024-11-25"}], (0, "known_at"), "found 2024-11-25, expected a day not before date"),
    "twice": (
        [ROW, {**ROW, "x": 2.0}],
        (1, "date"),
        "found 2024-11-26, expected one row per ticker, date and known_at",
    ),
    "no such day": (
        [{**ROW, "date": "2024-02-31"}],
        (0, "date"),
        "found 2024-02-31, expected a day such as 2024-11-29",
    ),
    "text": ([{**ROW, "x": "high"}], (0, "x"), "Input should be a valid number"),
    "a name": ([{**ROW, "a b": 1.0}], (0, "a b"), "expected a name of letters, digits and _ that starts with a letter"),
    "no value": (
        [{k: ROW[k] for k in ("ticker", "known_at")}],
        (0,),
        "expected at least one value next to ticker, date",
    ),
    "some tickers": (
        [ROW, {k: ROW[k] for k in ("date", "known_at", "x")}],
        (1, "ticker"),
        "expected in every row or in none",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_own_columns_is_named_by_its_field(name: str):
    rows, path, detail = FAULTS[name]
    with pytest.raises(Problem) as caught:
        examples_of_bars(request(mine=rows), CARD)
    fault = caught.value.faults[0]
    assert isinstance(fault, Fault)
    assert fault.path == ("extra", "mine", *path)
    assert detail in fault.detail


def test_a_file_of_own_columns_has_no_name_of_a_bars_field():
    with pytest.raises(Problem) as caught:
        examples_of_bars(request(close=[ROW]), CARD)
    assert caught.value.faults[0].pointer == "#/extra/close"


# --- as events ---

EVENT = {"kind": "extra", "name": "mine", "ticker": "A", "date": "2024-11-26", "values": {"x": 0.5, "y": None}}


def test_an_event_is_known_by_the_rules_of_a_file():
    by_lag = parse_extra(EVENT, "XNYS", {"mine": 2})
    assert (by_lag.name, by_lag.day) == ("mine", _day("2024-11-28"))
    assert by_lag.ticker == "A"
    assert by_lag.values == {"x": 0.5, "y": None}
    assert by_lag.first_day == _day("2024-11-26")
    timed = parse_extra({**EVENT, "known_at": "2024-11-26T21:30:00Z"}, "XNYS", {"mine": 2})
    assert timed.day == _day("2024-11-27")
    everywhere = parse_extra({key: EVENT[key] for key in EVENT if key != "ticker"}, "XNYS", {"mine": 0})
    assert everywhere.ticker == ""
    assert everywhere.day == _day("2024-11-26")


def _day(text: str) -> int:
    return int(np.datetime64(text, "D").astype(np.int64))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "known_at: found nothing; expected a day or a time such as 2024-11-29 16:30"),
        ({"known_at": "2024-11-25"}, "known_at: found 2024-11-25; expected a day not before date"),
        ({"date": "2024-11-31"}, "date: found 2024-11-31; expected a day such as 2024-11-29"),
        ({"date": "4/5/2024", "known_at": "2024-05-04"}, "4/5/2024"),
        ({"known_at": "2150-01-01"}, "date: known on 2150-01-01; expected a day up to 2099"),
        ({"ticker": "  ", "known_at": "2024-11-27"}, "ticker: found"),
        ({"values": {"x": 10**400}}, "x: found 1000"),
        ({"date": 20241126}, "date: found 20241126; expected text"),
        ({"name": "close"}, "name: found 'close'; expected the name of a file of own columns"),
        ({"values": {}}, "values: found {}; expected columns"),
        ({"values": {"x": "a"}}, "x: found 'a'; expected a finite number or null"),
        ({"values": {"x": True}}, "x: found True; expected a finite number or null"),
        ({"values": {"a b": 1}}, "values: found the column 'a b'; expected letters, digits and _"),
        ({"x": 1}, "x: unknown field; expected the columns of the user's own within values"),
    ],
)
def test_an_invalid_event_has_a_reason(changes: dict[str, Any], message: str):
    with pytest.raises(EventError) as caught:
        parse_extra({**EVENT, **changes}, "XNYS", {})
    assert message in str(caught.value)
