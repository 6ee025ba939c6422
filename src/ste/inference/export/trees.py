"""Gradient boosted trees as one node of an ONNX graph."""

from collections import defaultdict
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

_OPERATOR = "TreeEnsembleRegressor"
_PLACE = "post_transform"  # holds the number of the trees until they are filled in


class Trees(nn.Module):
    """A LightGBM booster's class probabilities; it can be traced for ONNX, not computed.

    The node is `TreeEnsembleRegressor` of the standard's `ai.onnx.ml` domain, one target for each class. Thresholds
    become float32, rounded down, which sends every float32 input the way that the float64 threshold sends it. The
    trees themselves are filled in after the tracing (`fill`), which would take minutes over their numbers.

    Args:
        booster: multiclass, on numeric features.
    """

    def __init__(self, booster: Any) -> None:
        super().__init__()
        content = booster.dump_model()
        self.classes = int(content["num_class"])
        self.attributes = _attributes(content["tree_info"], self.classes)
        self.number = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Probabilities `[B, C]` of prepared windows `[B, T, F]` or rows `[B, F]`."""
        x = x.flatten(1)
        scores = torch.onnx.ops.symbolic(
            f"ai.onnx.ml::{_OPERATOR}",
            [x],
            {_PLACE: str(self.number)},
            dtype=torch.float32,
            shape=[x.shape[0], self.classes],
            version=3,
        )
        return scores.softmax(dim=-1)


def number(module: nn.Module) -> dict[str, dict[str, Any]]:
    """Number all trees of a module that is to be traced; gives their attributes by number."""
    found = [part for part in module.modules() if isinstance(part, Trees)]
    for i, trees in enumerate(found):
        trees.number = i
    return {str(trees.number): trees.attributes for trees in found}


def fill(proto: onnx.ModelProto, attributes: dict[str, dict[str, Any]]) -> None:
    """Put the trees that `number` gave into the nodes that were traced of them."""
    for node in proto.graph.node:
        if node.op_type == _OPERATOR:
            place = next(one.s.decode() for one in node.attribute if one.name == _PLACE)
            node.ClearField("attribute")
            node.attribute.extend(onnx.helper.make_attribute(*item) for item in sorted(attributes[place].items()))


def _attributes(trees: list[dict[str, Any]], classes: int) -> dict[str, Any]:
    out: dict[str, Any] = defaultdict(list)
    for tree in trees:
        number, found = tree["tree_index"], _nodes(tree["tree_structure"])
        place = {id(node): i for i, node in enumerate(found)}
        for i, node in enumerate(found):
            leaf = "split_index" not in node
            if not leaf and node["decision_type"] != "<=":
                raise NotImplementedError(node["decision_type"])  # of categories, which no table has
            out["nodes_treeids"].append(number)
            out["nodes_nodeids"].append(i)
            out["nodes_featureids"].append(0 if leaf else node["split_feature"])
            out["nodes_modes"].append("LEAF" if leaf else "BRANCH_LEQ")
            out["nodes_values"].append(0.0 if leaf else _rounded_down(node["threshold"]))
            out["nodes_truenodeids"].append(0 if leaf else place[id(node["left_child"])])
            out["nodes_falsenodeids"].append(0 if leaf else place[id(node["right_child"])])
            if leaf:
                out["target_treeids"].append(number)
                out["target_nodeids"].append(i)
                out["target_ids"].append(number % classes)
                out["target_weights"].append(float(node["leaf_value"]))
    return {**out, "n_targets": classes, "post_transform": "NONE", "aggregate_function": "SUM"}


def _nodes(root: dict[str, Any]) -> list[dict[str, Any]]:
    """A tree's nodes, the root first."""
    out, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        out.append(node)
        if "split_index" in node:
            waiting += [node["right_child"], node["left_child"]]
    return out


def _rounded_down(threshold: float) -> float:
    """The largest float32 that is not above it."""
    near = np.float32(threshold)
    if float(near) <= threshold:  # as float64: NumPy would compare the two as float32
        return float(near)
    return float(np.nextafter(near, np.float32(-np.inf)))
