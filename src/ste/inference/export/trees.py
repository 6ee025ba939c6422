"""Gradient boosted trees as one node of an ONNX graph."""

from collections import defaultdict
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

_OPERATOR = "TreeEnsembleRegressor"
_INDEX = "post_transform"  # attribute that has the index of the trees until they are inserted


class TreesGraph(nn.Module):
    """Class probabilities of a LightGBM booster; it can be traced for ONNX, not computed.

    The node is `TreeEnsembleRegressor` of the standard's `ai.onnx.ml` domain, one target per class. Thresholds become
    float32, rounded down, which sends every float32 input the same way as the float64 threshold. The trees are
    inserted after the tracing (`insert_trees`), which would take minutes over their numbers.

    Args:
        booster: multiclass, on numeric features.
    """

    def __init__(self, booster: Any) -> None:
        super().__init__()
        content = booster.dump_model()
        self.classes = int(content["num_class"])
        self.attributes = _attributes(content["tree_info"], self.classes)
        self.index = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict probabilities `[B, C]` from normalized windows `[B, T, F]` or rows `[B, F]`."""
        x = x.flatten(1)
        scores = torch.onnx.ops.symbolic(
            f"ai.onnx.ml::{_OPERATOR}",
            [x],
            {_INDEX: str(self.index)},
            dtype=torch.float32,
            shape=[x.shape[0], self.classes],
            version=3,
        )
        return scores.softmax(dim=-1)


def number_trees(module: nn.Module) -> list[dict[str, Any]]:
    """Number the `TreesGraph` parts of a module before it is traced; gives their attributes in that order."""
    parts = [part for part in module.modules() if isinstance(part, TreesGraph)]
    for index, trees in enumerate(parts):
        trees.index = index
    return [trees.attributes for trees in parts]


def insert_trees(proto: onnx.ModelProto, attributes: list[dict[str, Any]]) -> None:
    """Insert the attributes that `number_trees` gave into the traced nodes."""
    for node in proto.graph.node:
        if node.op_type == _OPERATOR:
            index = next(int(one.s) for one in node.attribute if one.name == _INDEX)
            node.ClearField("attribute")
            node.attribute.extend(onnx.helper.make_attribute(*item) for item in sorted(attributes[index].items()))


def _attributes(trees: list[dict[str, Any]], classes: int) -> dict[str, Any]:
    """Convert LightGBM's trees to the attributes of the ONNX operator."""
    out: dict[str, Any] = defaultdict(list)
    for tree in trees:
        number, nodes = tree["tree_index"], _nodes(tree["tree_structure"])
        position = {id(node): i for i, node in enumerate(nodes)}
        for i, node in enumerate(nodes):
            leaf = "split_index" not in node
            out["nodes_treeids"].append(number)
            out["nodes_nodeids"].append(i)
            out["nodes_featureids"].append(0 if leaf else node["split_feature"])
            out["nodes_modes"].append("LEAF" if leaf else "BRANCH_LEQ")
            out["nodes_values"].append(0.0 if leaf else round_down(node["threshold"]))
            out["nodes_truenodeids"].append(0 if leaf else position[id(node["left_child"])])
            out["nodes_falsenodeids"].append(0 if leaf else position[id(node["right_child"])])
            if leaf:
                out["target_treeids"].append(number)
                out["target_nodeids"].append(i)
                out["target_ids"].append(number % classes)
                out["target_weights"].append(float(node["leaf_value"]))
    return {**out, "n_targets": classes, "post_transform": "NONE", "aggregate_function": "SUM"}


def _nodes(root: dict[str, Any]) -> list[dict[str, Any]]:
    """List the nodes of a tree, the root first."""
    out, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        out.append(node)
        if "split_index" in node:
            waiting += [node["right_child"], node["left_child"]]
    return out


def round_down(threshold: float) -> float:
    """Return the largest float32 that is not above a threshold."""
    near = np.float32(threshold)
    if float(near) <= threshold:  # as float64: NumPy would compare the two as float32
        return float(near)
    return float(np.nextafter(near, np.float32(-np.inf)))
