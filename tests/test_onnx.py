"""A model as an ONNX graph: the same probabilities in batches of any size, and nothing else in the file."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from feature_sets import FEATURES, FORMS
from net_inputs import net_inputs
from onnx_files import tiny_model, tiny_probabilities
from ste.baselines import GradientBoosting, Logistic, Majority, Persistence, Volatility
from ste.baselines.examples import Inputs, select_inputs
from ste.baselines.fitted_baseline import FittedBaseline
from ste.ensembles.pooling import Pool, Stacking
from ste.errors import RunError
from ste.features.normalization import Normalizer
from ste.inference.export.exported_run import ExportedMember, check_features
from ste.inference.export.graph import EnsembleGraph, model_graph
from ste.inference.export.onnx_file import trace
from ste.inference.export.parity import largest_difference
from ste.inference.export.trees import round_down
from ste.inference.onnx_model import INPUT, OUTPUT
from ste.registry import MODELS
from ste.seed_ensembles.replica_module import ReplicaModule
from ste.training.module import TrendModule

F, T = len(FEATURES), 4


def raw(count: int, seed: int = 0, length: int = T) -> torch.Tensor:
    """Raw features as a table could hold them, float32 `[count, length, F]`."""
    rng = np.random.default_rng(seed)
    columns = {name: rng.normal(size=(count, length)) for name in FEATURES}
    close = 100.0 * np.exp(rng.normal(size=(count, 1)) + 0.05 * columns["stock_close"])
    for name in ("open", "high", "low", "sma_20", "sma_50", "bb_upper", "bb_lower"):
        columns[f"stock_{name}"] = close * np.exp(0.03 * columns[f"stock_{name}"])
    columns |= {"stock_close": close, "stock_volume": 1e6 * np.exp(columns["stock_volume"])}
    columns |= {name: np.abs(columns[name]) for name in ("news_count", "policy_event_count", "policy_impact_score")}
    columns["macro_vix"] = 15.0 + np.abs(columns["macro_vix"])
    return torch.tensor(np.stack([columns[name] for name in FEATURES], axis=-1).astype(np.float32))


def fresh(net: str, kind: str = "stationary", replicas: int = 0, **arguments: Any) -> TrendModule:
    """A module with random weights and a fitted representation."""
    torch.manual_seed(1)
    flat = MODELS[net].input_view == "flat"
    common: dict[str, Any] = {
        "net": net,
        "net_arguments": {"num_classes": 3, **arguments},
        "forms": FORMS,
        "representation": kind,
        "optimizer": {"name": "adam", "lr": 1e-3, "weight_decay": 0.0, "momentum": 0.0},
        "scheduler": {"name": "none", "min_lr": 0.0, "factor": 0.5, "patience": 3},
    }
    if replicas:
        own = {"replicas": replicas, "lr": None, "weight_decay": None, "dropout": None, "weighting": "uniform"}
        module: TrendModule = ReplicaModule({**own, "patience": None}, **common)
        module.weights.copy_(torch.arange(1, replicas + 1) / sum(range(replicas + 1)))
    else:
        module = TrendModule(**common)
    x = raw(200)
    module.representation.fit(lambda: [x[:, -1] if flat else x])
    return module.eval()


def served(proto: onnx.ModelProto) -> Callable[[torch.Tensor], np.ndarray]:
    """An ONNX graph as a function."""
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    return lambda *inputs: session.run([OUTPUT], dict(zip(names, (x.numpy() for x in inputs), strict=True)))[0]


# --- the graph ---


FAST = [("SimpleLSTM", "stationary"), ("DualTowerModel", "standard")]
SLOW = [
    pytest.param(net, "standard" if net == "SimpleLSTM" else "stationary", marks=pytest.mark.slow)
    for net in MODELS
    if net != "DualTowerModel"
]


@pytest.mark.parametrize(("net", "kind"), [*FAST, *SLOW])
def test_every_net_predicts_the_same_in_a_batch_of_any_size(net: str, kind: str):
    layers = {"num_layers": 1} if (net, kind) == FAST[0] else {}  # a graph of two takes seconds: the slow tests
    module = fresh(net, kind, **layers)
    flat = MODELS[net].input_view == "flat"
    x = raw(64)[:, -1] if flat else raw(64)
    dates = torch.zeros(2, dtype=torch.int64) if module.sees_market else None
    run = served(trace(model_graph(module), x[:2], dates))

    @settings(max_examples=10)
    @given(count=st.integers(1, 300), seed=st.integers(0, 2**16))
    @example(count=1, seed=0)
    @example(count=2, seed=0)
    def check(count: int, seed: int) -> None:
        batch = raw(count, seed)[:, -1] if flat else raw(count, seed)
        inputs = net_inputs(module, batch)
        if module.sees_market:  # some dates of several tickers, some of one
            inputs = batch, torch.from_numpy(np.random.default_rng(seed).integers(0, count // 3 + 1, count))
        found = run(*inputs)
        assert found.shape == (count, 3)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, module.probabilities(*inputs).numpy(), atol=1e-6)

    check()


def test_a_file_holds_itself_and_nothing_of_the_machine_that_made_it():
    proto = trace(model_graph(fresh("MLP", "standard")), raw(2)[:, -1])
    assert not proto.metadata_props
    assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in proto.graph.initializer)
    assert not any(node.doc_string or node.metadata_props for node in proto.graph.node)
    content = proto.SerializeToString()
    assert not any(word in content for word in (b"site-packages", b".py", b"File ", str(Path.home()).encode()))
    assert [i.name for i in proto.graph.input] == [INPUT]
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


@pytest.mark.slow
def test_the_same_module_gives_the_same_bytes():
    module, x = fresh("DualTowerModel", "standard"), raw(2)[:, -1]
    first = trace(model_graph(module), x).SerializeToString(deterministic=True)
    assert trace(model_graph(module), x + 1.0).SerializeToString(deterministic=True) == first


@pytest.mark.parametrize("net", ["MLP", pytest.param("SimpleLSTM", marks=pytest.mark.slow)])
def test_replicas_are_served_with_their_weights(net: str):
    module = fresh(net, "standard", replicas=3, input_size=F)
    assert isinstance(module, ReplicaModule)
    flat = net == "MLP"
    run = served(trace(model_graph(module), raw(2)[:, -1] if flat else raw(2)))
    for count in (1, 7, 130):
        x = raw(count, 3)[:, -1] if flat else raw(count, 3)
        each = module.replica_probabilities(x).numpy().astype(np.float64)
        np.testing.assert_allclose(run(x), np.average(each, axis=0, weights=[1, 2, 3]), atol=1e-6)


class Rows(SimpleNamespace):
    """Examples of a baseline without a table of market data."""

    def __len__(self) -> int:
        return len(self.labels)

    def thin(self, max_rows: int) -> "Rows":
        assert len(self) <= max_rows
        return self

    def class_counts(self) -> np.ndarray:
        return np.bincount(self.labels, minlength=self.num_classes)

    def table(self, inputs: Inputs) -> np.ndarray:
        return select_inputs(self.windows, inputs)

    def chunks(self, inputs: Inputs) -> Iterator[np.ndarray]:
        yield self.table(inputs)


def rows_of(x: torch.Tensor, labels: np.ndarray, representation: Normalizer) -> Any:
    with torch.no_grad():
        windows = representation(x).numpy()
    return Rows(windows=windows, labels=labels, num_classes=3, window_size=windows[0].size, weights=None)


def fitted(baseline: Any, name: str, labels: np.ndarray | None = None) -> FittedBaseline:
    """A baseline fitted on random windows."""
    representation = Normalizer(FORMS, "standard")
    x = raw(600, 5)
    representation.fit(lambda: [x])
    labels = np.random.default_rng(0).integers(3, size=600) if labels is None else labels
    rows = rows_of(x, labels, representation)
    baseline.fit(rows, rows, 0)
    return FittedBaseline(name, {}, baseline, representation)


def predict_without_graph(model: FittedBaseline, x: torch.Tensor) -> np.ndarray:
    return model.baseline.predict_proba(rows_of(x, np.zeros(len(x)), model.representation))


@pytest.mark.parametrize("seen", [pytest.param((0, 1, 2), marks=pytest.mark.slow), (0, 2)])
def test_a_logistic_regression_is_served_also_where_a_class_was_never_seen(seen: tuple[int, ...]):
    model = fitted(Logistic(), "Logistic", np.random.default_rng(0).choice(seen, 600))
    x = raw(50, 9)
    np.testing.assert_allclose(served(trace(model_graph(model), x[:2]))(x), predict_without_graph(model, x), atol=1e-6)


def test_trees_are_served_as_lightgbm_reads_them():
    model = fitted(GradientBoosting(min_leaf=5, trees=40, patience=40), "GradientBoosting")
    assert isinstance(model.baseline, GradientBoosting)
    x = torch.cat([raw(300, 9), raw(600, 5)])  # its own training rows lie nearest to its thresholds
    proto = trace(model_graph(model), x[:2])
    assert [node.op_type for node in proto.graph.node].count("TreeEnsembleRegressor") == 1
    np.testing.assert_allclose(served(proto)(x), predict_without_graph(model, x), atol=1e-6)


@given(st.floats(-(2.0**99), 2.0**99), st.floats(-(2.0**99), 2.0**99, width=32))
def test_a_thresholdround_down_sends_every_float32_the_same_way(threshold: float, x: float):
    near = np.float32(threshold)
    for value in (x, float(near), float(np.nextafter(near, np.float32(np.inf)))):
        assert (value <= threshold) == (value <= round_down(threshold))


def test_the_majority_is_served_whatever_it_is_asked():
    model = fitted(Majority(), "Majority", np.repeat([0, 1, 2], [100, 200, 300]))
    run = served(trace(model_graph(model), raw(2)))
    np.testing.assert_allclose(run(raw(3)), np.tile([1 / 6, 1 / 3, 1 / 2], (3, 1)), rtol=1e-6)
    assert run(raw(1)).shape == (1, 3)


@pytest.mark.parametrize(
    ("baseline", "reason"), [(Persistence, "the class that came last"), (Volatility, "twelve weeks of the ticker")]
)
def test_a_baseline_that_needs_more_than_a_window_is_refused(baseline: Any, reason: str):
    model = FittedBaseline(baseline.__name__, {}, baseline(), Normalizer(FORMS, "standard"))
    with pytest.raises(RunError, match=rf"{baseline.__name__} cannot be exported: .*{reason}.*Export a net"):
        model_graph(model)


class SoftmaxMember(nn.Module):
    """A member whose probabilities are a softmax of its first features."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.scale * (x[..., :3] if x.dim() == 2 else x.sum(dim=1)[..., :3])).softmax(dim=-1)


@pytest.mark.parametrize("stacked", [pytest.param(False, marks=pytest.mark.slow), True])
def test_members_read_their_own_weeks_of_the_longest_window(stacked: bool):
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(3))
    combination = Stacking(rng.normal(size=(3, 3, 3)), rng.normal(size=3)) if stacked else Pool(weights)
    members, lengths = [SoftmaxMember(0.1), SoftmaxMember(0.2), SoftmaxMember(0.3)], [5, 2, None]
    module = EnsembleGraph(members, lengths, combination)
    x = torch.tensor(rng.normal(size=(11, 5, F)).astype(np.float32))
    probs = [members[0](x), members[1](x[:, 3:]), members[2](x[:, 4])]
    expected = combination(np.stack([one.numpy().astype(np.float64) for one in probs]))
    run = served(trace(module, x[:2]))
    np.testing.assert_allclose(run(x), expected, atol=1e-6)
    np.testing.assert_allclose(run(x[:1]), expected[:1], atol=1e-6)


def test_members_that_all_read_rows_make_an_ensemble_that_reads_rows():
    module = EnsembleGraph([SoftmaxMember(0.1), SoftmaxMember(0.4)], [None, None], Pool(np.array([0.25, 0.75])))
    x = raw(6)[:, -1] / 1e7
    expected = 0.25 * SoftmaxMember(0.1)(x).numpy() + 0.75 * SoftmaxMember(0.4)(x).numpy()
    np.testing.assert_allclose(served(trace(module, x[:2]))(x), expected, atol=1e-6)


def test_members_of_other_features_are_refused():
    parts = [
        ExportedMember(
            SimpleNamespace(representation=SimpleNamespace(forms=SimpleNamespace(names=columns))), None, title
        )  # type: ignore[arg-type]
        for columns, title in (([*FEATURES], "A 1"), (["price_open", "price_high"], "B 2"))
    ]
    check_features(parts[:1] * 2)
    with pytest.raises(RunError, match=r"B 2 reads 2 features \(price_open, ...\), A 1 21 .* members of one data.feat"):
        check_features(parts)


@pytest.mark.parametrize(("off", "word"), [(2e-5, "2e-05"), (np.nan, "nan")])
def test_a_file_with_other_predictions_is_refused_with_the_difference(tmp_path: Path, off: float, word: str):
    card = tiny_model(tmp_path / "m.onnx")
    content, x = (tmp_path / "m.onnx").read_bytes(), raw(100)

    def model(features: torch.Tensor, at: int = 0) -> np.ndarray:
        probs = tiny_probabilities(card, features.numpy())
        probs[at, 0] += off if at else 0.0
        return probs

    assert largest_difference(content, model, x, "run=1") < 1e-6
    with pytest.raises(RunError, match=rf"run=1: .* by up to {word} on 100 held-out rows. Expected 1e-05 or less"):
        largest_difference(content, lambda features: model(features, at=50), x, "run=1")
