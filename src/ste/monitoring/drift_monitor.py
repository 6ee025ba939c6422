"""Count the inputs and predictions of a running model."""

from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Lock
from typing import Any

import numpy as np
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ste.errors import RunError
from ste.inference.model_card import ModelCard
from ste.inference.reference import ReferenceDistributions
from ste.market.spans import span_days, span_numbers
from ste.monitoring.drift import LEVELS, DriftReport, drift_report
from ste.schema import PERIOD

FORMAT = 2
WINDOW = 26
"""Number of latest periods that are counted: half a year of weeks."""
_LABELS = ["kind", "name"]


class DriftMonitor:
    """Bin counts of the watched columns over the latest periods. Thread-safe.

    A period is stored as bin counts: an example costs a few comparisons, and memory does not grow with the traffic.
    Examples of one period count together: a week that is requested a thousand times is one week.

    Args:
        card: model card with reference distributions.
        window: number of latest periods to count.

    Attributes:
        reference: reference distributions of the card.
        total: number of examples since the counts started.

    Raises:
        RunError: the card has no reference distributions.
    """

    def __init__(self, card: ModelCard, window: int = WINDOW) -> None:
        self.reference = ReferenceDistributions.from_dict(card.reference)
        self.total = 0
        self._window = window
        self._frequency = card.frequency
        self._model = f"{card.run_id}/{card.data_digest}"
        self._counts: dict[int, np.ndarray] = {}
        self._lock = Lock()

    def observe(self, features: np.ndarray, probabilities: np.ndarray, dates: np.ndarray) -> None:
        """Count examples.

        Args:
            features: raw features `[B, *card.shape]`.
            probabilities: class probabilities of the model, `[B, C]`.
            dates: date of each example's last period, datetime64 `[B]`; a future date counts for today.
        """
        codes = self.reference.codes(np.asarray(features), np.asarray(probabilities))
        today = np.datetime64(datetime.now(UTC).date(), "D")
        days = np.minimum(np.asarray(dates, dtype="datetime64[D]"), today)
        periods = span_numbers(days, self._frequency)
        with self._lock:
            self.total += len(codes)
            for period in np.unique(periods).tolist():
                counted = self.reference.counts(codes[periods == period])
                self._counts[period] = self._counts.get(period, 0) + counted
            for period in sorted(self._counts)[: -self._window]:
                del self._counts[period]

    @property
    def state(self) -> dict[str, Any]:
        """The counts as JSON values, for `resume`."""
        with self._lock:
            periods = {str(period): counts.ravel().tolist() for period, counts in self._counts.items()}
            return {"format": FORMAT, "model": self._model, "total": self.total, "periods": periods}

    def resume(self, state: dict[str, Any]) -> bool:
        """Restore a `state`.

        Returns:
            False if the state belongs to another model; then nothing changes.

        Raises:
            RunError: the state is invalid or of another format.
        """
        shape = (len(self.reference.columns), self.reference.width)
        try:
            if state["format"] != FORMAT:
                raise ValueError
            if state["model"] != self._model:
                return False
            counts = {
                int(period): np.array(values, dtype=np.int64).reshape(shape)
                for period, values in state["periods"].items()
            }
            total = int(state["total"])
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise RunError(
                f"monitor: its saved state is not of format {FORMAT}. Delete the file to start counting again."
            ) from None
        with self._lock:
            self._counts, self.total = counts, total
        return True

    @property
    def dates(self) -> tuple[str, str] | None:
        """First day of the first counted period and last day of the last one, ISO; None without any."""
        with self._lock:
            if not self._counts:
                return None
            first, last = min(self._counts), max(self._counts)
        return str(span_days(first, self._frequency)[0]), str(span_days(last, self._frequency)[1])

    def report(self) -> DriftReport:
        """Compute the drift over the counted periods."""
        with self._lock:
            periods = list(self._counts.values())
        shape = (len(self.reference.columns), self.reference.width)
        counts = np.sum(periods, axis=0) if periods else np.zeros(shape, dtype=np.int64)
        rows = np.array([period[-1].sum() for period in periods], dtype=np.int64)
        return drift_report(self.reference, counts, rows, PERIOD[self._frequency])

    def collect(self) -> Iterator[Metric]:
        """Yield Prometheus metrics; the monitor is a collector of prometheus_client."""
        drift = self.report()
        total = CounterMetricFamily("ste_monitored_examples", "Examples counted for drift since the counts started.")
        total.add_metric([], self.total)
        yield total
        for name, text, value in (
            ("ste_monitor_window_examples", "Examples in the periods that drift is measured over.", drift.examples),
            (f"ste_monitor_window_{drift.unit}s", f"Number of {drift.unit}s in the drift window.", drift.periods),
            (
                "ste_monitor_window_effective_periods",
                "Equally filled periods with the same information (Kish).",
                drift.effective_periods,
            ),
            ("ste_drift_alarm", "1 if a column drifted beyond chance, else 0.", float(drift.alarm)),
        ):
            yield GaugeMetricFamily(name, text, value=value)
        psi = GaugeMetricFamily("ste_drift_psi", "Population stability index against training.", labels=_LABELS)
        p = GaugeMetricFamily("ste_drift_p_value", "Probability of such a PSI by chance alone.", labels=_LABELS)
        levels = ", ".join(f"{i} {name}" for i, name in enumerate(LEVELS)).capitalize()
        level = GaugeMetricFamily("ste_drift_level", f"{levels}.", labels=_LABELS)
        outside = GaugeMetricFamily(
            "ste_drift_outside_ratio", "Fraction of examples outside training's range.", labels=_LABELS
        )
        for column in drift.columns:
            labels = [column.kind, column.name]
            psi.add_metric(labels, column.psi)
            p.add_metric(labels, column.p)
            level.add_metric(labels, LEVELS.index(column.level))
            outside.add_metric(labels, column.outside)
        yield from (psi, p, level, outside)
        fractions = GaugeMetricFamily(
            "ste_predicted_class_ratio", "Fraction of each predicted class.", labels=["class"]
        )
        for name, fraction in drift.class_fractions.items():
            fractions.add_metric([name], fraction)
        yield fractions
