"""The ranking loss over the tickers of a date."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ste.errors import ConfigError
from ste.registry import LOSSES
from ste.training.losses.base import LossInputs
from ste.training.losses.ranking import RankingLoss, expected_class, pairwise_loss
from ste.training.module import build_loss


def ranknet(score: np.ndarray, target: np.ndarray, group: np.ndarray, sharpness: float) -> float:
    """RankNet's loss pair by pair: a mean over the pairs of each date, then over dates with pairs."""
    dates = []
    for date in np.unique(group):
        rows = np.flatnonzero(group == date)
        losses = [
            math.log1p(math.exp(-sharpness * (score[i] - score[j])))
            for i in rows
            for j in rows
            if target[i] > target[j]
        ]
        if losses:
            dates.append(np.mean(losses))
    return float(np.mean(dates)) if dates else 0.0


@given(
    group=st.lists(st.integers(0, 4), min_size=1, max_size=20),
    seed=st.integers(0, 2**32 - 1),
    sharpness=st.floats(0.1, 10.0),
    classes=st.integers(2, 5),
)
def test_the_loss_is_ranknets_plus_cross_entropy(group: list[int], seed: int, sharpness: float, classes: int):
    rng = np.random.default_rng(seed)
    logits, target = rng.normal(size=(len(group), classes)), rng.integers(classes, size=len(group))
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    score = probs @ np.arange(classes)
    expected = -np.log(probs[np.arange(len(group)), target]).mean()
    expected += 0.7 * ranknet(score, target, np.array(group), sharpness)
    loss = RankingLoss(pairwise=0.7, sharpness=sharpness)
    tensors = torch.from_numpy(logits), torch.from_numpy(target), torch.tensor(group)
    assert float(ranked(loss, *tensors)) == pytest.approx(expected, rel=1e-9)
    order = torch.from_numpy(rng.permutation(len(group)))
    assert float(ranked(loss, *(tensor[order] for tensor in tensors))) == pytest.approx(expected, rel=1e-9)


def ranked(loss: RankingLoss, logits: torch.Tensor, target: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
    loss.set_up(logits.shape[-1])
    return loss(logits, target, LossInputs(group=group))


def test_dates_are_not_compared_with_each_other():
    score, target = torch.tensor([0.0, 5.0]), torch.tensor([1, 0])
    assert float(pairwise_loss(score, target, torch.tensor([0, 1]))) == 0.0
    assert float(pairwise_loss(score, target, torch.tensor([0, 0]))) == pytest.approx(math.log1p(math.exp(5.0)))


def test_it_learns_the_order_of_the_tickers_of_a_date():
    """The level of a date says nothing, the order within it everything."""
    draw = torch.Generator().manual_seed(0)
    dates, tickers = 60, 6
    signal = torch.randn((dates, tickers), generator=draw)
    target = (signal.argsort(dim=1).argsort(dim=1) // 2).flatten()
    group = torch.arange(dates).repeat_interleave(tickers)
    x = torch.stack([(signal + 3 * torch.randn((dates, 1), generator=draw)).flatten(), signal.flatten()], dim=1)
    torch.manual_seed(0)
    layer, loss = torch.nn.Linear(2, 3), RankingLoss(pairwise=2.0)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)

    def right() -> float:
        score = expected_class(layer(x)).detach()
        pairs = (group[:, None] == group) & (target[:, None] > target)
        return float((score[:, None] > score)[pairs].double().mean())

    before, first = right(), float(pairwise_loss(expected_class(layer(x)), target, group).detach())
    for _ in range(150):
        optimizer.zero_grad()
        ranked(loss, layer(x), target, group).backward()
        optimizer.step()
    assert right() > max(0.97, before)
    assert float(pairwise_loss(expected_class(layer(x)).detach(), target, group)) < 0.7 * first


def test_arguments_are_checked():
    assert LOSSES["ranking"].needs_groups
    with pytest.raises(ConfigError, match=r"pairwise=0: expected a number above 0"):
        build_loss("ranking", {"pairwise": 0}, 3)
    with pytest.raises(ConfigError, match=r"sharpnes"):
        build_loss("ranking", {"sharpnes": 1.0}, 3)
    with pytest.raises(ConfigError, match=r"fit.loss=rankin: .*ranking"):
        build_loss("rankin", {}, 3)
    with pytest.raises(ConfigError, match="weight"):
        build_loss("cross_entropy", {"weight": 1.0}, 3)
