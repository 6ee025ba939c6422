"""Qlib's feature sets as shipped: their definitions parse, look back on the past and are defined on full windows."""

import numpy as np
import pytest
import torch

from ste.config.feature_sets import load_feature_set
from ste.expressions import BarPeriods, Evaluator, lookback, parse
from ste.features.column_forms import ColumnForms
from ste.features.normalization import Normalizer

PRICES = {"open", "high", "low", "close", "vwap", "volume"}


def daily_rows(size: int) -> BarPeriods:
    rng = np.random.default_rng(11)
    close = 40 * np.exp(rng.normal(0, 0.02, size).cumsum())
    opened = close * np.exp(rng.normal(0, 0.01, size))
    high, low = np.maximum(close, opened) * 1.01, np.minimum(close, opened) * 0.99
    volume = rng.integers(0, 50, size) * 100.0
    bars = {"open": opened, "high": high, "low": low, "close": close, "volume": volume}
    bars["vwap"] = (high + low + close) / 3
    days = np.arange(size)
    return BarPeriods(days, np.array([0]), days, days, lambda name: (bars[name], False))


@pytest.mark.parametrize(("name", "count", "longest"), [("alpha158", 158, 61), ("alpha360", 360, 60)])
def test_a_set_of_qlib_is_defined_on_full_windows(name: str, count: int, longest: int):
    columns = load_feature_set(name).columns
    assert len(columns) == count
    assert {column.unit for column in columns} == {"ratio", "count"}
    expressions = [parse(column.expr, column.name) for column in columns]
    assert frozenset[str]().union(*(e.fields for e in expressions)) == PRICES
    assert max(lookback(e, 1)[0] for e in expressions) == longest
    assert max(lookback(e, 1)[1] for e in expressions) == 0
    for column, values in zip(columns, Evaluator(daily_rows(100)).table(expressions), strict=True):
        assert np.isfinite(values[longest - 1 :]).all(), column.name
        if column.unit == "count":
            assert (values[longest - 1 :] >= 0).all(), column.name


@pytest.mark.parametrize("name", ["alpha158", "alpha360"])
def test_sessions_without_a_trade_do_not_flatten_the_others(name: str):
    features, rows = load_feature_set(name), daily_rows(1500)
    values = list(Evaluator(rows).table([parse(column.expr, column.name) for column in features.columns]))
    defined = [np.nan_to_num(own, nan=column.fill or 0.0) for own, column in zip(values, features.columns, strict=True)]
    x = torch.from_numpy(np.stack(defined, axis=1)[60:].astype(np.float32))
    traded = torch.from_numpy(rows.field("volume")[0][60:] > 0)
    assert 5 < (~traded).sum() < 100
    normalizer = Normalizer(ColumnForms.from_features(features).to_dict(), "stationary")
    normalizer.fit(lambda: [x])
    ready = normalizer(x)
    assert ready.isfinite().all()
    varies = x[traded].std(dim=0) > 1e-3  # volume0 is 1 in all of them
    assert varies.sum() >= len(features.columns) - 2
    assert ready[traded][:, varies].std(dim=0).min() > 0.8
