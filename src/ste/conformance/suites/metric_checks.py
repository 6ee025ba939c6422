"""Checks of a metric: range, direction, resamples and the order of the examples."""

from dataclasses import replace

import numpy as np

from ste.conformance.suite import SUITES, Check, NotApplicable, expect
from ste.evaluation.bootstrap import Resampling
from ste.evaluation.metrics.base import Metric, ScoredExamples
from ste.registry import METRICS
from ste.schema import class_names

_DRAWS, _EXAMPLES, _UNITS, _RESAMPLES = 30, 120, 12, 5


def metric_checks(name: str) -> list[Check]:
    """Return the checks of a metric."""
    metric = MetricUnderTest(METRICS[name])
    return [
        Check("a value for the data and each resample", metric.shape),
        Check("values within its range", metric.range),
        Check("a perfect prediction is best", metric.direction),
        Check("the order of the examples does not matter", metric.order),
        Check("a resample equals the examples it repeats", metric.resample),
        Check("a class without examples is no error", metric.missing_class),
    ]


class MetricUnderTest:
    """A metric and random predictions.

    Args:
        metric: registered.
    """

    def __init__(self, metric: Metric) -> None:
        self.metric = metric

    def examples(self, seed: int, classes: int = 3) -> ScoredExamples:
        """Draw probabilities, labels and units."""
        rng = np.random.default_rng(seed)
        probs = rng.dirichlet(np.ones(classes), _EXAMPLES)
        unit = np.sort(rng.integers(_UNITS, size=_EXAMPLES))
        resampling = Resampling.draw_blocks(_UNITS, 1, _RESAMPLES, seed)
        return ScoredExamples(probs, rng.integers(classes, size=_EXAMPLES), unit, resampling, class_names(classes))

    def values(self, examples: ScoredExamples) -> np.ndarray:
        """Compute the metric, `[1 + R]`, of a metric per class its mean."""
        if self.metric.compute is None:
            raise NotApplicable("other code computes it")
        values = self.metric.compute(examples)
        if values is None:
            raise NotApplicable(f"no value with {len(examples.classes)} classes")
        return np.asarray(values).mean(axis=-1) if self.metric.per_class else np.asarray(values)

    def shape(self) -> str:
        """Check the shape."""
        found = self.values(self.examples(0)).shape
        expect(found == (1 + _RESAMPLES,), f"shape {list(found)}: expected [{1 + _RESAMPLES}], data and resamples")
        return f"{float(self.values(self.examples(0))[0]):.3f} at random"

    def range(self) -> str:
        """Check the declared bounds."""
        found = np.concatenate([self.values(self.examples(seed)) for seed in range(_DRAWS)])
        found = found[np.isfinite(found)]
        low, high = float(found.min()), float(found.max())
        ok = self.metric.low - 1e-9 <= low and high <= self.metric.high + 1e-9
        expect(ok, f"values from {low:.3g} to {high:.3g}, declared {self.metric.low:g} to {self.metric.high:g}")
        return f"{low:.3f} to {high:.3f}"

    def direction(self) -> str:
        """Check that no random prediction is better than a perfect one."""
        for seed in range(_DRAWS):
            drawn = self.examples(seed)
            perfect = replace(drawn, probs=np.eye(3)[drawn.labels])
            best, other = self.values(perfect)[0], self.values(drawn)[0]
            better = best >= other if self.metric.higher_is_better else best <= other
            side = "higher" if self.metric.higher_is_better else "lower"
            expect(bool(better), f"perfect {best:.3g}, random {other:.3g}, and {side} is declared better")
        return "higher is better" if self.metric.higher_is_better else "lower is better"

    def order(self) -> str:
        """Check shuffled examples."""
        drawn = self.examples(1)
        turn = np.random.default_rng(0).permutation(_EXAMPLES)
        turned = replace(drawn, probs=drawn.probs[turn], labels=drawn.labels[turn], unit=drawn.unit[turn])
        expect(np.allclose(self.values(drawn), self.values(turned), equal_nan=True), "the values differ")
        return ""

    def resample(self) -> str:
        """Check a resample against a table in which each example stands as often as its unit was drawn."""
        drawn = self.examples(2)
        values = self.values(drawn)
        for index in range(1, 1 + _RESAMPLES):
            times = drawn.resampling.multiplicity[index][drawn.unit].astype(int)
            rows = np.repeat(np.arange(_EXAMPLES), times)
            once = Resampling(np.ones((1, 1), dtype=np.float32), 1)
            units = np.zeros(len(rows), dtype=np.int64)
            alone = ScoredExamples(drawn.probs[rows], drawn.labels[rows], units, once, drawn.classes)
            expected = self.values(alone)[0]
            expect(
                bool(np.isclose(values[index], expected, rtol=1e-4, atol=1e-5)),
                f"{values[index]:.4g} instead of {expected:.4g}: resample through `examples.mean` or `contingency`",
            )
        return ""

    def missing_class(self) -> str:
        """Check examples of one class alone."""
        drawn = self.examples(3)
        self.values(replace(drawn, labels=np.zeros_like(drawn.labels)))
        return ""


SUITES.add("metric", metric_checks)
