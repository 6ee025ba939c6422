"""Rows prepared once and held where the net learns: the same numbers as when each batch is prepared."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from feature_sets import WEEKLY21
from runs import build_model, fit_model
from ste.data.build.prepare import prepare
from ste.data.datamodule import TrendDataModule
from ste.data.panel import Panel
from ste.data.window_dataset import Batch
from ste.evaluation.epoch_metrics import Step, TrainingMetrics
from ste.experiment.model_setup import input_view
from ste.features.column_forms import ColumnForms
from ste.features.normalization import Normalizer
from ste.schema import FeatureSet
from ste.seed_ensembles.replica_loader import ReplicaLoader
from ste.training import cached_dataset as resident
from ste.training.cached_dataset import CachedDataset, NormalizedBatch, fits, normalized_rows

CPU = torch.device("cpu")


def data_of(settings) -> TrendDataModule:
    panel = Panel.read(prepare(settings.data, Path(settings.paths.data)), settings.data)
    return TrendDataModule(panel, input_view(settings.model), settings.seed)


def raw_rows(n: int, seed: int, columns: list[str]) -> torch.Tensor:
    """Values that a weekly table could hold, volumes in millions."""
    x = torch.rand((n, len(columns)), generator=torch.Generator().manual_seed(seed)) * 10 + 1
    x[:, columns.index("stock_volume")] *= 1e7
    x[:, columns.index("stock_bb_upper")] += 10
    return x


@given(
    seed=st.integers(0, 2**32 - 1),
    batch=st.sampled_from([1, 2, 3, 7, 8, 33, 64, 257]),
    steps=st.integers(1, 24),
    kind=st.sampled_from(("stationary", "standard")),
    double=st.booleans(),
    shuffled=st.booleans(),
)
def test_windows_of_prepared_rows_are_prepared_windows_to_the_last_bit(
    seed: int, batch: int, steps: int, kind: str, double: bool, shuffled: bool
):
    columns = list(WEEKLY21.columns)
    if shuffled:
        Random(seed).shuffle(columns)
    forms = ColumnForms.from_features(FeatureSet("shuffled", tuple(columns))).to_dict()
    raw = raw_rows(300, seed, [column.name for column in columns])
    windows = raw.unfold(0, steps, 1).transpose(1, 2).contiguous()
    representation = Normalizer(forms, kind)
    representation.fit(lambda: [windows])
    if double:
        representation = representation.double()
    index = torch.randint(len(windows), (batch,), generator=torch.Generator().manual_seed(seed))
    expected = representation(windows[index].to(representation.mean.dtype))
    rows = normalized_rows(representation, raw, windows=True, device=CPU)
    finish = representation.to_windows(CPU)
    found = rows.unfold(0, steps, 1).transpose(1, 2)[index].contiguous()
    assert torch.equal(finish(found) if finish else found, expected)
    flat = normalized_rows(representation, raw, windows=False, device=CPU)
    assert torch.equal(flat[index], representation(raw[index].to(representation.mean.dtype)))


@pytest.mark.parametrize("model", ["lstm", "dual_tower"])
@pytest.mark.parametrize("kind", ["stationary", "standard"])
def test_held_examples_are_those_of_the_dataset(small, model: str, kind: str):
    settings, _ = small(f"model={model}", f"data.representation={kind}")
    data = data_of(settings)
    module = build_model(settings, data)
    for split in ("train", "validation"):
        dataset = data.datasets[split]
        windows = data.view == "sequence"
        rows = normalized_rows(module.representation, dataset.store.features, windows=windows, device=CPU)
        held = CachedDataset(dataset, rows, module.representation)
        assert len(held) == len(dataset)
        index = torch.randperm(len(dataset))[:50]
        raw, ready = dataset[index], held[index]
        assert isinstance(ready, NormalizedBatch)
        assert torch.equal(ready.features, module.representation(raw.features))
        assert torch.equal(ready.label, raw.label)
    own = next(iter(ReplicaLoader(held, 8, seed=0, count=3)))
    assert own.features.shape[:2] == own.label.shape == (3, 8)
    other = next(iter(ReplicaLoader(dataset, 8, seed=0, count=3)))
    assert torch.equal(own.features[1], module.representation(other.features[1]))


@pytest.mark.parametrize(
    "overrides",
    [
        "model=lstm",
        "model=dual_tower data.batch_size=8",
        "model=lstm data.representation=standard trainer.gradient_clip_val=0.05",
        "model=lstm augment=mixup",
        "model=dual_tower augment=synthetic",
        "model=lstm trainer.precision=bf16-mixed",
        "model=gru trainer.precision=64-true",
        "model=dual_tower train.replicas=3 scheduler=plateau",
        "model=lstm train.replicas=2 fit.adversarial_weight=0.3",
    ],
)
def test_a_fit_learns_the_same_whether_rows_are_held_or_not(
    small: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, overrides: str
):
    settings, _ = small(*overrides.split(), "trainer.max_epochs=2")
    found = []
    for limit in (resident.HOST_BYTES, 0):
        monkeypatch.setattr(resident, "HOST_BYTES", limit)
        held = []
        monkeypatch.setattr(CachedDataset, "__init__", _counted(CachedDataset.__init__, held))
        data = data_of(settings)
        found.append(fit_model(settings, data, build_model(settings, data), tmp_path / str(limit), None))
        assert bool(held) is bool(limit)
        monkeypatch.undo()
    one, other = found
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name]), name
    assert one.history == other.history


def _counted(init: Callable, made: list[int]) -> Callable:
    def counting(self, *arguments):
        made.append(1)
        init(self, *arguments)

    return counting


def test_what_fits_where(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resident, "HOST_BYTES", 4 * 21 * 1000)
    assert fits(1000, 21, 4, CPU)
    assert not fits(1001, 21, 4, CPU)
    assert not fits(1000, 21, 8, CPU)
    assert not fits(1, 21, 4, torch.device("mps"))  # never tried
    asked = []

    def free(device: torch.device) -> tuple[int, int]:
        asked.append(device)
        return 4 * 21 * 2000, 10**12

    monkeypatch.setattr(torch.cuda, "mem_get_info", free)
    assert fits(1000, 21, 4, torch.device("cuda", 1))
    assert not fits(1001, 21, 4, torch.device("cuda", 1))
    assert asked == [torch.device("cuda", 1)] * 2


def test_an_order_goes_where_the_examples_are(small):
    settings, _ = small("model=dual_tower")
    data = data_of(settings)
    loader = data.train_dataloader()
    asked_on = []

    class Elsewhere:
        device, gather_size = torch.device("meta"), 30

        def __len__(self) -> int:
            return 20

        def __getitem__(self, index: torch.Tensor) -> Batch:
            asked_on.append(index.device)
            return Batch(index, index)

    loader.dataset = Elsewhere()
    loader.batch_size = 8
    assert [len(batch.label) for batch in loader] == [8, 8, 4]
    assert asked_on == [torch.device("meta")]  # once for several small batches


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_steps_count_the_same_at_once_and_one_by_one(sizes: list[int], replicas: int, seed: int):
    draw = torch.Generator().manual_seed(seed)
    front = (replicas,) if replicas else ()
    steps = [
        Step(
            torch.rand(front, generator=draw),
            torch.rand((*front, size, 3), generator=draw),
            torch.randint(3, (*front, size), generator=draw),
        )
        for size in sizes
    ]
    whole, parts = TrainingMetrics(), TrainingMetrics()
    whole.update(steps)
    for step in steps:
        parts.update([step])
    assert whole.compute() == parts.compute()
    count = sum(step.labels.numel() for step in steps)
    assert whole.compute()["loss"] == pytest.approx(
        sum(float(step.loss.double().mean()) * step.labels.numel() for step in steps) / count
    )
    right = sum(int((step.logits.argmax(-1) == step.labels).sum()) for step in steps)
    assert whole.compute()["accuracy"] == right / count
