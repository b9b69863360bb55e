"""The switch: telemetry as a whole: what it wraps, where it goes, when it begins and ends."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Collection, Iterable
from typing import Any

from opentelemetry.sdk.resources import Resource
from prometheus_client.metrics_core import CounterMetricFamily, Metric

from cludale.ports.bus import EventBus, Handler
from cludale.ports.messengers import Mailer
from cludale.ports.payment_gateway import PaymentGateway
from cludale.ports.records import Records
from cludale.ports.seats import Seats
from cludale.runtime.batching import BatchingQueue
from cludale_operations.telemetry.destinations import application_insights, otlp
from cludale_operations.telemetry.log_records import LogRecords
from cludale_operations.telemetry.measures import Measures
from cludale_operations.telemetry.metrics import Snapshots
from cludale_operations.telemetry.requests import TracedRequests
from cludale_operations.telemetry.shipping import Destination
from cludale_operations.telemetry.spans import Tracer
from cludale_operations.telemetry.wrappers import (
    WatchedBus,
    WatchedGateway,
    WatchedHolding,
    WatchedMessenger,
    WatchedRecords,
    WatchedSeats,
    watched_commands,
    watched_handler,
)

METRICS_SECONDS = 60.0
"""How often metrics are sent: what Application Insights stores is paid by the point."""
NAMESPACE = "cludale"

Families = Callable[[], Iterable[Metric]]


class Telemetry:
    """Traces, metrics and logs of one process."""

    def __init__(
        self,
        services: Collection[str],
        *,
        version: str,
        otlp_endpoint: str | None,
        connection_string: str | None,
    ) -> None:
        """Raises NoTelemetry."""
        name = next(iter(services)) if len(services) == 1 else NAMESPACE
        resources = {each: _resource(each, version) for each in {*services, name}}
        self.name = name
        self.measures = Measures()
        self._destinations: list[tuple[Destination, Snapshots]] = []
        if otlp_endpoint is not None:
            self._destinations.append((otlp(otlp_endpoint), Snapshots(resources[name], deltas=False)))
        if connection_string is not None:
            insights = application_insights(connection_string)
            self._destinations.append((insights, Snapshots(resources[name], deltas=True)))
        to = [each for each, _ in self._destinations]
        self.tracer = Tracer(resources, [each.spans for each in to])
        self._services = services
        self._log_records = LogRecords(resources[name], [each.logs for each in to])
        self._families: list[Families] = []
        self._task: asyncio.Task[None] | None = None

    # What the wiring puts around things

    def requests(self, is_service: Callable[[str | None], bool]) -> TracedRequests:
        """The requests; `is_service` knows the credential of another service of ours."""
        return TracedRequests(self.tracer, self._services, is_service)

    def records(self, service: str, records: Records) -> Records:
        """A service's store."""
        return WatchedRecords(records, service, self.tracer, self.measures)

    def bus(self, bus: EventBus) -> EventBus:
        """The bus that the relay publishes on."""
        return WatchedBus(bus, self.tracer, self.measures)

    def handler(self, service: str, handler: Handler) -> Handler:
        """A service's handler."""
        return watched_handler(service, handler, self.tracer, self.measures)

    def seats(self, seats: Seats) -> Seats:
        """Concerts, as orders calls it."""
        return WatchedSeats(seats, self.tracer, self.measures)

    def holding(self, seats: Seats) -> Seats:
        """Concerts' side of that call, in this process."""
        return WatchedHolding(seats, self.tracer)

    def command_queue(self, queue: BatchingQueue[Any, Any, Any]) -> None:
        """The sections' command queue."""
        queue.around(lambda run_commands: watched_commands(run_commands, self.tracer, self.measures))

    def gateway(self, gateway: PaymentGateway) -> PaymentGateway:
        """The payment provider."""
        return WatchedGateway(gateway, self.tracer, self.measures)

    def messenger(self, messenger: Mailer, channel: str) -> Mailer:
        """A way to buyers."""
        return WatchedMessenger(messenger, channel, self.tracer, self.measures)

    # From start to stop

    def families(self) -> Iterable[Metric]:
        """What `/metrics` shows of this."""
        yield from self.measures.families()
        lost = CounterMetricFamily(
            "cludale_telemetry_dropped", "Spans and log records that never arrived.", labels=("destination",)
        )
        for destination, _ in self._destinations:
            lost.add_metric((destination.name,), destination.dropped)
        yield lost

    def start(self, families: Families) -> None:
        """Send logs, and every so often all of these metrics. Call on the event loop."""
        self._families.append(families)
        logging.getLogger().addHandler(self._log_records)
        self._task = asyncio.get_running_loop().create_task(self._measure())

    async def _measure(self) -> None:
        while True:
            await asyncio.sleep(METRICS_SECONDS)
            self._send_metrics()

    def _send_metrics(self) -> None:
        for destination, snapshots in self._destinations:
            destination.put_metrics(snapshots.of(family for each in self._families for family in each()))

    async def stop(self) -> None:
        """Send what waits, for a few seconds at most."""
        logging.getLogger().removeHandler(self._log_records)
        if self._task is not None:
            self._task.cancel()
            self._send_metrics()
        await asyncio.gather(*(asyncio.to_thread(destination.close) for destination, _ in self._destinations))


def _resource(service: str, version: str) -> Resource:
    return Resource.create(
        {
            "service.name": service,
            "service.namespace": NAMESPACE,
            "service.version": version,
            "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
        }
    )
