"""Augmentation: what each does to a batch, that a fit repeats, and that nothing but training examples is touched."""

import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from runs import build_model, compose_values, fit_model
from ste.config import AugmentSettings, FitSettings, TrainSettings, ValidationSettings
from ste.config.load import load_settings
from ste.data.build.prepare import prepare
from ste.data.cross_validation import folds
from ste.data.datamodule import BatchLoader, TrendDataModule
from ste.data.panel import Panel
from ste.data.sources.daily_sources import daily_sources
from ste.data.window_dataset import Batch, JoinedDataset
from ste.errors import ConfigError, DataError
from ste.evaluation.predictions import Predictions
from ste.evaluation.scoring import score
from ste.experiment.model_setup import input_view
from ste.experiment.prediction import predict, predict_split
from ste.market.calendar import WEEKS
from ste.market.sources import Market
from ste.schema import RETURN
from ste.synthetic.block_bootstrap import ResampledMarket
from ste.training.augmentation.batch_transforms import augment_batch, generator
from ste.training.augmentation.resampled_market import synthetic_rows, training_days
from ste.training.augmentation.transforms.jitter import jitter
from ste.training.augmentation.transforms.mixup import mixup
from ste.training.augmentation.transforms.scaling import scaling
from ste.training.augmentation.transforms.window_warping import window_warping
from ste.training.module import TrendModule
from ste.training.trainer import build_trainer
from studies.augmentation import with_plain_baseline

NAMES = ("jitter", "scaling", "window_warping", "mixup", "synthetic")
ON_BATCHES = NAMES[:4]
World = tuple[TrainSettings, Panel, Market]


WORLD = ["data.tickers=4", "data.start=2016-01-01", "data.end=2019-12-31", "augment=synthetic", "model.hidden_size=8"]
FAST = [
    "tracking=off",
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=3",
    "trainer.threads=1",
    "trainer.enable_progress_bar=false",
]
CUTS = ["data.split.validation_start=2018-06-01", "data.split.test_start=2019-03-01"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    settings = load_settings(TrainSettings, compose_values(*WORLD, *CUTS, *FAST))
    folder = tmp_path_factory.mktemp("world")
    return settings, Panel.read(prepare(settings.data, folder), settings.data), daily_sources(settings.data)


def windows(seed: int, size: int = 8, periods: int = 5, features: int = 3) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((size, periods, features), dtype=np.float32))


def augmented(world: World, name: str, **more: Any) -> tuple[TrainSettings, TrendDataModule]:
    settings, panel, _ = world
    settings = replace(settings, augment=AugmentSettings(name=name), **more)
    return settings, TrendDataModule(panel, input_view(settings.model), settings.seed)


def fitted(settings: TrainSettings, data: TrendDataModule, folder: Path) -> TrendModule:
    module = build_model(settings, data)
    assert isinstance(module, TrendModule)
    fit_model(settings, data, module, folder, None)
    return module


def weights(module: TrendModule) -> torch.Tensor:
    return torch.cat([parameter.detach().ravel() for parameter in module.parameters()])


# --- a batch ---


@given(seed=st.integers(0, 2**32 - 1), sigma=st.floats(0.01, 2.0))
def test_jitter_adds_noise_of_its_size_and_none_to_a_constant_column(seed: int, sigma: float) -> None:
    x = torch.zeros(400, 5, 3)
    noise = jitter(x, sigma, torch.tensor([True, False, True]), generator(seed, 0, 0)).numpy()
    assert (noise[..., 1] == 0).all()
    moved = noise[..., [0, 2]].ravel()
    assert moved.std() == pytest.approx(sigma, rel=0.1)
    assert abs(moved.mean()) < 5 * sigma / np.sqrt(len(moved))
    assert abs(np.corrcoef(noise[:, 0, 0], noise[:, 1, 0])[0, 1]) < 0.3  # each value has its own


@given(seed=st.integers(0, 2**32 - 1), sigma=st.floats(0.01, 0.5))
def test_scaling_has_one_factor_per_window_and_feature(seed: int, sigma: float) -> None:
    x = 1.0 + windows(seed, 200).abs()
    factor = (scaling(x, sigma, generator(seed, 0, 0)) / x).numpy()
    np.testing.assert_allclose(factor, np.broadcast_to(factor[:, :1], factor.shape), rtol=1e-5)
    own = factor[:, 0]
    assert own.mean() == pytest.approx(1.0, abs=5 * sigma / np.sqrt(own.size))
    assert own.std() == pytest.approx(sigma, rel=0.2)
    assert scaling(x[:, 0], sigma, generator(seed, 0, 0)).shape == (200, 3)


def warped_by_hand(series: np.ndarray, first: float, span: float, times: float) -> np.ndarray:
    """The map written as knots from warped to own time, and read by interpolation twice."""
    last = len(series) - 1.0
    knots = [0.0, first, first + span * times, last + span * (times - 1.0)]
    own = np.interp(np.linspace(0.0, knots[-1], len(series)), knots, [0.0, first, first + span, last])
    return np.interp(own, np.arange(len(series)), series)


@given(
    seed=st.integers(0, 2**32 - 1),
    periods=st.integers(3, 12),
    part=st.floats(0.05, 0.95),
    factor=st.floats(1.05, 4.0),
)
def test_window_warping_is_the_map_by_hand(seed: int, periods: int, part: float, factor: float) -> None:
    x = windows(seed, 6, periods).double()
    found = window_warping(x, part, factor, generator(seed, 1, 2)).numpy()
    rng, last = generator(seed, 1, 2), periods - 1.0
    first = rng.uniform(0.0, last * (1 - part), (6, 1))[:, 0]
    times = np.where(rng.random((6, 1)) < 0.5, factor, 1 / factor)[:, 0]
    for i in range(6):
        for k in range(3):
            expected = warped_by_hand(x[i, :, k].numpy(), first[i], last * part, times[i])
            np.testing.assert_allclose(found[i, :, k], expected, atol=1e-8)
    np.testing.assert_allclose(found[:, [0, -1]], x[:, [0, -1]], atol=1e-12)


def test_a_straight_line_in_time_is_bent_and_a_constant_is_not() -> None:
    line = torch.arange(6.0).view(1, 6, 1).expand(50, 6, 2)
    warped = window_warping(line, 0.5, 2.0, generator(0, 0, 0))
    assert (warped.diff(dim=1) > 0).all()
    assert ((warped - line).abs().amax(dim=(1, 2)) > 0.05).all()
    assert torch.equal(window_warping(torch.ones(4, 5, 2), 0.5, 2.0, generator(0, 0, 0)), torch.ones(4, 5, 2))


@given(seed=st.integers(0, 2**32 - 1), alpha=st.floats(0.05, 5.0), size=st.integers(1, 20))
def test_mixup_averages_inputs_and_labels_with_one_weight(seed: int, alpha: float, size: int) -> None:
    x = windows(seed, size)
    label = torch.from_numpy(np.random.default_rng(seed).integers(3, size=size))
    mixed, target = mixup(x, label, 3, alpha, generator(seed, 0, 0))
    rng = generator(seed, 0, 0)
    weight = rng.beta(alpha, alpha, size)
    weight = np.maximum(weight, 1 - weight)
    other = rng.permutation(size)
    hot = np.eye(3)[label.numpy()]
    expected = weight[:, None, None] * x.numpy() + (1 - weight)[:, None, None] * x.numpy()[other]
    np.testing.assert_allclose(mixed.numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(target.numpy(), weight[:, None] * hot + (1 - weight)[:, None] * hot[other], atol=1e-6)
    np.testing.assert_allclose(target.sum(1).numpy(), 1.0, atol=1e-6)
    assert torch.equal(target.gather(1, label[:, None])[:, 0], target.amax(1))


def test_the_larger_weight_for_the_example_itself_leaves_the_papers_loss() -> None:
    rng = np.random.default_rng(0)
    x, label = torch.from_numpy(rng.standard_normal((40, 2), dtype=np.float32)), torch.arange(40) % 3
    matrix = torch.tensor([[1.0, -2.0, 0.5], [0.3, 1.0, -1.0]])
    draws = [mixup(x, label, 3, 0.5, generator(0, 0, i)) for i in range(600)]
    ours = np.mean([cross_entropy(a @ matrix, b).item() for a, b in draws])
    theirs = []
    for _ in range(600):  # Zhang et al.: one weight, two losses
        lam, order = rng.beta(0.5, 0.5), torch.from_numpy(rng.permutation(40))
        logits = (lam * x + (1 - lam) * x[order]) @ matrix
        theirs.append(float(lam * cross_entropy(logits, label) + (1 - lam) * cross_entropy(logits, label[order])))
    assert ours == pytest.approx(np.mean(theirs), abs=4 * np.std(theirs) / np.sqrt(600))


@given(seed=st.integers(0, 2**32 - 1), fraction=st.floats(0.05, 1.0), name=st.sampled_from(NAMES[:3]))
def test_a_share_of_the_examples_is_left_as_it_is(seed: int, fraction: float, name: str) -> None:
    x, label = windows(seed, 300), torch.zeros(300, dtype=torch.int64)
    settings = asdict(AugmentSettings(name=name, fraction=fraction, sigma=0.5))
    changed, target = augment_batch(settings, x, label, 3, torch.ones(3, dtype=torch.bool), generator(seed, 0, 0))
    assert target is label
    touched = (changed != x).flatten(1).any(1).float().mean().item()
    assert touched == pytest.approx(fraction, abs=5 * np.sqrt(fraction * (1 - fraction) / 300) + 0.02)


@pytest.mark.parametrize("name", ON_BATCHES)
def test_a_batch_is_drawn_from_seed_epoch_batch_and_process(name: str) -> None:
    x, label = windows(0), torch.arange(8) % 3

    def drawn(*place: int) -> torch.Tensor:
        every = torch.ones(3, dtype=torch.bool)
        return augment_batch(asdict(AugmentSettings(name=name)), x, label, 3, every, generator(*place))[0]

    assert torch.equal(drawn(1, 2, 3, 4), drawn(1, 2, 3, 4))
    for other in ((0, 2, 3, 4), (1, 0, 3, 4), (1, 2, 0, 4), (1, 2, 3, 0)):
        assert not torch.equal(drawn(1, 2, 3, 4), drawn(*other))


@given(order=st.permutations(range(9)), first=st.integers(1, 8))
def test_joined_examples_come_in_the_order_asked(order: list[int], first: int) -> None:
    class Plain:
        def __init__(self, values: torch.Tensor) -> None:
            self.values = values

        def __len__(self) -> int:
            return len(self.values)

        def __getitem__(self, index: torch.Tensor) -> Batch:
            return Batch(self.values[index, None].float(), self.values[index])

    joined = JoinedDataset(Plain(torch.arange(first)), Plain(torch.arange(first, 9)))  # type: ignore[arg-type]
    assert len(joined) == 9
    assert joined[torch.tensor(order)].label.tolist() == order
    assert joined[torch.tensor(order)].features[:, 0].tolist() == order


# --- a fit ---


@pytest.mark.parametrize("name", NAMES)
def test_only_training_batches_are_touched(
    world: World, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, data = augmented(world, name)
    without, bare = augmented(world, "none")
    module, other = build_model(settings, data), build_model(without, bare)
    assert isinstance(module, TrendModule)
    assert isinstance(other, TrendModule)
    # Scalers, class weights and scored examples are those of the real rows.
    assert torch.equal(module.representation.mean, other.representation.mean)
    assert torch.equal(module.representation.scale, other.representation.scale)
    assert torch.equal(data.class_counts(), bare.class_counts())
    for split, rows in bare.datasets.items():
        assert torch.equal(rows.ends, data.datasets[split].ends)
    seen: dict[bool, list[torch.Tensor]] = {True: [], False: []}
    latent = module.net.latent
    monkeypatch.setattr(module.net, "latent", lambda x: (seen[module.training].append(x), latent(x))[1])
    build_trainer(settings.trainer).fit(module, datamodule=data)
    expected = [module.representation(batch.features) for batch in data.val_dataloader()]
    assert len(seen[False]) == len(expected) > 0
    assert all(torch.equal(a, b) for a, b in zip(seen[False], expected, strict=True))
    real = [module.representation(batch.features) for batch in bare.train_dataloader()]
    assert len(seen[True]) > 0
    assert not torch.equal(seen[True][0], real[0])
    # What is predicted of a split comes from its rows as they are.
    module.eval()
    for split in ("validation", "test"):
        rows = torch.cat([batch.features for batch in bare.loader(split)])
        np.testing.assert_array_equal(predict_split(module, data, split), module.probabilities(rows).numpy())


@pytest.mark.parametrize("name", NAMES)
def test_a_fit_repeats_and_differs_from_one_without(world: World, name: str, tmp_path: Path) -> None:
    one, again = (weights(fitted(*augmented(world, name), tmp_path / str(i))) for i in range(2))
    assert torch.equal(one, again)
    assert not torch.equal(one, weights(fitted(*augmented(world, "none"), tmp_path / "none")))


@pytest.mark.parametrize("name", ["mixup", "synthetic"])
def test_a_fit_that_goes_on_ends_where_it_would_have_ended(world: World, name: str, tmp_path: Path) -> None:
    longer = replace(world[0].trainer, max_epochs=2)
    whole = fitted(*augmented(world, name, trainer=longer), tmp_path / "whole")
    fitted(*augmented(world, name), tmp_path / "half")
    settings, data = augmented(world, name, trainer=longer)
    resumed = build_model(settings, data)
    assert isinstance(resumed, TrendModule)
    result = fit_model(replace(settings, resume="half"), data, resumed, tmp_path / "half", None)
    assert result.epochs == 2
    assert torch.equal(weights(whole), weights(resumed))


def test_adversarial_training_takes_mixed_labels(world: World, tmp_path: Path) -> None:
    more = FitSettings(class_weights=True, label_smoothing=0.1, adversarial_weight=0.5)
    module = fitted(*augmented(world, "mixup", fit=more), tmp_path)
    assert np.isfinite(module.history[-1]["train/loss"])


# --- a resampled market ---


def after(market: Market, day: pd.Timestamp, rng: np.random.Generator) -> Market:
    """The market with everything later than a day replaced by something else."""
    bars = market.bars.copy()
    late = (bars["date"] > day).to_numpy()
    assert late.any()
    bars.loc[late, ["open", "high", "low", "close", "volume"]] *= rng.uniform(0.5, 2.0, (late.sum(), 1))
    frames = {}
    for kind, (date, column) in {
        "news": ("date", "sentiment"),
        "policy": ("date", "impact"),
        "macro": ("release_date", "value"),
    }.items():
        frame = getattr(market, kind).copy()
        rows = (frame[date] > day).to_numpy()
        assert rows.any()
        frame.loc[rows, column] = rng.uniform(0.0, 1.0, rows.sum())
        frames[kind] = frame
    return Market(bars=bars, **frames)


@pytest.mark.parametrize("validation", ["holdout", "walk_forward"])
def test_what_comes_after_the_training_rows_changes_nothing(world: World, validation: str) -> None:
    settings, panel, market = world
    if validation == "walk_forward":
        panel = panel.with_row_split(folds(panel, ValidationSettings(method=validation, folds=4))[0].row_split)
    train = TrendDataModule(panel, "sequence").datasets["train"]
    days = training_days(panel, market.bars["date"])
    first = panel.store.frame["date"][panel.row_split == 1].min()
    assert WEEKS.index(days).max() < WEEKS.index(pd.DatetimeIndex([first]))[0]
    changed = after(market, days[-1], np.random.default_rng(0))
    (one, rows), (other, again) = (synthetic_rows(settings.augment, panel, train, 0, m) for m in (market, changed))
    assert torch.equal(one.features, other.features)
    assert torch.equal(one.label, other.label)
    np.testing.assert_array_equal(rows, again)
    assert rows.sum() == len(train)
    # What it does read matters: the same change within the training sessions is seen.
    within = after(market, days[len(days) // 2], np.random.default_rng(0))
    assert not torch.equal(synthetic_rows(settings.augment, panel, train, 0, within)[0].features, one.features)


def test_sessions_of_a_tested_block_are_left_out_on_both_sides(world: World) -> None:
    _, panel, market = world
    cut = folds(panel, ValidationSettings(method="combinatorial", folds=4, test_folds=2, embargo=4))[1]
    panel = panel.with_row_split(cut.row_split)
    weeks = set(WEEKS.index(training_days(panel, market.bars["date"])))
    period = panel.store.period
    assert not weeks & set(period[panel.row_split > 0])
    assert weeks == {w + h for w in period[panel.row_split == 0] for h in (0, 1)}
    assert len(np.flatnonzero(np.diff(sorted(weeks)) > 1)) >= 1


def test_no_block_and_no_return_reaches_across_a_hole(world: World) -> None:
    _, _, market = world
    every = pd.DatetimeIndex(market.bars["date"].unique())
    days = every[100:160].append(every[200:230])
    fitted_market = ResampledMarket.fit(market, days, 25, 100)
    assert fitted_market.starts.tolist() == [*range(1, 36), *range(61, 66)]
    for at in (0, 60):  # their returns began elsewhere
        assert not any(start <= at < start + 25 for start in fitted_market.starts)


def test_the_market_and_the_residuals_add_up_to_the_returns(world: World) -> None:
    _, _, market = world
    days = pd.DatetimeIndex(market.bars["date"].unique())[300:600]
    found = ResampledMarket.fit(market, days, 20, 100)
    close = market.bars.pivot(index="date", columns="ticker", values="close").loc[days]
    returns = np.log(close).diff().to_numpy()[1:]
    np.testing.assert_allclose(np.outer(found.common, found.beta)[1:] + found.own[1:], returns, atol=1e-12)
    common = returns.mean(axis=1)
    slopes = [np.polyfit(common, returns[:, i], 1)[0] for i in range(returns.shape[1])]
    np.testing.assert_allclose(found.beta, slopes, rtol=1e-8)


def test_a_drawn_market_is_one_of_its_kind(world: World) -> None:
    settings, panel, market = world
    train = TrendDataModule(panel, "sequence").datasets["train"]
    wide = replace(settings.augment, amount=3.0)
    store, rows = synthetic_rows(wide, panel, train, 0, market)
    assert rows.sum() == 3 * len(train)
    returns, real = store.frame[RETURN].to_numpy()[rows], train.returns
    assert returns.std() == pytest.approx(real.std(), rel=0.2)
    assert returns.mean() == pytest.approx(real.mean(), abs=0.004)
    # Labels follow from the returns by the real rows' rule, a fixed 1 %.
    np.testing.assert_array_equal(store.label.numpy(), np.where(np.abs(store.frame[RETURN]) <= 0.01, 1, store.label))
    assert (store.label.numpy() == np.digitize(store.frame[RETURN], [-0.01, 0.01])).mean() > 0.999
    assert (store.frame["stock_high"] >= store.frame["stock_low"]).all()
    assert (store.frame["news_count"] > 0).any()
    assert store.frame["macro_vix"].std() > 1.0
    other, _ = synthetic_rows(wide, panel, train, 1, market)
    assert not torch.equal(store.features, other.features)


def test_balanced_labels_take_the_real_rows_terciles(world: World) -> None:
    settings, panel, market = world
    balanced = replace(settings.data, labels=replace(settings.data.labels, method="balanced"))
    panel = replace(panel, settings=balanced).with_row_split(panel.row_split)
    train = TrendDataModule(panel, "sequence").datasets["train"]
    store, _ = synthetic_rows(settings.augment, panel, train, 0, market)
    cuts = np.quantile(panel.store.frame[RETURN][panel.row_split == 0], [1 / 3, 2 / 3])
    np.testing.assert_array_equal(store.label.numpy(), np.digitize(store.frame[RETURN], cuts, right=True))


def test_a_null_market_stays_null() -> None:
    null = [*WORLD, *CUTS, "data.signal=0", "data.tickers=12"]
    settings = load_settings(TrainSettings, compose_values(*null))
    market = daily_sources(settings.data)
    days = pd.DatetimeIndex(market.bars["date"].unique())
    drawn = ResampledMarket.fit(market, days, 60, 100).draw(np.random.default_rng(0))
    weekly = drawn.bars.pivot(index="date", columns="ticker", values="close").iloc[::5]
    change = np.log(weekly).diff().dropna().to_numpy()
    correlation = np.corrcoef(change[:-1].ravel(), change[1:].ravel())[0, 1]
    assert abs(correlation) < 4 / np.sqrt(len(change))  # weeks move together: weeks count, not rows


@pytest.mark.parametrize("name", ["synthetic", "mixup"])
def test_a_net_finds_nothing_in_a_null_world(name: str, tmp_path: Path) -> None:
    null = [
        *WORLD[:4],
        *CUTS,
        *FAST,
        "data.signal=0",
        "data.tickers=12",
        f"augment={name}",
        "trainer.limit_train_batches=null",
    ]
    settings = load_settings(TrainSettings, compose_values(*null, "trainer.max_epochs=4", "optimizer.lr=0.003"))
    panel = Panel.read(prepare(settings.data, tmp_path), settings.data)
    data = TrendDataModule(panel, "sequence", settings.seed)
    module = fitted(settings, data, tmp_path)
    gains = score(predict(module.eval(), data, "net", ("test",)), resamples=500).gains["majority"]
    assert gains["accuracy"].low < 0 < gains["accuracy"].high or gains["accuracy"].value <= 0
    assert gains["log_loss"].low < 0.001


# --- the study ---


def predictions(p_down: np.ndarray, seed: int, order: np.random.Generator) -> Predictions:
    """Two classes, three tickers a week; rows in any order."""
    n = len(p_down)
    truth = np.random.default_rng(5)  # the same rows for all
    frame = pd.DataFrame(
        {
            "date": np.repeat(pd.date_range("2016-01-01", periods=n // 3, freq="W-FRI"), 3),
            "ticker": np.tile(["A", "B", "C"], n // 3),
            "split": "test",
            "fold": 0,
            "path": np.int16(0),
            "label": truth.integers(2, size=n),
            "return": truth.normal(0, 0.02, n),
            "p_downtrend": p_down,
            "p_uptrend": 1 - p_down,
            "majority.p_downtrend": 0.5,
            "majority.p_uptrend": 0.5,
        }
    )
    return Predictions(
        frame.iloc[order.permutation(n)].reset_index(drop=True), ("Downtrend", "Uptrend"), model=f"{seed}"
    )


def test_a_gain_is_that_over_the_same_seed_on_the_same_rows() -> None:
    rng = np.random.default_rng(0)
    own, bare = rng.uniform(0.05, 0.95, (2, 2, 60))
    runs, plain_runs = ([predictions(p, seed, rng) for seed, p in enumerate(both)] for both in (own, bare))
    card = score(with_plain_baseline(runs, plain_runs), resamples=100)
    label = np.random.default_rng(5).integers(2, size=60)

    def log_loss(p: np.ndarray) -> float:
        return float(-np.log(np.where(label == 0, p, 1 - p)).mean())

    assert set(card.gains) == {"plain"}
    assert card.metrics["log_loss"] == pytest.approx(log_loss(own))
    assert card.gains["plain"]["log_loss"].value == pytest.approx(log_loss(bare) - log_loss(own))
    joined = with_plain_baseline(runs, plain_runs).frame
    for seed in (0, 1):
        rows = joined[joined["path"] == seed].sort_values(["date", "ticker"])
        np.testing.assert_array_equal(rows["plain.p_downtrend"], bare[seed])
        np.testing.assert_array_equal(rows["p_downtrend"], own[seed])


# --- settings ---


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "augment=jitter augment.sigma=0",
            "augment.sigma=0: expected a finite number above 0. Try augment.sigma=0.1",
        ),
        ("augment=scaling augment.fraction=2", "augment.fraction=2: expected a finite number above 0, 1 or less"),
        ("augment=window_warping augment.factor=1", "augment.factor=1: expected a finite number above 1"),
        ("augment=window_warping augment.part=1", "augment.part=1: expected a finite number above 0, less than 1"),
        ("augment=mixup augment.alpha=-1", "augment.alpha=-1: expected a finite number above 0"),
        ("augment=synthetic augment.amount=0", "augment.amount=0: expected a finite number above 0, 100 or less"),
        ("augment=synthetic augment.block=1", "augment.block=1: expected a whole number, 2 or more"),
        ("augment.name=rotation", "augment.name=rotation: expected one of jitter, mixup, none"),
        (
            "augment=mixup model=gbm",
            "augment=mixup: GradientBoosting is a baseline, which is fitted to the original rows. Try",
        ),
    ],
)
def test_settings_that_cannot_be_used_are_told(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_settings(TrainSettings, compose_values(*override.split()))


def test_a_configuration_of_before_has_none() -> None:
    values = compose_values()
    del values["augment"]
    assert load_settings(TrainSettings, values).augment == AugmentSettings(name="none")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=dual_tower"], "DualTowerModel reads 1 of a ticker's periods; expected 3 or more"),
        (["model=lstm", "data.sequence_length=2"], "SimpleLSTM reads 2 of a ticker's periods"),
    ],
)
def test_time_that_cannot_be_warped_is_told(world: World, overrides: list[str], message: str) -> None:
    settings = load_settings(TrainSettings, compose_values("augment=window_warping", *overrides))
    panel = replace(world[1], settings=settings.data)
    with pytest.raises(ConfigError, match=f"augment=window_warping: {message}"):
        build_model(settings, TrendDataModule(panel, input_view(settings.model)))


def test_table_files_and_short_ones_cannot_be_resampled(world: World) -> None:
    settings, panel, market = world
    table = replace(settings.data, source="csv")
    with pytest.raises(ConfigError, match=r"augment=synthetic: weekly tables have no daily bars"):
        replace(settings, data=table)
    train = TrendDataModule(panel, "sequence").datasets["train"]
    with pytest.raises(DataError, match=r"augment.block=2000: the training rows hold no 2001 sessions in a row"):
        synthetic_rows(replace(settings.augment, block=2000), panel, train, 0, market)
    broken = Market(bars=market.bars.drop(market.bars.index[400::997]))
    some = synthetic_rows(settings.augment, panel, train, 0, broken)
    assert some[1].sum() == len(train)
    place = market.bars.groupby("ticker").cumcount()
    holes = market.bars.index[place == 400 + 3 * pd.factorize(market.bars["ticker"])[0]]  # another one of each ticker
    with pytest.raises(DataError, match=r"augment=synthetic: no ticker has bars on all of the"):
        synthetic_rows(settings.augment, panel, train, 0, Market(bars=market.bars.drop(holes)))


def test_a_loader_of_joined_examples_gives_each_once(world: World) -> None:
    settings, panel, market = world
    data = TrendDataModule(panel, "sequence")
    data.add_training_examples(*synthetic_rows(settings.augment, panel, data.datasets["train"], 0, market))
    assert data.extra_training is not None
    loader = data.train_dataloader()
    assert isinstance(loader, BatchLoader)
    rows = torch.cat([batch.features for batch in loader])
    both = torch.cat([d[torch.arange(len(d))].features for d in (data.datasets["train"], data.extra_training)])
    assert len(rows) == len(both)
    assert np.array_equal(np.sort(rows[:, -1, 3].numpy()), np.sort(both[:, -1, 3].numpy()))
