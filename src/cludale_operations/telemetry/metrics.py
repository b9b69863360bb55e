"""Metrics on their way out: what `/metrics` shows, as OpenTelemetry's exporters want it. Keeps no counts of its own."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from time import time_ns
from typing import Any, TypeVar

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.samples import Sample

from cludale_operations.telemetry.spans import SCOPE

_CUMULATIVE = AggregationTemporality.CUMULATIVE

P = TypeVar("P", NumberDataPoint, HistogramDataPoint)
Series = tuple[str, tuple[tuple[str, str], ...]]


class Snapshots:
    """Makes MetricsData of metric families: totals since the start, or what came since the last snapshot.

    Where it is what came, counters and histograms to which nothing came are left out: who stores them is paid by the
    point, and most of an idle process's would be noughts.
    """

    def __init__(self, resource: Resource, *, deltas: bool) -> None:
        self._resource = resource
        self._deltas = deltas
        self._began = self._last = time_ns()
        self._before: dict[Series, NumberDataPoint | HistogramDataPoint] = {}

    def of(self, families: Iterable[Family]) -> MetricsData:
        """The families as they are now."""
        now = time_ns()
        metrics = [metric for family in families if (metric := self._metric(family, now)) is not None]
        self._last = now
        scope = ScopeMetrics(InstrumentationScope(SCOPE), metrics, "")
        return MetricsData([ResourceMetrics(self._resource, [scope], "")])

    def _metric(self, family: Family, now: int) -> Metric | None:
        unit = "s" if family.name.endswith("_seconds") else "By" if family.name.endswith("_bytes") else "1"
        data: Sum | Gauge | Histogram
        temporality = AggregationTemporality.DELTA if self._deltas else _CUMULATIVE
        if family.type == "counter":
            totals = [each for each in family.samples if each.name.endswith("_total")]
            points = self._since(family.name, [self._number(each, now) for each in totals])
            data = Sum(points, temporality, is_monotonic=True)
        elif family.type == "histogram":
            data = Histogram(self._since(family.name, self._histograms(family.samples, now)), temporality)
        else:
            data = Gauge([self._number(each, now) for each in family.samples])
        return Metric(family.name, family.documentation, unit, data) if data.data_points else None

    def _number(self, sample: Sample, now: int) -> NumberDataPoint:
        return NumberDataPoint(dict(sample.labels), self._began, now, sample.value)

    def _histograms(self, samples: Iterable[Sample], now: int) -> list[HistogramDataPoint]:
        found: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
        for name, labels, value, *_ in samples:
            own = tuple(sorted((label, text) for label, text in labels.items() if label != "le"))
            histogram = found.setdefault(own, {"bounds": [], "cumulative": [], "sum": 0.0, "labels": dict(own)})
            if name.endswith("_bucket"):
                if labels["le"] != "+Inf":
                    histogram["bounds"].append(float(labels["le"]))
                histogram["cumulative"].append(int(value))
            elif name.endswith("_sum"):
                histogram["sum"] = value
        return [self._histogram(each, now) for each in found.values()]

    def _histogram(self, read: Mapping[str, Any], now: int) -> HistogramDataPoint:
        cumulative = read["cumulative"]
        counts = [after - before for before, after in zip([0, *cumulative], cumulative, strict=False)]
        return HistogramDataPoint(
            read["labels"],
            self._began,
            now,
            count=cumulative[-1],
            sum=read["sum"],
            bucket_counts=counts,
            explicit_bounds=read["bounds"],
            min=None,  # type: ignore[arg-type] # nobody kept it, and the exporters take None for that
            max=None,  # type: ignore[arg-type] # the same
        )

    def _since(self, name: str, points: Sequence[P]) -> list[P]:
        """The points; or what came to them since the last snapshot, of those to which something came."""
        if not self._deltas:
            return list(points)
        return [came for point in points if (came := self._change_since(name, point)) is not None]

    def _change_since(self, name: str, point: Any) -> Any | None:
        series = (name, tuple(sorted(point.attributes.items())))
        before: Any = self._before.get(series)
        self._before[series] = point
        if isinstance(point, NumberDataPoint):
            value = point.value - (0 if before is None else before.value)
            return replace(point, start_time_unix_nano=self._last, value=value) if value else None
        if before is None:
            return replace(point, start_time_unix_nano=self._last) if point.count else None
        if point.count == before.count:
            return None
        counts = [now - then for now, then in zip(point.bucket_counts, before.bucket_counts, strict=True)]
        return replace(
            point,
            start_time_unix_nano=self._last,
            count=point.count - before.count,
            sum=point.sum - before.sum,
            bucket_counts=counts,
        )
