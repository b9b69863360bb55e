"""Watching: the protocol by which telemetry wraps the parts of a platform. No technology."""

# ruff: noqa: D102 - each method gives back what it gets, watched

from typing import Any, Protocol

from cludale.ports.bus import EventBus, Handler
from cludale.ports.messengers import Mailer
from cludale.ports.payment_gateway import PaymentGateway
from cludale.ports.records import Records
from cludale.ports.seats import Seats
from cludale.runtime.batching import BatchingQueue


class Watching(Protocol):
    """Puts a wrapper around a part. It changes no answer and swallows no exception."""

    def records(self, service: str, records: Records) -> Records: ...
    def bus(self, bus: EventBus) -> EventBus: ...
    def handler(self, service: str, handler: Handler) -> Handler: ...
    def seats(self, seats: Seats) -> Seats: ...
    def holding(self, seats: Seats) -> Seats: ...
    def gateway(self, gateway: PaymentGateway) -> PaymentGateway: ...
    def messenger(self, messenger: Mailer, channel: str) -> Mailer: ...

    def command_queue(self, queue: BatchingQueue[Any, Any, Any]) -> None:
        """The sections' command queue, from now on."""
        ...
