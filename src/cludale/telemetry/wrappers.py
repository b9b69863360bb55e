"""Wrappers: around a port, the same port, timed and traced. They change no answer and swallow no exception."""

from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from time import perf_counter, time, time_ns
from typing import Protocol, TypeVar

import msgspec
from msgspec.structs import replace
from opentelemetry.trace import SpanKind

from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.kernel.refusals import Busy, Refusal
from cludale.ports.bus import Answer, Delivery, EventBus, Handler
from cludale.ports.messengers import HandedTo, Message, NotSent, Trouble
from cludale.ports.outbox import Outgoing
from cludale.ports.payment_gateway import Declined, GatewayTrouble, PaymentGateway
from cludale.ports.records import (
    AlreadyHandled,
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
from cludale.ports.seats import HoldWish, Seats, SeatsHeld
from cludale.ports.tracing import TRACEPARENT
from cludale.services.catalogue import CATALOGUE
from cludale.telemetry.measures import Measures
from cludale.telemetry.spans import Span, Tracer

Hold = Callable[[HoldWish], Awaitable[SeatsHeld]]

K = TypeVar("K", bound=Hashable)
C = TypeVar("C")
R = TypeVar("R")
T = TypeVar("T")


class WatchedSeats:
    """What orders asks of concerts."""

    def __init__(self, seats: Seats, tracer: Tracer, measures: Measures) -> None:
        self._seats = seats
        self._tracer = tracer
        self._measures = measures

    async def hold(self, wish: HoldWish) -> SeatsHeld:
        """Hold seats; the wish goes on with the trace of this call."""
        begun = perf_counter()
        span = self._tracer.child("orders", "reserve seats", SpanKind.CLIENT, wish.traceparent)
        if span is not None:
            wish = replace(wish, traceparent=span.traceparent)
            span.attributes |= _of_wish(wish)
        outcome, error = "held", None
        try:
            return await self._seats.hold(wish)
        except Exception as trouble:
            outcome, error = _outcome(trouble)
            raise
        finally:
            self._measures.holds.labels(outcome).observe(perf_counter() - begun)
            _end(span, error, outcome)


def watched_hold(hold: Hold, tracer: Tracer) -> Hold:
    """Concerts, called in this process: its side of the call."""

    async def held(wish: HoldWish) -> SeatsHeld:
        span = tracer.child("concerts", "hold seats", SpanKind.SERVER, wish.traceparent)
        if span is None:
            return await hold(wish)
        span.attributes |= _of_wish(wish)
        token = TRACEPARENT.set(span.traceparent)
        outcome, error = "held", None
        try:
            return await hold(replace(wish, traceparent=span.traceparent))
        except Exception as trouble:
            outcome, error = _outcome(trouble)
            raise
        finally:
            TRACEPARENT.reset(token)
            _end(span, error, outcome)

    return held


def _of_wish(wish: HoldWish) -> dict[str, str | int | float | bool]:
    return {
        "cludale.order.id": wish.order_id,
        "cludale.concert.id": wish.concert_id,
        "cludale.quantity": wish.quantity,
    }


def _outcome(trouble: Exception) -> tuple[str, str | None]:
    """What to call it, and whether that is an error: a refusal is an answer."""
    if isinstance(trouble, Busy):
        return "Busy", str(trouble)
    return type(trouble).__name__, None if isinstance(trouble, Refusal) else repr(trouble)


def _end(span: Span | None, error: str | None, outcome: str | None = None) -> None:
    if span is not None:
        if outcome is not None:
            span.attributes["cludale.outcome"] = outcome
        span.end(error=error)


def watched_turn(
    take_turn: Callable[[K, Sequence[C]], Awaitable[Sequence[R]]], tracer: Tracer, measures: Measures
) -> Callable[[K, Sequence[C]], Awaitable[Sequence[R]]]:
    """A section's turn: one span, linked to all the commands that it folds, each of which has its `cause`."""
    cause_of: Callable[[C], Cause] = attrgetter("cause")

    async def turn(key: K, commands: Sequence[C]) -> Sequence[R]:
        begun = perf_counter()
        causes = (cause_of(each).traceparent for each in commands)
        span = tracer.shared("concerts", "take turn", SpanKind.INTERNAL, causes)
        # set in any case: the task that takes turns was begun by one of those who wait
        TRACEPARENT.set(None if span is None else span.traceparent)
        if span is not None:
            span.attributes |= {"cludale.section": str(key), "cludale.commands": len(commands)}
        error = None
        try:
            return await take_turn(key, commands)
        except Exception as trouble:
            error = repr(trouble)
            raise
        finally:
            measures.turn_size.observe(len(commands))
            measures.turn_seconds.observe(perf_counter() - begun)
            _end(span, error)

    return turn


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
        begun = perf_counter()
        why = [TRACEPARENT.get(), *(event.traceparent for commit in commits for event in commit.events)]
        span = self._tracer.shared(self._service, "commit", SpanKind.INTERNAL, why)
        error = None
        try:
            outcomes = await self._records.commit(commits)
            self._count(commits, outcomes)
        except Exception as trouble:
            error = repr(trouble)
            raise
        else:
            return outcomes
        finally:
            self._measures.commit_seconds.labels(self._service).observe(perf_counter() - begun)
            self._measures.commit_size.labels(self._service).observe(len(commits))
            if span is not None:
                span.attributes["cludale.commits"] = len(commits)
                span.attributes["cludale.events"] = sum(len(commit.events) for commit in commits)
                span.end(error=error)

    def _count(self, commits: Sequence[Commit], outcomes: Sequence[Outcome]) -> None:
        for commit, outcome in zip(commits, outcomes, strict=True):
            if not isinstance(outcome, Committed):
                why = "handled" if isinstance(outcome, AlreadyHandled) else "version"
                self._measures.conflicts.labels(self._service, why).inc()
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
        for delivery in deliveries:
            span = self._span(service, delivery, tracer)
            self._spans.append(span)
            if span is not None:
                delivery = replace(delivery, event=replace(delivery.event, traceparent=span.traceparent))  # noqa: PLW2901
            self.deliveries.append(delivery)
        within = [span.traceparent for span in self._spans if span is not None]
        if within:
            self.traceparent = within[0]
            if len(deliveries) > 1:
                self.batch = tracer.shared(service, "process batch", SpanKind.INTERNAL, within, begun=self.begun_ns)
        if self.batch is not None:
            self.batch.attributes["messaging.batch.message_count"] = len(deliveries)
            self.traceparent = self.batch.traceparent

    def _span(self, service: str, delivery: Delivery, tracer: Tracer) -> Span | None:
        event = delivery.event
        span = tracer.child(service, f"process {event.type}", SpanKind.CONSUMER, event.traceparent, begun=self.begun_ns)
        if span is not None:
            span.attributes |= {
                "messaging.operation.type": "process",
                "messaging.message.id": event.id,
                "cludale.event.type": event.type,
                "cludale.attempt": delivery.attempt,
            }
            if event.correlationid is not None:
                span.attributes["cludale.order.id"] = event.correlationid
        return span

    def end(self, answers: Sequence[Answer], error: str | None) -> None:
        """It is over: with these answers, or with an error in their place."""
        ended = time_ns()
        if self.batch is not None:
            self.batch.end(error=error, at=ended)
        for i, span in enumerate(self._spans):
            if span is not None:
                if i < len(answers):
                    span.attributes["cludale.answer"] = answers[i].value
                span.end(error=error, at=ended)


def watched_handler(service: str, handler: Handler, tracer: Tracer, measures: Measures) -> Handler:
    """A service's handler: what it does about an event belongs to the trace of that event."""

    async def handle(deliveries: Sequence[Delivery]) -> Sequence[Answer]:
        begun = perf_counter()
        now = time()
        for topic, oldest in _oldest(deliveries).items():
            measures.lag.labels(service, topic).observe(max(0.0, now - oldest.timestamp()))
        consumption = _Consumption(service, deliveries, tracer)
        token = TRACEPARENT.set(consumption.traceparent)
        answers: Sequence[Answer] = ()
        error = None
        try:
            answers = await handler(consumption.deliveries)
        except Exception as trouble:
            error = repr(trouble)
            measures.handled.labels(service, "ERROR").inc(len(deliveries))
            raise
        else:
            return answers
        finally:
            TRACEPARENT.reset(token)
            consumption.end(answers, error)
            measures.handler_seconds.labels(service).observe(perf_counter() - begun)
            for answer, count in Counter(answers).items():
                measures.handled.labels(service, answer.value).inc(count)

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
        begun = perf_counter()
        span = self._span(batch)
        TRACEPARENT.set(None if span is None else span.traceparent)
        error = None
        try:
            taken = await self._bus.publish(batch)
        except Exception as trouble:
            error = repr(trouble)
            raise
        else:
            if not all(taken):
                error = f"{len(batch) - sum(taken)} of {len(batch)} events were not taken"
            return taken
        finally:
            self._measures.publish_seconds.observe(perf_counter() - begun)
            if span is not None:
                span.end(error=error)

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
        span = self._tracer.shared(next(iter(traces.values())), "publish", SpanKind.PRODUCER, traces)
        if span is not None:
            span.attributes |= {
                "messaging.operation.type": "send",
                "messaging.destination.name": batch[0].topic,
                "messaging.batch.message_count": len(batch),
            }
        return span


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

    async def charge(self, key: str, amount: Money, method: str) -> None:
        """Take the money."""
        await self._watched("charge", self._gateway.charge(key, amount, method))

    async def refund(self, key: str) -> None:
        """Give it back."""
        await self._watched("refund", self._gateway.refund(key))

    async def void(self, key: str) -> bool:
        """Make sure that nothing is held."""
        return await self._watched("void", self._gateway.void(key))

    async def _watched(self, operation: str, call: Awaitable[T]) -> T:
        begun = perf_counter()
        span = self._tracer.child("payments", f"provider {operation}", SpanKind.CLIENT, TRACEPARENT.get())
        outcome, error = "done", None
        try:
            return await call
        except Declined:
            outcome = "declined"
            raise
        except GatewayTrouble as trouble:
            outcome, error = "no answer", str(trouble)
            raise
        except BaseException as trouble:  # cancelled, when its time is over
            outcome, error = "no answer", repr(trouble)
            raise
        finally:
            self._measures.provider.labels(operation, outcome).observe(perf_counter() - begun)
            if span is not None:
                span.attributes["peer.service"] = "payment-provider"
                _end(span, error, outcome)


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
        begun = perf_counter()
        span = self._tracer.child("notifications", f"send {self._channel}", SpanKind.CLIENT, TRACEPARENT.get())
        outcome: str = "sent"
        error: str | None = None
        try:
            handed = await self._messenger.send(message)
        except NotSent as not_sent:
            # its words may name the buyer
            outcome = error = "refused" if not_sent.trouble is Trouble.REFUSED else "not sent"
            raise
        except BaseException as trouble:  # cancelled, when its time is over
            outcome, error = "not sent", type(trouble).__name__
            raise
        else:
            outcome = "logged" if handed is HandedTo.LOG else "sent"
            return handed
        finally:
            self._measures.messages.labels(self._channel, outcome).observe(perf_counter() - begun)
            _end(span, error, outcome)
