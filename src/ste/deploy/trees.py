"""Gradient boosted trees as one node of an ONNX graph."""

from collections import defaultdict
from typing import Any

import numpy as np
import torch
from torch import nn


class Trees(nn.Module):
    """A LightGBM booster's class probabilities; it can be traced for ONNX, not computed.

    The node is `TreeEnsembleRegressor` of the standard's `ai.onnx.ml` domain, one target for each class. Thresholds
    become float32, rounded down, which sends every float32 input the way that the float64 threshold sends it.

    Args:
        booster: multiclass, on numeric features.
    """

    def __init__(self, booster: Any) -> None:
        super().__init__()
        content = booster.dump_model()
        self.classes = int(content["num_class"])
        self.attributes = _attributes(content["tree_info"], self.classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Probabilities `[B, C]` of prepared windows `[B, T, F]` or rows `[B, F]`."""
        x = x.flatten(1)
        scores = torch.onnx.ops.symbolic(
            "ai.onnx.ml::TreeEnsembleRegressor",
            [x],
            self.attributes,
            dtype=torch.float32,
            shape=[x.shape[0], self.classes],
            version=3,
        )
        return scores.softmax(dim=-1)


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
    return float(near if near <= threshold else np.nextafter(near, np.float32(-np.inf)))
