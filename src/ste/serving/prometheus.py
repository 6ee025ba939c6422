"""Prometheus metrics of the service."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from ste.serving.deployed_model import DeployedModel

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class ServiceMetrics:
    """Metrics of one service, in its own registry.

    Args:
        deployed: deployed model.
        queued: returns the number of examples in the batcher's queue.
    """

    def __init__(self, deployed: DeployedModel, queued: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._requests = Counter(
            "ste_requests",
            "Requests by route, method and status.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "ste_request_seconds",
            "Seconds from headers to response.",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._refused = Counter(
            "ste_connections_refused",
            "Connections closed before a request was read.",
            ("kind",),
            registry=self.registry,
        )
        self._batch = Histogram(
            "ste_batch_examples", "Examples in a run of the model.", buckets=SIZES, registry=self.registry
        )
        self.registry.register(_ModelCollector(deployed, queued))

    def observe_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def observe_refusal(self, kind: str) -> None:
        """Count a connection that was closed below the application (`problems.TITLES`)."""
        self._refused.labels(kind).inc()

    def observe_batch(self, examples: int) -> None:
        """Count a run of the model."""
        self._batch.observe(examples)


class _ModelCollector(Collector):
    """Metrics of the deployed model, read at each scrape."""

    def __init__(self, deployed: DeployedModel, queued: Callable[[], int]) -> None:
        self._deployed, self._queued = deployed, queued

    def collect(self) -> Iterator[Metric]:
        deployed = self._deployed
        card, version = deployed.current.model.card, deployed.current.model.version
        info = {"name": card.name, "version": version, "run_id": card.run_id, "trained_to": card.trained_to}
        yield InfoMetricFamily("ste_model", "The deployed model.", value=info)
        yield CounterMetricFamily("ste_model_swaps", "Replacements of the deployed model.", value=deployed.swaps)
        yield CounterMetricFamily("ste_model_failures", "New files that could not be loaded.", value=deployed.failures)
        yield GaugeMetricFamily(
            "ste_model_stale", "1 while the newest file cannot be loaded.", value=float(bool(deployed.warning))
        )
        yield GaugeMetricFamily("ste_waiting_examples", "Examples in the queue for the model.", value=self._queued())
