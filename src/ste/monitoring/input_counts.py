"""What a running model is given and says, counted beside its work."""

from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Lock
from typing import Any

import numpy as np
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ste.errors import RunError
from ste.inference.model_card import ModelCard
from ste.inference.reference import ReferenceDistributions
from ste.monitoring.drift import LEVELS, Drift, drift_of

FORMAT = 1
WINDOW = 26
"""Periods that are kept: half a year of weeks."""
_MONDAY = 3  # 1970-01-01 was a Thursday


class Monitor:
    """Counts of watched figures over the latest periods. Safe to call from several threads.

    A period is kept as counts in bins, so that the cost of an example is a few comparisons and the memory does not
    grow with the traffic. Examples of one period count together: a week that was asked for a thousand times is
    one week.

    Args:
        card: of the model, with a reference.
        window: periods that are kept, the latest ones.

    Attributes:
        reference: of the card.
        total: examples seen since the counts began.

    Raises:
        RunError: the card has no reference.
    """

    def __init__(self, card: ModelCard, window: int = WINDOW) -> None:
        self.reference = ReferenceDistributions.from_dict(card.reference)
        self.total = 0
        self._window = window
        self._frequency = card.frequency
        self._key = f"{card.run_id}/{card.data_digest}"
        self._counts: dict[int, np.ndarray] = {}
        self._lock = Lock()

    def close(self) -> None:
        """Nothing is kept outside of memory."""

    def seen(self, features: np.ndarray, probabilities: np.ndarray, dates: np.ndarray | None = None) -> None:
        """Count examples.

        Args:
            features: raw ones `[B, *card.shape]`.
            probabilities: that the model gave, `[B, C]`.
            dates: of each example's last period, datetime64 `[B]`; None counts them for the day they came.
                A date to come counts for today.
        """
        codes = self.reference.codes(np.asarray(features), np.asarray(probabilities))
        today = np.datetime64(datetime.now(UTC).date(), "D")
        days = np.array([today]) if dates is None else np.minimum(np.asarray(dates, dtype="datetime64[D]"), today)
        numbers = self._numbers(days)
        parts = {int(number): codes if len(numbers) == 1 else codes[numbers == number] for number in np.unique(numbers)}
        with self._lock:
            self.total += len(codes)
            for number, part in parts.items():
                counted = self.reference.counts(part)
                self._counts[number] = self._counts[number] + counted if number in self._counts else counted
            for number in sorted(self._counts)[: -self._window]:
                del self._counts[number]

    def _numbers(self, days: np.ndarray) -> np.ndarray:
        """Of each date's week, or day."""
        number = days.astype(np.int64)
        return (number + _MONDAY) // 7 if self._frequency == "weekly" else number

    @property
    def state(self) -> dict[str, Any]:
        """As JSON can hold it; `resume` takes it back."""
        with self._lock:
            periods = {str(number): counts.ravel().tolist() for number, counts in self._counts.items()}
            return {"format": FORMAT, "of": self._key, "total": self.total, "periods": periods}

    def resume(self, state: dict[str, Any]) -> bool:
        """Go on from an earlier `state`.

        Returns:
            Whether it is of the same model; counts of another one are left alone.

        Raises:
            RunError: no such state.
        """
        shape = (len(self.reference.columns), self.reference.width)
        try:
            if state["format"] != FORMAT:
                raise ValueError
            if state["of"] != self._key:
                return False
            counts = {
                int(number): np.array(values, dtype=np.int64).reshape(shape)
                for number, values in state["periods"].items()
            }
            total = int(state["total"])
            if any((values < 0).any() for values in counts.values()):
                raise ValueError
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise RunError(
                f"monitor: its saved state is not of format {FORMAT}. Delete the file; counting begins anew."
            ) from None
        with self._lock:
            self._counts, self.total = counts, total
        return True

    @property
    def dates(self) -> tuple[str, str] | None:
        """First day of the first kept period and last day of the last one, ISO; None where none is kept."""
        with self._lock:
            if not self._counts:
                return None
            first, last = min(self._counts), max(self._counts)
        days = (7 * first - _MONDAY, 7 * last - _MONDAY + 6) if self._frequency == "weekly" else (first, last)
        return str(np.datetime64(days[0], "D")), str(np.datetime64(days[1], "D"))

    def report(self) -> Drift:
        """What has moved, over the kept periods."""
        with self._lock:
            kept = list(self._counts.values())
        shape = (len(self.reference.columns), self.reference.width)
        counts = np.sum(kept, axis=0) if kept else np.zeros(shape, dtype=np.int64)
        rows = np.array([part[-1].sum() for part in kept], dtype=np.int64)
        return drift_of(self.reference, counts, rows, "week" if self._frequency == "weekly" else "day")

    def collect(self) -> Iterator[Metric]:
        """Gauges for prometheus_client: register the monitor as a collector."""
        drift = self.report()
        seen = CounterMetricFamily("ste_monitored_examples", "Examples counted for drift since the counts began.")
        seen.add_metric([], self.total)
        yield seen
        for name, text, value in (
            ("ste_monitor_window_examples", "Examples in the periods that drift is measured over.", drift.examples),
            (f"ste_monitor_window_{drift.unit}s", f"Kept {drift.unit}s that drift is measured over.", drift.periods),
            ("ste_monitor_window_worth", "Periods that the unequally filled ones are worth.", drift.worth),
            ("ste_drift_alarm", "1 where something has moved beyond chance, else 0.", float(drift.alarm)),
        ):
            yield GaugeMetricFamily(name, text, value=value)
        psi = GaugeMetricFamily("ste_drift_psi", "Population stability index against training.", labels=_LABELS)
        p = GaugeMetricFamily("ste_drift_p_value", "Probability of such a PSI by chance alone.", labels=_LABELS)
        level = GaugeMetricFamily("ste_drift_level", f"{_levels()}.", labels=_LABELS)
        outside = GaugeMetricFamily("ste_drift_outside_ratio", "Share of examples beyond training.", labels=_LABELS)
        for one in drift.moved:
            psi.add_metric([one.kind, one.name], one.psi)
            p.add_metric([one.kind, one.name], one.p)
            level.add_metric([one.kind, one.name], LEVELS.index(one.level))
            outside.add_metric([one.kind, one.name], one.outside)
        yield from (psi, p, level, outside)
        shares = GaugeMetricFamily("ste_predicted_class_ratio", "Share of each class predicted.", labels=["class"])
        for name, share in drift.shares.items():
            shares.add_metric([name], share)
        yield shares


_LABELS = ["kind", "name"]


def _levels() -> str:
    return ", ".join(f"{i} {name}" for i, name in enumerate(LEVELS)).capitalize()
