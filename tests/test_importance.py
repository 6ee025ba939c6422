"""Importance: what a model loses without a feature, and what a net's answer is made of."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score, log_loss
from torch import nn

from feature_sets import FEATURES, FORMS, GROUPS, WEEKLY21
from ste.config import SyntheticSettings
from ste.data.build.labelled_rows import build_table
from ste.data.row_store import RowStore
from ste.data.window_dataset import SequenceDataset
from ste.evaluation.explain.integrated_gradients import integrated_gradients
from ste.evaluation.explain.permutation_importance import donor_rows, even_periods, permutation_importance
from ste.features.normalization import Normalizer
from ste.market.calendar import WEEKS
from ste.models.lstm import SimpleLSTM

Panel = tuple[np.ndarray, np.ndarray]


@st.composite
def panels(draw: Callable[..., object]) -> Panel:
    """Periods and tickers of rows in any order; a ticker may miss a period, but no period is empty."""
    weeks = draw(st.integers(2, 6))
    rows = [
        (week, ticker)
        for week in range(weeks)
        for ticker in draw(st.lists(st.sampled_from("ABCDE"), min_size=1, unique=True))
    ]
    rows = draw(st.permutations(rows))
    return np.array([10 + 3 * week for week, _ in rows]), np.array([ticker for _, ticker in rows])


# --- who gives to whom ---


@given(panels(), st.integers(0, 100))
def test_a_whole_period_takes_from_one_other_period_and_the_same_ticker_where_it_is_there(panel: Panel, seed: int):
    periods, tickers = panel
    donors = donor_rows(periods, tickers, np.random.default_rng(seed))
    givers = {}
    for row, donor in enumerate(donors):
        givers.setdefault(periods[row], set()).add(periods[donor])
        there = set(tickers[periods == periods[donor]])
        if tickers[row] in there:
            assert tickers[donor] == tickers[row]
        else:
            place = sorted(tickers[periods == periods[row]]).index(tickers[row])
            assert tickers[donor] == sorted(there)[place % len(there)]
    assert all(len(others) == 1 for others in givers.values())
    one_to_one = {week: others.pop() for week, others in givers.items()}
    assert sorted(one_to_one.values()) == sorted(one_to_one)
    assert all(week != other for week, other in one_to_one.items())


@given(st.lists(st.integers(0, 30), min_size=1, max_size=300), st.integers(1, 400))
def test_even_periods_are_whole_ones(weeks: list[int], rows: int):
    periods = np.array(weeks)
    chosen = even_periods(periods, rows)
    assert set(np.flatnonzero(np.isin(periods, periods[chosen]))) == set(chosen)
    assert (np.diff(chosen) > 0).all()
    if rows >= len(periods):
        assert len(chosen) == len(periods)


def test_even_periods_reach_from_the_first_to_the_last():
    chosen = even_periods(np.repeat(np.arange(100), 10), 200) // 10
    assert len(chosen) == 200
    assert set(np.diff(np.unique(chosen))) <= {5, 6}
    assert (chosen.min(), chosen.max()) == (0, 99)


# --- permutation importance ---


def softmax_of(weights: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: (x.reshape(len(x), -1) @ weights).softmax(dim=1)


def exact(probabilities: torch.Tensor) -> np.ndarray:
    """Summing to one in float64 too, as scikit-learn asks."""
    double = probabilities.double().numpy()
    return double / double.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("window", [(), (3,)])
def test_importance_is_what_the_loss_rises_by(window: tuple[int, ...]):
    rng = np.random.default_rng(0)
    periods, tickers = np.repeat(np.arange(30), 4), np.tile(list("DBCA"), 30)
    shape = (120, *window, 3)
    x = torch.tensor(rng.normal(size=shape), dtype=torch.float32)
    weights = torch.tensor(rng.normal(size=(x[0].numel(), 3)), dtype=torch.float32)
    predict = softmax_of(weights)
    y = rng.integers(0, 3, 120)
    groups = {"ends": ("a", "c"), "none": ("z",)}

    got = permutation_importance(predict, x, y, periods, tickers, "abc", groups, repeats=3, seed=7)

    assert (got[0].kind, got[0].name) == ("group", "ends")
    assert {i.name for i in got} == {"ends", "a", "b", "c"}
    draws = np.random.default_rng(7)
    donors = [donor_rows(periods, tickers, draws) for _ in range(3)]
    columns = {"a": [0], "b": [1], "c": [2], "ends": [0, 2]}
    before = exact(predict(x))
    for importance in got:
        rises, drops = [], []
        for donor in donors:
            other = x.numpy().copy()
            for row in range(120):
                other[row][..., columns[importance.name]] = x.numpy()[donor[row]][..., columns[importance.name]]
            after = exact(predict(torch.tensor(other)))
            rises.append(log_loss(y, after) - log_loss(y, before))
            drops.append(accuracy_score(y, before.argmax(1)) - accuracy_score(y, after.argmax(1)))
        assert importance.log_loss == pytest.approx(np.mean(rises), abs=1e-7)
        assert importance.log_loss_error == pytest.approx(stats.sem(rises), abs=1e-7)
        assert importance.accuracy == pytest.approx(np.mean(drops), abs=1e-12)
        assert importance.accuracy_error == pytest.approx(stats.sem(drops), abs=1e-12)


def test_the_interval_is_that_of_a_mean_of_week_means_where_weeks_are_of_one_size():
    rng = np.random.default_rng(1)
    periods, tickers = np.repeat(np.arange(40), 5), np.tile(np.arange(5), 40)
    x = torch.tensor(rng.normal(size=(200, 2)), dtype=torch.float32)
    predict, y = softmax_of(torch.tensor([[2.0, -1.0], [0.0, 1.0]])), rng.integers(0, 2, 200)
    (found,) = permutation_importance(predict, x, y, periods, tickers, ["a", "b"], {}, repeats=1, seed=3)[:1]
    donor = donor_rows(periods, tickers, np.random.default_rng(3))
    other = x.clone()
    other[:, "ab".index(found.name)] = x[donor][:, "ab".index(found.name)]
    losses = [-np.log(predict(part).double().numpy()[np.arange(200), y]) for part in (x, other)]
    error = stats.sem((losses[1] - losses[0]).reshape(40, 5).mean(axis=1))
    wide = stats.t.ppf(0.975, 39) * error
    assert (found.high - found.low) / 2 == pytest.approx(wide, rel=0.08)  # by a bootstrap of 2,000 resamples
    assert (found.high + found.low) / 2 == pytest.approx(found.log_loss, abs=0.15 * wide)


def test_a_feature_that_is_not_looked_at_is_worth_exactly_nothing():
    x = torch.randn(60, 4, 2, generator=torch.Generator().manual_seed(0))
    y, periods = np.arange(60) % 3, np.arange(60) // 6
    predict = lambda x: torch.stack([x[:, -1, 0], -x[:, 0, 0], 0 * x[:, 0, 0]], dim=1).softmax(1)  # noqa: E731
    found = {i.name: i for i in permutation_importance(predict, x, y, periods, np.arange(60) % 6, "ab", {})}
    assert (found["b"].log_loss, found["b"].low, found["b"].high, found["b"].accuracy) == (0.0, 0.0, 0.0, 0.0)
    assert found["a"].log_loss != 0.0
    assert not torch.equal(x, torch.zeros_like(x))


def test_the_features_given_are_left_alone_and_the_same_seed_gives_the_same_numbers():
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    before, predict = x.clone(), softmax_of(torch.eye(3))
    arguments = (predict, x, np.arange(50) % 3, np.arange(50) // 5, np.arange(50) % 5, "abc", {"all": "abc"})
    first, second = permutation_importance(*arguments), permutation_importance(*arguments)
    assert torch.equal(x, before)
    assert first == second != permutation_importance(*arguments, seed=1)


# --- integrated gradients ---


@pytest.mark.parametrize("shape", [(6,), (5, 6)])
def test_attributions_add_up_to_the_change_of_the_output(shape: tuple[int, ...]):
    torch.manual_seed(0)
    net = SimpleLSTM(6, 8, 1) if len(shape) == 2 else nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    x = torch.randn(40, *shape)
    got = integrated_gradients(net, x, "abcdef", np.arange(40))
    assert np.shape(got.by_lag) == (shape[0] if len(shape) == 2 else 1, 6)
    assert got.examples == 40
    assert got.gap < 1e-3
    coarse = integrated_gradients(net, 5 * x, "abcdef", np.arange(40), steps=2)
    assert coarse.gap > 1e-2  # too few steps are seen


def test_attributions_of_one_sign_sum_to_the_difference_of_the_outputs():
    net = nn.Linear(3, 2, bias=False)
    net.weight.data = torch.tensor([[0.5, 1.0, 2.0], [-0.5, -1.0, -2.0]])
    x = torch.tensor([[0.3, 0.1, 0.2]])
    got = integrated_gradients(net, x, "abc", np.arange(1))
    difference = float(net(x).softmax(1)[0, 0]) - 0.5
    assert sum(got.by_feature.values()) == pytest.approx(difference, abs=1e-6)
    # Along a straight path through one linear score, shares are those of the score.
    assert got.by_feature == pytest.approx(
        {"a": difference * 0.15 / 0.65, "b": difference * 0.1 / 0.65, "c": difference * 0.4 / 0.65}, abs=1e-6
    )


def test_attributions_are_a_path_integral_of_gradients():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 3))
    x = torch.randn(7, 3)
    target = net(x).argmax(1)
    total = torch.zeros(7, 3)
    for k in range(400):  # a plain midpoint sum
        at = ((k + 0.5) / 400 * x).requires_grad_()
        net(at).softmax(1)[torch.arange(7), target].sum().backward()
        total += at.grad * x / 400
    got = integrated_gradients(net, x, "abc", np.arange(7))
    assert got.by_lag[0] == pytest.approx(total.abs().mean(0).tolist(), abs=1e-5)
    assert got.by_feature == pytest.approx(dict(zip("abc", got.by_lag[0], strict=True)))


# --- a known world ---


def test_the_drivers_of_a_world_come_out_on_top():
    """News sentiment, its count and the VIX move the return model (ste.synthetic.return_model); policy does not."""
    settings = SyntheticSettings(source="world", tickers=40, start="1992-01-01", end="2019-12-31", signal=0.6)
    store = RowStore.from_frame(build_table(settings)[0], WEEKLY21)
    late = np.array(store.frame["date"] >= "2016-01-01")
    train, held_out = SequenceDataset(store, ~late, 4), SequenceDataset(store, late, 4)
    representation = Normalizer(FORMS, "stationary")
    raw = train[torch.arange(len(train))].features
    representation.fit(lambda: [raw])
    x, y = representation(raw), train.labels
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(4 * len(FEATURES), 48), nn.GELU(), nn.Linear(48, 3))
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=0.05)
    for _ in range(8):
        for part in torch.randperm(len(x)).split(256):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[part]), y[part]).backward()
            optimizer.step()
    prepared = representation(held_out[torch.arange(len(held_out))].features)
    weeks = WEEKS.index(held_out.frame["date"])

    found = permutation_importance(
        lambda part: net(part).softmax(1),
        prepared,
        held_out.labels.numpy(),
        weeks,
        held_out.frame["ticker"].to_numpy(),
        FEATURES,
        GROUPS,
    )
    groups, features = ([i for i in found if i.kind == kind] for kind in ("group", "feature"))
    drivers = {"news_sentiment", "macro_vix", "news_count"}
    assert [i.name for i in groups] == ["news", "stock", "macro", "policy"]
    assert {i.name for i in features[:3]} == drivers
    assert all(i.low > 0 for i in features[:3])
    assert groups[-1].low < 0 < groups[-1].high

    by_feature = integrated_gradients(net, prepared, FEATURES, weeks).by_feature
    assert set(sorted(by_feature, key=by_feature.get)[-3:]) == drivers
