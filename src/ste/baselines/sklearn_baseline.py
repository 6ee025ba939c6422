"""Any scikit-learn classifier as a baseline."""

import warnings
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from ste.baselines.base import FeatureBaseline
from ste.baselines.examples import SplitExamples
from ste.errors import RunError

MAX_ROWS = 100_000
"""Training examples, evenly spaced, that a scikit-learn baseline is fitted on."""


class SklearnBaseline(FeatureBaseline):
    """A scikit-learn classifier on standardized inputs.

    A subclass passes its classifier; `inputs` selects what it reads. The state is written by skops, which holds no
    code, and is read back only if skops trusts every type in it.

    Args:
        classifier: unfitted, with `predict_proba`. Its `random_state` is the seed of the run.
    """

    def __init__(self, classifier: ClassifierMixin) -> None:
        self.classifier = classifier
        self.pipeline: Pipeline = make_pipeline(StandardScaler(), classifier)
        self.num_classes = 0

    def fit(self, train: SplitExamples, validation: SplitExamples, seed: int) -> None:
        """Fit on at most `MAX_ROWS` training examples; a class without an example gets probability 0."""
        some = train.thin(MAX_ROWS)
        x, y = some.table(self.inputs).astype(np.float64), some.labels
        self.num_classes = train.num_classes
        classifier = self.classifier
        if len(np.unique(y)) == 1:  # most classifiers refuse a single class
            classifier = DummyClassifier()
        elif "random_state" in classifier.get_params():
            classifier.set_params(random_state=seed % 2**32)
        self.pipeline = make_pipeline(StandardScaler(), classifier)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # near its optimum is enough for a baseline
            self.pipeline.fit(x, y)

    def predict_inputs(self, x: np.ndarray) -> np.ndarray:
        """Predict class probabilities, float64 `[N, C]`, from inputs `[N, K]`."""
        out = np.zeros((len(x), self.num_classes))
        out[:, self.pipeline.classes_] = self.pipeline.predict_proba(x.astype(np.float64))
        return out

    def accepts(self, type_name: str) -> bool:
        """Whether a type that skops does not trust may be in the state; here none."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """Return the pipeline in skops' format.

        Raises:
            RunError: the classifier holds types that would not be loaded.
        """
        from skops.io import dumps, get_untrusted_types

        content = dumps(self.pipeline)
        untrusted = [name for name in get_untrusted_types(data=content) if not self.accepts(name)]
        if untrusted:
            raise RunError(
                f"{type(self).__name__}: its state holds {', '.join(untrusted)}, which skops does not load without "
                "trust. Expected a classifier of trusted types, such as those of sklearn.linear_model."
            )
        return {"skops": torch.frombuffer(bytearray(content), dtype=torch.uint8), "num_classes": self.num_classes}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the pipeline; a type that skops does not trust is an error."""
        from skops.io import get_untrusted_types, loads

        content = state["skops"].numpy().tobytes()
        self.pipeline = loads(
            content, trusted=[name for name in get_untrusted_types(data=content) if self.accepts(name)]
        )
        self.num_classes = int(state["num_classes"])

    @property
    def parameter_count(self) -> int:
        """Number of floats in the fitted arrays of the classifier."""
        fitted = [value for name, value in vars(self.pipeline[-1]).items() if name.endswith("_")]
        arrays = [one for value in fitted for one in (value if isinstance(value, list) else [value])]
        return sum(one.size for one in arrays if isinstance(one, np.ndarray) and one.dtype.kind == "f")
