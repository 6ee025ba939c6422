"""Windows and batches: one ticker, consecutive weeks, and an order that the seed and the epoch decide."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_sets import FEATURES, WEEKLY21
from ste.config import LabelSettings, SplitSettings, SyntheticSettings
from ste.data import datamodule
from ste.data.build.data_card import PreparedData
from ste.data.build.prepare import prepare
from ste.data.datamodule import BatchLoader, TrendDataModule
from ste.data.panel import Panel
from ste.data.row_store import RowStore
from ste.data.window_dataset import Batch, FlatDataset, SequenceDataset, forward_batch_size
from ste.errors import DataError
from ste.market.calendar import WEEKS
from ste.schema import DIRECTION, KEYS, RETURN, SPLITS
from ste.seed_ensembles.replica_loader import ReplicaLoader

Weeks = dict[str, set[int]]
TICKERS = "ABCDE"
TICKER, WEEK = 0, 1  # columns of the features that say which row they are of

some_weeks: st.SearchStrategy[Weeks] = st.dictionaries(
    st.sampled_from(TICKERS), st.sets(st.integers(0, 30), min_size=1), min_size=1, max_size=4
)
lengths = st.integers(1, 6)


def frame_of(weeks: Weeks) -> pd.DataFrame:
    """A table of the given weeks in date order, whose first two features name ticker and week."""
    keys = sorted((week, ticker) for ticker, own in weeks.items() for week in own)
    number = np.array([week for week, _ in keys])
    ticker = [name for _, name in keys]
    rng = np.random.default_rng(len(keys))
    features = rng.normal(size=(len(keys), len(FEATURES)))
    features[:, TICKER] = [TICKERS.index(name) for name in ticker]
    features[:, WEEK] = number
    frame = pd.DataFrame(features, columns=list(FEATURES))
    dates = pd.Timestamp("2024-01-05") + pd.to_timedelta(7 * number, unit="D")
    return frame.assign(date=dates, ticker=ticker, **{RETURN: 0.0, DIRECTION: rng.integers(0, 3, len(keys))})


def expected_ends(weeks: Weeks, length: int) -> list[tuple[str, int]]:
    """Ticker and week of every row that has `length` consecutive weeks behind it, by brute force."""
    return [
        (ticker, week)
        for ticker in sorted(weeks)
        for week in sorted(weeks[ticker])
        if all(week - back in weeks[ticker] for back in range(length))
    ]


def everything(dataset: SequenceDataset | FlatDataset) -> Batch:
    return dataset[torch.arange(len(dataset))]


def all_rows(store: RowStore) -> np.ndarray:
    return np.ones(len(store.frame), dtype=bool)


@settings(max_examples=150)
@given(weeks=some_weeks, length=lengths, shuffle=st.integers(0, 1000))
def test_a_window_never_crosses_a_ticker_or_a_missing_week(weeks: Weeks, length: int, shuffle: int) -> None:
    store = RowStore.from_frame(frame_of(weeks).sample(frac=1.0, random_state=shuffle), WEEKLY21)
    dataset = SequenceDataset(store, all_rows(store), length)
    features, _ = everything(dataset)
    assert features.shape == (len(dataset), length, len(FEATURES))
    assert (features[:, :, TICKER] == features[:, :1, TICKER]).all()
    assert (torch.diff(features[:, :, WEEK], dim=1) == 1).all()
    ends = [(TICKERS[int(row[TICKER])], int(row[WEEK])) for row in features[:, -1]]
    assert ends == expected_ends(weeks, length)  # and every window there is


@settings(max_examples=100)
@given(weeks=some_weeks, length=lengths, chosen=st.integers(0, 2**31 - 1))
def test_sequence_and_flat_examples_of_a_row_agree(weeks: Weeks, length: int, chosen: int) -> None:
    store = RowStore.from_frame(frame_of(weeks), WEEKLY21)
    rows = np.random.default_rng(chosen).random(len(store.frame)) < 0.6
    sequence, flat = SequenceDataset(store, rows, length), FlatDataset(store, rows)
    assert len(flat) == rows.sum()
    keys, flat_keys = (pd.MultiIndex.from_frame(dataset.frame[list(KEYS)]) for dataset in (sequence, flat))
    at = flat_keys.get_indexer(keys)
    assert (at >= 0).all()
    windows, singles = everything(sequence), everything(flat)
    torch.testing.assert_close(windows.features[:, -1], singles.features[at], rtol=0, atol=0)
    assert torch.equal(windows.label, singles.label[at])
    assert torch.equal(windows.label, sequence.labels)
    assert windows.label.tolist() == sequence.frame[DIRECTION].tolist()
    assert windows.label.dtype == torch.int64
    assert windows.features.dtype == torch.float32


@settings(max_examples=60)
@given(weeks=some_weeks, length=lengths)
def test_windows_of_one_week_are_the_flat_rows(weeks: Weeks, length: int) -> None:
    store = RowStore.from_frame(frame_of(weeks), WEEKLY21)
    sequence, flat = SequenceDataset(store, all_rows(store), 1), FlatDataset(store, all_rows(store))
    assert len(sequence) == len(flat) == len(store.frame)
    assert torch.equal(everything(sequence).features.squeeze(1), everything(flat).features)
    # A longer window takes rows away and adds none.
    assert set(SequenceDataset(store, all_rows(store), length).ends.tolist()) <= set(sequence.ends.tolist())


@settings(max_examples=60)
@given(weeks=some_weeks, length=lengths, order=st.integers(0, 1000))
def test_gathering_a_batch_is_gathering_each(weeks: Weeks, length: int, order: int) -> None:
    store = RowStore.from_frame(frame_of(weeks), WEEKLY21)
    for dataset in (SequenceDataset(store, all_rows(store), length), FlatDataset(store, all_rows(store))):
        indices = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(order))
        batch = dataset[indices]
        assert batch.features.shape[0] == batch.label.shape[0] == len(dataset)
        for place, index in enumerate(indices.tolist()):
            single = dataset[index]
            assert torch.equal(batch.features[place], single.features)
            assert batch.label[place] == single.label


def test_the_features_of_a_window_are_the_tables_oldest_first() -> None:
    frame = frame_of({"A": {3, 4, 5, 6}})
    store = RowStore.from_frame(frame, WEEKLY21)
    dataset = SequenceDataset(store, all_rows(store), 3)
    assert dataset[0].features[:, WEEK].tolist() == [3.0, 4.0, 5.0]
    assert dataset[1].features[:, WEEK].tolist() == [4.0, 5.0, 6.0]
    expected = torch.tensor(frame[list(FEATURES)].to_numpy()[1:4], dtype=torch.float32)
    assert torch.equal(dataset[1].features, expected)


def test_history_counts_the_weeks_that_a_row_can_look_back_on() -> None:
    store = RowStore.from_frame(frame_of({"A": {0, 1, 2, 4, 5}, "B": {5, 6}}), WEEKLY21)
    assert store.history.tolist() == [1, 2, 3, 1, 2, 1, 2]


def test_windows_go_on_over_the_turn_of_a_year_and_a_short_week() -> None:
    """Weeks are counted by the calendar, not by days between their last sessions."""
    frame = frame_of({"A": {0, 1, 2, 3}})
    frame["date"] = pd.to_datetime(["2023-12-22", "2023-12-29", "2024-01-05", "2024-01-11"])  # the last a Thursday
    assert RowStore.from_frame(frame, WEEKLY21).history.tolist() == [1, 2, 3, 4]


# --- the splits of a table ---


@pytest.fixture(scope="module")
def world() -> SyntheticSettings:
    return SyntheticSettings(
        source="world",
        tickers=3,
        start="2020-01-01",
        end="2021-06-30",
        labels=LabelSettings(horizon=1),
        split=SplitSettings(validation_start="2021-01-01", test_start="2021-04-01", embargo=1),
        sequence_length=5,
        batch_size=16,
    )


@pytest.fixture(scope="module")
def prepared(world: SyntheticSettings, tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return prepare(world, tmp_path_factory.mktemp("tables"))


@pytest.fixture(scope="module")
def module(world: SyntheticSettings, prepared: PreparedData) -> TrendDataModule:
    return TrendDataModule(Panel.read(prepared, world), "sequence", seed=3)


def test_validation_windows_look_back_into_training_weeks(module: TrendDataModule, world: SyntheticSettings) -> None:
    for split, start in (("validation", "2021-01-01"), ("test", "2021-04-01")):
        dataset = module.datasets[split]
        ends = dataset.frame["date"]
        assert ends.min() >= pd.Timestamp(start)
        # The first week of the split is there: its window reaches back over the weeks that the purge holds back.
        assert ends.min() == module.panel.store.frame.loc[module.panel.store.frame["date"] >= start, "date"].min()
        first = dataset[int(np.argmin(ends.to_numpy()))].features
        row = dataset.ends[int(np.argmin(ends.to_numpy()))]
        assert torch.equal(first, module.panel.store.features[row - world.sequence_length + 1 : row + 1])
        before = module.panel.store.frame["split"].to_numpy()[row - world.sequence_length + 1 : row]
        assert (before == SPLITS.index(split) - 1).all()


def test_no_training_example_has_a_label_that_reaches_validation(module: TrendDataModule) -> None:
    for name, later in (("train", "validation"), ("validation", "test")):
        weeks, first = (WEEKS.index(module.datasets[split].frame["date"]) for split in (name, later))
        assert len(weeks) > 0
        assert weeks.max() + 2 == first.min() - 1  # horizon 1, embargo 1, and no week lost beyond that


def test_sequence_and_flat_views_score_the_same_rows(
    module: TrendDataModule, world: SyntheticSettings, prepared: PreparedData
) -> None:
    flat = TrendDataModule(Panel.read(prepared, world), "flat")
    columns = [*KEYS, DIRECTION]
    for split in SPLITS:
        pd.testing.assert_frame_equal(module.datasets[split].frame[columns], flat.datasets[split].frame[columns])
    free = TrendDataModule(Panel.read(prepared, replace(world, history=1)), "flat")
    lost = len(free.datasets["train"]) - len(module.datasets["train"])
    assert lost == 3 * (world.sequence_length - 1)  # each ticker's first weeks
    assert flat.dims.sequence_length == 1
    assert module.dims.sequence_length == 5


def test_class_counts_and_scaler_chunks_are_of_the_training_examples_alone(module: TrendDataModule) -> None:
    train = module.datasets["train"]
    assert module.class_counts().tolist() == np.bincount(train.frame[DIRECTION], minlength=3).tolist()
    chunks = list(module.training_chunks(size=50))
    assert len(chunks) > 1
    assert torch.equal(torch.cat(chunks), everything(train).features)


def test_the_truth_of_examples_is_joined_by_date_and_ticker(module: TrendDataModule, prepared: PreparedData) -> None:
    assert prepared.truth is not None
    known = pd.read_csv(prepared.truth, parse_dates=["date"]).set_index(["date", "ticker"])
    truth = module.truth("validation")
    assert truth is not None
    keys = pd.MultiIndex.from_frame(module.datasets["validation"].frame[list(KEYS)])
    np.testing.assert_array_equal(truth, known.loc[keys].to_numpy())
    assert np.isfinite(truth).all()


def test_a_split_too_short_for_its_windows_is_told(prepared: PreparedData, world: SyntheticSettings) -> None:
    values = {name: getattr(world, name) for name in ("source", "tickers", "start", "end", "labels", "split")}
    too_long = SyntheticSettings(**values, sequence_length=70)
    with pytest.raises(
        DataError, match=r"no train example is left: an example needs 70 consecutive weeks of one ticker"
    ):
        TrendDataModule(Panel.read(prepared, too_long), "sequence")


# --- batches ---


class Indices:
    """Stands in for a dataset: an example is its index."""

    device = torch.device("cpu")

    def __init__(self, n: int, gather_size: int) -> None:
        self.n, self.gather_size = n, gather_size

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: torch.Tensor) -> Batch:
        return Batch(index, index)


def loader_of(n: int, batch_size: int, seed: int | None, gather_size: int = 1) -> BatchLoader:
    return BatchLoader(Indices(n, gather_size), batch_size, seed)


def epoch_of(loader: BatchLoader, epoch: int) -> list[int]:
    loader.set_epoch(epoch)
    batches = [batch.label for batch in loader]
    assert len(batches) == len(loader)
    assert all(len(batch) == loader.batch_size for batch in batches[:-1])
    return torch.cat(batches).tolist() if batches else []


def test_longer_windows_are_computed_fewer_at_once() -> None:
    cpu = torch.device("cpu")
    assert [forward_batch_size(rows, cpu) for rows in (1, 20, 16_384, 50_000)] == [16_384, 819, 1, 1]
    assert forward_batch_size(20, torch.device("meta")) == forward_batch_size(1, torch.device("meta")) == 8192


@settings(max_examples=150)
@given(
    n=st.integers(0, 200),
    batch=st.integers(1, 64),
    seed=st.one_of(st.none(), st.integers(0, 2**32 - 1)),
    gather_size=st.integers(1, 100),
)
def test_each_epoch_visits_every_example_once(n: int, batch: int, seed: int | None, gather_size: int) -> None:
    loader = loader_of(n, batch, seed, gather_size)
    for epoch in range(3):
        order = epoch_of(loader, epoch)
        assert sorted(order) == list(range(n))
        if seed is None:
            assert order == list(range(n))


@settings(max_examples=100)
@given(n=st.integers(20, 200), batch=st.integers(1, 64), seed=st.integers(0, 2**32 - 2), epoch=st.integers(0, 10_000))
def test_the_order_depends_on_seed_and_epoch_alone(n: int, batch: int, seed: int, epoch: int) -> None:
    fresh, used = loader_of(n, batch, seed), loader_of(n, batch, seed)
    torch.manual_seed(epoch)  # the global generator must not matter
    for earlier in (epoch + 5, 0):
        epoch_of(used, earlier)
    assert epoch_of(fresh, epoch) == epoch_of(used, epoch)
    assert epoch_of(fresh, epoch) == epoch_of(loader_of(n, max(1, batch - 1), seed, gather_size=50), epoch)
    assert epoch_of(fresh, epoch) != epoch_of(fresh, epoch + 1)
    assert epoch_of(fresh, epoch) != epoch_of(loader_of(n, batch, seed + 1), epoch)


@settings(max_examples=150)
@given(
    n=st.integers(0, 150),
    batch=st.integers(1, 40),
    seed=st.one_of(st.none(), st.integers(0, 2**32 - 1)),
    world_size=st.integers(2, 5),
)
def test_processes_take_disjoint_shards_that_are_equal_when_shuffled(
    n: int, batch: int, seed: int | None, world_size: int
) -> None:
    shards, lengths = [], []
    for rank in range(world_size):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(datamodule, "_process", lambda rank=rank: (rank, world_size))
            loader = loader_of(n, batch, seed)
            shards.append(epoch_of(loader, epoch=4))
            lengths.append(len(loader))
    together = [index for shard in shards for index in shard]
    assert len(together) == len(set(together))
    assert set(together) <= set(range(n))
    if seed is None:
        assert sorted(together) == list(range(n))  # evaluation leaves nothing out
    else:
        assert {len(shard) for shard in shards} == {n // world_size}
        assert len(set(lengths)) == 1  # as many steps in every process


def test_shuffled_shards_of_an_epoch_are_parts_of_the_order_of_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = epoch_of(loader_of(90, 8, seed=1), epoch=2)
    shards = []
    for rank in range(3):
        monkeypatch.setattr(datamodule, "_process", lambda rank=rank: (rank, 3))
        shards.append(epoch_of(loader_of(90, 8, seed=1), epoch=2))
    assert [index for step in zip(*shards, strict=True) for index in step] == whole


def test_training_batches_are_shuffled_and_evaluation_batches_are_not(
    module: TrendDataModule, prepared: PreparedData, world: SyntheticSettings
) -> None:
    train, validation = module.train_dataloader(), module.val_dataloader()
    assert train.shuffle_seed == 3
    assert validation.shuffle_seed is None
    labels = torch.cat([batch.label for batch in validation])
    assert torch.equal(labels, module.datasets["validation"].labels)
    first = next(iter(train))
    assert first.features.shape == (16, 5, len(FEATURES))
    panel = Panel.read(prepared, world)
    again = next(iter(TrendDataModule(panel, "sequence", seed=3).train_dataloader()))
    assert torch.equal(first.features, again.features)
    other = next(iter(TrendDataModule(panel, "sequence", seed=4).train_dataloader()))
    assert not torch.equal(first.features, other.features)


def test_a_table_in_parquet_gives_the_examples_of_the_same_table_in_csv(
    tmp_path: Path, world: SyntheticSettings
) -> None:
    values = {name: getattr(world, name) for name in ("source", "tickers", "start", "end", "labels", "split")}
    modules = []
    for form in ("csv", "parquet"):
        chosen = SyntheticSettings(**values, format=form)
        modules.append(TrendDataModule(Panel.read(prepare(chosen, tmp_path), chosen), "sequence"))
    for split in SPLITS:
        one, other = (everything(module.datasets[split]) for module in modules)
        assert torch.equal(one.label, other.label)
        torch.testing.assert_close(one.features, other.features, rtol=1e-6, atol=1e-7)


def test_a_replica_loader_counts_the_examples_of_all_replicas(module: TrendDataModule):
    loader = ReplicaLoader(module.datasets["train"], 8, seed=0, count=5)
    assert loader.examples == next(iter(loader)).label.numel() == 40
