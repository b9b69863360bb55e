"""What /metrics shows and what is sent are one and the same."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.sdk.metrics.export import HistogramDataPoint, MetricsData, NumberDataPoint
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from cludale.kernel.events import Envelope
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.services.concerts.events import SeatsReleased, SeatsSold
from cludale.services.orders.events import OrderPaid
from cludale_operations.telemetry.measures import Measures
from cludale_operations.telemetry.metrics import Snapshots
from cludale_operations.telemetry.spans import Tracer
from cludale_operations.telemetry.wrappers import watched_handler


def points(data: MetricsData, name: str) -> list[NumberDataPoint | HistogramDataPoint]:
    metrics = data.resource_metrics[0].scope_metrics[0].metrics
    return [point for metric in metrics if metric.name == name for point in metric.data.data_points]  # type: ignore[misc]


def test_a_histogram_keeps_its_buckets() -> None:
    measures = Measures()
    for size in (1, 3, 3, 1_000):
        measures.command_batch_size.observe(size)
    (point,) = points(Snapshots(Resource({}), deltas=False).of(measures.families()), "cludale_command_batch_size")
    assert isinstance(point, HistogramDataPoint)
    assert (point.count, point.sum) == (4, 1_007)
    assert list(point.explicit_bounds)[:3] == [1, 2, 4]
    assert list(point.bucket_counts) == [1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1]


def test_totals_go_on_and_deltas_begin_anew() -> None:
    measures = Measures()
    totals, deltas = Snapshots(Resource({}), deltas=False), Snapshots(Resource({}), deltas=True)
    seen = []
    for by in (2, 3):
        measures.conflicts.labels("orders").inc(by)
        measures.holds.labels("held").observe(0.01)
        now = [snapshots.of(measures.families()) for snapshots in (totals, deltas)]
        counts = [points(data, "cludale_commit_refusals")[0] for data in now]
        holds = [points(data, "cludale_hold_seconds")[0] for data in now]
        seen.append(([each.value for each in counts], [each.count for each in holds]))  # type: ignore[union-attr]
    assert seen == [([2, 2], [1, 1]), ([5, 3], [2, 1])]


def test_what_has_not_happened_yet_is_not_sent_or_is_nought() -> None:
    data = Snapshots(Resource({}), deltas=False).of(Measures().families())
    sent = {metric.name: metric.data.data_points for metric in data.resource_metrics[0].scope_metrics[0].metrics}
    assert set(sent) == {"cludale_command_batch_size", "cludale_command_batch_seconds", "cludale_publish_seconds"}, (
        "have no labels"
    )
    assert [point.count for found in sent.values() for point in found] == [0, 0, 0]  # type: ignore[union-attr]


def test_where_points_are_paid_for_counters_to_which_nothing_came_are_left_out() -> None:
    measures = Measures()
    deltas = Snapshots(Resource({}), deltas=True)

    def sent() -> set[str]:
        metrics = deltas.of(measures.families()).resource_metrics[0].scope_metrics[0].metrics
        return {metric.name for metric in metrics}

    assert sent() == set()
    measures.conflicts.labels("orders").inc()
    measures.holds.labels("held").observe(0.01)
    assert sent() == {"cludale_commit_refusals", "cludale_hold_seconds"}
    assert sent() == set()
    measures.conflicts.labels("orders").inc()
    assert sent() == {"cludale_commit_refusals"}


async def test_lag_is_that_of_each_subscription() -> None:
    measures = Measures()
    tracer = Tracer({"audit": Resource({})}, [], ALWAYS_OFF)

    async def handle(deliveries: Sequence[Delivery]) -> Sequence[Acknowledgement]:
        return [Acknowledgement.SUCCESS for _ in deliveries]

    handler = watched_handler("audit", handle, tracer, measures)
    now = datetime.now(UTC)
    ages = [(SeatsSold, 3), (OrderPaid, 100), (SeatsReleased, 40)]
    await handler([delivery(type_.__name__, now - timedelta(seconds=age)) for type_, age in ages])
    found = {
        sample.labels["topic"]: sample.value
        for family in measures.lag.collect()
        for sample in family.samples
        if sample.name.endswith("_sum") and sample.labels["service"] == "audit"
    }
    assert found == {"order-events": pytest.approx(100, abs=5), "concert-events": pytest.approx(40, abs=5)}


def delivery(type_: str, time: datetime) -> Delivery:
    return Delivery(
        Envelope(
            specversion="1.0",
            id="e-1",
            type=type_,
            source="a-service",
            subject="s-1",
            time=time,
            datacontenttype="application/json",
            dataversion="1",
            data=None,
        ),
        b"",
    )
