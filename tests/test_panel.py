"""A panel's rows and roles, and which of them every kind of model is shown."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from feature_sets import FEATURES, GROUPS
from runs import build_model, compose_values
from ste.config import LabelSettings, SplitSettings, SyntheticSettings, TrainSettings
from ste.config.load import load_settings
from ste.data.build.data_card import PreparedData
from ste.data.build.prepare import prepare
from ste.data.datamodule import TrendDataModule
from ste.data.panel import HISTORY, Panel
from ste.errors import DataError
from ste.experiment.model_setup import input_view
from ste.experiment.prediction import predict
from ste.schema import DIRECTION, KEYS, SPLITS

LENGTH = 6


@pytest.fixture(scope="module")
def world() -> SyntheticSettings:
    return SyntheticSettings(
        source="world",
        tickers=3,
        start="2019-01-01",
        end="2021-06-30",
        labels=LabelSettings(horizon=2),
        split=SplitSettings(validation_start="2020-07-01", test_start="2021-01-01", embargo=1),
        sequence_length=LENGTH,
    )


@pytest.fixture(scope="module")
def prepared(world: SyntheticSettings, tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return prepare(world, tmp_path_factory.mktemp("tables"))


@pytest.fixture(scope="module")
def panel(prepared: PreparedData, world: SyntheticSettings) -> Panel:
    return Panel.read(prepared, world)


def keys(data: TrendDataModule, split: str) -> list[tuple[object, ...]]:
    return list(data.datasets[split].frame[list(KEYS)].itertuples(index=False, name=None))


def test_a_panel_holds_every_row_of_every_table_with_its_role(panel: Panel, prepared: PreparedData):
    tables = {split: pd.read_csv(path, parse_dates=["date"]) for split, path in prepared.files.items()}
    assert len(panel.store.frame) == sum(len(table) for table in tables.values())
    for code, (split, table) in enumerate(tables.items()):
        rows = panel.store.frame[(panel.store.frame["split"] == code).to_numpy()]
        expected = table.sort_values(["ticker", "date"], ignore_index=True).astype({"date": rows["date"].dtype})
        pd.testing.assert_frame_equal(rows[list(expected)].reset_index(drop=True), expected, check_dtype=False)
        last = code == len(tables) - 1
        kept = sorted(set(table["date"]))
        kept = kept if last else kept[:-3]  # horizon 2, embargo 1
        found = sorted(set(panel.store.frame["date"][panel.row_split == code]))
        assert found == kept, split
    assert (panel.row_split == HISTORY).sum() == 2 * 3 * 3
    assert panel.classes == ("Downtrend", "Neutral", "Uptrend")
    assert panel.features == FEATURES
    assert panel.groups == GROUPS


@pytest.mark.parametrize("history", [None, 1, 3, 9])
def test_every_model_is_shown_the_same_rows(
    prepared: PreparedData, world: SyntheticSettings, panel: Panel, history: int | None
):
    own = replace(panel, settings=replace(world, history=history))
    sequence, flat = (TrendDataModule(own, view) for view in ("sequence", "flat"))
    needed = {"sequence": max(LENGTH, history or LENGTH), "flat": LENGTH if history is None else history}
    run = panel.store.history.numpy()
    for code, split in enumerate(SPLITS):
        for view, data in (("sequence", sequence), ("flat", flat)):
            wanted = np.flatnonzero((panel.row_split == code) & (run >= needed[view]))
            assert data.datasets[split].ends.tolist() == wanted.tolist(), (view, split)
    assert (keys(sequence, "train") == keys(flat, "train")) == (needed["sequence"] == needed["flat"])


def test_the_documents_rows_come_back_with_a_history_of_one(folder: Path):
    """Its Dual Tower reads all 23 and 12 rows, its LSTM the windows of three within them."""
    rows = {}
    for name in ("seed_lstm", "seed_dual_tower"):
        settings = load_settings(TrainSettings, compose_values(f"experiment={name}"))
        panel = Panel.read(prepare(settings.data, folder), settings.data)
        data = TrendDataModule(panel, input_view(settings.model))
        rows[name] = {split: len(dataset) for split, dataset in data.datasets.items()}
    assert rows["seed_dual_tower"] == {"train": 23, "validation": 12}
    assert rows["seed_lstm"]["validation"] == 12
    assert rows["seed_lstm"]["train"] == 23 - 7 * 2


@pytest.mark.parametrize("models", [("lstm", "mlp", "logistic", "gbm")])
def test_nets_of_both_views_and_baselines_are_predicted_on_the_same_rows(folder: Path, models: tuple[str, ...]):
    overrides = ["data.tickers=2", "data.start=2019-01-01", "data.end=2020-12-31", "data.sequence_length=5"]
    overrides += ["data.split.validation_start=2020-03-01", "data.split.test_start=2020-08-01"]
    frames, company = [], []
    for model in models:
        settings = load_settings(TrainSettings, compose_values(f"model={model}", *overrides))
        panel = Panel.read(prepare(settings.data, folder), settings.data)
        data = TrendDataModule(panel, input_view(settings.model))
        fitted = build_model(settings, data)
        if hasattr(fitted, "baseline"):
            fitted.fit(data, seed=0)
        out = predict(fitted.eval() if hasattr(fitted, "eval") else fitted, data, model)
        frames.append(out.frame[["date", "ticker", "split", "label", "return"]])
        company.append(out.frame[[name for name in out.frame if name.startswith(("majority", "persistence", "vola"))]])
    for frame, beside in zip(frames[1:], company[1:], strict=True):
        pd.testing.assert_frame_equal(frame, frames[0], check_exact=True)
        pd.testing.assert_frame_equal(beside, company[0], check_exact=True)  # the company knows no view


def test_other_roles_change_the_rows_and_nothing_else(panel: Panel):
    roles = np.where(panel.row_split == HISTORY, HISTORY, (panel.row_split + 1) % 3).astype(np.int8)
    other = panel.with_row_split(roles)
    assert other.store is panel.store
    one, two = TrendDataModule(panel, "sequence"), TrendDataModule(other, "sequence")
    assert keys(two, "validation") == keys(one, "train")
    assert keys(two, "test") == keys(one, "validation")
    counts = np.bincount(one.datasets["test"].frame[DIRECTION], minlength=3)
    assert two.class_counts().tolist() == counts.tolist()
    truth = two.truth("test")
    assert truth is None or truth.shape == (len(two.datasets["test"]), 3)


def test_truth_is_of_the_rows_it_is_asked_for(prepared: PreparedData, world: SyntheticSettings, tmp_path: Path):
    chosen = replace(world, labels=LabelSettings())
    panel = Panel.read(prepare(chosen, tmp_path), chosen)
    assert panel.truth is not None
    known = pd.read_csv(panel.prepared.truth, parse_dates=["date"]).set_index(list(KEYS))
    at = pd.MultiIndex.from_frame(panel.store.frame[list(KEYS)])
    np.testing.assert_array_equal(panel.truth, known.loc[at].to_numpy())
    assert Panel.read(prepared, world).truth is None  # horizon 2: no truth is known


@pytest.mark.parametrize("view", ["sequence", "flat"])
def test_an_example_needs_its_history_and_says_so(panel: Panel, world: SyntheticSettings, view: str):
    long = replace(panel, settings=replace(world, history=500))
    with pytest.raises(DataError, match="no train example is left: an example needs 500 consecutive weeks"):
        TrendDataModule(long, view)


def test_a_gathered_batch_does_not_depend_on_roles(panel: Panel):
    data = TrendDataModule(panel, "sequence")
    ends = data.datasets["validation"].ends
    expected = torch.stack([panel.store.features[e - LENGTH + 1 : e + 1] for e in ends])
    assert torch.equal(data.datasets["validation"][torch.arange(len(ends))].features, expected)
