"""What operators watch, for Prometheus. Counting costs the hot path half a microsecond; the rest waits to be asked."""

from bisect import bisect_left
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import accumulate

import msgspec
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)
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
_BOUNDS = [*map(str, BUCKET_SECONDS), "+Inf"]

_READS = ("GET", "HEAD", "OPTIONS")

Families = Callable[[], Iterable[Metric]]
Gauges = Callable[[], Mapping[str, float]]
"""Values by name and labels: `cludale_queue_depth{service="orders"}`. A counter's name ends in `_total`."""


class _Times:
    """What the requests of one method and route took."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * len(_BOUNDS)
        """Requests, by the bound that they are below and above the one before."""
        self.seconds = 0.0

    def by_bound(self, *, less: int = 0) -> list[tuple[str, float]]:
        """How many took no longer than each bound; without so many of the fastest."""
        below = accumulate(self.buckets)
        return [(bound, max(0.0, float(count - less))) for bound, count in zip(_BOUNDS, below, strict=True)]


class _Way:
    """The requests of one method and route that were answered with one status."""

    __slots__ = ("count", "times")

    def __init__(self, times: _Times) -> None:
        self.count = 0
        self.times = times


class RequestCounts:
    """Requests by route and status, with the time each took. The library's own counters cost four times as much."""

    def __init__(self) -> None:
        self.again: Tally[tuple[str, str, int]] = Tally()
        """(method, route, status) → requests that were answered with what another one was, without any work."""
        self._ways: dict[tuple[str, str, int], _Way] = {}
        self._times: dict[tuple[str, str], _Times] = {}
        self._refused: Tally[tuple[str, str]] = Tally()
        """(route, problem) → answers."""
        self._at_once: Tally[str] = Tally()
        """Route → answers that nothing was done for: buyers turned away by admission control."""

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        way = self._ways.get((method, route, status)) or self._new_way(method, route, status)
        way.count += 1
        times = way.times
        times.buckets[bisect_left(BUCKET_SECONDS, seconds)] += 1
        times.seconds += seconds

    def _new_way(self, method: str, route: str, status: int) -> _Way:
        times = self._times.setdefault((method, route), _Times())
        return self._ways.setdefault((method, route, status), _Way(times))

    def _settle(self) -> None:
        """Count those that were answered again among the others, as what took no time."""
        for key, count in self.again.items():
            way = self._new_way(*key)
            way.count += count
            way.times.buckets[0] += count
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
        for (method, route, status), way in self._ways.items():
            if not _is_of(service, route):
                continue
            found["cludale_http_answers_total"] += way.count
            if status >= 500 and status != 503:
                found["cludale_http_errors_total"] += way.count
            if method not in _READS:
                name = f'cludale_http_requests_total{{method="{method}",route="{route}",status="{status}"}}'
                found[name] += way.count
        for (method, route), times in self._times.items():
            if method not in _READS and _is_of(service, route):
                for bound, count in times.by_bound(less=self._at_once[route]):
                    found[f'cludale_http_request_seconds_bucket_total{{le="{bound}"}}'] += count
        for (route, problem), refused in self._refused.items():
            if _is_of(service, route):
                found[f'cludale_http_refusals_total{{problem="{problem}"}}'] += refused
        return dict(found)

    def collect(self) -> Iterator[Metric]:
        """The counts as metrics."""
        self._settle()
        answered = CounterMetricFamily(
            "cludale_http_requests", "Requests answered.", labels=("method", "route", "status")
        )
        for (method, route, status), way in list(self._ways.items()):  # it is told in another thread, too
            answered.add_metric((method, route, str(status)), way.count)
        yield answered
        seconds = HistogramMetricFamily(
            "cludale_http_request_seconds", "From a request's last byte to its answer.", labels=("method", "route")
        )
        for of, times in list(self._times.items()):
            seconds.add_metric(of, times.by_bound(), sum_value=times.seconds)
        yield seconds
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


def _is_of(service: str, route: str) -> bool:
    """A route of the service? What is no path, as of `OPTIONS *` and of requests that no route answers, is nobody's."""
    return route == f"/{service}" or route.startswith(f"/{service}/")


def parsed(written: str) -> tuple[str, dict[str, str]]:
    """A figure's name and labels, by how they are written together."""
    name, _, rest = written.partition("{")
    labels = (each.partition("=") for each in rest.rstrip("}").split(",") if each)
    return name, {label.strip(): value.strip().strip('"') for label, _, value in labels}
