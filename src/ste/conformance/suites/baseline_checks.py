"""Checks of a baseline, and of an estimator by its import path: fit, probabilities, saving, seed and export."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ste.baselines.base import FeatureBaseline
from ste.baselines.fitted_baseline import FittedBaseline
from ste.config.load import model_configs
from ste.conformance.small_market import small_parts
from ste.conformance.suite import SUITES, Check, NotApplicable, expect
from ste.errors import RunError
from ste.inference.export.graph import model_graph
from ste.inference.export.onnx_file import trace
from ste.inference.export.parity import TOLERANCE, largest_difference


def baseline_checks(name: str) -> list[Check]:
    """Return the checks of a baseline."""
    files = [config for config in model_configs().values() if config.get("baseline") == name]
    return BaselineUnderTest(files[0] if files else {"baseline": name}).checks()


def estimator_checks(path: str) -> list[Check]:
    """Return the checks of an estimator of scikit-learn."""
    return BaselineUnderTest({**model_configs()["sklearn"], "estimator": path}).checks()


class BaselineUnderTest:
    """A baseline on a small market.

    Args:
        model: its class name and arguments, as a configuration file has them.
    """

    def __init__(self, model: dict[str, Any]) -> None:
        self.model = model
        parts = small_parts()
        self.data, self.representation = parts.data.holdout(), parts.builder.representation
        self._fitted: FittedBaseline | None = None

    def checks(self) -> list[Check]:
        """Return the checks."""
        return [
            Check("it is fitted", self.fit),
            Check("probabilities [N, C] that sum to 1", self.probabilities),
            Check("saved and loaded, it predicts the same", self.saving),
            Check("the same seed gives the same predictions", self.seed),
            Check("an example is predicted alone as in a batch", self.independence),
            Check("the ONNX file predicts the same", self.export),
        ]

    @property
    def fitted(self) -> FittedBaseline:
        """The baseline, fitted once."""
        if self._fitted is None:
            self._fitted = self._fit(0)
        return self._fitted

    def fit(self) -> str:
        """Fit the training examples."""
        return f"{self.fitted.baseline.parameter_count:,} parameters"

    def probabilities(self) -> str:
        """Check shape, range and sum."""
        probs = self.fitted.predict_proba(self.data, "test")
        expected = (len(self.data.scored["test"]), len(self.data.panel.classes))
        expect(probs.shape == expected, f"shape {list(probs.shape)}: expected {list(expected)}")
        expect(bool(np.isfinite(probs).all() and (probs >= 0).all()), "values that are negative or not finite")
        error = float(np.abs(probs.sum(axis=1) - 1.0).max())
        expect(error < 1e-6, f"rows that differ from 1 by {error:.1e}")
        return f"{expected[0]} examples"

    def saving(self) -> str:
        """Check the state: tensors, numbers and text that are complete."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "best.ckpt"
            self.fitted.save(path)
            content = torch.load(path, weights_only=True)
            size = path.stat().st_size
        again = FittedBaseline.from_checkpoint(content)
        expect(self._same(again), "the predictions differ. Put everything that fit sets into state_dict")
        return f"{size / 1e3:,.0f} kB"

    def seed(self) -> str:
        """Check that the seed decides what is random."""
        expect(self._same(self._fit(0)), "they differ. Draw random numbers from the seed of fit alone")
        return ""

    def independence(self) -> str:
        """Check that examples do not depend on each other."""
        baseline, features = self._readable()
        whole = baseline.predict_window(features)
        alone = np.concatenate([baseline.predict_window(one[None]) for one in features])
        difference = float(np.abs(whole - alone).max())
        expect(difference < 1e-6, f"probabilities differ by {difference:.1e}")
        return f"difference {difference:.0e}"

    def export(self) -> str:
        """Check the exported graph against the baseline's own code."""
        try:
            graph = model_graph(self.fitted)
        except RunError as reason:
            raise NotApplicable(str(reason)) from None
        baseline, _ = self._readable()
        dataset = self.data.datasets["test"]
        features = dataset[torch.arange(min(len(dataset), 60))].features

        def predict(raw: torch.Tensor) -> np.ndarray:
            with torch.no_grad():
                return baseline.predict_window(self.fitted.representation(raw).numpy())

        content = trace(graph, features[:2]).SerializeToString()
        difference = largest_difference(content, predict, features, self.fitted.name)
        return f"difference {difference:.0e}, {TOLERANCE:.0e} allowed"

    def _readable(self) -> tuple[FeatureBaseline, np.ndarray]:
        """Return the baseline and some normalized test examples."""
        baseline = self.fitted.baseline
        if not isinstance(baseline, FeatureBaseline) or not baseline.reads_window:
            raise NotApplicable("it reads more than the features of a window, and is compared but not served")
        dataset = self.data.datasets["test"]
        with torch.no_grad():
            raw = dataset[torch.arange(min(len(dataset), 24))].features
            return baseline, self.fitted.representation(raw).numpy()

    def _fit(self, seed: int) -> FittedBaseline:
        fitted = FittedBaseline.from_settings(self.model, self.data, self.representation)
        fitted.fit(self.data, seed)
        return fitted

    def _same(self, other: FittedBaseline) -> bool:
        return np.array_equal(self.fitted.predict_proba(self.data, "test"), other.predict_proba(self.data, "test"))


SUITES.add("baseline", baseline_checks)
SUITES.add("estimator", estimator_checks)
