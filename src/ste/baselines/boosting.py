"""Gradient boosted trees on all features of a window."""

from typing import Any

import numpy as np
import torch

from ste.baselines.base import FeatureBaseline
from ste.baselines.examples import Inputs, SplitExamples
from ste.registry import BASELINES

MAX_VALUES = 250_000_000
"""Normalized features, a gibibyte of them, that trees are fitted on; more examples are thinned evenly."""


@BASELINES.register
class GradientBoosting(FeatureBaseline):
    """LightGBM (Ke et al. 2017) on the normalized features of a window in one row.

    The validation log-loss chooses the number of trees.

    Args:
        learning_rate: weight of each tree, above 0.
        num_leaves: maximum leaves of a tree, 2 or more.
        min_leaf: minimum training examples in a leaf.
        column_fraction: fraction of the features that a tree may use, in (0, 1].
        row_fraction: fraction of the examples that a tree is fitted on, in (0, 1].
        trees: maximum number of trees.
        patience: trees without a better validation log-loss before fitting stops.
    """

    inputs: Inputs = "window"

    def __init__(
        self,
        learning_rate: float = 0.05,
        num_leaves: int = 15,
        min_leaf: int = 50,
        column_fraction: float = 0.7,
        row_fraction: float = 0.7,
        trees: int = 500,
        patience: int = 30,
    ) -> None:
        for name, value, ok, expected in (
            ("learning_rate", learning_rate, learning_rate > 0, "a number above 0"),
            ("num_leaves", num_leaves, num_leaves >= 2, "2 or more"),
            ("min_leaf", min_leaf, min_leaf >= 1, "1 or more"),
            ("column_fraction", column_fraction, 0 < column_fraction <= 1, "a fraction in (0, 1]"),
            ("row_fraction", row_fraction, 0 < row_fraction <= 1, "a fraction in (0, 1]"),
            ("trees", trees, trees >= 1, "1 or more"),
            ("patience", patience, patience >= 1, "1 or more"),
        ):
            if not ok:
                raise ValueError(f"{name}={value}: expected {expected}")
        self.trees, self.patience = trees, patience
        self.settings: dict[str, Any] = {
            "learning_rate": learning_rate,
            "num_leaves": num_leaves,
            "min_data_in_leaf": min_leaf,
            "feature_fraction": column_fraction,
            "bagging_fraction": row_fraction,
            "bagging_freq": 1,
        }
        self.booster: Any = None

    def fit(self, train: SplitExamples, validation: SplitExamples, seed: int) -> None:
        """Grow trees until the validation log-loss stops improving."""
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
        train, validation = (examples.thin(MAX_VALUES // examples.window_size) for examples in (train, validation))
        data = lightgbm.Dataset(train.table(self.inputs), train.labels)
        self.booster = lightgbm.train(
            parameters,
            data,
            num_boost_round=self.trees,
            valid_sets=[data.create_valid(validation.table(self.inputs), validation.labels)],
            callbacks=[lightgbm.early_stopping(self.patience, verbose=False)],
        )

    def predict_inputs(self, x: np.ndarray) -> np.ndarray:
        """Predict class probabilities, float64 `[N, C]`, from windows in one row, `[N, T F]`."""
        return np.asarray(self.booster.predict(x, num_threads=1))

    def state_dict(self) -> dict[str, Any]:
        """Return the trees in LightGBM's text format, up to the best number of them."""
        return {"trees": self.booster.model_to_string(num_iteration=self.booster.best_iteration)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the trees."""
        import lightgbm

        self.booster = lightgbm.Booster(model_str=state["trees"])

    @property
    def parameter_count(self) -> int:
        """Number of leaves in the trees."""
        return int(sum(tree["num_leaves"] for tree in self.booster.dump_model()["tree_info"]))
