"""Gradient boosted trees on all of a window's features."""

from typing import Any

import numpy as np
import torch

from ste.baselines.examples import Examples

MOST_VALUES = 250_000_000
"""Prepared features, a gibibyte of them, that are looked at: of more, those of evenly spaced examples."""


class GradientBoosting:
    """LightGBM (Ke et al. 2017) on the prepared features of a whole window, side by side.

    The number of trees is chosen by the validation log-loss.

    Args:
        learning_rate: weight of each tree.
        num_leaves: of a tree.
        min_leaf: least training examples in a leaf.
        column_share: features looked at by a tree.
        row_share: examples looked at by a tree.
        trees: at most.
        patience: trees without a better validation log-loss before it stops.
    """

    def __init__(
        self,
        learning_rate: float = 0.05,
        num_leaves: int = 15,
        min_leaf: int = 50,
        column_share: float = 0.7,
        row_share: float = 0.7,
        trees: int = 500,
        patience: int = 30,
    ) -> None:
        for name, value, ok in (
            ("learning_rate", learning_rate, learning_rate > 0),
            ("num_leaves", num_leaves, num_leaves >= 2),
            ("min_leaf", min_leaf, min_leaf >= 1),
            ("column_share", column_share, 0 < column_share <= 1),
            ("row_share", row_share, 0 < row_share <= 1),
            ("trees", trees, trees >= 1),
            ("patience", patience, patience >= 1),
        ):
            if not ok:
                raise ValueError(f"{name}={value}: expected a share in (0, 1], or a number of at least 1 (leaves: 2)")
        self.trees, self.patience = trees, patience
        self.settings: dict[str, Any] = {
            "learning_rate": learning_rate,
            "num_leaves": num_leaves,
            "min_data_in_leaf": min_leaf,
            "feature_fraction": column_share,
            "bagging_fraction": row_share,
            "bagging_freq": 1,
        }
        self.booster: Any = None

    def fit(self, train: Examples, validation: Examples, seed: int) -> None:
        """Grow trees until validation no longer gains."""
        import lightgbm

        parameters = {
            **self.settings,
            "objective": "multiclass",
            "num_class": train.num_classes,
            "metric": "multi_logloss",
            "seed": seed % 2**31,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": torch.get_num_threads(),
            "verbosity": -1,
        }
        train, validation = (_fitting(examples) for examples in (train, validation))
        data = lightgbm.Dataset(train.windows, train.labels)
        self.booster = lightgbm.train(
            parameters,
            data,
            num_boost_round=self.trees,
            valid_sets=[data.create_valid(validation.windows, validation.labels)],
            callbacks=[lightgbm.early_stopping(self.patience, verbose=False)],
        )

    def predict(self, examples: Examples) -> np.ndarray:
        """Probabilities of the best number of trees."""
        return np.concatenate([self.chances(part) for part in examples.parts()])

    def chances(self, inputs: np.ndarray) -> np.ndarray:
        """Probabilities `[N, C]` of windows side by side, `[N, T F]`."""
        return np.asarray(self.booster.predict(inputs, num_threads=1))

    def state(self) -> dict[str, Any]:
        """The trees as text, and how many of them count."""
        return {"model": self.booster.model_to_string(num_iteration=self.booster.best_iteration)}

    def restore(self, state: dict[str, Any]) -> None:
        """Take them back."""
        import lightgbm

        self.booster = lightgbm.Booster(model_str=state["model"])

    @property
    def parameters(self) -> int:
        """Leaves of all trees that count."""
        return int(sum(tree["num_leaves"] for tree in self.booster.dump_model()["tree_info"]))


def _fitting(examples: Examples) -> Examples:
    """Those of which all windows are in memory at once."""
    return examples.every(max(1, -(-examples.values // MOST_VALUES)))
