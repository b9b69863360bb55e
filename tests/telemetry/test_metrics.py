"""What /metrics shows and what is sent are one and the same."""

from opentelemetry.sdk.metrics.export import HistogramDataPoint, MetricsData, NumberDataPoint
from opentelemetry.sdk.resources import Resource

from cludale.telemetry.measures import Measures
from cludale.telemetry.metrics import Snapshots


def points(data: MetricsData, name: str) -> list[NumberDataPoint | HistogramDataPoint]:
    metrics = data.resource_metrics[0].scope_metrics[0].metrics
    return [point for metric in metrics if metric.name == name for point in metric.data.data_points]  # type: ignore[misc]


def test_a_histogram_keeps_its_buckets() -> None:
    measures = Measures()
    for size in (1, 3, 3, 1_000):
        measures.turn_size.add(size)
    (point,) = points(Snapshots(Resource({}), deltas=False).of(measures.families()), "cludale_turn_size")
    assert isinstance(point, HistogramDataPoint)
    assert (point.count, point.sum) == (4, 1_007)
    assert list(point.explicit_bounds)[:3] == [1, 2, 4]
    assert list(point.bucket_counts) == [1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1]


def test_totals_go_on_and_deltas_begin_anew() -> None:
    measures = Measures()
    totals, deltas = Snapshots(Resource({}), deltas=False), Snapshots(Resource({}), deltas=True)
    seen = []
    for by in (2, 3):
        measures.handled.add("orders", "SUCCESS", by=by)
        measures.holds.add(0.01, "held")
        now = [snapshots.of(measures.families()) for snapshots in (totals, deltas)]
        counts = [points(data, "cludale_events_handled")[0] for data in now]
        holds = [points(data, "cludale_hold_seconds")[0] for data in now]
        seen.append(([each.value for each in counts], [each.count for each in holds]))  # type: ignore[union-attr]
    assert seen == [([2, 2], [1, 1]), ([5, 3], [2, 1])]


def test_what_has_not_happened_yet_is_not_sent() -> None:
    data = Snapshots(Resource({}), deltas=False).of(Measures().families())
    assert data.resource_metrics[0].scope_metrics[0].metrics == []
