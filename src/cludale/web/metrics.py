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
    disable_created_metrics,
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
from prometheus_client.utils import floatToGoString

BUCKET_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

_READS = ("GET", "HEAD", "OPTIONS")

disable_created_metrics()  # type: ignore[no-untyped-call] # a counter that begins anew shows that by itself

Families = Callable[[], Iterable[Metric]]
Gauges = Callable[[], Mapping[str, float]]
"""Values by name and labels: `cludale_queue_depth{service="orders"}`. A counter's name ends in `_total`."""


class _Times:
    """How long answers of one route took."""

    __slots__ = ("seconds", "within")

    def __init__(self) -> None:
        self.within = [0] * (len(BUCKET_SECONDS) + 1)
        """How many took no longer than each of BUCKET_SECONDS, and longer than the one before; the last: longer."""
        self.seconds = 0.0

    def by_bound(self) -> list[tuple[str, int]]:
        """Upper bound → how many took no longer."""
        bounds = (*map(floatToGoString, BUCKET_SECONDS), "+Inf")
        return list(zip(bounds, accumulate(self.within), strict=True))


class RequestCounts:
    """Requests by route and status, with the time each took. Counted on the event loop alone."""

    def __init__(self) -> None:
        self._answered: Tally[tuple[str, str, int]] = Tally()
        """(method, route, status) → requests."""
        self._times: defaultdict[tuple[str, str], _Times] = defaultdict(_Times)
        """By method and route."""
        self.again: Tally[tuple[str, str, int]] = Tally()
        """(method, route, status) → requests that were answered with what another one was, without any work."""
        self._refused: Tally[tuple[str, str]] = Tally()
        """(route, problem) → answers."""
        self._at_once: Tally[str] = Tally()
        """Route → answers that nothing was done for: buyers turned away by admission control."""

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._answered[method, route, status] += 1
        times = self._times[method, route]
        times.within[bisect_left(BUCKET_SECONDS, seconds)] += 1
        times.seconds += seconds

    def _settle(self) -> None:
        """Count those that were answered again among the others, as what took no time."""
        for (method, route, status), count in self.again.items():
            self._answered[method, route, status] += count
            self._times[method, route].within[0] += count
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
        for (method, route, status), count in self._answered.items():
            if not _is_of(service, route):
                continue
            found["cludale_http_answers_total"] += count
            if status >= 500 and status != 503:
                found["cludale_http_errors_total"] += count
            if method not in _READS:
                found[f'cludale_http_requests_total{{method="{method}",route="{route}",status="{status}"}}'] += count
        for (method, route), times in self._times.items():
            if method not in _READS and _is_of(service, route):
                for bound, within in times.by_bound():  # without so many of the fastest
                    took = max(0, within - self._at_once[route])
                    found[f'cludale_http_request_seconds_bucket_total{{le="{bound}"}}'] += took
        for (route, problem), count in self._refused.items():
            if _is_of(service, route):
                found[f'cludale_http_refusals_total{{problem="{problem}"}}'] += count
        return dict(found)

    def collect(self) -> Iterator[Metric]:
        """The counts as metrics."""
        self._settle()
        answered = CounterMetricFamily(
            "cludale_http_requests", "Requests answered.", labels=("method", "route", "status")
        )
        for (method, route, status), count in self._answered.items():
            answered.add_metric((method, route, str(status)), count)
        yield answered
        seconds = HistogramMetricFamily(
            "cludale_http_request_seconds",
            "From a request's last byte to its answer.",
            labels=("method", "route"),
        )
        for way, times in self._times.items():
            seconds.add_metric(way, times.by_bound(), times.seconds)
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
