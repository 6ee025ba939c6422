"""The expression language of feature sets: syntax, values, look-back and the cut-off laws."""

import warnings
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from talib import abstract

from ste.errors import ConfigError
from ste.expressions import BarPeriods, Evaluator, lookback, parse
from ste.expressions.source_text import MAX_TEXT
from ste.expressions.talib_operators import talib_names, talib_operator
from ste.registry import register

WEEK = 5


def bar_periods(histories: list[dict[str, np.ndarray]], period: int = 1, starts: list[int] | None = None):
    """Bars of tickers that all end on the same day, each one history; `starts`: first day of each."""
    sizes = [len(next(iter(bars.values()))) for bars in histories]
    starts = starts or [max(sizes) - size for size in sizes]
    bounds = np.cumsum([0, *sizes])
    day = np.concatenate([np.arange(size) + start for size, start in zip(sizes, starts, strict=True)])
    owner = np.repeat(np.arange(len(sizes)), sizes)
    first = np.flatnonzero(np.diff(owner * 10_000 + day // period, prepend=-1))
    last = np.append(first[1:], len(day)) - 1
    columns = {name: np.concatenate([bars[name] for bars in histories]) for name in histories[0]}

    def field(name: str) -> tuple[np.ndarray, bool]:
        if name == "news":
            return columns["volume"][last] % 7, True
        if name not in columns:
            raise ConfigError(f"unknown field ${name}")
        return columns[name], False

    return BarPeriods(day, bounds[:-1], first, last, field)


def market(seed: int, sizes: list[int]) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    tickers = []
    for size in sizes:
        close = 50 * np.exp(rng.normal(0, 0.02, size).cumsum())
        opened = close * np.exp(rng.normal(0, 0.01, size))
        high = np.maximum(opened, close) * (1 + rng.uniform(0, 0.01, size))
        low = np.minimum(opened, close) * (1 - rng.uniform(0, 0.01, size))
        volume = rng.integers(0, 9, size) * 1000.0
        tickers.append({"open": opened, "high": high, "low": low, "close": close, "volume": volume})
    return tickers


def evaluate(text: str, rows: BarPeriods) -> np.ndarray:
    return Evaluator(rows).values(parse(text))


# Syntax


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1+2*3", 7.0),
        ("-2**2", -4.0),
        ("2**-1", 0.5),
        ("2**3**2", 512.0),
        ("(1+2)*3-4/2", 7.0),
        ("10-3-2", 5.0),
        ("1e-1*.5", 0.05),
        ("1 < 2 & 3 != 3 | 1 >= 1", 1.0),
        ("If(Not(0), Greater(2, 3), 9) - Sign(-8) + Abs(-1)", 5.0),
        ("+4 == Power(2, 2)", 1.0),
    ],
)
def test_arithmetic_follows_the_usual_precedence(text: str, expected: float):
    assert evaluate(text, bar_periods(market(0, [3]))).tolist() == [expected] * 3
    close = market(0, [3])[0]["close"]
    assert evaluate(f"({text})+$close-$close", bar_periods(market(0, [3]))) == pytest.approx(expected + close - close)


def test_an_expression_names_what_it_uses():
    expression = parse("CSRank(Mean($close, 5)) + $mine.sentiment + $news_count")
    assert expression.fields == {"close", "mine.sentiment", "news_count"}
    assert expression.cross_sectional
    assert not parse("Mean($close, 5)").cross_sectional
    assert {parse("$a + 1"), parse("$a + 1")} == {parse("$a + 1")}


ERRORS = {
    "Meen($close, 5)": (0, "unknown function Meen", r"Try PMean|Try Mean"),
    "$close + Ref($close, -1)": (21, "Ref that looks ahead 1 period in", "past alone"),
    "Delta($close, -3)": (14, "Delta that looks ahead 3 periods in", "past alone"),
    "Ref($close, 0)": (12, "Ref with N=0", "N from 1 to"),
    "Mean($close, 0)": (13, "Mean with N=0", "N from 1 to"),
    "Mean($close, 2.5)": (13, "Mean with N=2.5", "whole number"),
    "Skew($close, 2)": (13, "Skew with N=2", "N from 3 to"),
    "Mean($close, 200000)": (13, "Mean with N=200000", "N from 1 to"),
    "Mean($close)": (11, "Mean without N", r"Mean\(x, N\)"),
    "Mean($close, 5, 6)": (16, "Mean with 3 arguments", r"Mean\(x, N\)"),
    "Mean(5, 5)": (5, "the number 5 as an input of Mean", r"Mean\(x, N\)"),
    "Mean($close, $open)": (13, "N of Mean is not a plain number", r"Mean\(x, N\)"),
    "Quantile($close, 5, 2)": (20, "Quantile with q=2", "q from 0 to 1"),
    "EMA($close, 1.5)": (12, "EMA with N=1.5", "whole number"),
    "Mean": (0, "Mean without arguments", r"Mean\(x, N\)"),
    "($close": (7, "unexpected the end", r"expected \)"),
    "$close +": (8, "unexpected the end", "expected a number"),
    "$close $open": (7, r"unexpected \$open", "expected a sign"),
    "$close # 1": (7, "unexpected '#'", "expected a number"),
    "1 < $close < 2": (11, "a second comparison", "expected"),
    "1e999": (0, "1e999 is out of range", "smaller"),
    "": (0, "an empty expression", "such as"),
    "PSum(PMax($close))": (5, "PSum of a period value", "value per bar"),
    "TA.RSIX($close)": (3, "unknown function TA.RSIX", "Try RSI"),
    "TA.OBV($close, $volume)": (3, "TA.OBV", "finite look-back"),
    "TA.MAXINDEX($close)": (3, "TA.MAXINDEX", "IdxMax"),
    "TA.RSI($close, 0)": (15, "TA.RSI with timeperiod=0", "TA-Lib accepts"),
    "TA.RSI($close, period=3)": (15, "argument period of TA.RSI", "Try timeperiod"),
    "TA.RSI($close, 3, timeperiod=3)": (18, "timeperiod given twice", "expected TA.RSI"),
    "TA.BBANDS($close, nbdevup=1, 3)": (29, "an argument without a name", "at the end"),
    "TA.MACD($close)": (14, "TA.MACD without an output", r"\.macd or \.macdsignal or \.macdhist"),
    "TA.MACD($close).mac": (16, "unknown output mac of TA.MACD", "Try macd"),
    "Mean($close, 5).mean": (16, "unknown output mean of Mean", "expected one of"),
    "(" * 100 + "1" + ")" * 100: (60, "more than 60 nested levels", "split"),
    "+".join(["$a"] * 400): (452, "more than 150 operations in a row", "split"),
    "1+" * MAX_TEXT + "1": (MAX_TEXT, f"{2 * MAX_TEXT + 1} characters", "Split"),
}


@pytest.mark.parametrize("text", ERRORS)
def test_an_error_points_at_its_position(text: str):
    position, found, expected = ERRORS[text]
    with pytest.raises(ConfigError, match=found) as caught:
        parse(text, "feature my_col")
    head, shown, pointer = str(caught.value).split("\n")
    assert head.startswith("feature my_col: ")
    assert head.endswith(" in")
    assert len(shown) <= 80
    assert pd.Series([pointer]).str.contains(expected).all()
    column = pointer.index("^")
    if len(text) <= 72:
        assert shown == f"  {text}"
        assert column == position + 2
    else:
        assert shown[2:] in text
        assert text[max(position - 3, 0) : position] == shown[:column][-3:].strip()


# Values


def per_history(rows: BarPeriods, function: Callable[[pd.Series], pd.Series], *names: str) -> np.ndarray:
    bounds = [*rows.history.tolist(), len(rows.day)]
    parts = [[pd.Series(rows.field(name)[0][a:b]) for name in names] for a, b in pairwise(bounds)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.concatenate([function(*columns).to_numpy(dtype=float) for columns in parts])


def fit(values: np.ndarray) -> tuple[float, float, float]:
    """Slope, residual of the newest value and R² of the line through the defined values."""
    position = np.flatnonzero(~np.isnan(values))
    if len(position) < 2:
        return np.nan, np.nan, np.nan
    slope, level = np.polyfit(position, values[position], 1)
    fitted = np.corrcoef(position, values[position])[0, 1] ** 2
    return slope, values[-1] - level - slope * (len(values) - 1), fitted


def weighted(values: np.ndarray) -> float:
    weights = np.arange(1, len(values) + 1)
    return float(np.nanmean(weights / weights.sum() * values))


ROLLING: dict[str, Callable] = {
    "Sum": lambda r: r.sum(),
    "Mean": lambda r: r.mean(),
    "Std": lambda r: r.std(),
    "Var": lambda r: r.var(),
    "Skew": lambda r: r.skew(),
    "Kurt": lambda r: r.kurt(),
    "Max": lambda r: r.max(),
    "Min": lambda r: r.min(),
    "Med": lambda r: r.median(),
    "Rank": lambda r: r.rank(pct=True),
    "Count": lambda r: r.count(),
    "Mad": lambda r: r.apply(lambda x: np.nanmean(np.abs(x - np.nanmean(x))), raw=True),
    "WMA": lambda r: r.apply(weighted, raw=True),
    "IdxMax": lambda r: r.apply(lambda x: np.nanargmax(x) + 1, raw=True),
    "IdxMin": lambda r: r.apply(lambda x: np.nanargmin(x) + 1, raw=True),
    "Slope": lambda r: r.apply(lambda x: fit(x)[0], raw=True),
    "Resi": lambda r: r.apply(lambda x: fit(x)[1], raw=True),
    "Rsquare": lambda r: r.apply(lambda x: fit(x)[2], raw=True),
}


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("name", ROLLING)
def test_rolling_operators_equal_pandas(name: str, missing: bool):
    bars = market(1, [4, 60, 33])
    if missing:
        for ticker in bars:
            ticker["close"][2::5] = np.nan
    rows = bar_periods(bars)
    for window in (2, 3, 5, 8, 13, 40):
        if window < {"Skew": 3, "Kurt": 4, "Slope": 3, "Resi": 3, "Rsquare": 3}.get(name, 1):
            continue
        expected = per_history(rows, lambda x, n=window: ROLLING[name](x.rolling(n, min_periods=1)), "close")
        assert np.isfinite(expected).mean() > 0.3
        np.testing.assert_allclose(evaluate(f"{name}($close, {window})", rows), expected, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Quantile($close, 7, 0.8)", lambda x, y: x.rolling(7, min_periods=1).quantile(0.8)),
        ("Corr($close, $volume, 6)", lambda x, y: x.rolling(6, min_periods=1).corr(y)),
        ("Cov($close, $volume, 6)", lambda x, y: x.rolling(6, min_periods=1).cov(y)),
        ("EMA($close, 6)", lambda x, y: x.ewm(span=6).mean()),
        ("EMA($close, 0.25)", lambda x, y: x.ewm(alpha=0.25).mean()),
        ("Ref($close, 3)", lambda x, y: x.shift(3)),
        ("Delta($close, 3)", lambda x, y: x - x.shift(3)),
        ("Log($close)**2/($volume-4000)", lambda x, y: np.log(x) ** 2 / (y - 4000)),
        ("Mean($close>Ref($close,1), 4)", lambda x, y: (x > x.shift(1)).rolling(4, min_periods=1).mean()),
        ("Mean(Log($volume), 3)", lambda x, y: np.log(y).replace(-np.inf, np.nan).rolling(3, min_periods=1).mean()),
        ("If($volume>3000, $close, -$close)", lambda x, y: x.where(y > 3000, -x)),
        ("($volume==0) | ($close>50) & ($volume>4000)", lambda x, y: (y == 0) | (x > 50) & (y > 4000)),
    ],
)
def test_other_operators_equal_pandas(text: str, expected: Callable):
    rows = bar_periods(market(2, [3, 50, 21]))
    want = per_history(rows, expected, "close", "volume")
    np.testing.assert_allclose(evaluate(text, rows), want, rtol=1e-9, atol=1e-12)


def test_constant_windows_have_no_correlation():
    rows = bar_periods([{"close": np.r_[np.full(6, 3.1), 4.0, 5.0], "volume": np.arange(8.0)}])
    for text in ("Corr($close, $volume, 4)", "Rsquare($close, 4)", "Skew($close, 4)"):
        assert np.isnan(evaluate(text, rows)).tolist() == [True] * 6 + [False] * 2
    assert evaluate("Std($close, 4)", rows)[1:6].tolist() == [0.0] * 5
    assert evaluate("Slope($close, 4)", rows)[1:6].tolist() == [0.0] * 5


def test_a_line_has_its_slope_and_no_residual():
    rows = bar_periods([{"close": 7 + 3 * np.arange(9.0)}])
    assert evaluate("Slope($close, 5)", rows)[1:] == pytest.approx(3)
    assert evaluate("Resi($close, 5)", rows)[1:] == pytest.approx(0, abs=1e-12)
    assert evaluate("Rsquare($close, 5)", rows)[1:] == pytest.approx(1)


# Periods


def test_period_aggregates_cover_the_bars_of_a_period():
    bars = market(3, [13, 7])
    rows = bar_periods(bars, WEEK, starts=[2, 8])
    frame = pd.DataFrame({name: np.concatenate([b[name] for b in bars]) for name in bars[0]})
    frame["ticker"], frame["week"] = np.repeat([0, 1], [13, 7]), rows.day // WEEK
    weeks = frame.groupby(["ticker", "week"])
    for text, expected in {
        "PFirst($open)": weeks.open.first(),
        "PLast($close)": weeks.close.last(),
        "PMax($high)": weeks.high.max(),
        "PMin($low)": weeks.low.min(),
        "PSum($volume)": weeks.volume.sum(),
        "PMean($close)": weeks.close.mean(),
        "PCount($close)": weeks.close.count(),
        "$close": weeks.close.last(),
        "Ref(PLast($close), 1)": weeks.close.last().groupby("ticker").shift(1),
        "Ref($close, 1)": frame.close.groupby(frame.ticker).shift(1).iloc[rows.last],
        "PLast($close)/Mean($close, 3)": weeks.close.last()
        / frame.groupby("ticker").close.rolling(3, min_periods=1).mean().to_numpy()[rows.last],
        "Mean(PSum($volume), 2)": weeks.volume.sum().groupby("ticker").rolling(2, min_periods=1).mean(),
        "Ref($news, 1)": (weeks.volume.last() % 7).groupby("ticker").shift(1),
    }.items():
        np.testing.assert_allclose(evaluate(text, rows), expected.to_numpy(), rtol=1e-12, err_msg=text)
    assert evaluate("PSum($volume)", rows).tolist() == np.add.reduceat(frame.volume.to_numpy(), rows.first).tolist()


def test_periods_may_leave_bars_out():
    rows = bar_periods(market(3, [15]), WEEK)
    some = BarPeriods(rows.day, rows.history, rows.first[1:] + 1, rows.last[1:], rows.field)
    volume = rows.field("volume")[0]
    assert evaluate("PSum($volume)", some).tolist() == [volume[6:10].sum(), volume[11:15].sum()]


def test_an_aggregate_of_a_period_field_is_refused():
    with pytest.raises(ConfigError, match="expected a value per bar"):
        evaluate("PSum($news)", bar_periods(market(0, [9]), WEEK))
    with pytest.raises(ConfigError, match=r"unknown field \$nothing"):
        evaluate("$nothing", bar_periods(market(0, [9])))


# Cross-sections


def test_cross_sections_compare_full_windows_of_a_day():
    rows = bar_periods(market(4, [30, 12, 22, 30]))
    frame = pd.DataFrame({"x": evaluate("Mean($volume, 5)", rows), "day": rows.day})
    frame.loc[np.arange(len(rows.day)) - np.repeat(rows.history, [30, 12, 22, 30]) < 4, "x"] = np.nan
    days = frame.groupby("day").x
    np.testing.assert_allclose(evaluate("CSRank(Mean($volume, 5))", rows), days.rank(pct=True))
    np.testing.assert_allclose(evaluate("CSDemean(Mean($volume, 5))", rows), frame.x - days.transform("mean"))
    zscore = (frame.x - days.transform("mean")) / days.transform("std")
    np.testing.assert_allclose(evaluate("CSZScore(Mean($volume, 5))", rows), zscore, atol=1e-12)
    assert np.isnan(frame.x).sum() == 16


def test_cross_sections_of_periods_wait_for_full_periods():
    rows = bar_periods(market(4, [25, 15]), WEEK)
    rank = evaluate("CSRank(Mean(PLast($close), 3))", rows)
    assert np.isnan(rank).tolist() == [True, True, False, False, False, True, True, False]
    assert rank[2] == rank[3] == 1
    assert sorted([rank[4], rank[7]]) == [0.5, 1.0]


# TA-Lib and the user's functions


def test_talib_runs_on_each_history():
    bars = market(5, [60, 45])
    rows = bar_periods(bars)
    atr = np.concatenate([talib.ATR(b["high"], b["low"], b["close"], timeperiod=9) for b in bars])
    np.testing.assert_array_equal(evaluate("TA.ATR($high, $low, $close, 9)", rows), atr)
    signal = np.concatenate([talib.MACD(b["close"], 5, 9, 3)[1] for b in bars])
    np.testing.assert_array_equal(evaluate("TA.MACD($close,5,signalperiod=3,slowperiod=9).macdsignal", rows), signal)
    doji = evaluate("TA.CDLDOJI($open,$high,$low,$close)", rows)
    assert np.isnan(doji[:10]).all()
    assert set(doji[10:60]) <= {0.0, 100.0}


def test_a_flat_price_has_a_neutral_rsi():
    text = "If((TA.RSI($close,14)==0) & (TA.RSI(-$close,14)==0), 50, TA.RSI($close,14))"
    close = np.r_[np.full(20, 5.0), market(6, [30])[0]["close"]]
    expected = talib.RSI(close, 14)
    expected[14:20] = 50
    np.testing.assert_array_equal(evaluate(text, bar_periods([{"close": close}])), expected)


def talib_text(name: str) -> str:
    names = []
    for value in abstract.Function(name).info["input_names"].values():
        names += list(value) if isinstance(value, tuple | list) else [value]
    fields = [f"${n}" if n in {"open", "high", "low", "close", "volume"} else "4+$volume/1000" for n in names]
    if name in {"ACOS", "ASIN"}:
        fields = ["$close/$high"]
    outputs = talib_operator(name).outputs
    return f"TA.{name}({', '.join(fields)})" + (f".{outputs[-1]}" if len(outputs) > 1 else "")


REFUSED = {*("AD", "CUMSUM", "NVI", "OBV", "PVI", "PVT", "VWAP", "WAD", "MAXINDEX", "MININDEX", "MINMAXINDEX")}
TALIB = [name for name in talib_names() if name not in REFUSED]


def test_every_talib_function_uses_the_past_alone_within_its_look_back():
    assert len(TALIB) > 180
    bars = market(7, [900])
    full, cut = bar_periods(bars), bar_periods([{name: x[:700] for name, x in bars[0].items()}])
    wrong = []
    for name in TALIB:
        expression = parse(talib_text(name))
        values = Evaluator(full).values(expression)
        if not np.array_equal(values[:700], Evaluator(cut).values(expression), equal_nan=True):
            wrong.append(f"{name} looks ahead")
        finite, recursive = lookback(expression, 1)
        size = max(finite, recursive)
        spread = np.nanstd(values) or 1.0
        for end in (650, 780, 895):
            short = bar_periods([{n: np.ascontiguousarray(x[end - size : end]) for n, x in bars[0].items()}])
            value = Evaluator(short).values(expression)[-1]
            if not abs(value - values[end - 1]) <= (0.02 if recursive else 1e-6) * spread and value != values[end - 1]:
                wrong.append(f"{name} with {size} bars: {value} for {values[end - 1]}")
    assert wrong == []


@register("feature", lookback=lambda n, power: n)
def rooted_range(high: np.ndarray, low: np.ndarray, n: int, power: float = 0.5) -> np.ndarray:
    spread = pd.Series(high).rolling(n).max() - pd.Series(low).rolling(n).min()
    return (spread**power).to_numpy()


def test_a_users_function_is_called_by_history():
    expression = parse("rooted_range($high, $low, 4) + 1")
    assert expression.functions == {"rooted_range"}
    assert lookback(expression, 5) == (4, 0)
    rows = bar_periods(market(8, [10, 12]))
    want = per_history(rows, lambda h, lo: (h.rolling(4).max() - lo.rolling(4).min()) ** 0.5 + 1, "high", "low")
    np.testing.assert_allclose(Evaluator(rows).values(expression), want)
    with pytest.raises(ConfigError, match=r"expected rooted_range\(x, y, n, power=0.5\)"):
        parse("rooted_range($high, $low)")


@register("feature", lookback=2)
def too_short(x: np.ndarray) -> np.ndarray:
    return x[1:]


@register("feature", lookback=2)
def as_text(x: np.ndarray) -> np.ndarray:
    return x.astype(str)


@register("feature", lookback=2)
def failing(x: np.ndarray) -> np.ndarray:
    raise KeyError("b")


@register("feature", lookback=0)
def without_window(x: np.ndarray) -> np.ndarray:
    return x


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("too_short", r"too_short: returned shape \(5,\); expected numbers of shape \(6,\)"),
        ("as_text", "as_text: returned type <U32"),
        ("failing", "failing: KeyError: 'b'"),
    ],
)
def test_a_wrong_result_of_a_users_function_names_it(name: str, message: str):
    with pytest.raises(ConfigError, match=f"feature function {message}"):
        evaluate(f"{name}($close)", bar_periods(market(0, [6])))


def test_a_users_function_declares_arrays_and_a_look_back():
    with pytest.raises(ConfigError, match="without_window: look-back 0; expected a whole number from 1"):
        lookback(parse("without_window($close)"), 1)

    def unnamed(x) -> np.ndarray:
        return x

    with pytest.raises(ConfigError, match=r"unnamed: argument x has no type; expected np\.ndarray"):
        register("feature", lookback=1)(unnamed)


# Look-back


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", (1, 0)),
        ("$close", (1, 0)),
        ("Mean($close, 20)", (20, 0)),
        ("Ref($close, 5)/Mean($close, 3)", (6, 0)),
        ("Ref(Mean($close, 20), 5)", (25, 0)),
        ("PSum($volume)", (5, 0)),
        ("Ref(PLast($close), 1)", (10, 0)),
        ("Mean(PSum($volume), 4)", (20, 0)),
        ("Mean(PLast(Mean($close, 20)), 4)", (39, 0)),
        ("PLast($close)/Mean($close, 20)", (20, 0)),
        ("Ref($news, 2)", (15, 0)),
        ("EMA($close, 12)", (1, 32)),
        ("Mean(EMA($close, 12), 20)", (20, 51)),
        ("TA.RSI($close, 14)", (15, 80)),
        ("TA.RSI(PLast($close), 14)", (75, 400)),
        ("TA.SMA($close, 14)", (14, 0)),
        ("TA.BBANDS($close, 14, matype=1).upperband", (14, 75)),
    ],
)
def test_the_look_back_follows_from_the_expression(text: str, expected: tuple[int, int]):
    assert lookback(parse(text), WEEK, ["news"]) == expected


FIELDS = st.sampled_from(["$close", "$volume", "$open", "$high"])
ONE = st.sampled_from([*ROLLING, "Delta", "Ref"])


def calls(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    windows = st.integers(4, 9)
    return st.one_of(
        st.builds("{}({}, {})".format, ONE, inner, windows),
        st.builds("{}({}, {}, {})".format, st.sampled_from(["Corr", "Cov"]), inner, inner, windows),
        st.builds("Quantile({}, {}, 0.3)".format, inner, windows),
        st.builds("({}{}{})".format, inner, st.sampled_from(["+", "-", "*", "/", ">", "<="]), inner),
        st.builds("{}({})".format, st.sampled_from(["Log", "Abs", "Sign", "-"]), inner),
        st.builds("Power({}, 1.7)".format, inner),
        st.builds("If({}>{}, {}, 1)".format, inner, inner, inner),
    )


BAR_VALUES = st.recursive(FIELDS, calls, max_leaves=3)
AGGREGATES = st.sampled_from(["PFirst", "PLast", "PMax", "PMin", "PSum", "PMean", "PCount"])
PERIOD_VALUES = st.recursive(
    st.one_of(st.builds("{}({})".format, AGGREGATES, BAR_VALUES), st.just("$news")), calls, max_leaves=2
)
FINITE = st.one_of(BAR_VALUES, PERIOD_VALUES)
WHOLE_MARKET = st.one_of(
    FINITE,
    st.builds("{}({})".format, st.sampled_from(["CSRank", "CSZScore", "CSDemean"]), FINITE),
    st.builds("EMA({}, 5)".format, FINITE),
    st.builds("TA.RSI({}, 5)".format, FINITE),
)


@settings(max_examples=150, deadline=None)
@given(WHOLE_MARKET, st.integers(0, 99), st.integers(5, 24), st.sampled_from([1, WEEK]))
def test_no_value_depends_on_later_bars(text: str, seed: int, weeks: int, period: int):
    bars = market(seed, [125, 60, 101])
    full = bar_periods(bars, period)
    end = weeks * WEEK
    starts = [0, 65, 24]
    pairs = [(b, s) for b, s in zip(bars, starts, strict=True) if s < end]
    cut = [{name: x[: end - s] for name, x in b.items()} for b, s in pairs]
    shorter = bar_periods(cut, period, starts=[s for _, s in pairs])
    values = evaluate(text, full)[full.day[full.last] < end]
    np.testing.assert_array_equal(values, evaluate(text, shorter))


@settings(max_examples=150, deadline=None)
@given(FINITE, st.integers(0, 99), st.integers(0, 3), st.sampled_from([1, WEEK]))
def test_no_value_depends_on_bars_before_its_look_back(text: str, seed: int, earlier: int, period: int):
    bars = market(seed, [40, 400, 31])
    full = bar_periods(bars, period)
    expression = parse(text)
    size, recursive = lookback(expression, period, ["news"])
    assert recursive == 0
    end = 400 - earlier * WEEK
    part = {name: x[max(end - size, 0) : end] for name, x in bars[1].items()}
    value = evaluate(text, bar_periods([part], period, starts=[max(end - size, 0)]))[-1]
    row = np.flatnonzero(full.last == 40 + end - 1)
    np.testing.assert_array_equal(Evaluator(full).values(expression)[row], [value])


@settings(max_examples=30, deadline=None)
@given(st.lists(WHOLE_MARKET, min_size=1, max_size=6))
def test_a_table_equals_its_columns(texts: list[str]):
    rows = bar_periods(market(9, [60, 44]), WEEK)
    expressions = [parse(text) for text in [*texts, texts[0]]]
    evaluator = Evaluator(rows)
    for expression, values in zip(expressions, evaluator.table(expressions), strict=True):
        np.testing.assert_array_equal(values, Evaluator(rows).values(expression))
        np.testing.assert_array_equal(values, evaluator.values(expression))
