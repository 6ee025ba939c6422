"""Values on the command line that Hydra reads as other things: run IDs, tickers, paths."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from ste.config.load import compose_command
from ste.config.typed_values import as_typed

PARSER = OverridesParser.create()
IDS = st.text("0123456789abcdef", min_size=6, max_size=32) | st.from_regex(r"\d{1,7}e\d{4,6}", fullmatch=True)


@given(IDS, st.sampled_from(["run", "resume", "model"]))
def test_an_id_is_read_as_it_was_typed(run_id: str, key: str):
    assert PARSER.parse_override(as_typed(f"{key}={run_id}")).value() == run_id


@given(st.lists(IDS, min_size=2, max_size=3))
def test_ids_in_a_list_are_read_as_they_were_typed(ids: list[str]):
    assert PARSER.parse_override(as_typed(f"runs=[{','.join(ids)}]")).value() == ids


@pytest.mark.parametrize(
    "text", ["run=latest", "run='12345678'", "data.seed=12345678", "optimizer.lr=1e-3", "runs=best:5", "model=lstm"]
)
def test_other_overrides_stay_as_they_are(text: str):
    assert as_typed(text) == text


NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"], include_characters=".-^_="), min_size=1, max_size=8)


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_tickers_are_names_whatever_they_look_like(names: list[str]):
    assert PARSER.parse_override(as_typed(f"data.tickers=[{','.join(names)}]")).value() == names


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("data.tickers=[BRK.B,NULL,None]", ["BRK.B", "NULL", "None"]),
        ("data.tickers=BRK.B", ["BRK.B"]),
        ("data.tickers=[TRUE,1E5,600519.SH,000001]", ["TRUE", "1E5", "600519.SH", "000001"]),
        ("data.tickers=000001", ["000001"]),
        ("data.tickers=50", 50),
        ("data.tickers=null", None),
        ("data.tickers=['A B',\"C\"]", ["A B", "C"]),
        ("data.bars=bars/step=1000.csv", "bars/step=1000.csv"),
        ("data.bars=bars (v2).csv", "bars (v2).csv"),
        ("data.bars='bars (v2).csv'", "bars (v2).csv"),
        ("data.bars=it's.csv", "it's.csv"),
        ("data.bars=~/x.csv", f"{Path.home()}/x.csv"),
        ("output=~/my models/m.onnx", f"{Path.home()}/my models/m.onnx"),
    ],
)
def test_a_value_is_read_as_it_was_typed(typed: str, read: object):
    assert PARSER.parse_override(as_typed(typed)).value() == read


@pytest.mark.parametrize(
    "text", ["data.tickers=5,10", "data.tickers=[A],[B]", "optimizer.lr=interval(1e-4,1e-2)", "~data", "model=a,b", "x"]
)
def test_sweeps_and_deletions_stay_as_they_are(text: str):
    assert as_typed(text) == text


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("data.columns={ticker: <SYM>, close: Close/Last}", {"ticker": "<SYM>", "close": "Close/Last"}),
        ("data.columns={close: Adj Close**}", {"close": "Adj Close**"}),
        ("data.columns={date: 1, open: 2}", {"date": 1, "open": 2}),
        ("data.columns={volume: 'a, b'}", {"volume": "a, b"}),
        ("data.columns={}", {}),
    ],
)
def test_names_of_columns_are_read_as_they_were_typed(typed: str, read: dict[str, object]):
    config = compose_command("inspect", [as_typed(typed), "data.bars=bars.csv"])
    assert config.data.columns == read
