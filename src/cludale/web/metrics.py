"""What operators watch, for Prometheus. Counting costs the hot path two microseconds; the rest waits to be asked."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

BUCKET_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

disable_created_metrics()  # type: ignore[no-untyped-call] # a counter that begins anew shows that by itself

Families = Callable[[], Iterable[Metric]]
Gauges = Callable[[], Mapping[str, float]]
"""Values by name and labels: `cludale_queue_depth{service="orders"}`. A counter's name ends in `_total`."""


class RequestCounts:
    """Requests by route and status, with the time each took."""

    def __init__(self) -> None:
        self._answered = Counter(
            "cludale_http_requests", "Requests answered.", ("method", "route", "status"), registry=None
        )
        self._seconds = Histogram(
            "cludale_http_request_seconds",
            "From a request's last byte to its answer.",
            ("method", "route"),
            registry=None,
            buckets=BUCKET_SECONDS,
        )
        self._ways: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        key = (method, route, status)
        way = self._ways.get(key)
        if way is None:  # looking labels up costs as much as counting
            way = (self._answered.labels(method, route, status), self._seconds.labels(method, route))
            self._ways[key] = way
        way[0].inc()
        way[1].observe(seconds)

    def collect(self) -> Iterator[Metric]:
        """The counts as metrics."""
        yield from self._answered.collect()
        yield from self._seconds.collect()


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
