"""An estimator of scikit-learn by its import path: `model=sklearn model.estimator=sklearn.svm.SVC`."""

from typing import Any, Literal

from ste.baselines.examples import SplitExamples
from ste.baselines.import_path import import_estimator, plugin_packages
from ste.baselines.sklearn_baseline import SklearnBaseline
from ste.baselines.trusted_types import TRUSTED, check_trees, tree_nodes
from ste.errors import ConfigError
from ste.registry import BASELINES


@BASELINES.register
class Estimator(SklearnBaseline):
    """A classifier of scikit-learn, or of a plugin with its interface, on standardized inputs.

    Args:
        estimator: import path of a class with `predict_proba`, in scikit-learn or a typed plugin.
        arguments: of the class.
        inputs: `window`, the normalized features of all periods in one row, or `last`, those of the last period.

    Raises:
        ConfigError: a path or a class that cannot be used.
        ValueError: an argument that the class does not have, or unknown inputs.
    """

    def __init__(
        self,
        estimator: str = "sklearn.ensemble.RandomForestClassifier",
        arguments: dict[str, Any] | None = None,
        inputs: Literal["window", "last"] = "window",
    ) -> None:
        if inputs not in ("window", "last"):
            raise ValueError(f"inputs={inputs}: expected window or last")
        kind = import_estimator(estimator)
        given = dict(arguments or {})
        known = kind().get_params(deep=False)
        unknown = sorted(given.keys() - known.keys())
        if unknown:
            names = ", ".join(sorted(known)) or "none"
            raise ValueError(f"arguments.{unknown[0]}: {kind.__name__} has no such argument. It has {names}")
        self.path, self.inputs = estimator, inputs
        super().__init__(kind(**given))
        if not hasattr(self.classifier, "predict_proba"):
            raise ConfigError(
                f"model.estimator={estimator}: it predicts no probabilities with these arguments (predict_proba). "
                "Try model.estimator=sklearn.linear_model.LogisticRegression."
            )

    def fit(self, train: SplitExamples, validation: SplitExamples, seed: int) -> None:
        """Fit on at most `MAX_ROWS` training examples, evenly spaced.

        Raises:
            ConfigError: scikit-learn refuses an argument or the data.
        """
        try:
            super().fit(train, validation, seed)
        except ValueError as error:
            raise ConfigError(f"model.estimator={self.path}: {str(error).splitlines()[0]}") from None

    def accepts(self, type_name: str) -> bool:
        """Whether a type that skops does not trust may be in the state: one of `TRUSTED`, or of a typed plugin."""
        return type_name in TRUSTED or type_name.split(".", maxsplit=1)[0] in plugin_packages()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the pipeline.

        Raises:
            RunError: a damaged tree.
        """
        super().load_state_dict(state)
        check_trees(self.pipeline, self.path)

    @property
    def parameter_count(self) -> int:
        """Number of nodes in the trees, or of floats in the fitted arrays."""
        return tree_nodes(self.pipeline[-1]) or super().parameter_count
