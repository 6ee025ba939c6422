"""Bodies against a model's card: what is valid is read, and each fault is named."""

import json

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnx_files import tiny_card
from ste.serving import openapi_examples as examples
from ste.serving.api_keys import ApiKeys, read_keys
from ste.serving.bars_request import examples_of_bars
from ste.serving.problems import TITLES, Fault, Problem
from ste.serving.request_features import FeatureReader, loads

LARGEST = float(np.finfo(np.float32).max)
CARDS = {"sequence": tiny_card(sequence_length=3), "flat": tiny_card(view="flat")}
READERS = {view: FeatureReader(card, max_examples=4) for view, card in CARDS.items()}


PRICES = {f"stock_{name}" for name in ("open", "high", "low", "close", "sma_20", "sma_50")}


def rows(count: int) -> list[list[float]]:
    return [[*row.values()] for row in examples.rows(CARDS["sequence"], count)]


def by_hand(document: object, view: str) -> bool:
    """Whether a body is right, by the words of the documentation, slowly."""
    card = CARDS[view]
    length = card.sequence_length

    def number(value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool)

    def row(value: object) -> bool:
        if isinstance(value, dict):
            if set(value) != set(card.features):
                return False
            value = [value[name] for name in card.features]
        if not isinstance(value, list) or len(value) != len(card.features) or not all(map(number, value)):
            return False
        named = dict(zip(card.features, value, strict=True))
        for name, found in named.items():
            if abs(found) > LARGEST:
                return False
            if name in PRICES and found < 1.1754943508222875e-38:
                return False
        within = {
            "stock_rsi": (0, 100),
            "news_sentiment": (-1, 1),
            "news_relevance": (0, 1),
            "macro_unemployment": (0, 100),
        }
        for name in ("stock_volume", "news_count", "macro_vix", "policy_event_count", "policy_impact_score"):
            within[name] = (0, LARGEST)
        return all(low <= named[name] <= high for name, (low, high) in within.items())

    if not isinstance(document, dict) or len(document) != 1:
        return False
    ((key, value),) = document.items()
    if not isinstance(value, list):
        return False
    if key == "rows":
        return length <= len(value) < length + 4 and all(map(row, value))
    if key == "windows" and view == "sequence":
        windows = all(isinstance(window, list) and len(window) == length and all(map(row, window)) for window in value)
        return 1 <= len(value) <= 4 and windows
    return False


LEAVES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.integers(-5, 120), st.booleans(), st.none(),
    st.text(max_size=3),
    st.just([]), st.just({}), st.sampled_from([LARGEST, 3.5e38, -3.5e38, 1e300, 0.0, -0.0, 1e-46, 100.00001, 2**63])
)  # fmt: skip
EDITS = st.lists(st.tuples(st.integers(0, 10_000), LEAVES), max_size=2)


@st.composite
def bodies(draw: st.DrawFn) -> object:
    """A body that is right but for a few edits of its places."""
    form = draw(st.sampled_from(["windows", "rows"]))
    named = draw(st.booleans())
    count = draw(st.integers(0, 6))
    one = examples.rows(CARDS["sequence"], 8) if named else rows(8)
    one = json.loads(json.dumps(one))
    document: dict[str, object] = {
        form: [json.loads(json.dumps(one[i : i + draw(st.sampled_from([3, 3, 3, 2]))])) for i in range(count)]
        if form == "windows"
        else one[:count]
    }
    for at, leaf in draw(EDITS):
        places = [*walk(document)]
        container, key = places[at % len(places)]
        container[key] = leaf
    if draw(st.integers(0, 9)) == 0:
        document["more"] = 1
    return document


def walk(node: object):
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in [*items]:
        yield node, key
        yield from walk(value)


@settings(max_examples=80)
@given(document=bodies(), view=st.sampled_from(["sequence", "flat"]))
def test_a_body_is_accepted_exactly_if_it_fits_the_documentation(document: object, view: str):
    reader = READERS[view]
    body = orjson.dumps(document)
    if not by_hand(document, view):
        with pytest.raises(Problem) as raised:
            reader.read(body)
        assert raised.value.status == 422
        assert raised.value.faults
    else:
        taken = reader.read(body)
        assert taken.dtype == np.float32
        assert taken.shape[1:] == CARDS[view].shape


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["windows", "rows", "a"]), inner),
    )
)
@settings(max_examples=100)
def test_any_json_is_refused_by_a_problem(document: object):
    for reader in READERS.values():
        with pytest.raises(Problem):
            reader.read(json.dumps(document).encode())


def test_windows_rows_and_names_say_the_same():
    reader, table = READERS["sequence"], rows(5)
    named = [dict(zip(CARDS["sequence"].features, row, strict=True)) for row in table]
    backwards = [dict(reversed(row.items())) for row in named]
    expected = np.array([table[0:3], table[1:4], table[2:5]], dtype=np.float32)
    for document in (
        {"windows": [table[0:3], table[1:4], table[2:5]]},
        {"windows": [named[0:3], table[1:4], [named[2], table[3], backwards[4]]]},
        {"rows": table},
        {"rows": backwards},
    ):
        np.testing.assert_array_equal(reader.read(orjson.dumps(document)), expected)
    np.testing.assert_array_equal(
        READERS["flat"].read(orjson.dumps({"rows": table[:4]})), np.array(table[:4], np.float32)
    )


@pytest.mark.parametrize(
    ("place", "value", "pointer", "words"),
    [
        ((0, 1, 7), 101, "#/windows/0/1/7", "stock_rsi: found 101, expected a number from 0 to 100"),
        ((0, 1, 7), True, "#/windows/0/1/7", "stock_rsi: found true, expected a number from 0 to 100"),
        ((0, 0, 3), 0, "#/windows/0/0/3", "stock_close: found 0, expected a price above 0 (float32)"),
        ((0, 2, 4), "many", "#/windows/0/2/4", 'stock_volume: found "many", expected a number of 0 or more (float32)'),
        ((0, 2, 8), None, "#/windows/0/2/8", "stock_macd: found null, expected a finite number (float32)"),
        ((0, 2, 8), 1e39, "#/windows/0/2/8", "stock_macd: found 1e+39, expected a finite number (float32)"),
        ((0, 2, 8), [1.0], "#/windows/0/2/8", "stock_macd: found an array of 1 item"),
        ((0, 2), [1.0], "#/windows/0/2/1", "missing"),
        ((0,), [], "#/windows/0", "found an array of 0 items; List should have at least 3 items"),
        (
            (0, 1),
            {**examples.rows(CARDS["sequence"], 1)[0], "a/b~c d": 1},
            "#/windows/0/1/a~1b~0c%20d",
            "unknown field",
        ),
        ((0, 1), {"stock_rsi": 5}, "#/windows/0/1/stock_open", "missing"),
    ],
)
def test_the_field_at_fault_is_named(place, value, pointer: str, words: str):
    document = {"windows": [rows(3)]}
    at = document["windows"]
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    with pytest.raises(Problem) as raised:
        READERS["sequence"].read(orjson.dumps(document))
    faults = {fault.pointer: fault.detail for fault in raised.value.faults}
    assert words in faults[pointer]
    content = json.loads(raised.value.body())
    assert content["type"] == "/docs#invalid-request"
    assert 1 <= len(content["errors"]) <= 20


@pytest.mark.parametrize(
    ("document", "pointer", "words"),
    [
        ({}, "#", "found an object of 0 fields, expected one field: windows or rows"),
        ([], "#", "found an array of 0 items; Input should be a valid dictionary"),
        ({"windows": [rows(3)], "rows": rows(3)}, "#", "found an object of 2 fields, expected one field"),
        ({"windows": 5}, "#/windows", "found 5; Input should be a valid list"),
        ({"windows": [rows(3)] * 5}, "#/windows", "List should have at most 4 items after validation, not 5"),
        ({"rows": rows(2)}, "#/rows", "found an array of 2 items; List should have at least 3 items"),
        ({"rows": rows(7)}, "#/rows", "List should have at most 6 items after validation, not 7"),
        ({"window": [rows(3)]}, "#/window", "unknown field"),
    ],
)
def test_the_form_at_fault_is_named(document, pointer: str, words: str):
    with pytest.raises(Problem) as raised:
        READERS["sequence"].read(orjson.dumps(document))
    faults = {fault.pointer: fault.detail for fault in raised.value.faults}
    assert words in faults[pointer]


def test_validation_stops_at_the_first_invalid_row():
    with pytest.raises(Problem) as raised:
        examples_of_bars(b'{"bars": [' + b"{}," * 5_000 + b"{}]}", tiny_card())
    assert {fault.pointer.rsplit("/", 1)[0] for fault in raised.value.faults} == {"#/bars/0"}


def test_nan_is_not_json():
    with pytest.raises(Problem, match=r"line 1 column .* NaN and Infinity are not JSON") as raised:
        loads(b'{"windows": [[[1, NaN], [Infinity]]]}')
    assert raised.value.status == 400


@pytest.mark.parametrize("body", [b"{", b"[NaN", b"[" * 100_000 + b"NaN" + b"]" * 100_000, b"NaN}", b"\xff NaN"])
def test_invalid_json_is_reported_with_its_position(body: bytes):
    with pytest.raises(Problem, match=r"line 1 column|UTF-8|not JSON"):
        loads(body)


def test_a_pointer_is_a_uri_fragment_of_rfc_6901():
    # The examples of RFC 6901, section 6.
    expected = {
        "": "#/",
        "a/b": "#/a~1b",
        "c%d": "#/c%25d",
        "e^f": "#/e%5Ef",
        "g|h": "#/g%7Ch",
        "i\\j": "#/i%5Cj",
        'k"l': "#/k%22l",
        " ": "#/%20",
        "m~n": "#/m~0n",
    }
    assert {key: Fault((key,), "").pointer for key in expected} == expected
    assert Fault(("foo", 0), "").pointer == "#/foo/0"
    assert Fault((), "").pointer == "#"


def test_a_problem_is_a_complete_response():
    for kind, (status, title) in TITLES.items():
        head, _, body = Problem(kind, "why").message().partition(b"\r\n\r\n")
        content = json.loads(body)
        assert head.startswith(f"HTTP/1.1 {status} ".encode())
        assert f"content-length: {len(body)}".encode() in head
        assert b"connection: close" in head
        assert content == {"type": f"/docs#{kind}", "title": title, "status": status, "detail": "why"}


def test_keys_open_by_a_bearer_header_alone(tmp_path):
    (tmp_path / "keys").write_text("# comment\n\n  first-key-0123456789 \nsecond-key-012345678\n")
    keys = read_keys(str(tmp_path / "keys"), {"STE_API_KEYS": "other-key-0123456789"})
    assert keys
    for key in (b"first-key-0123456789", b"second-key-012345678"):
        assert keys.accept(b"Bearer " + key)
        assert keys.accept(b"bearer " + key)
        assert not keys.accept(key)
        assert not keys.accept(b"Basic " + key)
        assert not keys.accept(b"Bearer " + key + b"x")
    assert not keys.accept(b"")
    assert not keys.accept(b"Bearer other-key-0123456789")
    assert read_keys(None, {"STE_API_KEYS": "other-key-0123456789"}).accept(b"Bearer other-key-0123456789")
    assert not read_keys(None, {})
    assert not ApiKeys().accept(b"Bearer ")
