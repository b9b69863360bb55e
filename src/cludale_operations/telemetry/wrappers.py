"""Wrappers: around a port, the same port, timed and traced. They change no answer and swallow no exception."""

from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from operator import attrgetter
from time import perf_counter, time, time_ns
from typing import Protocol, TypeVar

import msgspec
from msgspec.structs import replace
from opentelemetry.trace import Span, SpanKind
from opentelemetry.util.types import AnyValue

from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.kernel.refusals import Busy, Refusal
from cludale.ports.bus import Acknowledgement, Delivery, EventBus, Handler
from cludale.ports.messengers import HandedTo, Message, NotSent, Trouble
from cludale.ports.outbox import Outgoing
from cludale.ports.payment_gateway import (
    Booked,
    BookedPage,
    BuyerAction,
    Charge,
    ChargeResult,
    Declined,
    GatewayTrouble,
    PaymentGateway,
)
from cludale.ports.records import (
    Commit,
    Committed,
    Key,
    Kind,
    Outcome,
    Page,
    Query,
    Records,
    Stored,
)
from cludale.ports.seats import HoldRequest, LineRefused, Seats, SeatsHeld
from cludale.ports.tracing import TRACEPARENT
from cludale.services.catalogue import CATALOGUE
from cludale_operations.telemetry.measures import Measures
from cludale_operations.telemetry.spans import Tracer, end, traceparent_of

K = TypeVar("K", bound=Hashable)
C = TypeVar("C")
R = TypeVar("R")
T = TypeVar("T")


class _Work:
    """What comes of a piece of work."""

    __slots__ = ("error", "outcome")

    def __init__(self, outcome: str | None) -> None:
        self.outcome = outcome
        self.error: str | None = None


def _failed(trouble: BaseException) -> tuple[str | None, str | None]:
    return None, repr(trouble)


@contextmanager
def _working(
    span: Span | None,
    took: Callable[[float, str], object],
    *,
    outcome: str | None = None,
    failed: Callable[[BaseException], tuple[str | None, str | None]] = _failed,
) -> Iterator[_Work]:
    """Around a piece of work: `took` gets its seconds and outcome; `failed` says outcome and error of an exception."""
    begun = perf_counter()
    work = _Work(outcome)
    try:
        yield work
    except BaseException as trouble:
        work.outcome, work.error = failed(trouble)
        raise
    finally:
        took(perf_counter() - begun, work.outcome or "")
        if span is not None:
            if work.outcome is not None:
                span.set_attribute("cludale.outcome", work.outcome)
            end(span, error=work.error)


class WatchedSeats:
    """What orders asks of concerts."""

    def __init__(self, seats: Seats, tracer: Tracer, measures: Measures) -> None:
        self._seats = seats
        self._tracer = tracer
        self._measures = measures

    async def hold(self, request: HoldRequest) -> SeatsHeld:
        """Hold seats; the request goes on with the trace of this call."""
        span = self._tracer.child("orders", "reserve seats", SpanKind.CLIENT, request.traceparent, _of_request(request))
        if span is not None:
            request = replace(request, traceparent=traceparent_of(span))
        with _working(span, self._took, outcome="held", failed=_refused):
            return await self._seats.hold(request)

    async def hold_all(self, requests: Sequence[HoldRequest]) -> Sequence[SeatsHeld]:
        """Hold seats for a cart; its requests go on with the trace of this call."""
        first = requests[0]
        span = self._tracer.child("orders", "reserve seats", SpanKind.CLIENT, first.traceparent, _of_request(first))
        if span is not None:
            requests = [replace(each, traceparent=traceparent_of(span)) for each in requests]
        with _working(span, self._took, outcome="held", failed=_refused):
            return await self._seats.hold_all(requests)

    def _took(self, seconds: float, outcome: str) -> None:
        self._measures.holds.labels(outcome).observe(seconds)


class WatchedHolding:
    """Concerts, called in this process: its side of the call. What is held for a cart goes straight through."""

    def __init__(self, seats: Seats, tracer: Tracer) -> None:
        self._seats = seats
        self._tracer = tracer
        self.hold_all = seats.hold_all

    async def hold(self, request: HoldRequest) -> SeatsHeld:
        """Hold seats; what is done for them belongs to a span of this call."""
        span = self._tracer.child("concerts", "hold seats", SpanKind.SERVER, request.traceparent, _of_request(request))
        if span is None:
            return await self._seats.hold(request)
        request = replace(request, traceparent=traceparent_of(span))
        token = TRACEPARENT.set(request.traceparent)
        try:
            with _working(span, lambda *_: None, outcome="held", failed=_refused):
                return await self._seats.hold(request)
        finally:
            TRACEPARENT.reset(token)


def _of_request(request: HoldRequest) -> Mapping[str, str | int]:
    return {
        "cludale.order.id": request.order_id,
        "cludale.concert.id": request.concert_id,
        "cludale.quantity": request.quantity,
    }


def _refused(trouble: BaseException) -> tuple[str, str | None]:
    """A refusal is an answer, and no error."""
    if isinstance(trouble, LineRefused):
        trouble = trouble.refusal
    if isinstance(trouble, Busy):
        return "Busy", str(trouble)
    return type(trouble).__name__, None if isinstance(trouble, Refusal) else repr(trouble)


def watched_commands(
    run_commands: Callable[[K, Sequence[C]], Awaitable[Sequence[R]]], tracer: Tracer, measures: Measures
) -> Callable[[K, Sequence[C]], Awaitable[Sequence[R]]]:
    """A batch of a section's commands: one span, linked to all of them, each of which has its `cause`."""
    cause_of: Callable[[C], Cause] = attrgetter("cause")

    async def run(key: K, commands: Sequence[C]) -> Sequence[R]:
        causes = (cause_of(each).traceparent for each in commands)
        attributes: dict[str, AnyValue] = {"cludale.section": str(key), "cludale.commands": len(commands)}
        span = tracer.shared("concerts", "decide commands", SpanKind.INTERNAL, causes, attributes)
        # set in any case: the task that runs commands was begun by one of those who wait
        TRACEPARENT.set(None if span is None else traceparent_of(span))
        measures.command_batch_size.observe(len(commands))
        with _working(span, lambda seconds, _: measures.command_batch_seconds.observe(seconds)):
            return await run_commands(key, commands)

    return run


class WatchedRecords:
    """A store, seen from one service. Reads go straight through."""

    def __init__(self, records: Records, service: str, tracer: Tracer, measures: Measures) -> None:
        self._records = records
        self._service = service
        self._tracer = tracer
        self._measures = measures

    async def get(self, kind: Kind, keys: Sequence[Key]) -> Mapping[str, Stored]:
        """Those of the records that exist, by id."""
        return await self._records.get(kind, keys)

    async def find(self, kind: Kind, query: Query) -> Page:
        """A page of the records that match."""
        return await self._records.find(kind, query)

    async def commit(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
        """Each commit's outcome; a span under the work at hand, linked to what the events belong to."""
        why = [TRACEPARENT.get(), *(event.traceparent for commit in commits for event in commit.events)]
        attributes: dict[str, AnyValue] = {
            "cludale.commits": len(commits),
            "cludale.events": sum(len(commit.events) for commit in commits),
        }
        span = self._tracer.shared(self._service, "commit", SpanKind.INTERNAL, why, attributes)
        self._measures.commit_size.labels(self._service).observe(len(commits))
        with _working(span, self._took):
            outcomes = await self._records.commit(commits)
        self._count(commits, outcomes)
        return outcomes

    def _took(self, seconds: float, _: str) -> None:
        self._measures.commit_seconds.labels(self._service).observe(seconds)

    def _count(self, commits: Sequence[Commit], outcomes: Sequence[Outcome]) -> None:
        for commit, outcome in zip(commits, outcomes, strict=True):
            if not isinstance(outcome, Committed):
                self._measures.conflicts.labels(self._service).inc()
                continue
            for event in commit.events:
                reason = getattr(event.data, "reason", None)
                labels = (self._service, event.type, "" if reason is None else str(reason))
                self._measures.events.labels(*labels).inc()


class _Consumption:
    """A batch being handled: a span for each delivery in the trace of its event, one for the batch linked to all."""

    def __init__(self, service: str, deliveries: Sequence[Delivery], tracer: Tracer) -> None:
        self.begun_ns = time_ns()
        self.deliveries: list[Delivery] = []
        """As they came, their events in the trace of their spans."""
        self.batch: Span | None = None
        self.traceparent: str | None = None
        self._spans: list[Span | None] = []
        traced: list[str] = []
        for delivery in deliveries:
            span = self._span(service, delivery, tracer)
            self._spans.append(span)
            if span is not None:
                traced.append(traceparent_of(span))
                delivery = replace(delivery, event=replace(delivery.event, traceparent=traced[-1]))  # noqa: PLW2901
            self.deliveries.append(delivery)
        if traced:
            self.traceparent = traced[0]
            if len(deliveries) > 1:
                attributes: dict[str, AnyValue] = {"messaging.batch.message_count": len(deliveries)}
                self.batch = tracer.shared(
                    service, "process batch", SpanKind.INTERNAL, traced, attributes, begun=self.begun_ns
                )
        if self.batch is not None:
            self.traceparent = traceparent_of(self.batch)

    def _span(self, service: str, delivery: Delivery, tracer: Tracer) -> Span | None:
        event = delivery.event
        attributes: dict[str, AnyValue] = {
            "messaging.operation.type": "process",
            "messaging.message.id": event.id,
            "cludale.event.type": event.type,
            "cludale.attempt": delivery.attempt,
        }
        if event.correlationid is not None:
            attributes["cludale.order.id"] = event.correlationid
        kind = SpanKind.CONSUMER
        return tracer.child(service, f"process {event.type}", kind, event.traceparent, attributes, begun=self.begun_ns)

    def end(self, answers: Sequence[Acknowledgement], error: str | None) -> None:
        """It is over: with these answers, or with an error in their place."""
        ended = time_ns()
        if self.batch is not None:
            end(self.batch, error=error, at=ended)
        for i, span in enumerate(self._spans):
            if span is not None:
                if i < len(answers):
                    span.set_attribute("cludale.answer", answers[i].value)
                end(span, error=error, at=ended)


def watched_handler(service: str, handler: Handler, tracer: Tracer, measures: Measures) -> Handler:
    """A service's handler: what it does about an event belongs to the trace of that event."""

    async def handle(deliveries: Sequence[Delivery]) -> Sequence[Acknowledgement]:
        begun = perf_counter()
        now = time()
        for topic, oldest in _oldest(deliveries).items():
            measures.lag.labels(service, topic).observe(max(0.0, now - oldest.timestamp()))
        consumption = _Consumption(service, deliveries, tracer)
        token = TRACEPARENT.set(consumption.traceparent)
        answers: Sequence[Acknowledgement] = ()
        error = None
        try:
            answers = await handler(consumption.deliveries)
        except Exception as trouble:
            error = repr(trouble)
            raise
        else:
            return answers
        finally:
            TRACEPARENT.reset(token)
            consumption.end(answers, error)
            measures.handler_seconds.labels(service).observe(perf_counter() - begun)

    return handle


def _oldest(deliveries: Sequence[Delivery]) -> Mapping[str, datetime]:
    """When the oldest event of each topic was; the embedded bus mixes topics."""
    oldest: dict[str, datetime] = {}
    for delivery in deliveries:
        topic, at = CATALOGUE.topic_of(delivery.event.type).name, delivery.event.time
        if topic not in oldest or at < oldest[topic]:
            oldest[topic] = at
    return oldest


class _Head(msgspec.Struct, gc=False):
    """What publishing looks at in an encoded event."""

    source: str
    traceparent: str | None = None


_head = msgspec.json.Decoder(_Head).decode


class WatchedBus:
    """The bus, seen from the relay."""

    def __init__(self, bus: EventBus, tracer: Tracer, measures: Measures) -> None:
        self._bus = bus
        self._tracer = tracer
        self._measures = measures

    async def publish(self, batch: Sequence[Outgoing]) -> Sequence[bool]:
        """Publish; a span in the trace of the first event, linked to the others'."""
        span = self._span(batch)
        TRACEPARENT.set(None if span is None else traceparent_of(span))
        with _working(span, lambda seconds, _: self._measures.publish_seconds.observe(seconds)) as work:
            taken = await self._bus.publish(batch)
            if not all(taken):
                work.error = f"{len(batch) - sum(taken)} of {len(batch)} events were not taken"
            return taken

    def _span(self, batch: Sequence[Outgoing]) -> Span | None:
        traces: dict[str, str] = {}
        for entry in batch:
            try:
                head = _head(entry.body)
            except msgspec.MsgspecError:
                continue  # the bus finds out, and says so
            if head.traceparent is not None:
                traces.setdefault(head.traceparent, head.source)
        if not traces:
            return None
        attributes: dict[str, AnyValue] = {
            "messaging.operation.type": "send",
            "messaging.destination.name": batch[0].topic,
            "messaging.batch.message_count": len(batch),
        }
        return self._tracer.shared(next(iter(traces.values())), "publish", SpanKind.PRODUCER, traces, attributes)


class WatchedGateway:
    """The payment provider, called for what `TRACEPARENT` says."""

    def __init__(self, gateway: PaymentGateway, tracer: Tracer, measures: Measures) -> None:
        self._gateway = gateway
        self._tracer = tracer
        self._measures = measures

    @property
    def methods(self) -> Sequence[str]:
        """The ways to pay that it knows."""
        return self._gateway.methods

    async def charge(self, charge: Charge, method: str) -> ChargeResult:
        """Take the money."""
        return await self._watched("charge", self._gateway.charge(charge, method))

    async def refund(self, charge: Charge) -> None:
        """Give it back."""
        await self._watched("refund", self._gateway.refund(charge))

    async def refund_part(self, charge: Charge, refund_key: str, amount: Money) -> None:
        """Give back a part."""
        await self._watched("refund", self._gateway.refund_part(charge, refund_key, amount))

    async def void(self, charge: Charge) -> bool:
        """Make sure that nothing is held."""
        return await self._watched("void", self._gateway.void(charge))

    async def listed(self, *, since: datetime, until: datetime, after: str | None, limit: int) -> BookedPage:
        """A page of the provider's books."""
        page = self._gateway.listed(since=since, until=until, after=after, limit=limit)
        return await self._watched("list", page)

    async def booked(self, charges: Sequence[Charge]) -> Mapping[str, Booked]:
        """What is in them of these."""
        return await self._watched("list", self._gateway.booked(charges))

    async def action(self, charge: Charge) -> BuyerAction | None:
        """What is left for the buyer to do. Nothing of the answer is recorded."""
        return await self._watched("action", self._gateway.action(charge))

    def heard(self, body: bytes, signature: str | None) -> str | None:
        """What a message is about."""
        return self._gateway.heard(body, signature)

    async def _watched(self, operation: str, call: Awaitable[T]) -> T:
        def took(seconds: float, outcome: str) -> None:
            self._measures.provider.labels(operation, outcome).observe(seconds)

        attributes: dict[str, AnyValue] = {"peer.service": "payment-provider"}
        span = self._tracer.child("payments", f"provider {operation}", SpanKind.CLIENT, TRACEPARENT.get(), attributes)
        with _working(span, took, outcome="done", failed=_not_charged):
            return await call


def _not_charged(trouble: BaseException) -> tuple[str, str | None]:
    if isinstance(trouble, Declined):
        return "declined", None
    # also when it is cancelled, as its time is over
    return "no answer", str(trouble) if isinstance(trouble, GatewayTrouble) else repr(trouble)


class Messenger(Protocol):
    """A Mailer or a TextMessenger."""

    async def send(self, message: Message) -> HandedTo:
        """Hand the message over."""
        ...


class WatchedMessenger:
    """A way to buyers, used for what `TRACEPARENT` says. Nothing of the message is recorded."""

    def __init__(self, messenger: Messenger, channel: str, tracer: Tracer, measures: Measures) -> None:
        self._messenger = messenger
        self._channel = channel
        self._tracer = tracer
        self._measures = measures

    async def send(self, message: Message) -> HandedTo:
        """Hand the message over."""

        def took(seconds: float, outcome: str) -> None:
            self._measures.messages.labels(self._channel, outcome).observe(seconds)

        span = self._tracer.child("notifications", f"send {self._channel}", SpanKind.CLIENT, TRACEPARENT.get())
        with _working(span, took, outcome="sent", failed=_not_sent) as work:
            handed = await self._messenger.send(message)
            if handed is HandedTo.LOG:
                work.outcome = "logged"
            return handed


def _not_sent(trouble: BaseException) -> tuple[str, str]:
    """Without the message's words, which may name the buyer."""
    if isinstance(trouble, NotSent):
        outcome = "refused" if trouble.trouble is Trouble.REFUSED else "not sent"
        return outcome, outcome
    return "not sent", type(trouble).__name__  # also when it is cancelled, as its time is over
