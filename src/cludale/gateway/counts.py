"""What the gateway counts, for Prometheus and for whoever decides about a release: requests and times by revision."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

BUCKET_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class BackendGauges(NamedTuple):
    """How one backend stands."""

    service: str
    revision: str
    backend: str
    ready: bool
    in_flight: int
    connections: int
    requests: int
    failures: int


class _Times:
    """How long requests took."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BUCKET_SECONDS) + 1)
        self.seconds = 0.0


class Counts(Collector):
    """Everything at the gateway's `/metrics`."""

    def __init__(self, version: str, backends: Callable[[], Iterable[BackendGauges]]) -> None:
        self._refused = 0
        self._clients: Callable[[], int] = lambda: 0
        self._version = version
        self._backends = backends
        self._statuses: dict[tuple[str, str, int], int] = {}
        self._times: dict[tuple[str, str], _Times] = {}
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    def watch(self, clients: Callable[[], int]) -> None:
        """Show so many clients."""
        self._clients = clients

    def count_refused(self) -> None:
        """Count a client whose request was refused before it was whole."""
        self._refused += 1

    def add(self, service: str, revision: str, status: int, seconds: float | None) -> None:
        """Count one request. Without a revision: none was chosen for it. Without seconds: it was slow on purpose."""
        key = (service, revision, status)
        statuses = self._statuses
        statuses[key] = statuses.get(key, 0) + 1
        if seconds is None:
            return
        times = self._times.get((service, revision))
        if times is None:
            times = self._times[service, revision] = _Times()
        times.buckets[bisect_left(BUCKET_SECONDS, seconds)] += 1
        times.seconds += seconds

    def describe(self) -> Iterator[Metric]:
        """Nothing beforehand: what there is may differ from one look to the next."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """All values of now."""
        yield InfoMetricFamily("cludale_gateway", "What runs here.", value={"version": self._version})
        yield GaugeMetricFamily("cludale_gateway_clients", "Connections of clients.", value=self._clients())
        yield CounterMetricFamily(
            "cludale_gateway_refused", "Clients refused before their request was whole.", value=self._refused
        )
        requests = CounterMetricFamily(
            "cludale_gateway_requests", "Requests by what was answered.", labels=("service", "revision", "status")
        )
        for (service, revision, status), count in self._statuses.items():
            requests.add_metric((service, revision, str(status)), count)
        yield requests
        seconds = HistogramMetricFamily(
            "cludale_gateway_request_seconds",
            "From a whole request to its answer; without ?wait=.",
            labels=("service", "revision"),
        )
        for key, times in self._times.items():
            running = 0
            cumulative: list[tuple[str, float]] = []
            for bound, count in zip((*map(str, BUCKET_SECONDS), "+Inf"), times.buckets, strict=True):
                running += count
                cumulative.append((bound, running))
            seconds.add_metric(key, cumulative, times.seconds)
        yield seconds
        yield from self._of_backends()

    def _of_backends(self) -> Iterator[Metric]:
        labels = ("service", "revision", "backend")
        ready = GaugeMetricFamily("cludale_gateway_backend_ready", "Does it take requests?", labels=labels)
        in_flight = GaugeMetricFamily("cludale_gateway_backend_in_flight", "Requests that it has.", labels=labels)
        connections = GaugeMetricFamily("cludale_gateway_backend_connections", "Connections to it.", labels=labels)
        sent = CounterMetricFamily("cludale_gateway_backend_requests", "Requests that it got.", labels=labels)
        failures = CounterMetricFamily("cludale_gateway_backend_failures", "Of these, broken off.", labels=labels)
        for each in self._backends():
            names = (each.service, each.revision, each.backend)
            ready.add_metric(names, each.ready)
            in_flight.add_metric(names, each.in_flight)
            connections.add_metric(names, each.connections)
            sent.add_metric(names, each.requests)
            failures.add_metric(names, each.failures)
        yield from (ready, in_flight, connections, sent, failures)

    def text(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self._registry)
