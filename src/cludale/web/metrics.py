"""What operators watch, for Prometheus. Counting costs the hot path two microseconds; the rest waits to be asked."""

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache

import msgspec
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

_READS = ("GET", "HEAD", "OPTIONS")

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
        self.again: Tally[tuple[str, str, int]] = Tally()
        """(method, route, status) → requests that were answered with what another one was, without any work."""
        self._ways: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._refused: Tally[tuple[str, str]] = Tally()
        """(route, problem) → answers."""
        self._at_once: Tally[str] = Tally()
        """Route → answers that nothing was done for: buyers turned away by admission control."""

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        way = self._counters((method, route, status))
        way[0].inc()
        way[1].observe(seconds)

    def _counters(self, key: tuple[str, str, int]) -> tuple[Counter, Histogram]:
        way = self._ways.get(key)
        if way is None:  # looking labels up costs as much as counting
            method, route, status = key
            way = (self._answered.labels(method, route, status), self._seconds.labels(method, route))
            self._ways[key] = way
        return way

    def _settle(self) -> None:
        """Count those that were answered again among the others, as what took no time."""
        for key, count in self.again.items():
            answered, seconds = self._counters(key)
            answered.inc(count)
            seconds._buckets[0].inc(count)  # noqa: SLF001 - `observe` takes one at a time
        self.again.clear()

    def refused(self, route: str, body: bytes, *, at_once: bool = False) -> None:
        """Count one refusal by its problem; `at_once`: before the request was looked at."""
        self._refused[route, _problem_of(body)] += 1
        if at_once:
            self._at_once[route] += 1

    def of(self, service: str) -> dict[str, float]:
        """Figures of one service's routes, by metric name: commands by route and status, what they took, refusals by
        problem, server errors. A command is a request that may change something; one that was turned away at once
        took no time.
        """
        self._settle()
        found: defaultdict[str, float] = defaultdict(float)
        seen: set[int] = set()
        for (method, route, status), (answered, seconds) in self._ways.items():
            if not _is_route_of(service, route):
                continue
            count = _value(answered)
            found["cludale_http_answers_total"] += count
            if status >= 500 and status != 503:
                found["cludale_http_errors_total"] += count
            if method not in _READS:
                found[f'cludale_http_requests_total{{method="{method}",route="{route}",status="{status}"}}'] += count
                if id(seconds) not in seen:
                    seen.add(id(seconds))
                    _add_times(found, seconds, less=self._at_once[route])
        for (route, problem), count in self._refused.items():
            if _is_route_of(service, route):
                found[f'cludale_http_refusals_total{{problem="{problem}"}}'] += count
        return dict(found)

    def collect(self) -> Iterator[Metric]:
        """The counts as metrics."""
        self._settle()
        yield from self._answered.collect()
        yield from self._seconds.collect()
        refusals = CounterMetricFamily(
            "cludale_http_refusals", "Requests answered with a problem.", labels=("route", "problem")
        )
        for (route, problem), count in self._refused.items():
            refusals.add_metric((route, problem), count)
        yield refusals


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
            name, labels = parsed(written)
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


class _Named(msgspec.Struct):
    type: str = ""


@lru_cache(maxsize=512)
def _problem_of(body: bytes) -> str:
    """The name of the problem that an answer is."""
    try:
        return msgspec.json.decode(body, type=_Named).type.rpartition("/")[2] or "unknown"
    except msgspec.MsgspecError:
        return "unknown"


def _is_route_of(service: str, route: str) -> bool:
    """A route of the service? What is no path, as of `OPTIONS *` and of requests that no route answers, is nobody's."""
    return route == f"/{service}" or route.startswith(f"/{service}/")


def _value(counter: Counter) -> float:
    return next(sample.value for metric in counter.collect() for sample in metric.samples)


def _add_times(found: dict[str, float], seconds: Histogram, *, less: int) -> None:
    """What requests took, by upper bounds; without so many of the fastest."""
    for metric in seconds.collect():
        for sample in metric.samples:
            if sample.name.endswith("_bucket"):
                bound = sample.labels["le"]
                found[f'cludale_http_request_seconds_bucket_total{{le="{bound}"}}'] += max(0, sample.value - less)


def parsed(written: str) -> tuple[str, dict[str, str]]:
    """A figure's name and labels, by how they are written together."""
    name, _, rest = written.partition("{")
    labels = (each.partition("=") for each in rest.rstrip("}").split(",") if each)
    return name, {label.strip(): value.strip().strip('"') for label, _, value in labels}
