"""A fitted estimator of scikit-learn inside an ONNX graph, converted by skl2onnx."""

import warnings
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import compose, helper
from torch import nn

from ste.baselines.estimator import Estimator
from ste.errors import RunError

_DOMAIN, _OPERATOR, _INDEX = "ste", "Estimator", "index"
_OPSETS = {"": 18, "ai.onnx.ml": 3}
"""Operator sets of the converted part; the traced graph has the same or later ones."""
_PROBABILITIES = 1
"""Output of a converted classifier; the first one is the class."""


class EstimatorGraph(nn.Module):
    """Class probabilities of a fitted estimator; it can be traced for ONNX, not computed.

    The graph is traced with one node in its place, which `insert_estimators` replaces. Computed in float64 where ONNX
    Runtime has the operators in it, else in float32.

    Args:
        baseline: fitted.

    Raises:
        RunError: skl2onnx or ONNX Runtime does not have the estimator.
    """

    placement: torch.Tensor

    def __init__(self, baseline: Estimator) -> None:
        super().__init__()
        self.inputs, self.index = baseline.inputs, 0
        self.graph, self.input_type = _convert(baseline)
        # Classes without a training example get probability 0.
        placement = torch.zeros(len(baseline.pipeline.classes_), baseline.num_classes)
        placement[torch.arange(len(placement)), torch.from_numpy(np.asarray(baseline.pipeline.classes_)).long()] = 1.0
        self.register_buffer("placement", placement)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict probabilities `[B, C]` from normalized windows `[B, T, F]` or rows `[B, F]`."""
        x = x[:, -1] if self.inputs == "last" and x.dim() == 3 else x.flatten(1)
        probs = torch.onnx.ops.symbolic(
            f"{_DOMAIN}::{_OPERATOR}",
            [x.to(self.input_type)],
            {_INDEX: str(self.index)},
            dtype=torch.float32,
            shape=[x.shape[0], len(self.placement)],
            version=1,
        )
        return probs @ self.placement


def number_estimators(module: nn.Module) -> list[onnx.GraphProto]:
    """Number the `EstimatorGraph` parts of a module before it is traced; gives their graphs in that order."""
    parts = [part for part in module.modules() if isinstance(part, EstimatorGraph)]
    for index, part in enumerate(parts):
        part.index = index
    return [part.graph for part in parts]


def insert_estimators(proto: onnx.ModelProto, graphs: list[onnx.GraphProto]) -> None:
    """Replace the traced nodes by the graphs that `number_estimators` gave."""
    if not graphs:
        return
    nodes: list[onnx.NodeProto] = []
    for node in proto.graph.node:
        if node.domain != _DOMAIN:
            nodes.append(node)
            continue
        index = next(int(one.s) for one in node.attribute if one.name == _INDEX)
        graph = compose.add_prefix_graph(graphs[index], f"estimator{index}/")
        for one in _needed(graph):
            one.input[:] = [node.input[0] if name == graph.input[0].name else name for name in one.input]
            nodes.append(one)
        probs = graph.output[_PROBABILITIES].name
        nodes.append(helper.make_node("Cast", [probs], node.output, to=onnx.TensorProto.FLOAT))
        proto.graph.initializer.extend(graph.initializer)
    proto.graph.ClearField("node")
    proto.graph.node.extend(nodes)
    versions = {one.domain: one.version for one in proto.opset_import if one.domain != _DOMAIN}
    proto.ClearField("opset_import")
    proto.opset_import.extend(helper.make_opsetid(*one) for one in {**_OPSETS, **versions}.items())


def _convert(baseline: Estimator) -> tuple[onnx.GraphProto, torch.dtype]:
    """Convert a fitted pipeline, in the widest type that ONNX Runtime computes it in."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from skl2onnx import to_onnx
            from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
    except ImportError:
        raise RunError(f"{baseline.path} cannot be exported without skl2onnx. Try pip install skl2onnx.") from None
    reason: Exception | None = None
    kinds: tuple[tuple[Any, torch.dtype], ...] = ((DoubleTensorType, torch.float64), (FloatTensorType, torch.float32))
    for kind, dtype in kinds:
        inputs = [("features", kind([None, baseline.pipeline.n_features_in_]))]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = to_onnx(
                    baseline.pipeline, initial_types=inputs, options={"zipmap": False}, target_opset=dict(_OPSETS)
                )
                ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        except Exception as error:  # both libraries raise many kinds
            reason = error
            continue
        return model.graph, dtype
    text = str(reason).strip().splitlines()[0][:160]
    raise RunError(
        f"{baseline.path} cannot be exported: it has no ONNX form ({text}). Train another estimator, such as "
        "sklearn.ensemble.RandomForestClassifier, or model=gbm."
    )


def _needed(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Nodes that the probabilities depend on, in order."""
    wanted, kept = {graph.output[_PROBABILITIES].name}, []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            wanted |= set(node.input)
            kept.append(node)
    return kept[::-1]
