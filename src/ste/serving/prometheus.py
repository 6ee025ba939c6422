"""What the service tells Prometheus."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from ste.serving.model_swap import Current

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """Counters of one service, in a registry of their own.

    Args:
        current: the model in service.
        waiting: number of examples that wait for it.
    """

    def __init__(self, current: Current, waiting: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._requests = Counter(
            "ste_requests", "Answered requests.", ("route", "method", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "ste_request_seconds", "From headers to answer.", ("route",), buckets=SECONDS, registry=self.registry
        )
        self._refused = Counter(
            "ste_connections_refused", "Connections ended before a request was read.", ("kind",), registry=self.registry
        )
        self._batch = Histogram("ste_batch_examples", "Examples in a run.", buckets=SIZES, registry=self.registry)
        self.registry.register(_ModelCollector(current, waiting))
        self._count = lru_cache(4096)(self._requests.labels)
        self._time = lru_cache(256)(self._seconds.labels)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._count(route, method, str(status)).inc()
        self._time(route).observe(seconds)

    def refused(self, kind: str) -> None:
        """A connection was refused below the application (`problems.TITLES`)."""
        self._refused.labels(kind).inc()

    def ran(self, examples: int) -> None:
        """The model ran."""
        self._batch.observe(examples)

    def add(self, collect: Callable[[], Iterable[Metric]]) -> None:
        """Take further metrics in, asked for at each scrape."""
        self.registry.register(_Further(collect))


class _ModelCollector:
    """Figures of the model in service, read when they are asked for."""

    def __init__(self, current: Current, waiting: Callable[[], int]) -> None:
        self._current, self._waiting = current, waiting

    def collect(self) -> Iterator[Metric]:
        current = self._current
        card, version = current.now.model.card, current.now.model.version
        about = {"name": card.name, "version": version, "run_id": card.run_id, "trained_to": card.trained_to}
        yield InfoMetricFamily("ste_model", "The model in service.", value=about)
        yield CounterMetricFamily("ste_model_swaps", "Changes of the model in service.", value=current.swaps)
        yield CounterMetricFamily("ste_model_failures", "New files that cannot be served.", value=current.failures)
        yield GaugeMetricFamily(
            "ste_model_stale", "1 while the newest file cannot be served.", value=float(bool(current.warning))
        )
        yield GaugeMetricFamily("ste_waiting_examples", "Examples that wait for the model.", value=self._waiting())

    def describe(self) -> list[Metric]:
        return []


class _Further:
    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self.collect = collect

    def describe(self) -> list[Metric]:
        return []
