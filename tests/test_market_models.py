"""Nets that read all tickers of a date, and batches of whole dates."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from feature_sets import FEATURES
from runs import build_data, build_model, fit_model
from ste.config import TrainSettings
from ste.data import date_loader
from ste.data.build.prepare import prepare
from ste.data.datamodule import TrendDataModule
from ste.data.date_loader import DateLoader
from ste.data.panel import Panel
from ste.data.window_dataset import Batch, JoinedDataset
from ste.data.windows import date_chunks
from ste.errors import ConfigError
from ste.experiment.explanation import explain
from ste.experiment.prediction import predict_split
from ste.features.column_forms import ColumnForms
from ste.models.market_attention import MarketAttention
from ste.seed_ensembles.replica_loader import PADDING, ReplicaDateLoader
from ste.seed_ensembles.replica_module import ReplicaModule
from ste.training import fit as fitting
from ste.training.fit import Fitted
from ste.training.module import TrendModule

T, F, C = 4, 5, 3


def net_of(seed: int = 0, **arguments: Any) -> MarketAttention:
    torch.manual_seed(seed)
    return MarketAttention(**{"input_size": F, "hidden_size": 8, "num_heads": 2, **arguments}).double().eval()


def market_of(sizes: list[int], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Windows of dates with so many tickers, in random order, and their dates."""
    draw = torch.Generator().manual_seed(seed)
    group = torch.repeat_interleave(torch.randperm(1000, generator=draw)[: len(sizes)], torch.tensor(sizes))
    group = group[torch.randperm(len(group), generator=draw)]
    return torch.randn((len(group), T, F), generator=draw, dtype=torch.float64), group


def by_date(net: MarketAttention, x: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
    """Logits by PyTorch's own attention, one date after the other."""
    layer = net.market
    theirs = nn.MultiheadAttention(8, layer.num_heads, batch_first=True).double()
    theirs.in_proj_weight.data, theirs.out_proj = layer.query_key_value.weight.data, layer.out
    theirs.in_proj_bias.data.zero_()
    out = torch.empty(len(x), C, dtype=torch.float64)
    for date in group.unique():
        rows = group == date
        state = net.gru(x[rows])[0][:, -1]
        normal = layer.norm(state)
        mixed = state + theirs(normal[None], normal[None], normal[None], need_weights=False)[0][0]
        out[rows] = net.head(net.norm(mixed))
    return out


@settings(max_examples=25)
@given(sizes=st.lists(st.integers(1, 7), min_size=1, max_size=5), seed=st.integers(0, 1000))
def test_the_tickers_of_a_date_attend_to_each_other_and_to_no_other_date(sizes: list[int], seed: int):
    net = net_of()
    x, group = market_of(sizes, seed)
    with torch.no_grad():
        logits = net(x, group)
        torch.testing.assert_close(logits, by_date(net, x, group))
        order = torch.randperm(len(x))
        torch.testing.assert_close(net(x[order], group[order]), logits[order])  # equivariant
        torch.testing.assert_close(net(x, -3 * group), logits)  # groups have no other meaning
        changed = x.clone()
        changed[group == group[0]] += 1.0
        other = group != group[0]
        torch.testing.assert_close(net(changed, group)[other], logits[other])


def test_a_ticker_depends_on_the_others_of_its_date():
    net = net_of()
    x, group = market_of([4, 3])
    changed = x.clone()
    changed[0] += 1.0
    moved = (net(changed, group) - net(x, group)).abs().amax(1) > 1e-6
    assert torch.equal(moved, group == group[0])


# --- batches ---


class Examples:
    """Examples in memory, with labels and dates."""

    device = torch.device("cpu")

    def __init__(self, group: torch.Tensor, gather_size: int = 1) -> None:
        self.group, self.gather_size = group, gather_size
        self.labels = torch.arange(len(group)) % 4 - 1
        self.x = torch.randn((len(group), T, F), generator=torch.Generator().manual_seed(1))

    def __len__(self) -> int:
        return len(self.group)

    def __getitem__(self, index: torch.Tensor) -> Batch:
        return Batch(self.x[index], self.labels[index], group=self.group[index])


dates = st.lists(st.integers(-3, 3), min_size=1, max_size=40).map(torch.tensor)


@given(group=dates, size=st.integers(1, 12), seed=st.integers(0, 99), gather=st.sampled_from([1, 7, 100]))
def test_an_epoch_has_every_date_once_and_whole(group: torch.Tensor, size: int, seed: int, gather: int):
    examples = Examples(group, gather)
    loader = DateLoader(examples, size, seed)
    loader.set_epoch(3)
    batches = list(loader)
    assert len(batches) == len(loader)
    largest = int(group.unique(return_counts=True)[1].max())
    for batch in batches:
        assert len(batch.label) <= max(size, largest)
        for date in batch.group.unique():
            assert int((batch.group == date).sum()) == int((group == date).sum())
    joined = torch.cat([batch.features for batch in batches])
    assert sorted(map(tuple, joined[:, 0].tolist())) == sorted(map(tuple, examples.x[:, 0].tolist()))
    again = DateLoader(Examples(group), size, seed)  # as a resumed run makes it
    again.set_epoch(3)
    assert all(torch.equal(a.features, b.features) for a, b in zip(batches, again, strict=True))
    in_order = DateLoader(examples, size)
    assert torch.equal(in_order.restore(torch.cat([b.features for b in in_order])), examples.x[examples.labels >= 0])


@given(group=dates, size=st.integers(1, 12), world=st.integers(1, 4))
def test_processes_share_the_dates(group: torch.Tensor, size: int, world: int):
    seen: list[list[int]] = []
    lengths = set()
    with pytest.MonkeyPatch.context() as patch:
        for rank in range(world):
            patch.setattr(date_loader, "process", lambda rank=rank: (rank, world))
            loader = DateLoader(Examples(group), size, 5)
            lengths.add(len(loader))
            seen.append([int(date) for batch in loader for date in batch.group.unique()])
            whole = all(
                int((b.group == date).sum()) == int((group == date).sum()) for b in loader for date in b.group.unique()
            )
            assert whole
    together = [date for own in seen for date in own]
    assert len(lengths) == 1
    assert len(together) == len(set(together)) == len(group.unique()) // world * world


@given(group=dates, most=st.integers(1, 12))
def test_chunks_are_whole_dates_in_their_order(group: torch.Tensor, most: int):
    chunks = date_chunks(group.numpy(), most)
    rows = np.concatenate(chunks)
    assert sorted(rows.tolist()) == list(range(len(group)))
    assert (np.diff(group.numpy()[rows]) >= 0).all()
    for before, after in pairwise(chunks):
        assert group[before[-1]] < group[after[0]]
    for chunk in chunks:
        assert len(chunk) <= most or len(group[torch.from_numpy(chunk)].unique()) == 1


def test_no_date_of_one_market_is_a_date_of_another():
    first, second = Examples(torch.tensor([3, 3, 5])), Examples(torch.tensor([3, 4, 3]))
    joined = JoinedDataset(first, second)
    group = joined[torch.arange(6)].group
    assert torch.equal(group, joined.group)
    assert torch.equal(group[:3], first.group)
    assert not set(group[:3].tolist()) & set(group[3:].tolist())
    assert torch.equal(group[3:] - group[3], torch.tensor([0, 1, 0]))


# --- training ---

Prepared = tuple[TrainSettings, TrendDataModule, TrendModule]


@pytest.fixture
def made(small: Any) -> Any:
    def make(*overrides: str) -> Prepared:
        config, _ = small("tracking=off", "model.hidden_size=8", "model=market_attention", *overrides)
        data = build_data(config, Panel.read(prepare(config.data, Path(config.paths.data)), config.data))
        return config, data, build_model(config, data)

    return make


def fitted(made: Any, folder: str, *overrides: str) -> tuple[Fitted, TrendDataModule]:
    config, data, module = made(*overrides)
    return fit_model(config, data, module, Path(folder)), data


def of_one_date(module: TrendModule, data: TrendDataModule, split: str) -> np.ndarray:
    """Probabilities of a split's examples, date by date with every ticker that has the history."""
    dataset, store = data.scored[split], data.panel.store
    out = np.empty((len(dataset), len(data.panel.classes)), dtype=np.float32)
    for period in np.unique(store.period[dataset.ends.numpy()]):
        ends = np.flatnonzero((store.period == period) & (store.history.numpy() >= dataset.needed))
        x = torch.stack([store.features[end - dataset.length + 1 : end + 1] for end in ends])
        probs = module.probabilities(x, torch.zeros(len(ends), dtype=torch.int64)).numpy()
        rows = np.flatnonzero(store.period[dataset.ends.numpy()] == period)
        out[rows] = probs[np.searchsorted(ends, dataset.ends.numpy()[rows])]
    return out


def same_weights(one: Fitted, other: Fitted) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True))


def test_a_fit_repeats_resumes_and_scores_whole_dates(made: Any, monkeypatch: pytest.MonkeyPatch):
    whole, data = fitted(made, "whole")
    for split in ("validation", "test"):
        np.testing.assert_allclose(
            predict_split(whole.model, data, split), of_one_date(whole.model, data, split), atol=1e-6
        )
    fitted(made, "stopped", "trainer.max_epochs=2")
    resumed, _ = fitted(made, "stopped", "resume=x")
    assert same_weights(whole, resumed)
    assert whole.history == resumed.history
    monkeypatch.setattr(fitting, "can_group", lambda *_: False)
    monkeypatch.setattr(fitting, "fits", lambda *_: False)
    plain, _ = fitted(made, "plain")
    assert plain.history[-1]["val/log_loss"] == pytest.approx(whole.history[-1]["val/log_loss"], abs=1e-6)


def test_a_date_includes_the_tickers_without_a_label(made: Any):
    """Else the tickers that are missing from a date would tell the returns that follow."""
    result, data = fitted(made, "two", "data.labels.classes=2", "trainer.max_epochs=1")
    market = data.datasets["train"].market()
    labels = market.labels
    assert torch.equal(market.ends[labels >= 0], data.datasets["train"].ends)
    neutral = data.panel.store.label[market.ends[labels < 0]]
    assert len(neutral) > 20
    assert (neutral == -1).all()
    for split in ("validation", "test"):
        found = predict_split(result.model, data, split)
        np.testing.assert_allclose(found, of_one_date(result.model, data, split), atol=1e-6)


def test_a_sample_of_tickers_is_predicted_within_the_whole_market(made: Any):
    _, data, module = made("scoring.max_rows=60")
    assert data.samples["validation"].examples < len(data.datasets["validation"])
    found = predict_split(module.eval(), data, "validation")
    assert len(found) == len(data.scored["validation"])
    np.testing.assert_allclose(found, of_one_date(module, data, "validation"), atol=1e-6)
    tickers = 4
    assert all(len(batch.label) % tickers == 0 for batch in data.val_dataloader(whole_dates=True))


def test_explanations_exchange_and_interpolate_whole_dates(made: Any):
    _, data, module = made("data.labels.classes=2")
    importance, attribution = explain(module.eval(), data)
    assert {one.name for one in importance if one.kind == "feature"} == set(FEATURES)
    assert any(one.log_loss != 0.0 for one in importance)
    assert attribution is not None
    assert attribution.gap < 1e-3  # complete for each date
    assert sum(attribution.by_feature.values()) > 0.0


def test_examples_of_different_dates_are_not_mixed(made: Any):
    with pytest.raises(ConfigError, match=r"augment=mixup: averages examples of different dates, and MarketAttention"):
        made("augment=mixup")
    result, _ = fitted(made, "jitter", "augment=jitter", "trainer.max_epochs=1")
    assert np.isfinite(result.monitored)


# --- replicas ---


def replica_module(kind: type[TrendModule], count: int, seed: int, **more: Any) -> TrendModule:
    common: dict[str, Any] = {
        "net": "MarketAttention",
        "net_arguments": {
            **{"input_size": F, "hidden_size": 8, "num_heads": 2, "num_layers": 2},
            **{"num_classes": C, "dropout": 0.3},
        },
        "forms": ColumnForms([f"x{i}" for i in range(F)], ["none"] * F, None, {}).to_dict(),
        "representation": "standard",
        "optimizer": {"name": "adam", "lr": 1e-2, "weight_decay": 0.0, "momentum": 0.0},
        "scheduler": {"name": "none"},
        "seed": seed,
        **more,
    }
    if kind is TrendModule:
        torch.manual_seed(seed)
        return TrendModule(**common).double()
    own = {"replicas": count, "lr": None, "weight_decay": None, "dropout": None, "weighting": "uniform"}
    return ReplicaModule({**own, "patience": None}, **common).double()


@pytest.mark.parametrize("loss", ["cross_entropy", "ranking"])
def test_replicas_have_the_batches_dropout_and_gradients_of_their_seeds(loss: str):
    sizes = [1, 5, 2, 7, 3, 4, 6]
    group = torch.repeat_interleave(torch.arange(7), torch.tensor(sizes))
    weights = [1.0, 2.0, 0.5]
    more = {"loss": loss, "class_weights": weights, "label_smoothing": 0.1}
    together = replica_module(ReplicaModule, 3, 4, **more)
    loader = ReplicaDateLoader(Examples(group), 15, 4, 3)
    alone = [replica_module(TrendModule, 1, 4 + i, **more) for i in range(3)]
    own = [DateLoader(Examples(group), 15, 4 + i) for i in range(3)]
    padded = 0
    for step, (batch, *singles) in enumerate(zip(loader, *own, strict=True)):
        padded += int((batch.group == PADDING).sum())
        together.net.zero_grad()
        together.streams.seed([step * 10 + i for i in range(3)])
        together.training_step(batch, step).backward()
        for i, (module, single) in enumerate(zip(alone, singles, strict=True)):
            module.net.zero_grad()
            torch.manual_seed(step * 10 + i)
            module.training_step(single, step).backward()
            for (name, stacked), parameter in zip(
                together.net.named_parameters(), module.net.parameters(), strict=True
            ):
                torch.testing.assert_close(stacked.grad[i], parameter.grad, rtol=1e-8, atol=1e-10, msg=name)
    assert padded > 0
