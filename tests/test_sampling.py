"""A sample of a split: whole tickers, the same ones for every split and every model, and said wherever scores are."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from feature_sets import FORMS
from ste.baselines import GradientBoosting, Logistic, boosting, sklearn_baseline
from ste.baselines.examples import SplitExamples
from ste.baselines.fitted_baseline import FittedBaseline
from ste.config import SplitSettings, SyntheticSettings
from ste.data import datamodule
from ste.data.build.prepare import prepare
from ste.data.cross_validation import Fold, max_fold_examples
from ste.data.datamodule import TrendDataModule, evenly_spaced
from ste.data.panel import Panel
from ste.data.sample import Sample
from ste.data.sampling import sample_tickers
from ste.evaluation.predictions import Predictions
from ste.evaluation.scoring import score
from ste.experiment.prediction import predict
from ste.features.normalization import Normalizer
from ste.reporting.console import print_scores

MOST = 700


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    split = SplitSettings(validation_start="2019-01-01", test_start="2021-01-01")
    chosen = SyntheticSettings(source="world", tickers=20, start="2016-01-01", end="2023-12-31", split=split)
    return Panel.read(prepare(chosen, tmp_path_factory.mktemp("data")), chosen)


@pytest.fixture
def whole(panel: Panel) -> TrendDataModule:
    return TrendDataModule(panel, "sequence")


@pytest.fixture
def part(panel: Panel) -> TrendDataModule:
    return TrendDataModule(panel, "sequence", max_examples=MOST)


def majority(data: TrendDataModule) -> FittedBaseline:
    representation = Normalizer(FORMS, "stationary")
    representation.fit(data.training_chunks)
    model = FittedBaseline("Logistic", {}, Logistic(), representation)
    train = SplitExamples(data.datasets["train"], representation, 3, 1)
    model.baseline.fit(train, train, seed=0)
    return model


def test_a_sample_holds_whole_tickers_and_no_more_than_it_may(whole: TrendDataModule, part: TrendDataModule) -> None:
    for split, dataset in whole.datasets.items():
        some, sample = part.scored[split], part.samples[split]
        assert len(some) <= MOST < len(dataset)
        names = set(some.tickers)
        assert sample == Sample(len(some), len(dataset), len(names), 20)
        assert some.ends.tolist() == dataset.ends[np.isin(dataset.tickers, list(names))].tolist()
        # Another ticker would be too many.
        assert len(some) + np.unique(dataset.tickers, return_counts=True)[1].min() > MOST


def test_smaller_samples_lie_in_larger_ones_in_every_split(whole: TrendDataModule) -> None:
    found = [
        set(sample_tickers(dataset, most)[0].tickers) for most in (150, 300, 600) for dataset in whole.datasets.values()
    ]
    assert {1, 2, 3} <= {len(names) for names in found}
    ordered = sorted(found, key=len)
    assert all(smaller <= larger for smaller, larger in pairwise(ordered))


def test_no_limit_and_a_large_enough_one_change_nothing(panel: Panel, whole: TrendDataModule) -> None:
    for most in (None, 10**9):
        data = TrendDataModule(panel, "sequence", max_examples=most)
        assert data.samples == {}
        assert all(data.scored[split] is data.datasets[split] for split in data.datasets)
    dataset = whole.datasets["test"]
    assert sample_tickers(dataset, len(dataset)) == (dataset, None)
    one, sample = sample_tickers(dataset, 1)
    assert sample is not None
    assert sample.tickers == 1
    assert len(one) == sample.examples > 1


def test_a_sample_is_scored_as_the_same_rows_of_the_whole(whole: TrendDataModule, part: TrendDataModule) -> None:
    model = majority(whole)
    every, some = predict(model, whole, "Logistic"), predict(model, part, "Logistic")
    assert dict(some.samples) == part.samples
    assert len(some) == sum(map(len, part.scored.values())) < len(every)
    keys = ["date", "ticker", "split"]
    theirs = every.frame.merge(some.frame[keys], on=keys).sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(some.frame.sort_values(keys, ignore_index=True), theirs)
    assert len(part.val_dataloader().dataset) == len(part.scored["validation"])
    assert len(part.train_dataloader().dataset) == len(whole.datasets["train"])


def test_scores_say_what_they_are_of(part: TrendDataModule, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    said = predict(majority(part), part, "Logistic")
    said.write(tmp_path / "predictions.parquet")
    again = Predictions.read(tmp_path / "predictions.parquet")
    assert dict(again.samples) == part.samples
    card = score(again.slice_split("test"), resamples=100)
    assert card.sample == part.samples["test"]
    assert json.loads(json.dumps(card.to_dict()))["sample"]["all_tickers"] == 20
    print_scores("Logistic", {"test": card})
    printed = " ".join(capsys.readouterr().out.split())
    sample = part.samples["test"]
    assert f"test: scored on {card.examples} of {sample.all_examples:,} examples: {sample.tickers} of 20" in printed
    assert "sample" not in score(replace(again.slice_split("test"), samples={}), resamples=100).to_dict()


def test_folds_share_the_limit() -> None:
    cuts = [Fold(i, np.array([0, 0, 1, 2, 2, 2], dtype=np.int8), np.zeros(6, dtype=np.int16)) for i in range(4)]
    assert max_fold_examples(cuts, 12) is None
    assert max_fold_examples(cuts, 11) == 2
    assert max_fold_examples(cuts, 3) == 1
    assert max_fold_examples(cuts, None) is None
    parts = [Sample(10, 40, 2, 9), Sample(12, 41, 3, 8)]
    assert Sample.combine(parts) == Sample(22, 81, 3, 9)


def test_a_long_table_is_scaled_by_evenly_spaced_windows(
    whole: TrendDataModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = Normalizer(FORMS, "stationary")
    every.fit(whole.training_chunks)
    train = whole.datasets["train"]
    monkeypatch.setattr(datamodule, "FITTED_PERIODS", -(-len(train) // 3) * train.length)
    chunks = list(whole.training_chunks())
    expected = train[torch.arange(0, len(train), 3)].features
    assert torch.equal(torch.cat(chunks), expected)
    some = Normalizer(FORMS, "stationary")
    some.fit(whole.training_chunks)
    assert not torch.equal(some.mean, every.mean)
    assert ((some.mean - every.mean) / every.scale).abs().max() < 0.1
    assert evenly_spaced(10, 4).tolist() == [0, 3, 6, 9]
    assert evenly_spaced(3, 10).tolist() == [0, 1, 2]


def test_baselines_gather_only_what_they_look_at(whole: TrendDataModule, monkeypatch: pytest.MonkeyPatch) -> None:
    """The linear one is fitted on every k-th of all normalized examples, the trees on as many as fit in memory."""
    model = majority(whole)
    train = SplitExamples(whole.datasets["train"], model.representation, 3, 1)
    monkeypatch.setattr(sklearn_baseline, "MAX_ROWS", 1000)
    asked: list[int] = []
    table = SplitExamples.table
    monkeypatch.setattr(SplitExamples, "table", lambda self, inputs: asked.append(len(self)) or table(self, inputs))
    some = Logistic()
    some.fit(train, train, seed=0)
    step = -(-len(train) // 1000)
    assert asked == [-(-len(train) // step)]
    np.testing.assert_array_equal(table(train.thin(1000), "last"), table(train, "last")[::step])
    values = train.dataset.length * len(whole.panel.features)
    monkeypatch.setattr(boosting, "MAX_VALUES", 500 * values)
    trees, same = (GradientBoosting(min_leaf=20, trees=5, patience=5) for _ in range(2))
    trees.fit(train, train, seed=0)
    every = train.thin(500)
    monkeypatch.setattr(boosting, "MAX_VALUES", 10**9)
    same.fit(every, every, seed=0)
    np.testing.assert_array_equal(trees.predict_proba(train), same.predict_proba(train))
