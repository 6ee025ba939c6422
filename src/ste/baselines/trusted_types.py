"""Types of scikit-learn that the state of an estimator may hold in addition to those that skops trusts.

They are data: trees, optimizers and calibrations. skops leaves them out because a damaged tree could point anywhere in
memory, so trees are checked when they are read.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ste.errors import RunError

TRUSTED = (
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
)


def check_trees(root: Any, name: str) -> None:
    """Check that the nodes of every tree point forward inside their tree and read features that there are.

    Args:
        root: fitted estimator.
        name: of its class, for the message.

    Raises:
        RunError: a node does not.
    """
    for owner, part in _parts(root, root, set()):
        kind = type(part).__name__
        if kind == "Tree":
            nodes = part.__getstate__()["nodes"]
            left, right, feature = nodes["left_child"], nodes["right_child"], nodes["feature"]
            inner, features = left != -1, part.n_features
        elif kind == "TreePredictor":
            nodes, features = part.nodes, owner.n_features_in_
            left, right, feature = (nodes[key].astype(np.int64) for key in ("left", "right", "feature_idx"))
            inner = nodes["is_leaf"] == 0
            if nodes["is_categorical"].any():
                raise RunError(f"{name}: its trees split by categories, and features are numbers. Train again.")
        else:
            continue
        here = np.arange(len(left))[inner]
        ends = np.stack([left[inner], right[inner]])
        read = feature[inner]
        if (ends <= here).any() or (ends >= len(left)).any() or (read < 0).any() or (read >= features).any():
            raise RunError(f"{name}: a tree of its checkpoint is damaged. Train again.")


def tree_nodes(root: Any) -> int:
    """Count the nodes of every tree of a fitted estimator."""
    parts = [part for _, part in _parts(root, root, set())]
    counts = (
        len(one.nodes) if type(one).__name__ == "TreePredictor" else one.node_count for one in parts if _is_tree(one)
    )
    return sum(counts)


def _is_tree(part: Any) -> bool:
    return type(part).__name__ in ("Tree", "TreePredictor")


def _parts(part: Any, owner: Any, seen: set[int]) -> Iterator[tuple[Any, Any]]:
    """Yield each object below a part with the estimator that it belongs to."""
    if id(part) in seen or isinstance(part, str | bytes | int | float | type(None)):
        return
    seen.add(id(part))
    yield owner, part
    if isinstance(part, dict):
        inside = list(part.values())
    elif isinstance(part, list | tuple) or (isinstance(part, np.ndarray) and part.dtype == object):
        inside = list(np.ravel(part)) if isinstance(part, np.ndarray) else list(part)
    else:
        inside = list(getattr(part, "__dict__", {}).values())
        owner = part if hasattr(part, "n_features_in_") else owner
    for one in inside:
        yield from _parts(one, owner, seen)
