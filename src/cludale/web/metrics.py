"""What operators watch, for Prometheus. Counting costs the hot path about a microsecond; the rest waits to be asked."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

BUCKET_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

Families = Callable[[], Iterable[Metric]]
Gauges = Callable[[], Mapping[str, float]]
"""Values by name and labels: `cludale_queue_depth{service="orders"}`. A counter's name ends in `_total`."""


class RequestCounts:
    """Requests by route and status, with the time each took."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, int], int] = {}
        self._buckets: dict[tuple[str, str], list[int]] = {}
        self._seconds: dict[tuple[str, str], float] = {}

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        key = (method, route, status)
        self._counts[key] = self._counts.get(key, 0) + 1
        way = (method, route)
        buckets = self._buckets.get(way)
        if buckets is None:
            buckets = self._buckets[way] = [0] * (len(BUCKET_SECONDS) + 1)
            self._seconds[way] = 0.0
        buckets[bisect_left(BUCKET_SECONDS, seconds)] += 1
        self._seconds[way] += seconds

    def collect(self) -> Iterator[Metric]:
        """The counts as metrics."""
        counter = CounterMetricFamily(
            "cludale_http_requests", "Requests answered.", labels=("method", "route", "status")
        )
        for (method, route, status), count in self._counts.items():
            counter.add_metric((method, route, str(status)), count)
        yield counter
        histogram = HistogramMetricFamily(
            "cludale_http_request_seconds", "From a request's last byte to its answer.", labels=("method", "route")
        )
        for (method, route), buckets in self._buckets.items():
            running = 0
            cumulative: list[tuple[str, float]] = []
            for bound, count in zip((*map(str, BUCKET_SECONDS), "+Inf"), buckets, strict=True):
                running += count
                cumulative.append((bound, running))
            histogram.add_metric((method, route), cumulative, self._seconds[method, route])
        yield histogram


class Metrics(Collector):
    """Everything at `/metrics`."""

    def __init__(self, requests: RequestCounts, gauges: Gauges, *, version: str) -> None:
        self._requests = requests
        self._gauges = [gauges]
        self._families: list[Families] = []
        self._version = version
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._registry.register(self)

    def watch(self, gauges: Gauges) -> None:
        """Show these as well."""
        self._gauges.append(gauges)

    def watch_families(self, families: Families) -> None:
        """Show these as well."""
        self._families.append(families)

    def everything(self) -> Iterable[Metric]:
        """All values of now, those of the process included, for whoever sends them elsewhere."""
        return self._registry.collect()

    def describe(self) -> Iterator[Metric]:
        """Nothing beforehand: what there is may differ from one look to the next."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """All values of now."""
        yield InfoMetricFamily("cludale", "What runs here.", value={"version": self._version})
        yield from self._requests.collect()
        for more in self._families:
            yield from more()
        families: dict[str, Metric] = {}
        for written, value in (item for gauges in self._gauges for item in gauges().items()):
            name, labels = _parsed(written)
            family = families.get(name)
            if family is None:
                kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
                words = name.removeprefix("cludale_").removesuffix("_total").replace("_", " ")
                family = families[name] = kind(name, f"{words.capitalize()}.", labels=tuple(labels))
            family.add_metric(tuple(labels.values()), value)  # type: ignore[attr-defined] # both kinds have it
        yield from families.values()

    def text(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self._registry)


def _parsed(written: str) -> tuple[str, dict[str, str]]:
    name, _, rest = written.partition("{")
    labels = (each.partition("=") for each in rest.rstrip("}").split(",") if each)
    return name, {label.strip(): value.strip().strip('"') for label, _, value in labels}
